/* libFuzzer target: any bytes as a saved state. restore must refuse them and leave the state alone, or take
 * them and give a state that runs. Bytes rarely carry a right checksum, so the input is also tried as the
 * body of a block that has been sealed by save. Link with the runtime (parallel_serial.c) and fake_model.c.
 * clang -fsanitize=fuzzer,address,undefined ... && ./fuzz_state tests/fuzz/corpus/state */
#include <stdlib.h>
#include <string.h>

#include "../runtime/fake_artifact.h"
#include "runtime/core.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static _Alignas(64) unsigned char state[FAKE_STATE_BYTES], before[FAKE_STATE_BYTES], sealed[FAKE_STATE_BYTES];
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
    if (position < 0 || position > context_of(m)) abort();
    int32_t ids[3] = {1, 2, 3};
    float out[FAKE_WIDTH];
    s = btc_prefill(m, state, work, 1, ids, 3, out);
    if (s != (position <= 97 ? BTC_OK : BTC_E_LENGTH)) abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    btc_model m;
    if (btc_work_bytes(&btc_artifact_data, 1) > sizeof work) abort();
    btc_open_artifact(&btc_artifact_data, &m, NULL, 0);
    try(&m, data, size);

    btc_init(&m, state);
    size_t body = size < sizeof state - 16 ? size : sizeof state - 16;
    memcpy(state + 16, data, body); /* position, size and slots are the input's */
    memcpy(sealed, state, sizeof sealed);
    if (btc_save(&m, state, sealed, sizeof sealed) == BTC_OK) {
        try(&m, sealed, sizeof sealed);
        if (size) { /* one damaged byte is always seen */
            sealed[data[0] * 5 % sizeof sealed] ^= 1;
            btc_init(&m, state);
            if (btc_restore(&m, state, sealed, sizeof sealed) != BTC_E_STATE) abort();
        }
    }
    btc_close(&m);
    return 0;
}
