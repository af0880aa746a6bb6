/* See attend_block.h. Softmax in one walk over the keys with a running maximum (Milakov & Gimelshein 2018,
 * arXiv:1805.02867; Dao et al. 2022, arXiv:2205.14135), so scores never need more than one block of memory.
 *
 * A key that is not visible gets the score MASKED and the weight 0. 0 times a value that is not finite would be
 * NaN. So if a sum becomes NaN, the block is computed again: masked weights become -0, and values with this weight
 * are skipped. The value of a visible key counts even if its weight is 0. The arithmetic of a query is the same in
 * every tile, so results do not depend on threads or tiles. */
#include "attend_block.h"

#include <float.h>
#include <math.h>

static const double MASKED = -INFINITY;
static const double START = -FLT_MAX; /* finite: MASKED minus START is no NaN, and its weight is 0 */

void attend_scratch(Attend *a, int64_t slots) {
    Lower *l = a->l;
    a->score = lw_scratch(l, (int64_t)a->queries * ATTEND_KEYS * 4);
    a->factor = lw_scratch(l, (int64_t)a->queries * 4);
    a->acc = lw_scratch(l, slots * a->width * 4);
    a->base = lw_scratch(l, slots * 4), a->sum = lw_scratch(l, slots * 4);
    if (a->bf16) a->q = lw_scratch(l, slots * a->depth * 4);
    if (a->e) a->recent = lw_scratch(l, slots * a->recent_row * 4);
}

Value *attend_panels(const Attend *a, Value *count) {
    return attend_whole_panels(a, lb_addi(a->b, count, ATTEND_PANEL - 1));
}

KeyValues attend_from(const Attend *a, const KeyValues *kv, Value *from) {
    LB *b = a->b;
    Value *row = a->bf16 ? attend_bf16_row(a, from) : from;
    return (KeyValues){lw_accessor_from(a->l, kv->k, lb_muli(b, from, a->depth)), mat_from(a->l, kv->v, row)};
}

/* ---- slots ---- */

/* A sink is a score that is there from the beginning, and has no value. */
static void begin_sums(const Attend *a, Value *slot, Value *head, Value *row) {
    LB *b = a->b;
    Value *base = lb_f32(b, START), *sum = lb_f32(b, 0), *sinks = a->op->in[IN_SINKS];
    if (sinks) {
        Value *s = lb_mul(b, lw_read1(a->l, sinks, sinks->type.seq ? row : NULL, head), lb_f32(b, M_LOG2E));
        s = lb_max(b, s, lb_f32(b, START));
        base = lb_round(b, s), sum = lb_exp2(b, lb_sub(b, s, base));
    }
    lb_store(b, DT_F32, a->base, slot, base, 0);
    lb_store(b, DT_F32, a->sum, slot, sum, 0);
}

/* A vector of zeros, what is added to scores, in units of log2, another vector of zeros. */
static void begin_recent(const Attend *a, Value *slot, Value *head, Value *row) {
    LB *b = a->b;
    int w = b->lanes;
    Value *to = lb_offset(b, a->recent, lb_muli(b, slot, a->recent_row * 4)), *zero = lb_i64(b, 0);
    Value *from = lb_offset(b, lw_row_ptr(a->l, a->op->in[IN_RECENT], row), lb_muli(b, head, a->e * 4));
    lb_store(b, DT_F32, to, zero, lw_zero(a->l), 0);
    lb_store(b, DT_F32, to, lb_i64(b, w + a->e), lw_zero(a->l), 0);
    TILES_OF (a->l, c, a->e, w, 1) {
        Value *x = lb_mul(b, lb_load(b, DT_F32, w, from, c.at, c.tail), lb_f32(b, M_LOG2E));
        lb_store(b, DT_F32, to, lb_addi(b, c.at, w), x, c.tail);
    }
}

void attend_begin(const Attend *a, Value *slot, Value *head, Value *row, Value *q) {
    LB *b = a->b;
    Value *acc = lb_offset(b, a->acc, lb_muli(b, slot, a->width * 4));
    KFOR (b, i, lb_i64(b, 0), lb_i64(b, a->width), b->lanes) lb_store(b, DT_F32, acc, i, lw_zero(a->l), 0);
    begin_sums(a, slot, head, row);
    if (a->e) begin_recent(a, slot, head, row);
    if (a->bf16) attend_pack_bf16(a, lb_offset(b, a->q, lb_muli(b, slot, a->depth * 4)), q);
}

