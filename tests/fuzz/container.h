/* Any bytes as the file of a container. Accepted tensors are read to their last byte, so that an offset beyond the data
 * is found; a refusal must have left exactly one message. */
#ifndef BTC_TESTS_FUZZ_CONTAINER_H
#define BTC_TESTS_FUZZ_CONTAINER_H

#include <stdlib.h>

#include "weights/weights.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

typedef bool ReadContainer(Diag *d, WeightSet *w, const char *file, const uint8_t *data, size_t size);

static inline void read_container(ReadContainer *read, const uint8_t *data, size_t size) {
    Arena *a = arena_new();
    Diag d = diag_new(a, NULL);
    WeightSet w = {.arena = a, .name = "fuzz"};
    bool ok = read(&d, &w, "fuzz", data, size);
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

#endif
