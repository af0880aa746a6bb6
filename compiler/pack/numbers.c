/* See numbers.h. Magnitudes of floats have the same order as their bits without the sign, so they are compared
 * as integers. */
#include "numbers.h"

#include <math.h>
#include <stdatomic.h>
#include <string.h>

#include "base/hash.h"
#include "base/work.h"

enum { PIECE = 4 << 20, BLOCK = 4 << 10 };

/* Magnitudes as bits: the largest, and the smallest but 0. */
typedef struct Extent {
    uint64_t most, least;
} Extent;

static const Extent NOTHING = {0, UINT64_MAX};

static void extend(Extent *e, uint64_t bits) {
    if (bits > e->most) e->most = bits;
    if (bits && bits < e->least) e->least = bits;
}

/* n numbers of a type whose bits are a T, LANES of them at once. */
#define EXTENT(name, T, LANES, MAGNITUDE)                                                                    \
    static void name(const uint8_t *p, size_t n, Extent *e) {                                                \
        typedef T Vector __attribute__((vector_size(LANES * sizeof(T))));                                    \
        Vector most = {0}, least = ~most & MAGNITUDE, x;                                                     \
        size_t i = 0;                                                                                        \
        for (; i + LANES <= n; i += LANES) {                                                                 \
            memcpy(&x, p + i * sizeof(T), sizeof x);                                                         \
            x &= MAGNITUDE;                                                                                  \
            Vector larger = x > most, y = x | ((x == 0) & MAGNITUDE), smaller = y < least;                   \
            most = (larger & x) | (~larger & most), least = (smaller & y) | (~smaller & least);              \
        }                                                                                                    \
        for (int k = 0; k < LANES; k++) {                                                                    \
            extend(e, (uint64_t)most[k]);                                                                    \
            if (least[k] != MAGNITUDE) extend(e, (uint64_t)least[k]);                                        \
        }                                                                                                    \
        for (; i < n; i++) {                                                                                 \
            T one;                                                                                           \
            memcpy(&one, p + i * sizeof(T), sizeof one);                                                     \
            extend(e, (uint64_t)(one & MAGNITUDE));                                                          \
        }                                                                                                    \
    }
EXTENT(extent_16, int16_t, 8, INT16_MAX)
EXTENT(extent_32, int32_t, 4, INT32_MAX)
EXTENT(extent_64, int64_t, 2, INT64_MAX)

static bool is_float(DType t) {
    return t == DT_F32 || t == DT_F64 || t == DT_F16 || t == DT_BF16;
}

static void extent_of(DType t, const uint8_t *p, size_t bytes, Extent *e) {
    size_t size = dtype_size(t);
    if (!is_float(t)) return;
    (size == 2 ? extent_16 : size == 4 ? extent_32 : extent_64)(p, bytes / size, e);
}

/* Bytes of a tensor that begin and end with whole numbers, or blocks: of blocks, what they stand for counts. */
static void extent_of_bytes(const RawTensor *t, const uint8_t *p, size_t bytes, Extent *e) {
    if (!t->blocks) {
        extent_of(t->dt, p, bytes, e);
        return;
    }
    float x[FORMAT_BLOCK_MOST];
    for (size_t at = 0; at + t->blocks->bytes <= bytes; at += t->blocks->bytes) {
        format_decode(t->blocks, p + at, 0, t->blocks->block, x);
        extent_of(DT_F32, (const uint8_t *)x, sizeof *x * (size_t)t->blocks->block, e);
    }
}

/* The most bytes of whole blocks that fit. */
static size_t whole_blocks(const RawTensor *t, size_t bytes) {
    return t->blocks ? bytes / t->blocks->bytes * t->blocks->bytes : bytes;
}

static DType number_type(const RawTensor *t) {
    return t->blocks ? DT_F32 : t->dt;
}

static double number_at(const RawTensor *t, int64_t i) {
    double x;
    raw_tensor_doubles(t, i, 1, &x);
    return x;
}

