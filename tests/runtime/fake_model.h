/* A made-up model in plain C that stands in for emitted code. Per row, with h f32[FAKE_WIDTH] as the state:
 *     h[i] = h[i]/2 + x[i]          x: row `id` of the weights, or the features repeated
 *     out[i] = h[i] + h[i+1]/4 + position
 * The second line reads what another thread wrote, so it fails without a working barrier. */
#ifndef BTC_TESTS_FAKE_MODEL_H
#define BTC_TESTS_FAKE_MODEL_H

#include "runtime/artifact.h"

enum {
    FAKE_WIDTH = 256,  /* vocabulary, state and output */
    FAKE_FEATURES = 4, /* input width of the features model */
    FAKE_CHUNK = 8,
    FAKE_BATCH = 5,
    FAKE_WORK_SHARED = 128,
    FAKE_WORK_THREAD = 64,
    FAKE_STATE_BYTES = BTC_STATE_HEADER + FAKE_WIDTH * 4,
    FAKE_WEIGHTS_BYTES = FAKE_WIDTH * FAKE_WIDTH * 4
};

void btc_entry_step(const btc_call *c, int64_t tid, int64_t nthreads);
void btc_entry_chunk(const btc_call *c, int64_t tid, int64_t nthreads);
void fake_features_step(const btc_call *c, int64_t tid, int64_t nthreads);
void fake_features_chunk(const btc_call *c, int64_t tid, int64_t nthreads);

static inline float fake_weight(int64_t index) {
    return (float)(index * 7919 % 1000) / 1000 - 0.5f;
}

#endif
