/* libFuzzer target: any bytes as a saved state. restore must refuse them and leave the state alone, or take
 * them and give a state that runs. Bytes rarely carry a right checksum, so the input is also tried as the
 * body of a block that has been sealed by save. Link with the runtime (parallel_serial.c) and fake_model.c.
 * clang -fsanitize=fuzzer,address,undefined ... && ./fuzz_state tests/fuzz/corpus/state */
#include <stdlib.h>
#include <string.h>

#include "../runtime/fake_artifact.h"
#include "runtime/core.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The made-up model's numbers, and behind them what a longer sequence uses. */
enum { GROWN = FAKE_STATE_BYTES + 512 };
static const btc_region regions[] = {
    {BTC_STATE_HEADER, 1, FAKE_WIDTH * 4, FAKE_WIDTH * 4, 0, 0, 0},
    {FAKE_STATE_BYTES, 2, 128, 4, 1, 30, 0},
    {FAKE_STATE_BYTES + 256, 1, 256, 6, 1, 40, 1},
};
static _Alignas(64) unsigned char state[GROWN], before[GROWN], sealed[GROWN];
static _Alignas(64) unsigned char work[4096];

static int64_t context_of(const btc_model *m) {
    return btc_artifact_of(m)->info.context;
}

static void try(const btc_model *m, const void *block, size_t size) {
    btc_init(m, state);
    memcpy(before, state, sizeof state);
    btc_status s = btc_restore(m, state, block, size);
    if (s != BTC_OK) {
        if (memcmp(before, state, sizeof state) != 0) abort();
        return;
    }
    int64_t position = btc_position(m, state);
    if (position < 0 || position > context_of(m) || btc_state_used(m, state) > size) abort();
    int32_t ids[3] = {1, 2, 3};
    float out[FAKE_WIDTH];
    s = btc_prefill(m, state, work, 1, ids, 3, out);
    if (s != (position <= 97 ? BTC_OK : BTC_E_LENGTH)) abort();
}

/* In memory of just that size, so that the sanitizer sees what is read behind it. */
static void try_alone(const btc_model *m, const unsigned char *block, size_t size) {
    unsigned char *copy = malloc(size ? size : 1);
    if (!copy) abort();
    memcpy(copy, block, size);
    try(m, copy, size);
    free(copy);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    btc_model m;
    btc_artifact a = btc_artifact_data;
    a.info.state_bytes = GROWN, a.regions = regions, a.region_count = 3;
    if (btc_work_bytes(&a, 1) > sizeof work) abort();
    btc_open_artifact(&a, &m, NULL, 0);
    btc_work_init(&m, work, sizeof work);
    try_alone(&m, data, size);

    btc_init(&m, state);
    size_t body = size < sizeof state - 16 ? size : sizeof state - 16;
    memcpy(state + 16, data, body);               /* position, sizes, version and slots are the input's */
    ((btc_state_header *)(void *)state)->sum = 0; /* no call is at it */
    size_t used = btc_state_used(&m, state);
    if (used > sizeof sealed || (btc_save(&m, state, sealed, sizeof sealed) == BTC_OK) != (used > 0)) abort();
    if (used) {
        try_alone(&m, sealed, used);
        if (size) { /* one damaged byte is always seen */
            sealed[data[0] * 5 % used] ^= 1;
            btc_init(&m, state);
            if (btc_restore(&m, state, sealed, used) == BTC_OK) abort();
        }
    }
    btc_close(&m);
    return 0;
}
