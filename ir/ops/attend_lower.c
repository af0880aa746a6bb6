/* Loops of attend: softmax in one walk over the keys with a running maximum (Milakov & Gimelshein 2018,
 * arXiv:1805.02867; Dao et al. 2022, arXiv:2205.14135), so scores never need more than one block of memory.
 *
 * States, for every kv head (positions are slots; with a window the ring's):
 *     k [context/PANEL, rounded up][d][PANEL]    the scores of a vector of keys need no horizontal sum
 *     v [context][p]
 * independent of the machine's vector width.
 *
 * A tile of queries (tokens of one head in a chunk, heads of one group in a step) shares every key and value
 * that is loaded. It meets first its own keys - those of this call, which are operands and not in the cache
 * yet -, then the cache as it was before the call. Whatever is not visible gets the score MASKED and the
 * weight 0. The cache is written behind the next barrier (commit), when everybody has read it.
 *
 * Each query's arithmetic is the same in every tile, so neither threads nor tiles change a result. */
#include "attend_lower.h"

#include <math.h>

#include "tile.h"

enum {
    PANEL = 32, /* keys side by side; a multiple of all vector widths */
    KEYS = 256, /* keys of a block: its scores stay in the first level cache; a multiple of PANEL */
};
static const double MASKED = -1e30; /* finite: differences of two are 0, not NaN */

static int64_t round_up(int64_t x, int64_t to) {
    return (x + to - 1) / to * to;
}

typedef struct Attend {
    Lower *l;
    LB *b;
    Op *op;
    int64_t h, g, d, p, context, window;
    double scale, softcap;
    int queries;   /* of a tile */
    int tile;      /* accumulators across: vectors of keys, or of values, beside each query */
    Value *score;  /* [queries][KEYS] */
    Value *acc;    /* [queries][p, padded]: sums of weighted values */
    Value *factor; /* [queries]: what becomes of older sums when the maximum grows; last, 1/sum */
    Value *own;    /* the call's keys of one kv head, in panels */
    Value *zero;
    /* the tile at hand */
    int n;             /* queries */
    Value *row, *head; /* of the first */
    Value *first;      /* its number among the own keys */
    Mat q;
    Value *max[TILE_MAX], *sum[TILE_MAX]; /* variables */
} Attend;

/* One run of keys. */
typedef struct Keys {
    LwCells k;      /* in panels */
    Mat v;          /* [key, p] */
    Value *lo, *hi; /* lo: a multiple of PANEL */
    bool cached;
    Value *before; /* cached: position of the call's first token */
} Keys;

static bool by_rows(const Attend *a) {
    return a->l->form != FORM_STEP;
}

static Attend attend_new(Lower *l, Op *op) {
    Type q = op->in[0]->type, v = op->in[2]->type;
    Attend a = {.l = l, .b = &l->b, .op = op, .h = q.dim[0], .g = v.dim[0], .d = q.dim[1], .p = v.dim[1]};
    a.context = attr_int(op, "context", 0), a.window = attr_int(op, "window", 0);
    a.scale = attr_float(op, "scale", 0), a.softcap = attr_float(op, "softcap", 0);
    if (a.scale == 0) a.scale = 1 / sqrt((double)a.d);
    a.zero = lb_i64(&l->b, 0);
    return a;
}

/* Units are kv heads when there are enough to keep the threads busy: then q, k and v are split alike. Else
 * query heads, for which k and v are needed whole. */
static bool units_are_groups(int64_t h, int64_t g) {
    return g >= 4 || g == h;
}

void attend_access(const Op *op, Form form, Access *a) {
    int64_t h = op->in[0]->type.dim[0], g = op->in[1]->type.dim[0];
    bool groups = units_are_groups(h, g);
    *a = (Access){.split = SPLIT_FLAT, .units = groups ? g : h, .rows = form == FORM_STEP};
    a->all[1] = a->all[2] = !groups;
}

/* The query heads and, touched by them, the kv heads of this thread. */
typedef struct Share {
    Value *head_lo, *head_hi, *kv_lo, *kv_hi;
} Share;

static Share share_of(const Attend *a) {
    LB *b = a->b;
    Value *lo = a->l->unit_lo, *hi = a->l->unit_hi, *each = lb_i64(b, a->h / a->g);
    if (units_are_groups(a->h, a->g)) return (Share){lb_mul(b, lo, each), lb_mul(b, hi, each), lo, hi};
    return (Share){lo, hi, lb_div(b, lo, each), lb_div(b, lb_addi(b, hi, a->h / a->g - 1), each)};
}

