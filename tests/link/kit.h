/* What the link tests share: a folder for their files, shell commands, and a made-up model
 * (tests/runtime/fake_model.c, compiled by gcc in place of LLVM) with its ArtifactSpec.
 *
 * BTC_SOURCE_DIR: the project. */
#ifndef BTC_TESTS_LINK_KIT_H
#define BTC_TESTS_LINK_KIT_H

#include <dirent.h>
#include <stdlib.h>
#include <unistd.h>

#include "link/link.h"
#include "link/runtime_blob.h"
#include "runtime/fake_model.h"
#include "tools/check.h"

#define CFLAGS "-std=c11 -O1 -fPIC -fvisibility=hidden -I" BTC_SOURCE_DIR " -I" BTC_SOURCE_DIR "/tests"

static Arena *arena;
static Diag diag;
static char *folder; /* all files of this test */

static inline char *path(const char *name) {
    return arena_printf(arena, "%s/%s", folder, name);
}

/* Runs a shell command; its output, with the status in *status. */
static inline char *shell(int *status, const char *fmt, ...) {
    va_list ap;
    va_start(ap, fmt);
    char *command = arena_vprintf(arena, fmt, ap);
    va_end(ap);
    const char *argv[] = {"sh", "-c", command, NULL};
    char *output;
    *status = spawn_and_wait(arena, NULL, argv, &output);
    return output;
}

static inline char *run(const char *fmt, ...) {
    va_list ap;
    va_start(ap, fmt);
    char *command = arena_vprintf(arena, fmt, ap);
    va_end(ap);
    int status;
    char *output = shell(&status, "%s", command);
    if (!CHECK(status == 0)) fprintf(stderr, "    %s\n%s\n", command, output);
    return output;
}

static inline bool there_is(const char *program) {
    int status;
    shell(&status, "command -v %s", program);
    return status == 0;
}

static inline bool write_weights(void *user, OutFile *o, int64_t at, btc_checksum *sum) {
    (void)user;
    static float w[FAKE_WIDTH * FAKE_WIDTH];
    for (int64_t i = 0; i < FAKE_WIDTH * FAKE_WIDTH; i++) w[i] = fake_weight(i);
    if (sum) *sum = btc_checksum_part(w, sizeof w / 8, 0);
    return out_write_at(o, at, w, sizeof w);
}

static const btc_slot slots[] = {{"h", "f32", "[256]", BTC_STATE_HEADER, FAKE_WIDTH * 4, 1, {FAKE_WIDTH}}};
static const int64_t end_ids[] = {0};
static const btc_fill fills[] = {{BTC_STATE_HEADER, 4, 0x3f800000}}; /* h[0] starts as 1 */
static const btc_region regions[] = {{BTC_STATE_HEADER, 1, FAKE_WIDTH * 4, FAKE_WIDTH * 4, 0, 0, 0}};

static inline ArtifactSpec tiny_spec(const char *name) {
    return (ArtifactSpec){
        .info = {.name = name,
                 .target = "test",
                 .cpu = "any",
                 .kind = BTC_TOKENS,
                 .vocab = FAKE_WIDTH,
                 .input_width = 1,
                 .output_width = FAKE_WIDTH,
                 .chunk = FAKE_CHUNK,
                 .max_batch = FAKE_BATCH,
                 .state_bytes = FAKE_STATE_BYTES,
                 .work_shared = FAKE_WORK_SHARED,
                 .work_thread = FAKE_WORK_THREAD,
                 .layers = 1,
                 .parameters = FAKE_WIDTH * FAKE_WIDTH,
                 .bos = -1,
                 .eos = 0,
                 .text = BTC_TEXT_BYTES,
                 .fingerprint = 42,
                 .weights_bytes = FAKE_WEIGHTS_BYTES,
                 .slot_count = 1,
                 .slots = slots,
                 .eos_count = 1,
                 .eos_ids = end_ids},
        .weights_identity = 43,
        .fills = fills,
        .fill_count = 1,
        .regions = regions,
        .region_count = 1,
        .write_weights = write_weights,
    };
}

/* name: of a target, or its architecture alone. */
static inline const TargetInfo *machine(const char *name) {
    TargetInfo *t = ARENA_NEW(arena, TargetInfo);
    const Target *const *row = TARGETS;
    while (*row && strncmp((*row)->name, name, strlen(name))) row++;
    CHECK(*row && target_select(&diag, name, (*row)->isa->default_cpu, t));
    return t;
}

static inline bool make(const char *output, const char *target, const char *const *object,
                        const ArtifactSpec *spec) {
    LinkJob job = {.output = output, .objects = object, .object_count = 1, .spec = spec};
    job.target = machine(target);
    job.threads = true;
    return CHECK(link_kind(output, &job.kind)) && link_artifact(&diag, &job);
}

/* The made-up model as emitted code for the machine that gcc compiles for. */
static inline char *fake_object(const char *gcc) {
    char *object = path(arena_printf(arena, "%s-emitted.o", gcc));
    run("%s " CFLAGS " -c " BTC_SOURCE_DIR "/tests/runtime/fake_model.c -o %s", gcc, object);
    return object;
}

/* What runs programs of another machine; NULL, and a word about it, where they cannot be made or run here. */
static inline const char *runner_of(const char *suite, const Target *t) {
    if (runtime_is_there(t->name) && there_is(arena_printf(arena, "%s-gcc", t->name)) &&
        there_is(arena_printf(arena, "%s-static", t->emulator)))
        return arena_printf(arena, "%s-static -L %s", t->emulator, t->sysroot);
    printf("%s: %s: skipped (runtime for %s; needs %s-gcc, %s-static)\n", suite, t->name,
           runtime_targets(arena), t->name, t->emulator);
    return NULL;
}

static inline bool kit_open(void) {
    arena = arena_new();
    diag = diag_new(arena, stderr);
    folder = arena_strdup(arena, "/tmp/btc-test-link-XXXXXX");
    if (mkdtemp(folder)) return true;
    perror(folder);
    return false;
}

static inline void kit_close(void) {
    run("rm -rf %s", folder);
    arena_free(arena);
}

#endif
