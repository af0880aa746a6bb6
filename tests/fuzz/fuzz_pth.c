/* libFuzzer target: any bytes as a PyTorch zip or, unless they begin like a zip, as the pickle inside one,
 * which mutations of whole zips rarely reach. Accepted tensors are read to their last byte, so that a view
 * beyond its storage is found; a refusal must have left exactly one message. clang
 * -fsanitize=fuzzer,address,undefined ... && ./fuzz_pth tests/fuzz/corpus/pth */
#include <stdlib.h>

#include "../weights/build.h"
#include "weights/weights.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void read_all(const uint8_t *data, size_t size) {
    Arena *a = arena_new();
    Diag d = diag_new(a, NULL);
    WeightSet w = {.arena = a, .name = "fuzz"};
    bool ok = pth_read(&d, &w, "fuzz", data, size);
    if (ok != (d.errors == 0) || d.errors > 1) abort();
    volatile uint8_t sum = 0;
    for (int i = 0; ok && i < w.n; i++) {
        const RawTensor *t = &w.tensors[i];
        if (weights_find(&w, t->name) != t) abort();
        for (size_t k = 0; k < t->bytes; k++) sum = (uint8_t)(sum + t->data[k]);
    }
    weights_close(&w);
    arena_free(a);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static ZipBuilder z;
    static const uint8_t storage[24];
    if (size >= 2 && !memcmp(data, "PK", 2)) return read_all(data, size), 0;
    if (size > 1 << 15) return 0;
    z.out.n = z.dir.n = z.entries = 0;
    zip_add(&z, "m/data.pkl", data, size);
    zip_add(&z, "m/data/0", storage, sizeof storage);
    zip_end(&z);
    /* In memory of its own size, so that the sanitizer sees a read beyond the end. */
    uint8_t *copy = malloc(z.out.n);
    if (!copy) abort();
    memcpy(copy, z.out.p, z.out.n);
    read_all(copy, z.out.n);
    free(copy);
    return 0;
}