static double number_of(DType t, uint64_t bits) { /* the machine keeps low bytes first */
    return dtype_load(t, &bits, 0);
}

/* ---- the walk over all bytes ---- */

typedef struct Part {
    RawTensor *tensor;
    size_t at;
    uint64_t hash;
    Extent extent;
} Part;

typedef struct Reading {
    const WeightSet *weights;
    Part *parts;
    int n, cap;
} Reading;

static void read_part(void *user, int64_t i) {
    const Reading *r = user;
    Part *p = &r->parts[i];
    const uint8_t *from = p->tensor->data + p->at;
    size_t left = p->tensor->bytes - p->at, piece = whole_blocks(p->tensor, PIECE),
           n = left < piece ? left : piece;
    size_t block = whole_blocks(p->tensor, BLOCK);
    p->hash = p->at, p->extent = NOTHING;
    for (size_t k = 0; k < n; k += block) { /* twice over what the first cache holds */
        size_t some = n - k < block ? n - k : block;
        p->hash = hash_bytes(p->hash, from + k, some);
        extent_of_bytes(p->tensor, from + k, some, &p->extent);
    }
    weights_release(r->weights, from, n);
}

static void put_together(RawTensor *t, const Part *parts, int n) {
    Extent all = NOTHING;
    RawNumbers r = {.known = true, .finite = true};
    for (int i = 0; i < n; i++) {
        r.hash = hash_bytes(r.hash, &parts[i].hash, sizeof parts[i].hash);
        extend(&all, parts[i].extent.most);
        if (parts[i].extent.least < all.least) all.least = parts[i].extent.least;
    }
    if (all.most) r.largest = number_of(number_type(t), all.most), r.finite = isfinite(r.largest);
    if (all.most) r.least = number_of(number_type(t), all.least);
    t->numbers = r;
}

void numbers_read(const WeightSet *w, bool unused) {
    Arena *a = arena_new();
    Reading r = {.weights = w};
    for (int i = 0; i < w->n; i++) {
        RawTensor *t = &w->tensors[i];
        if (t->numbers.known || (!t->used && !unused)) continue;
        for (size_t at = 0; at < t->bytes; at += whole_blocks(t, PIECE)) {
            Part p = {.tensor = t, .at = at};
            ARENA_PUSH(a, r.parts, r.n, r.cap, p);
        }
        if (!t->bytes) t->numbers = (RawNumbers){.known = true, .finite = true};
    }
    work_share(r.n, read_part, &r);
    for (int i = 0, n; i < r.n; i += n) {
        for (n = 1; i + n < r.n && r.parts[i + n].tensor == r.parts[i].tensor;) n++;
        put_together(r.parts[i].tensor, &r.parts[i], n);
    }
    arena_free(a);
}

/* ---- what is not finite ---- */

const char *numbers_place(Arena *a, const RawTensor *t, int64_t at) {
    Text text = text_new(a);
    int64_t index[RAW_MAX_RANK];
    for (int i = t->rank - 1; i >= 0; i--) index[i] = at % t->dim[i], at /= t->dim[i];
    for (int i = 0; i < t->rank; i++) text_add(&text, "%s%lld", i ? "," : "[", (long long)index[i]);
    text_add(&text, t->rank ? "]" : "[]");
    return text.s;
}

/* How many are not, and the first of them. */
static int64_t count_bad(const RawTensor *t, int64_t *first) {
    int64_t n = raw_tensor_count(t), bad = 0;
    for (int64_t i = n - 1; i >= 0; i--)
        if (!isfinite(number_at(t, i))) *first = i, bad++;
    return bad;
}