/* ---- keys in panels ---- */

/* Key `slot` of a kv head's panels becomes k[row, kv]. */
static void put_key(const Attend *a, LwCells panels, Value *slot, Value *row, Value *kv) {
    LB *b = a->b;
    Value *k = lw_row_ptr(a->l, a->op->in[1], row), *from = lb_muli(b, kv, a->d);
    Value *panel = lb_and(b, slot, lb_i64(b, -PANEL)), *lane = lb_and(b, slot, lb_i64(b, PANEL - 1));
    Value *to = lb_add(b, lb_muli(b, panel, a->d), lane);
    KFOR (b, i, a->zero, lb_i64(b, a->d), 1) {
        Value *x = lb_load(b, DT_F32, 0, k, lb_add(b, from, i), 0);
        lw_cells_store(a->l, panels, lb_add(b, to, lb_muli(b, i, PANEL)), x, 0);
    }
}

static LwCells cached_keys(const Attend *a, Value *row, Value *kv) {
    LwCells k = lw_state(a->l, a->op, 0, row);
    return lw_cells_from(a->l, k, lb_muli(a->b, kv, round_up(a->context, PANEL) * a->d));
}

static LwCells cached_values(const Attend *a, Value *row, Value *kv) {
    LwCells v = lw_state(a->l, a->op, 1, row);
    return lw_cells_from(a->l, v, lb_muli(a->b, kv, a->context * a->p));
}

/* The call's own keys are f32 whatever the cache is. */
static LwCells own_panels(const Attend *a) {
    return (LwCells){a->own, DT_F32};
}

/* ---- scores ---- */

static Value *i32_of(const Attend *a, Value *x) {
    return lb_cast(a->b, x, DT_I32);
}

/* Number among the own keys of query i of the tile. */
static Value *own_number(const Attend *a, int i) {
    return by_rows(a) ? lb_addi(a->b, a->first, i) : a->first;
}

/* Which keys `at` (i32 vector) of the run are visible to query i. In the cache a slot's age is 0 for the last
 * token before the call; without a window the slots are the positions. */
static Value *visible(const Attend *a, const Keys *k, Value *at, int i) {
    LB *b = a->b;
    Value *own = own_number(a, i);
    if (!k->cached) {
        Value *yes = lb_cmp(b, "le", at, i32_of(a, own));
        if (a->window <= 0) return yes;
        return lb_and(b, yes, lb_cmp(b, "gt", at, i32_of(a, lb_addi(b, own, -a->window))));
    }
    if (a->window <= 0) return lb_cmp(b, "lt", at, i32_of(a, k->hi));
    Value *newest = lb_rem(b, lb_addi(b, k->before, -1), lb_i64(b, a->context));
    Value *age = lb_sub(b, lb_splat(b, i32_of(a, newest)), at);
    Value *wrapped = lb_add(b, age, lb_i32(b, (int32_t)a->context));
    age = lb_select(b, lb_cmp(b, "lt", age, lb_i32(b, 0)), wrapped, age);
    Value *limit = lw_min_i64(a->l, k->before, lb_sub(b, lb_i64(b, a->window - 1), own));
    Value *yes = lb_cmp(b, "lt", age, i32_of(a, limit));
    if (a->context % PANEL == 0) return yes;
    return lb_and(b, yes, lb_cmp(b, "lt", at, lb_i32(b, (int32_t)a->context)));
}

static Value *score_of(const Attend *a, Value *dot) {
    LB *b = a->b;
    if (a->softcap <= 0) return lb_mul(b, dot, lb_f32(b, a->scale));
    Value *t = lb_tanh(b, lb_mul(b, dot, lb_f32(b, a->scale / a->softcap)));
    return lb_mul(b, t, lb_f32(b, a->softcap));
}

/* A step reads the cache from memory; a chunk meets each block of it many times. */
static int64_t ahead(const Attend *a, const Keys *k) {
    return k->cached && !by_rows(a) ? a->l->t->tuning.busy_prefetch_bytes : 0;
}

