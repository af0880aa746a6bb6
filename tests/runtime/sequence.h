/* A sequence of the made-up model, for the tests of the runtime. */
#ifndef BTC_TESTS_SEQUENCE_H
#define BTC_TESTS_SEQUENCE_H

#include <stdlib.h>

#include "fake_artifact.h"
#include "runtime/core.h"
#include "tools/check.h"

enum { W = FAKE_WIDTH, MAX_ROWS = 64 };

/* A sequence with all it needs. */
typedef struct Seq {
    const btc_api *api;
    btc_model model;
    void *state, *work;
} Seq;

static inline void *block(size_t n) {
    return aligned_alloc(64, (n + 63) / 64 * 64);
}

static inline Seq seq_new(void) {
    Seq s = {.api = btc_query(BTC_ABI_VERSION)};
    s.api->open(&s.model, NULL, 0);
    s.state = block((size_t)s.api->info->state_bytes);
    s.work = block(s.api->work_bytes(4));
    s.api->work_init(&s.model, s.work, s.api->work_bytes(4));
    s.api->init(&s.model, s.state);
    return s;
}

static inline void seq_free(Seq *s) {
    s->api->close(&s->model);
    free(s->state);
    free(s->work);
}

static inline void some_ids(int32_t *ids, int n) {
    for (int i = 0; i < n; i++) ids[i] = (i * 37 + 11) % W;
}

#endif