/* ---- scores ---- */

static Value *i32_of(const Attend *a, Value *x) {
    return lb_cast(a->b, x, DT_I32);
}

/* Number among the own keys of query i of the tile. */
static Value *own_number(const Attend *a, const Queries *q, Value *i) {
    return q->tokens ? lb_add(a->b, q->own, i) : q->own;
}

/* Of slots of the ring: 0 for the last token before the call. */
static Value *age_of(const Attend *a, const Keys *k, Value *slot) {
    LB *b = a->b;
    Value *newest = lb_rem(b, lb_addi(b, k->before, -1), lb_i64(b, a->context));
    Value *age = lb_sub(b, lb_splat(b, i32_of(a, newest)), slot);
    Value *wrapped = lb_add(b, age, lb_i32(b, (int32_t)a->context));
    return lb_select(b, lb_cmp(b, "lt", age, lb_i32(b, 0)), wrapped, age);
}

/* Which of the keys from number `key` of the block on, a vector, are visible to query i. Without a window the
 * slots of the cache are the positions. */
static Value *visible(const Attend *a, const Queries *q, const Keys *k, Value *key, Value *i) {
    LB *b = a->b;
    Value *own = own_number(a, q, i);
    Value *at = lb_add(b, lb_splat(b, i32_of(a, lb_add(b, key, k->from))), lb_iota(b));
    if (!k->cached) {
        Value *yes = lb_cmp(b, "le", at, i32_of(a, own));
        if (a->window <= 0) return yes;
        return lb_and(b, yes, lb_cmp(b, "gt", at, i32_of(a, lb_addi(b, own, -a->window))));
    }
    if (a->window <= 0) return lb_cmp(b, "lt", at, i32_of(a, k->hi));
    Value *age = age_of(a, k, at);
    Value *limit = lw_min_i64(a->l, k->before, lb_sub(b, lb_i64(b, a->window - 1), own));
    Value *yes = lb_cmp(b, "lt", age, i32_of(a, limit));
    if (a->context % ATTEND_PANEL == 0) return yes;
    return lb_and(b, yes, lb_cmp(b, "lt", at, lb_i32(b, (int32_t)a->context)));
}

/* How many tokens the keys from number `key` of the block on, a vector, lie before query i. */
static Value *distance(const Attend *a, const Queries *q, const Keys *k, Value *key, Value *i) {
    LB *b = a->b;
    Value *own = own_number(a, q, i);
    Value *at = lb_add(b, lb_splat(b, i32_of(a, lb_add(b, key, k->from))), lb_iota(b));
    if (!k->cached) return lb_sub(b, lb_splat(b, i32_of(a, own)), at);
    if (a->window <= 0) return lb_sub(b, lb_splat(b, i32_of(a, lb_add(b, k->before, own))), at);
    return lb_add(b, age_of(a, k, at), lb_splat(b, i32_of(a, lb_addi(b, own, 1))));
}

/* What is added to the scores of a vector of keys that begins so far before the query: one stretch of memory, as keys
 * go on towards it. Beyond both ends there are zeros. */
static Value *recent_at(const Attend *a, Value *slot, Value *far) {
    LB *b = a->b;
    Value *at = lb_sub(b, lb_i64(b, a->e - 1), far);
    at = lw_min_i64(a->l, lb_max(b, at, lb_i64(b, -b->lanes)), lb_i64(b, a->e));
    at = lb_add(b, lb_muli(b, slot, a->recent_row), lb_addi(b, at, b->lanes));
    return lb_load(b, DT_F32, b->lanes, a->recent, at, 0);
}

/* The same for the keys from number `key` of the block on. In a ring those behind the newest are a turn older. */
static Value *recent_of(const Attend *a, const Queries *q, const Keys *k, Value *key, Value *i) {
    LB *b = a->b;
    Value *own = own_number(a, q, i), *slot = lb_add(b, q->slot, i), *first = lb_add(b, key, k->from);
    if (!k->cached) return recent_at(a, slot, lb_sub(b, own, first));
    if (a->window <= 0) return recent_at(a, slot, lb_sub(b, lb_add(b, k->before, own), first));
    Value *newest = lb_rem(b, lb_addi(b, k->before, -1), lb_i64(b, a->context));
    Value *far = lb_add(b, lb_sub(b, newest, first), lb_addi(b, own, 1));
    Value *at = lb_add(b, lb_splat(b, i32_of(a, first)), lb_iota(b));
    return lb_select(b, lb_cmp(b, "le", at, i32_of(a, newest)), recent_at(a, slot, far),
                     recent_at(a, slot, lb_addi(b, far, a->context)));
}

