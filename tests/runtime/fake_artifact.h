/* btc_artifact_data for tests that link the runtime itself: the made-up model with its weights in memory. */
#ifndef BTC_TESTS_FAKE_ARTIFACT_H
#define BTC_TESTS_FAKE_ARTIFACT_H

#include "fake_model.h"

static float fake_weights[FAKE_WIDTH * FAKE_WIDTH] __attribute__((aligned(64)));

static const btc_slot fake_slots[] = {
    {"h", "f32", "[256]", BTC_STATE_HEADER, FAKE_WIDTH * 4, 1, {FAKE_WIDTH}},
};

static const btc_region fake_regions[] = {{BTC_STATE_HEADER, 1, FAKE_WIDTH * 4, FAKE_WIDTH * 4, 0, 0, 0}};

static const int64_t fake_eos_ids[] = {0};

#define FAKE_INFO                                                                                            \
    .version = BTC_ABI_VERSION, .size = sizeof(btc_info), .name = "fake", .target = "host", .cpu = "any",    \
    .kind = BTC_TOKENS, .vocab = FAKE_WIDTH, .input_width = 1, .output_width = FAKE_WIDTH,                   \
    .chunk = FAKE_CHUNK, .max_batch = FAKE_BATCH, .context = 100, .state_bytes = FAKE_STATE_BYTES,           \
    .work_shared = FAKE_WORK_SHARED, .work_thread = FAKE_WORK_THREAD, .layers = 1,                           \
    .parameters = FAKE_WIDTH * FAKE_WIDTH, .bos = -1, .eos = 0, .text = BTC_TEXT_BYTES,                      \
    .fingerprint = 0x1234567890abcdef, .weights_bytes = FAKE_WEIGHTS_BYTES, .slot_count = 1,                 \
    .slots = fake_slots, .eos_count = 1, .eos_ids = fake_eos_ids

const btc_artifact btc_artifact_data = {
    .info = {FAKE_INFO},
    .region_count = 1,
    .regions = fake_regions,
    .weights = fake_weights,
    .step = btc_entry_step,
    .chunk = btc_entry_chunk,
};

static inline void fake_fill_weights(void) {
    for (int64_t i = 0; i < FAKE_WIDTH * FAKE_WIDTH; i++) fake_weights[i] = fake_weight(i);
}

#endif
