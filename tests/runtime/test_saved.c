/* State blocks with a made-up model: what save, restore and fork keep, what of a block is in use, and that no
 * damaged, foreign or older block is taken. */
#include <stdlib.h>

#include "sequence.h"

static void check_save_and_restore(void) {
    Seq s = seq_new();
    const btc_api *api = s.api;
    int32_t ids[20];
    some_ids(ids, 20);
    float a[W], b[W];
    unsigned char store[FAKE_STATE_BYTES + 1], *saved = store + 1; /* any alignment */
    CHECK(api->prefill(&s.model, s.state, s.work, 1, ids, 10, a) == BTC_OK);
    CHECK(api->save(&s.model, s.state, saved, FAKE_STATE_BYTES - 1) == BTC_E_ARGUMENT);
    CHECK(api->save(&s.model, s.state, saved, FAKE_STATE_BYTES) == BTC_OK);
    CHECK(api->prefill(&s.model, s.state, s.work, 1, ids + 10, 10, a) == BTC_OK);

    Seq r = seq_new();
    CHECK(api->restore(&r.model, r.state, saved, FAKE_STATE_BYTES - 1) == BTC_E_STATE);
    CHECK(api->restore(&r.model, r.state, saved, FAKE_STATE_BYTES) == BTC_OK);
    CHECK(api->position(&r.model, r.state) == 10);
    CHECK(api->prefill(&r.model, r.state, r.work, 2, ids + 10, 10, b) == BTC_OK);
    CHECK(memcmp(a, b, sizeof a) == 0 && memcmp(s.state, r.state, FAKE_STATE_BYTES) == 0);

    /* every single damaged byte is seen, and the state stays as it was; a shorter run of another kind too */
    int missed = 0, moved = 0;
    for (size_t i = 0; i < FAKE_STATE_BYTES; i++) {
        bool version = i / 8 == offsetof(btc_state_header, version) / 8;
        saved[i] ^= 0x40;
        missed += api->restore(&r.model, r.state, saved, FAKE_STATE_BYTES) !=
                  (version ? BTC_E_VERSION : BTC_E_STATE);
        moved += memcmp(s.state, r.state, FAKE_STATE_BYTES) != 0;
        saved[i] ^= 0x40;
    }
    CHECK(missed == 0 && moved == 0);
    CHECK(api->restore(&r.model, r.state, s.state, FAKE_STATE_BYTES) == BTC_E_STATE); /* live, not saved */

    /* of another model: the same layout with another fingerprint */
    btc_artifact other = btc_artifact_data;
    other.info.fingerprint++;
    btc_model m;
    CHECK(btc_open_artifact(&other, &m, NULL, 0) == BTC_OK);
    CHECK(api->restore(&m, r.state, saved, FAKE_STATE_BYTES) == BTC_E_STATE);
    CHECK(api->position(&m, s.state) == -1);
    CHECK(api->fork(&s.model, s.state, s.state) == BTC_E_ARGUMENT);
    CHECK(api->fork(&s.model, (char *)s.state + 64, s.state) == BTC_E_ARGUMENT);
    CHECK(api->save(&s.model, s.state, (char *)s.state + FAKE_STATE_BYTES - 1, FAKE_STATE_BYTES) ==
          BTC_E_ARGUMENT);
    seq_free(&s);
    seq_free(&r);
}

/* ---- states that grow ---- */

enum { GROWN = 1856, UNUSED = 0x77 };
static const btc_region growing[] = {
    {BTC_STATE_HEADER, 1, FAKE_WIDTH * 4, FAKE_WIDTH * 4, 0, 0, 0},
    {1088, 3, 128, 4, 1, 30, 0}, /* three heads, a token of each 4 bytes, a ring of 30 */
    {1472, 2, 64, 16, 8, 32, 0}, /* two, in panels of 8 tokens */
    {1600, 1, 256, 6, 1, 20, 1}, /* with sums for the future up to the next power of two */
};