/* Whether every query of the tile sees all keys of the block's panels; else some may be masked. */
static Value *all_visible(const Attend *a, const Queries *q, const Keys *k, Value *end) {
    LB *b = a->b;
    Value *whole = lb_cmp(b, "eq", lb_and(b, end, lb_i64(b, ATTEND_PANEL - 1)), lb_i64(b, 0));
    if (k->cached) return a->window > 0 ? NULL : whole;
    Value *yes = lb_and(b, whole, lb_cmp(b, "le", end, lb_addi(b, q->own, 1)));
    if (a->window <= 0) return yes;
    Value *last = q->tokens ? lb_addi(b, q->own, q->n - 1) : q->own;
    return lb_and(b, yes, lb_cmp(b, "gt", k->from, lb_addi(b, last, -a->window)));
}

/* What query i loses with each token of distance, in units of log2; NULL: nothing. */
static Value *slope_of(const Attend *a, const Queries *q, int i) {
    LB *b = a->b;
    if (!a->op->in[IN_SLOPES]) return NULL;
    Value *slope = lw_read1(a->l, a->op->in[IN_SLOPES], NULL, q->tokens ? q->head : lb_addi(b, q->head, i));
    return lb_mul(b, slope, lb_f32(b, M_LOG2E));
}

/* In units of log2. */
static Value *score_of(const Attend *a, Value *dot) {
    LB *b = a->b;
    if (a->softcap <= 0) return lb_mul(b, dot, lb_f32(b, a->scale * M_LOG2E));
    Value *t = lb_tanh(b, lb_mul(b, dot, lb_f32(b, a->scale / a->softcap)));
    return lb_mul(b, t, lb_f32(b, a->softcap * M_LOG2E));
}

/* Vectors of a tile beside its queries. */
static int across(const Attend *a, int n, int most) {
    int c = a->l->t->vregs * 3 / 4 / n;
    return c < 1 ? 1 : c > most ? most : c;
}

/* A step reads the cache from memory; a chunk meets each block of it many times. */
static int64_t prefetch_distance(const Attend *a, const Queries *q, const Keys *k) {
    return k->cached && !q->tokens ? a->l->t->tuning.busy_prefetch_bytes : 0;
}

/* Scores of keys `count` from the block's first, whole panels; their maxima go into max. */
static void scores(const Attend *a, const Queries *q, const Keys *k, Value *count, bool masks, Value **max) {
    LB *b = a->b;
    Lower *l = a->l;
    Value *zero = lb_i64(b, 0), *depth = lb_i64(b, a->depth);
    Mat x = q->q;
    if (a->bf16) x = mat_from(l, mat_of(l, (LwAccessor){a->q, DT_I32}, a->depth), q->slot);
    Value *slope[TILE_MAX];
    for (int i = 0; i < q->n; i++) slope[i] = slope_of(a, q, i);
    KFOR (b, s, zero, count, ATTEND_PANEL) {
        Mat panel = mat_of(l, lw_accessor_from(l, k->kv.k, lb_muli(b, s, a->depth)), ATTEND_PANEL);
        TILES_OF (l, c, ATTEND_PANEL, b->lanes, across(a, q->n, 4)) {
            Tile t = tile_new(l, q->n, c.count, c.tail);
            t.prefetch = prefetch_distance(a, q, k);
            tile_madd(l, &t, x, zero, panel, c.at, zero, depth);
            for (int j = 0; j < c.count; j++) {
                Value *key = lb_addi(b, lb_add(b, s, c.at), (int64_t)j * b->lanes);
                for (int i = 0; i < q->n; i++) {
                    Value *y = score_of(a, lb_get(b, t.acc[i][j]));
                    if (slope[i]) {
                        Value *far = lb_cast(b, distance(a, q, k, key, lb_i64(b, i)), DT_F32);
                        y = lb_sub(b, y, lb_mul(b, far, lb_splat(b, slope[i])));
                    }
                    if (a->e) y = lb_add(b, y, recent_of(a, q, k, key, lb_i64(b, i)));
                    if (masks)
                        y = lb_select(b, visible(a, q, k, key, lb_i64(b, i)), y,
                                      lb_splat(b, lb_f32(b, MASKED)));
                    lb_store(b, DT_F32, a->score, lb_addi(b, key, (int64_t)i * ATTEND_KEYS), y, 0);
                    lb_set(b, max[i], lb_max(b, y, lb_get(b, max[i])));
                }
            }
        }
    }
}

