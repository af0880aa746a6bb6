/* The state block of a sequence: start, save, restore, fork. A block is a header of 64 bytes and the slots;
 * all of it is plain bytes. Much of it may not be in use yet: the artefact says which bytes are, by the
 * position (btc_region), and no others are read or written here. So saving is a copy of them, one behind the
 * other, with a checksum for the time in which they are out of sight. */
#include "core.h"

#include "bytes.h"
#include "checksum.h"
#include "run.h"

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

/* ---- what is in use ---- */

/* A walk over the runs of bytes that are in use at a position. */
typedef struct Runs {
    const btc_artifact *a;
    int64_t position, region, piece;
    size_t offset, bytes; /* the run at hand */
} Runs;

/* position: at most btc_longest, so a power of two above it is no overflow. */
static int64_t units_in_use(const btc_region *r, int64_t position) {
    if (!r->tokens) return 1;
    int64_t n = r->ahead ? 1 : position;
    while (r->ahead && n <= position && n < r->most) n *= 2;
    if (n > r->most) n = r->most;
    return (intptr_t)(n + r->tokens - 1) / (intptr_t)r->tokens; /* of lengths in memory: no wider division */
}

static bool next_run(Runs *w) {
    for (; w->region < w->a->region_count; w->region++, w->piece = 0) {
        const btc_region *r = &w->a->regions[w->region];
        int64_t bytes = units_in_use(r, w->position) * r->unit;
        if (!bytes || w->piece == r->pieces) continue;
        w->offset = (size_t)(r->offset + w->piece++ * r->stride), w->bytes = (size_t)bytes;
        return true;
    }
    return false;
}

static Runs runs(const btc_artifact *a, int64_t position) {
    return (Runs){.a = a, .position = position};
}

/* A saved block: the header and the runs, to a multiple of 8, which never makes it larger than the whole. */
static size_t saved_bytes(const btc_artifact *a, int64_t position) {
    size_t n = sizeof(btc_state_header);
    for (int64_t i = 0; i < a->region_count; i++) {
        const btc_region *r = &a->regions[i];
        n += (size_t)(r->pieces * units_in_use(r, position) * r->unit);
    }
    return (n + 7) / 8 * 8;
}

static bool lie_apart(const void *x, size_t nx, const void *y, size_t ny) {
    uintptr_t a = (uintptr_t)x, b = (uintptr_t)y;
    return a < b ? nx <= b - a : ny <= a - b;
}

/* ---- checks ---- */

/* What must hold for a header of a live or of a saved state. */
static btc_status check_header(const btc_artifact *a, const btc_state_header *h) {
    if (h->magic != BTC_STATE_MAGIC) return BTC_E_STATE;
    if (h->version != BTC_STATE_VERSION) return BTC_E_VERSION;
    bool fits = h->model == a->info.fingerprint && h->bytes == (uint64_t)a->info.state_bytes &&
                h->position >= 0 && h->position <= btc_longest(a);
    return fits ? BTC_OK : BTC_E_STATE;
}

btc_status btc_state_check(const btc_artifact *a, const void *state) {
    const btc_state_header *h = state;
    return check_header(a, h) == BTC_OK && !h->saved ? BTC_OK : BTC_E_STATE;
}

bool btc_state_take(void *state) {
    return btc_take(&((btc_state_header *)state)->sum);
}

void btc_state_give_back(void *state) {
    btc_give_back(&((btc_state_header *)state)->sum);
}

/* Of a saved block: the header, without its checksum, and what follows. */
static btc_checksum checksum(btc_state_header h, const void *block, size_t bytes) {
    h.sum = h.sums = 0;
    uint64_t behind = (bytes - sizeof h) / 8;
    btc_checksum a = btc_checksum_part(&h, sizeof h / 8, behind),
                 b = btc_checksum_part((const char *)block + sizeof h, behind, 0);
    return (btc_checksum){a.sum + b.sum, a.sums + b.sums};
}

/* ---- calls ---- */