bool numbers_finite(Diag *d, const Model *m) {
    bool ok = true;
    for (int i = 0; i < m->weights.n; i++) {
        const RawTensor *t = &m->weights.tensors[i];
        if (!t->used || t->numbers.finite) continue;
        int64_t first = 0, bad = count_bad(t, &first), all = raw_tensor_count(t);
        ok = diag_error(d, (Loc){.file = t->file, .path = t->name},
                        "%s is %g: %lld of %lld numbers are not finite, so nothing computed with them is",
                        numbers_place(d->arena, t, first), number_at(t, first), (long long)bad,
                        (long long)all);
    }
    if (!ok) diag_note(d, (Loc){.file = m->weights.name}, "--allow-nonfinite takes such weights as they are");
    return ok;
}

/* ---- formats ---- */

/* What the largest magnitude of a group must lie within, if it is not 0. */
typedef struct Limits {
    double lowest, highest;
    int block; /* numbers of a group; 0: a row */
} Limits;

/* false: every number of the tensor keeps its value. */
static bool limits_of(const NumberFormat *f, const RawTensor *t, Limits *out) {
    *out = (Limits){f->lowest, f->highest, f->block};
    if (t->blocks == f) return f->lowest > 0; /* it is kept: but no scale may be too small for a normal f32 */
    if (f->block) return true;
    DType from = number_type(t);
    bool wider = from == DT_F64 || (from == DT_F32 && f->dt != DT_F32);
    return wider || (f->dt == DT_F16 && from == DT_BF16);
}

typedef struct Search {
    const RawTensor *t;
    Limits limits;
    bool finite_only;      /* what is not finite cannot be held */
    int64_t k, step;       /* numbers along which groups lie, and from one to the next */
    int64_t lines;         /* such */
    _Atomic int64_t wrong; /* the first line with a misfit */
} Search;

enum { LINES = 64 }; /* in a piece */

static int64_t line_start(const Search *s, int64_t line) {
    return s->step == 1 ? line * s->k : line / s->step * s->step * s->k + line % s->step;
}

/* The first misfit of a line. */
static bool line_fits(const Search *s, int64_t line, Misfit *out) {
    int64_t start = line_start(s, line), block = s->limits.block ? s->limits.block : s->k;
    for (int64_t at = 0; at < s->k; at += block) {
        double largest = 0;
        int64_t end = at + block < s->k ? at + block : s->k;
        for (int64_t i = at; i < end; i++) {
            double x = fabs(number_at(s->t, start + i * s->step));
            if (isfinite(x) ? x > s->limits.highest : s->finite_only) {
                *out = (Misfit){isfinite(x) ? TOO_LARGE : NOT_FINITE, start + i * s->step, x};
                out->value = number_at(s->t, out->at);
                return false;
            }
            if (x > largest) largest = x;
        }
        *out = (Misfit){TOO_SMALL, start + at * s->step, largest};
        if (largest > 0 && largest < s->limits.lowest) return false;
    }
    return true;
}

static void search_lines(void *user, int64_t piece) {
    Search *s = user;
    Misfit unused;
    for (int64_t i = piece * LINES; i < s->lines && i < (piece + 1) * LINES && i < s->wrong; i++) {
        if (line_fits(s, i, &unused)) continue;
        int64_t seen = s->wrong;
        while (i < seen && !atomic_compare_exchange_weak(&s->wrong, &seen, i)) continue;
    }
}

bool numbers_fit(const RawTensor *t, Type type, const NumberFormat *f, bool across, Misfit *out) {
    const RawNumbers *r = &t->numbers;
    Search w = {.t = t, .finite_only = f->block > 0, .step = 1};
    int64_t cols = type.rank ? type.dim[type.rank - 1] : 1,
            rows = type.rank > 1 ? type.dim[type.rank - 2] : 1;
    if (!r->known || !limits_of(f, t, &w.limits)) return true;
    bool held =
        r->finite && (r->largest == 0 || (r->least >= w.limits.lowest && r->largest <= w.limits.highest));
    if (held || !type_count(type)) return true;
    w.k = across ? rows : cols, w.step = across ? cols : 1;
    w.lines = w.wrong = type_count(type) / w.k;
    work_share((w.lines + LINES - 1) / LINES, search_lines, &w);
    return w.wrong == w.lines || line_fits(&w, w.wrong, out);
}