/* Scores of the keys [from, end), from a multiple of PANEL, whole panels; their maxima go into max. */
static void block_scores(const Attend *a, const Keys *k, Value *from, Value *end, Value **max) {
    LB *b = a->b;
    Lower *l = a->l;
    KFOR (b, s, from, end, PANEL) {
        Mat panel = mat_of(l, lw_cells_from(l, k->k, lb_muli(b, s, a->d)), PANEL);
        TILES_OF (l, c, PANEL, b->lanes, a->tile) {
            Tile t = tile_new(l, a->n, c.count, c.tail);
            t.ahead = ahead(a, k);
            tile_madd(l, &t, a->q, a->zero, panel, c.at, a->zero, lb_i64(b, a->d));
            for (int j = 0; j < c.count; j++) {
                Value *key = lb_addi(b, lb_add(b, s, c.at), (int64_t)j * b->lanes);
                Value *at = lb_add(b, lb_splat(b, i32_of(a, key)), lb_iota(b));
                for (int i = 0; i < a->n; i++) {
                    Value *x = lb_select(b, visible(a, k, at, i), score_of(a, lb_get(b, t.acc[i][j])),
                                         lb_splat(b, lb_f32(b, MASKED)));
                    lb_store(b, DT_F32, a->score, lb_addi(b, lb_sub(b, key, from), (int64_t)i * KEYS), x, 0);
                    lb_set(b, max[i], lb_max(b, x, lb_get(b, max[i])));
                }
            }
        }
    }
}

/* ---- softmax ---- */

/* Scores of `count` keys become weights relative to the new maximum; older sums shrink by `factor`. */
static void block_weights(const Attend *a, int i, Value *count, Value *block_max) {
    LB *b = a->b;
    Value *old = lb_get(b, a->max[i]);
    Value *max = lb_max(b, lb_reduce(b, "max", lb_get(b, block_max)), old);
    Value *factor = lb_exp(b, lb_sub(b, old, max));
    Value *sum = lb_var(b, lw_zero(a->l));
    KFOR (b, s, a->zero, count, b->lanes) {
        Value *at = lb_addi(b, s, (int64_t)i * KEYS);
        Value *x = lb_load(b, DT_F32, b->lanes, a->score, at, 0);
        Value *masked = lb_cmp(b, "eq", x, lb_f32(b, MASKED));
        x = lb_select(b, masked, lb_f32(b, 0), lb_exp(b, lb_sub(b, x, max)));
        lb_store(b, DT_F32, a->score, at, x, 0);
        lb_set(b, sum, lb_add(b, lb_get(b, sum), x));
    }
    lb_set(b, a->max[i], max);
    lb_set(b, a->sum[i], lb_fma(b, lb_get(b, a->sum[i]), factor, lb_reduce(b, "add", lb_get(b, sum))));
    lb_store(b, DT_F32, a->factor, lb_i64(b, i), factor, 0);
}

static int64_t acc_width(const Attend *a) {
    return round_up(a->p, a->b->lanes);
}

static void block_values(const Attend *a, const Keys *k, Value *from, Value *count) {
    Lower *l = a->l;
    Mat weights = mat_fixed(l, a->score, KEYS), acc = mat_fixed(l, a->acc, acc_width(a));
    Mat v = mat_from(l, k->v, from);
    TILES_OF (l, c, a->p, a->b->lanes, a->tile) {
        Tile t = tile_new(l, a->n, c.count, c.tail);
        tile_load(l, &t, acc, a->zero, c.at);
        tile_scale(l, &t, a->factor, a->zero);
        t.ahead = ahead(a, k);
        tile_madd(l, &t, weights, a->zero, v, c.at, a->zero, count);
        tile_store(l, &t, acc, a->zero, c.at);
    }
}

static void run_keys(const Attend *a, const Keys *k) {
    LB *b = a->b;
    KFOR (b, from, k->lo, k->hi, KEYS) {
        Value *max[TILE_MAX], *end = lw_min_i64(a->l, k->hi, lb_addi(b, from, KEYS));
        Value *count = lb_sub(b, end, from);
        for (int i = 0; i < a->n; i++) max[i] = lb_var(b, lb_splat(b, lb_f32(b, MASKED)));
        block_scores(a, k, from, end, max);
        for (int i = 0; i < a->n; i++) block_weights(a, i, count, max[i]);
        block_values(a, k, from, count);
    }
}

/* ---- a tile of queries ---- */