/* ---- softmax ---- */

/* Numbers of a row of weights: in pairs it lies over the scores that it was made of. */
static int64_t weights_row(const Attend *a) {
    return a->bf16 ? ATTEND_KEYS / 2 : ATTEND_KEYS;
}

static Value *weight_at(const Attend *a, int i, Value *key, Value *base) {
    LB *b = a->b;
    Value *x = lb_load(b, DT_F32, b->lanes, a->score, lb_addi(b, key, (int64_t)i * ATTEND_KEYS), 0);
    return lb_exp2(b, lb_sub(b, x, base));
}

/* Query i's scores of a panel at key s become weights; the sum of their vectors. */
static Value *panel_weights(const Attend *a, int i, Value *s, Value *base, Value *sum) {
    LB *b = a->b;
    if (!a->bf16) {
        for (int64_t c = 0; c < ATTEND_PANEL; c += b->lanes) {
            Value *key = lb_addi(b, s, c), *w = weight_at(a, i, key, base);
            lb_store(b, DT_F32, a->score, lb_addi(b, key, (int64_t)i * ATTEND_KEYS), w, 0);
            sum = lb_add(b, sum, w);
        }
        return sum;
    }
    Value *w[ATTEND_HALF];
    int n = 0;
    for (int64_t c = 0; c < ATTEND_HALF; c += b->lanes, n++) {
        Value *low = lb_addi(b, s, c);
        w[n] = lb_pair(b, weight_at(a, i, low, base), weight_at(a, i, lb_addi(b, low, ATTEND_HALF), base));
        sum = lb_dot2(b, sum, w[n], lb_i32(b, 0x3f803f80)); /* ones */
    }
    Value *to = lb_div(b, s, lb_i64(b, 2));
    for (int j = 0; j < n; j++)
        lb_store(b, DT_I32, a->score, lb_addi(b, to, i * weights_row(a) + (int64_t)j * b->lanes), w[j], 0);
    return sum;
}

/* Scores of `padded` keys become weights relative to the new base; older sums shrink by a factor. */
static void weights(const Attend *a, const Queries *q, int i, Value *padded, Value *max) {
    LB *b = a->b;
    Value *slot = lb_addi(b, q->slot, i), *old = lb_load(b, DT_F32, 0, a->base, slot, 0);
    Value *base = lb_round(b, lb_max(b, lb_reduce(b, "max", lb_get(b, max)), old));
    Value *factor = lb_exp2(b, lb_sub(b, old, base));
    Value *sums = lb_var(b, lw_zero(a->l));
    KFOR (b, s, lb_i64(b, 0), padded, ATTEND_PANEL)
        lb_set(b, sums, panel_weights(a, i, s, base, lb_get(b, sums)));
    Value *sum =
        lb_fma(b, lb_load(b, DT_F32, 0, a->sum, slot, 0), factor, lb_reduce(b, "add", lb_get(b, sums)));
    lb_store(b, DT_F32, a->base, slot, base, 0);
    lb_store(b, DT_F32, a->sum, slot, sum, 0);
    lb_store(b, DT_F32, a->factor, lb_i64(b, i), factor, 0);
}