btc_status btc_init(const btc_model *m, void *state) {
    const btc_artifact *a = btc_artifact_of(m);
    if (!a || !btc_aligned(state)) return BTC_E_ARGUMENT;
    char *block = state;
    for (Runs r = runs(a, 0); next_run(&r);) memset(block + r.offset, 0, r.bytes);
    for (int64_t i = 0; i < a->fill_count; i++) {
        const btc_fill *f = &a->fills[i];
        uint32_t word = (uint32_t)f->word;
        for (int64_t at = 0; at < f->bytes; at += 4) memcpy(block + f->offset + at, &word, 4);
    }
    *(btc_state_header *)state = (btc_state_header){
        .magic = BTC_STATE_MAGIC,
        .model = a->info.fingerprint,
        .bytes = (uint64_t)a->info.state_bytes,
        .version = BTC_STATE_VERSION,
    };
    return BTC_OK;
}

int64_t btc_position(const btc_model *m, const void *state) {
    const btc_artifact *a = btc_artifact_of(m);
    if (!a || !btc_aligned(state) || btc_state_check(a, state) != BTC_OK) return -1;
    return ((const btc_state_header *)state)->position;
}

size_t btc_state_used(const btc_model *m, const void *state) {
    int64_t position = btc_position(m, state);
    return position < 0 ? 0 : saved_bytes(btc_artifact_of(m), position);
}

btc_status btc_save(const btc_model *m, const void *state, void *block, size_t bytes) {
    const btc_artifact *a = btc_artifact_of(m);
    if (!a || !btc_aligned(state) || !block) return BTC_E_ARGUMENT;
    if (a->info.whole) return BTC_E_WHOLE;
    btc_status s = btc_state_check(a, state);
    if (s != BTC_OK) return s;
    btc_state_header h = *(const btc_state_header *)state;
    size_t n = saved_bytes(a, h.position), at = sizeof h;
    if (h.sum || bytes < n || !lie_apart(block, n, state, (size_t)h.bytes)) return BTC_E_ARGUMENT;
    char *to = block;
    for (Runs r = runs(a, h.position); next_run(&r); at += r.bytes)
        memcpy(to + at, (const char *)state + r.offset, r.bytes);
    memset(to + at, 0, n - at);
    h.saved = n;
    btc_checksum c = checksum(h, block, n);
    h.sum = c.sum, h.sums = c.sums;
    memcpy(to, &h, sizeof h);
    return BTC_OK;
}

btc_status btc_restore(const btc_model *m, void *state, const void *block, size_t bytes) {
    const btc_artifact *a = btc_artifact_of(m);
    btc_state_header h;
    if (!a || !btc_aligned(state) || !block) return BTC_E_ARGUMENT;
    if (a->info.whole) return BTC_E_WHOLE;
    if (bytes < sizeof h) return BTC_E_STATE;
    memcpy(&h, block, sizeof h);
    btc_status s = check_header(a, &h);
    if (s != BTC_OK) return s;
    size_t n = saved_bytes(a, h.position), at = sizeof h;
    if (h.saved != n || bytes < n) return BTC_E_STATE;
    btc_checksum c = checksum(h, block, n);
    if (h.sum != c.sum || h.sums != c.sums) return BTC_E_STATE;
    if (!lie_apart(block, n, state, (size_t)h.bytes)) return BTC_E_ARGUMENT;
    for (Runs r = runs(a, h.position); next_run(&r); at += r.bytes)
        memcpy((char *)state + r.offset, (const char *)block + at, r.bytes);
    h.sum = h.sums = h.saved = 0;
    memcpy(state, &h, sizeof h);
    return BTC_OK;
}

btc_status btc_fork(const btc_model *m, void *to, const void *from) {
    const btc_artifact *a = btc_artifact_of(m);
    if (!a || !btc_aligned(to) || !btc_aligned(from)) return BTC_E_ARGUMENT;
    if (a->info.whole) return BTC_E_WHOLE;
    btc_status s = btc_state_check(a, from);
    if (s != BTC_OK) return s;
    btc_state_header h = *(const btc_state_header *)from;
    if (h.sum || !lie_apart(to, (size_t)h.bytes, from, (size_t)h.bytes)) return BTC_E_ARGUMENT;
    for (Runs r = runs(a, h.position); next_run(&r);)
        memcpy((char *)to + r.offset, (const char *)from + r.offset, r.bytes);
    memcpy(to, &h, sizeof h);
    return BTC_OK;
}