/* The own keys that any query of the tile may see. */
static Keys own_keys(const Attend *a, Value *kv) {
    LB *b = a->b;
    Value *v = lw_row_ptr(a->l, a->op->in[2], by_rows(a) ? a->zero : a->row);
    Keys k = {.k = own_panels(a), .lo = a->zero, .hi = lb_addi(b, a->first, by_rows(a) ? a->n : 1)};
    k.v = mat_fixed(a->l, lb_offset(b, v, lb_muli(b, kv, a->p * 4)), lw_row_stride(a->l, a->op->in[2]));
    if (a->window > 0 && by_rows(a)) {
        Value *lo = lb_max(b, lb_addi(b, a->first, 1 - a->window), a->zero);
        k.lo = lb_and(b, lo, lb_i64(b, -PANEL));
    }
    return k;
}

static Keys cache_keys(const Attend *a, Value *kv) {
    Keys k = {.cached = true, .lo = a->zero};
    k.before = lw_position(a->l, by_rows(a) ? a->zero : a->row);
    k.hi = lw_min_i64(a->l, k.before, lb_i64(a->b, a->context));
    k.k = cached_keys(a, a->row, kv);
    k.v = mat_of(a->l, cached_values(a, a->row, kv), a->p);
    return k;
}

static void write_tile(const Attend *a) {
    LB *b = a->b;
    Lower *l = a->l;
    for (int i = 0; i < a->n; i++)
        lb_store(b, DT_F32, a->factor, lb_i64(b, i), lb_div(b, lb_f32(b, 1), lb_get(b, a->sum[i])), 0);
    KFOR (b, i, a->zero, lb_i64(b, a->n), 1) {
        Value *row = by_rows(a) ? lb_add(b, a->row, i) : a->row;
        Value *head = by_rows(a) ? a->head : lb_add(b, a->head, i);
        Value *factor = lb_load(b, DT_F32, 0, a->factor, i, 0);
        LW_SPAN (l, row, NULL, 1, a->p, span) {
            Ix ix = {.row = row, .o = a->h > 1 ? head : NULL, .i = span.i, .n = span.n, .O = a->h, .I = a->p};
            Value *at = lb_add(b, lb_muli(b, i, acc_width(a)), span.i);
            lw_write(l, a->op->out[0], &ix,
                     lb_mul(b, lb_load(b, DT_F32, b->lanes, a->acc, at, span.n), factor));
        }
    }
}

static void attend_tile(Attend *a, int n, Value *row, Value *head, Value *kv) {
    LB *b = a->b;
    Lower *l = a->l;
    Value *q = lw_row_ptr(l, a->op->in[0], row);
    a->n = n, a->row = row, a->head = head, a->first = by_rows(a) ? row : a->zero;
    a->q = mat_fixed(l, lb_offset(b, q, lb_muli(b, head, a->d * 4)),
                     by_rows(a) ? lw_row_stride(l, a->op->in[0]) : a->d);
    int most = by_rows(a) ? 4 : TILE_MAX; /* a step reads values from memory: whole rows */
    a->tile = l->t->vregs / 2 / n < 1 ? 1 : l->t->vregs / 2 / n;
    if (a->tile > most) a->tile = most;
    for (int i = 0; i < n; i++) {
        a->max[i] = lb_var(b, lb_f32(b, MASKED));
        a->sum[i] = lb_var(b, lb_f32(b, 0));
    }
    KFOR (b, i, a->zero, lb_i64(b, n * acc_width(a)), b->lanes) lb_store(b, DT_F32, a->acc, i, lw_zero(l), 0);
    Keys own = own_keys(a, kv);
    run_keys(a, &own);
    Keys cache = cache_keys(a, kv);
    run_keys(a, &cache);
    write_tile(a);
}

/* ---- all of this thread's queries ---- */

/* One token of each sequence: a tile is heads of a group. */
static void step_group(Attend *a, const Share *s, Value *row, Value *kv) {
    LB *b = a->b;
    Lower *l = a->l;
    int64_t each = a->h / a->g;
    Value *base = lb_muli(b, kv, each);
    put_key(a, own_panels(a), a->zero, row, kv);
    if (units_are_groups(a->h, a->g)) {
        TILES_OF (l, t, each, 1, a->queries) attend_tile(a, t.count, row, lb_add(b, base, t.at), kv);
        return;
    }
    Value *lo = lb_max(b, s->head_lo, base), *hi = lw_min_i64(l, s->head_hi, lb_addi(b, base, each));
    TILES (l, t, lo, hi, NO_END, 1, a->queries) attend_tile(a, t.count, row, t.at, kv);
}