/* Query i's weights of masked keys become -0. */
static void mark_masked(const Attend *a, const Queries *q, const Keys *k, Value *i, Value *padded) {
    LB *b = a->b;
    LwAccessor w = {a->score, a->bf16 ? DT_I32 : DT_F32};
    Value *row = lb_muli(b, i, weights_row(a)), *bits = lb_i32(b, INT32_MIN);
    int64_t numbers = a->bf16 ? ATTEND_HALF : ATTEND_PANEL; /* of a panel */
    KFOR (b, s, lb_i64(b, 0), padded, ATTEND_PANEL) {
        Value *to = lb_add(b, row, a->bf16 ? lb_div(b, s, lb_i64(b, 2)) : s);
        for (int64_t c = 0; c < numbers; c += b->lanes) {
            Value *at = lb_addi(b, to, c), *x = lb_bits(b, lw_accessor_load(a->l, w, at, 0), DT_I32);
            Value *low = visible(a, q, k, lb_addi(b, s, c), i);
            if (a->bf16) {
                Value *high = visible(a, q, k, lb_addi(b, s, ATTEND_HALF + c), i);
                Value *x_low = lb_select(b, low, lb_and(b, x, lb_i32(b, 0xffff)), lb_i32(b, 0x8000));
                Value *x_high = lb_and(b, x, lb_i32(b, (int32_t)0xffff0000));
                x = lb_or(b, x_low, lb_select(b, high, x_high, bits));
            } else {
                x = lb_select(b, low, x, bits);
            }
            lb_store(b, w.dt, a->score, at, a->bf16 ? x : lb_bits(b, x, DT_F32), 0);
        }
    }
}

void attend_look(const Attend *a, Value *slot, Value *count, Value *sum) {
    LB *b = a->b;
    Value *lo = lb_muli(b, slot, a->width), *hi = lb_add(b, lo, lb_muli(b, count, a->width));
    KFOR (b, i, lo, hi, b->lanes) {
        Value *x = lb_load(b, DT_F32, b->lanes, a->acc, i, 0);
        lb_set(b, sum, lb_add(b, lb_get(b, sum), lb_sub(b, x, x)));
    }
}

/* Of the queries of a tile from `first` on, and the columns c: acc times its factor, plus weights times
 * values. */
static void add_values(const Attend *a, const Queries *q, const Keys *k, Tile *t, Value *first, Value *at,
                       Value *count) {
    Lower *l = a->l;
    LwAccessor w = {a->score, a->bf16 ? DT_I32 : DT_F32};
    Mat acc = mat_fixed(l, a->acc, a->width);
    Value *slot = lb_add(a->b, q->slot, first), *rows = a->bf16 ? attend_bf16_rows(a, count) : count;
    tile_load(l, t, acc, slot, at);
    tile_scale(l, t, a->factor, first);
    tile_madd(l, t, mat_of(l, w, weights_row(a)), first, k->kv.v, at, lb_i64(a->b, 0), rows);
    tile_store(l, t, acc, slot, at);
}

static void values(const Attend *a, const Queries *q, const Keys *k, Value *count, Value *padded) {
    LB *b = a->b;
    Lower *l = a->l;
    int most = q->tokens ? 4 : TILE_MAX; /* a step reads values from memory: whole rows */
    Value *zero = lb_i64(b, 0);
    lb_if_begin(b, lb_cmp(b, "ne", a->careful, zero)); /* rare: in little code */
    KFOR (b, i, zero, lb_i64(b, q->n), 1) {
        mark_masked(a, q, k, i, padded);
        TILES_OF (l, c, a->p, b->lanes, 1) {
            Tile t = tile_new(l, 1, 1, c.tail);
            t.skips = true;
            add_values(a, q, k, &t, i, c.at, count);
        }
    }
    lb_else(b);
    TILES_OF (l, c, a->p, b->lanes, across(a, q->n, most)) {
        Tile t = tile_new(l, q->n, c.count, c.tail);
        t.prefetch = prefetch_distance(a, q, k);
        add_values(a, q, k, &t, zero, c.at, count);
    }
    lb_if_end(b);
}

void attend_meet(const Attend *a, const Queries *q, const Keys *k) {
    LB *b = a->b;
    Value *max[TILE_MAX], *end = k->end;
    if (!k->cached) end = lw_min_i64(a->l, end, lb_addi(b, q->own, q->tokens ? q->n : 1));
    Value *count = lb_sub(b, end, k->from), *easy = all_visible(a, q, k, end);
    for (int i = 0; i < q->n; i++) max[i] = lb_var(b, lb_splat(b, lb_f32(b, MASKED)));
    if (easy) {
        lb_if_begin(b, easy);
        scores(a, q, k, count, false, max);
        lb_else(b);
    }
    scores(a, q, k, count, true, max);
    if (easy) lb_if_end(b);
    Value *padded = attend_panels(a, count);
    for (int i = 0; i < q->n; i++) weights(a, q, i, padded, max[i]);
    values(a, q, k, count, padded);
}