/* Whether byte `at` is in use: the rule once more. */
static bool in_use(int64_t at, int64_t position) {
    int64_t next = 1;
    while (next <= position) next *= 2;
    int64_t panel = (position + 7) / 8 * 8;
    if (at < 1088) return true;
    if (at < 1472) return (at - 1088) % 128 < 4 * (position < 30 ? position : 30);
    if (at < 1600) return (at - 1472) % 64 < 16 * (panel < 32 ? panel : 32) / 8;
    return at - 1600 < 6 * (next < 20 ? next : 20);
}

static int differ(const unsigned char *x, const unsigned char *y, int64_t position, bool used) {
    int n = 0;
    for (int64_t i = BTC_STATE_HEADER; i < GROWN; i++)
        if (in_use(i, position) == used) n += used ? x[i] != y[i] : y[i] != UNUSED;
    return n;
}

static void check_one_position(const btc_model *m, unsigned char *state, int64_t position, void *work) {
    static _Alignas(64) unsigned char other[GROWN], block[GROWN + 9];
    int32_t ids[100];
    size_t used = 0;
    some_ids(ids, 100);
    memset(state, UNUSED, GROWN);
    CHECK(btc_init(m, state) == BTC_OK);
    CHECK(differ(state, state, 0, false) == 0); /* nothing else was touched */
    if (position) CHECK(btc_prefill(m, state, work, 1, ids, position, NULL) == BTC_OK);
    for (int64_t i = 0; i < GROWN; i++) {
        used += in_use(i, position);
        if (i >= 1088) state[i] = (unsigned char)(in_use(i, position) ? i * 7 + 1 : UNUSED + 1);
    }
    used = (used + 7) / 8 * 8;
    CHECK(btc_state_used(m, state) == used);

    memset(block, UNUSED, sizeof block);
    CHECK(btc_save(m, state, block + 1, used - 1) == BTC_E_ARGUMENT);
    CHECK(btc_save(m, state, block + 1, used) == BTC_OK);
    for (size_t i = used + 1; i < sizeof block; i++) CHECK(block[i] == UNUSED);
    CHECK(btc_state_used(m, block + 1) == 0 && btc_position(m, state) == position);

    memset(other, UNUSED, GROWN);
    CHECK(btc_restore(m, other, block + 1, used - 1) == BTC_E_STATE);
    CHECK(btc_restore(m, other, block + 1, 63) == BTC_E_STATE &&
          btc_restore(m, other, block + 1, 0) == BTC_E_STATE);
    CHECK(btc_restore(m, other, block + 1, GROWN) == BTC_OK); /* as hosts of version 1 do */
    CHECK(btc_restore(m, other, block + 1, used) == BTC_OK && btc_position(m, other) == position);
    CHECK(differ(state, other, position, true) == 0 && differ(state, other, position, false) == 0);
    memset(other, UNUSED, GROWN);
    CHECK(btc_fork(m, other, state) == BTC_OK && btc_position(m, other) == position);
    CHECK(differ(state, other, position, true) == 0 && differ(state, other, position, false) == 0);

    int taken = 0;
    for (size_t i = 0; i < used; i++) {
        block[1 + i] ^= 0x10;
        taken += btc_restore(m, other, block + 1, used) == BTC_OK;
        block[1 + i] ^= 0x10;
    }
    CHECK(taken == 0);
    memset(block + 1 + offsetof(btc_state_header, version), 0, 8); /* the version before there was one */
    CHECK(btc_restore(m, other, block + 1, used) == BTC_E_VERSION);
}

static void check_growing_states(void) {
    btc_artifact a = btc_artifact_data;
    a.info.state_bytes = GROWN, a.regions = growing, a.region_count = 4;
    btc_model m;
    CHECK(btc_open_artifact(&a, &m, NULL, 0) == BTC_OK);
    Seq s = seq_new();
    unsigned char *state = block(GROWN);
    static const int64_t positions[] = {0, 1, 2, 3, 4, 7, 8, 9, 15, 16, 17, 29, 30, 31, 33, 64, 100};
    btc_work_init(&m, s.work, btc_work_bytes(&a, 4));
    for (size_t i = 0; i < sizeof positions / sizeof *positions; i++)
        check_one_position(&m, state, positions[i], s.work);
    free(state);
    seq_free(&s);
}

int main(void) {
    fake_fill_weights();
    check_save_and_restore();
    check_growing_states();
    return check_report("runtime/saved");
}