/* Tokens of one sequence: a tile is tokens of a head. */
static void chunk_group(Attend *a, const Share *s, Value *kv) {
    LB *b = a->b;
    Lower *l = a->l;
    Value *base = lb_muli(b, kv, a->h / a->g);
    Value *lo = lb_max(b, s->head_lo, base), *hi = lw_min_i64(l, s->head_hi, lb_addi(b, base, a->h / a->g));
    KFOR (b, r, a->zero, l->row_hi, 1) put_key(a, own_panels(a), r, r, kv);
    KFOR (b, head, lo, hi, 1) {
        TILES (l, t, l->row_lo, l->row_hi, NO_END, 1, a->queries) attend_tile(a, t.count, t.at, head, kv);
    }
}

void attend_lower(Lower *l, Op *op) {
    LB *b = &l->b;
    Attend a = attend_new(l, op);
    Share s = share_of(&a);
    a.queries = l->t->tuning.inner_rows;
    a.score = lw_scratch(l, a.queries * KEYS * 4);
    a.acc = lw_scratch(l, a.queries * acc_width(&a) * 4);
    a.factor = lw_scratch(l, a.queries * 4);
    a.own = lw_scratch(l, round_up(l->form == FORM_STEP ? 1 : l->t->chunk, PANEL) * a.d * 4);
    if (by_rows(&a)) {
        KFOR (b, kv, s.kv_lo, s.kv_hi, 1) chunk_group(&a, &s, kv);
    } else {
        LW_ROWS (l, row)
            KFOR (b, kv, s.kv_lo, s.kv_hi, 1) step_group(&a, &s, row, kv);
    }
}

/* ---- the cache ---- */

/* A kv head belongs to the thread of its first query head. */
void attend_commit(Lower *l, Op *op) {
    LB *b = &l->b;
    Attend a = attend_new(l, op);
    Share s = share_of(&a);
    if (!units_are_groups(a.h, a.g))
        s.kv_lo = lb_div(b, lb_addi(b, s.head_lo, a.h / a.g - 1), lb_i64(b, a.h / a.g));
    Value *lo = l->row_lo;
    if (by_rows(&a)) lo = lb_max(b, lo, lb_addi(b, l->rows, -a.context)); /* of one slot's tokens, the last */
    KFOR (b, row, lo, l->row_hi, 1) {
        Value *slot = lb_rem(b, lw_position(l, row), lb_i64(b, a.context));
        KFOR (b, kv, s.kv_lo, s.kv_hi, 1) {
            put_key(&a, cached_keys(&a, row, kv), slot, row, kv);
            LwCells v = cached_values(&a, row, kv);
            Value *from = lb_muli(b, kv, a.p), *to = lb_muli(b, slot, a.p);
            LW_SPAN (l, row, NULL, 1, a.p, ix) {
                Value *x = lw_read_flat(l, op->in[2], row, lb_add(b, from, ix.i), ix.n);
                lw_cells_store(l, v, lb_add(b, to, ix.i), x, ix.n);
            }
        }
    }
}

int64_t attend_state_elements(const Op *op, int slot, const LowerTarget *t) {
    (void)t;
    Type k = op->in[1]->type, v = op->in[2]->type;
    int64_t context = attr_int(op, "context", 0);
    if (slot == 0) return k.dim[0] * round_up(context, PANEL) * k.dim[1];
    return v.dim[0] * context * v.dim[1];
}

/* To k[context,g,d] and v[context,g,p]. */
void attend_state_unpack(const Op *op, int slot, const LowerTarget *t, int64_t position,
                         const float *physical, double *logical) {
    (void)t, (void)position;
    Type ty = op->in[slot ? 2 : 1]->type;
    int64_t context = attr_int(op, "context", 0), g = ty.dim[0], d = ty.dim[1];
    int64_t slots = slot ? context : round_up(context, PANEL);
    for (int64_t s = 0; s < context; s++)
        for (int64_t j = 0; j < g; j++)
            for (int64_t i = 0; i < d; i++) {
                int64_t at = slot ? s * d + i : s / PANEL * PANEL * d + i * PANEL + s % PANEL;
                logical[(s * g + j) * d + i] = physical[j * slots * d + at];
            }
}
