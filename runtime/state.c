/* The state block of a sequence: start, save, restore, fork. A block is a header of 64 bytes and the slots;
 * all of it is plain bytes, so saving is a copy, with a checksum for the time in which it is out of sight. */
#include "core.h"

#include <string.h>

/* Positions stay far from overflow even where a model has no longest sequence. */
#define POSITION_LIMIT ((int64_t)1 << 62)

const btc_artifact *btc_artifact_of(const btc_model *m) {
    return m && m->magic == BTC_MODEL_MAGIC ? m->artifact : NULL;
}

bool btc_aligned(const void *p) {
    return p && (uintptr_t)p % BTC_ALIGN == 0;
}

int64_t btc_longest(const btc_artifact *a) {
    return a->info.context > 0 ? a->info.context : POSITION_LIMIT;
}

/* What must hold for a header of a live or of a saved state. */
static bool header_fits(const btc_artifact *a, const btc_state_header *h) {
    return h->magic == BTC_STATE_MAGIC && h->model == a->info.fingerprint &&
           h->bytes == (uint64_t)a->info.state_bytes && h->position >= 0 && h->position <= btc_longest(a);
}

btc_status btc_state_check(const btc_artifact *a, const void *state) {
    return header_fits(a, state) ? BTC_OK : BTC_E_STATE;
}

/* Over header (with checksum 0) and slots, eight bytes at a time. A damaged word always changes the sum: each
 * step is a bijection of the sum so far. Not meant against an adversary, who could as well compute it. */
static uint64_t checksum(const void *block, size_t bytes) {
    const char *p = block; /* any alignment */
    uint64_t sum = 0x9e3779b97f4a7c15u;
    for (size_t at = 0; at < bytes; at += 8) {
        uint64_t word;
        __builtin_memcpy(&word, p + at, 8); /* one load; memcpy is a call in a freestanding build */
        if (at == offsetof(btc_state_header, checksum)) word = 0;
        sum = (sum ^ word) * 0xff51afd7ed558ccdu;
        sum ^= sum >> 32;
    }
    return sum ? sum : 1; /* 0 means: in use */
}

btc_status btc_init(const btc_model *m, void *state) {
    const btc_artifact *a = btc_artifact_of(m);
    if (!a || !btc_aligned(state)) return BTC_E_ARGUMENT;
    char *block = state;
    memset(block, 0, (size_t)a->info.state_bytes);
    for (int64_t i = 0; i < a->fill_count; i++) {
        const btc_fill *f = &a->fills[i];
        uint32_t word = (uint32_t)f->word;
        if (f->weights >= 0) {
            memcpy(block + f->offset, (const char *)m->weights + f->weights, (size_t)f->bytes);
        } else {
            for (int64_t at = 0; at < f->bytes; at += 4) memcpy(block + f->offset + at, &word, 4);
        }
    }
    *(btc_state_header *)state = (btc_state_header){
        .magic = BTC_STATE_MAGIC,
        .model = a->info.fingerprint,
        .bytes = (uint64_t)a->info.state_bytes,
    };
    return BTC_OK;
}

int64_t btc_position(const btc_model *m, const void *state) {
    const btc_artifact *a = btc_artifact_of(m);
    if (!a || !btc_aligned(state) || btc_state_check(a, state) != BTC_OK) return -1;
    return ((const btc_state_header *)state)->position;
}

btc_status btc_save(const btc_model *m, const void *state, void *block, size_t bytes) {
    const btc_artifact *a = btc_artifact_of(m);
    if (!a || !btc_aligned(state) || !block || bytes < (size_t)a->info.state_bytes) return BTC_E_ARGUMENT;
    btc_status s = btc_state_check(a, state);
    if (s != BTC_OK) return s;
    btc_state_header h;
    memmove(block, state, (size_t)a->info.state_bytes);
    memcpy(&h, block, sizeof h);
    h.checksum = checksum(block, (size_t)a->info.state_bytes);
    memcpy(block, &h, sizeof h);
    return BTC_OK;
}

btc_status btc_restore(const btc_model *m, void *state, const void *block, size_t bytes) {
    const btc_artifact *a = btc_artifact_of(m);
    if (!a || !btc_aligned(state) || !block) return BTC_E_ARGUMENT;
    if (bytes != (size_t)a->info.state_bytes) return BTC_E_STATE;
    btc_state_header h;
    memcpy(&h, block, sizeof h);
    if (!header_fits(a, &h) || h.checksum != checksum(block, bytes)) return BTC_E_STATE;
    memmove(state, block, bytes);
    ((btc_state_header *)state)->checksum = 0;
    return BTC_OK;
}

btc_status btc_fork(const btc_model *m, void *to, const void *from) {
    const btc_artifact *a = btc_artifact_of(m);
    if (!a || !btc_aligned(to) || !btc_aligned(from) || to == from) return BTC_E_ARGUMENT;
    btc_status s = btc_state_check(a, from);
    if (s == BTC_OK) memcpy(to, from, (size_t)a->info.state_bytes);
    return s;
}
