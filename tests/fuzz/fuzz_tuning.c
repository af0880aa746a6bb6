/* libFuzzer target: any bytes as a tuning file. It is refused by messages, or every number that it gives lies
 * in the range that its row states. Seeds: corpus/tuning. */
#include <limits.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "kernels/cost_model.h"
#include "tune/tune_file.h"

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static char file[] = "/tmp/btc-fuzz-tuning-XXXXXX";
static Arena *arena; /* of the target, which is chosen once: that takes long */
static TargetInfo target;

static void clean(void) {
    unlink(file);
}

int LLVMFuzzerInitialize(int *argc, char ***argv) {
    (void)argc, (void)argv;
    int fd = mkstemp(file);
    if (fd < 0 || close(fd)) abort();
    atexit(clean);
    arena = arena_new();
    Diag d = diag_new(arena, NULL);
    if (!target_select(&d, "x86_64-linux-gnu", "x86-64-v3", &target)) abort();
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    FILE *f = fopen(file, "wb");
    if (!f || fwrite(data, 1, size, f) != size || fclose(f)) abort();
    Arena *a = arena_new();
    Diag d = diag_new(a, NULL);
    LowerTarget machine = {.lanes = target.lanes, .vregs = target.registers, .panel = 16};
    machine.costs = target.costs;
    cost_model_choose(&machine);
    Tuning before = machine.defaults.tuning, t = before;
    const char *from;
    const TuneModel model = {"model.json", "model", 1};
    bool ok = tune_file_choose(&d, &model, file, &target, &t, &from);
    if (ok != (d.errors == 0)) abort();
    if (!ok && memcmp(&t, &before, sizeof t) != 0) abort(); /* a refused file changes nothing */
    for (int i = 0; i < TUNING_COUNT; i++) {
        int v = *tuning_at(&t, i);
        if (v != *tuning_at(&before, i) && (v < TUNING_FIELDS[i].least || v > TUNING_FIELDS[i].most)) abort();
    }
    arena_free(a);
    return 0;
}
