/* See tile.h. */
#include "tile.h"

/* ---- walking ---- */

Tiles tiles_begin(Lower *l, Value *lo, Value *hi, int64_t n, int unit, int max) {
    LB *b = &l->b;
    int64_t from, to;
    Tiles t = {.l = l, .lo = lo, .hi = hi, .full = hi, .n = n, .unit = unit, .max = max};
    t.fixed = lb_const(lo, &from) && lb_const(hi, &to);
    if (!t.fixed && n >= 0) t.full = lw_min_i64(l, hi, lb_i64(b, n - n % unit));
    return t;
}

static bool block(Tiles *t, Value *at, int count, int tail) {
    t->at = at, t->count = count, t->tail = tail;
    return true;
}

static bool loop(Tiles *t, Value *lo, Value *hi, int count) {
    t->in_loop = true;
    return block(t, lb_for_begin(&t->l->b, lo, hi, (int64_t)count * t->unit), count, 0);
}

/* Phase 0: full blocks; 1: the rest, as one smaller block; then done. */
static bool next_fixed(Tiles *t) {
    LB *b = &t->l->b;
    int64_t lo = 0, hi = 0, span = (int64_t)t->unit * t->max;
    lb_const(t->lo, &lo), lb_const(t->hi, &hi);
    int64_t blocks = (hi - lo) / span, rest = (hi - lo) % span, end = lo + blocks * span;
    if (t->phase++ == 0 && blocks > 0)
        return blocks > 1 ? loop(t, t->lo, lb_i64(b, end), t->max) : block(t, t->lo, t->max, 0);
    if (t->phase > 2 || rest == 0) return false;
    t->phase = 3;
    return block(t, lb_i64(b, end), (int)((rest + t->unit - 1) / t->unit), (int)(rest % t->unit));
}

static bool tail_block(Tiles *t) {
    LB *b = &t->l->b;
    Value *last = lb_i64(b, t->n - t->n % t->unit);
    lb_if_begin(b, lb_and(b, lb_cmp(b, "gt", t->hi, last), lb_cmp(b, "le", t->lo, last)));
    t->in_if = true;
    return block(t, last, 1, (int)(t->n % t->unit));
}

/* Bounds from the thread number: full blocks, single units, the masked tail for the thread that has it. */
static bool next_dynamic(Tiles *t) {
    LB *b = &t->l->b;
    int64_t span = (int64_t)t->unit * t->max;
    switch (t->phase++) {
    case 0:
        return loop(t, t->lo, lb_addi(b, t->full, 1 - span), t->max);
    case 1:
        if (t->max > 1) {
            Value *blocks = lb_div(b, lb_sub(b, t->full, t->lo), lb_i64(b, span));
            return loop(t, lb_add(b, t->lo, lb_muli(b, blocks, span)), t->full, 1);
        }
        t->phase++; /* fall through */
    case 2:
        return t->n >= 0 && t->n % t->unit && tail_block(t);
    default:
        return false;
    }
}

bool tiles_next(Tiles *t) {
    if (t->in_loop) lb_for_end(&t->l->b), t->in_loop = false;
    if (t->in_if) lb_if_end(&t->l->b), t->in_if = false;
    return t->fixed ? next_fixed(t) : next_dynamic(t);
}

/* ---- matrices ---- */

Mat mat(Lower *l, Value *p, Value *row_stride) {
    return (Mat){{p, DT_F32}, row_stride, lb_i64(&l->b, 1)};
}

Mat mat_of(Lower *l, LwAccessor m, int64_t row_stride) {
    return (Mat){m, lb_i64(&l->b, row_stride), lb_i64(&l->b, 1)};
}

Mat mat_fixed(Lower *l, Value *p, int64_t row_stride) {
    return mat(l, p, lb_i64(&l->b, row_stride));
}

Mat mat_turned(Mat m) {
    return (Mat){m.m, m.cols, m.rows};
}

/* Index times stride, without ops for what is known. */
static Value *scaled(Lower *l, Value *i, Value *stride) {
    int64_t k;
    if (lb_const(stride, &k)) return lb_muli(&l->b, i, k);
    if (lb_const(i, &k)) return k ? lb_muli(&l->b, stride, k) : lb_i64(&l->b, 0);
    return lb_mul(&l->b, i, stride);
}

static Value *sum(Lower *l, Value *x, Value *y) {
    int64_t k;
    if (lb_const(x, &k)) return lb_addi(&l->b, y, k);
    if (lb_const(y, &k)) return lb_addi(&l->b, x, k);
    return lb_add(&l->b, x, y);
}

Mat mat_from(Lower *l, Mat m, Value *row) {
    return (Mat){lw_accessor_from(l, m.m, scaled(l, row, m.rows)), m.rows, m.cols};
}

Value *mat_at(Lower *l, Mat m, Value *i, Value *j) {
    return sum(l, scaled(l, i, m.rows), scaled(l, j, m.cols));
}

Value *mat_load1(Lower *l, Mat m, Value *i, Value *j) {
    return lw_accessor_load1(l, m.m, mat_at(l, m, i, j));
}

Value *mat_load(Lower *l, Mat m, Value *i, Value *j, int n) {
    return lw_accessor_load(l, m.m, mat_at(l, m, i, j), n);
}

void mat_store(Lower *l, Mat m, Value *i, Value *j, Value *v, int n) {
    lw_accessor_store(l, m.m, mat_at(l, m, i, j), v, n);
}

/* ---- tiles ---- */

#define EACH(t, i, j)                                                                                        \
    for (int i = 0; i < (t)->r; i++)                                                                         \
        for (int j = 0; j < (t)->c; j++)

static RegisterTile sums_of(Lower *l, Tile *t) {
    return (RegisterTile){&l->b, t->acc[0], t->r, t->c, TILE_MAX};
}

Tile tile_new(Lower *l, int r, int c, int tail) {
    if (r > TILE_MAX || c > TILE_MAX) BTC_BUG("a tile of %d x %d", r, c);
    Tile t = {.r = r, .c = c, .tail = tail};
    RegisterTile sums = sums_of(l, &t);
    register_tile_begin(&sums, lw_zero(l));
    return t;
}

static void prefetch(Lower *l, const Tile *t, Mat y, Value *k, Value *j0) {
    LB *b = &l->b;
    int64_t size = (int64_t)dtype_size(y.m.dt);
    int line = l->t->cache_line;
    if (!t->prefetch || !line || l->t->execution == EXECUTION_GRID) return;
    Value *at = lb_offset(b, y.m.p, lb_muli(b, mat_at(l, y, k, j0), size));
    for (int64_t i = 0; i < t->c * b->lanes * size; i += line)
        lb_prefetch(b, at, lb_i64(b, t->prefetch + i), DT_U8);
}

/* Bits that are 0 where x, or a half of a pair, is -0. */
static Value *unless_minus_zero(LB *b, Value *x, bool pairs) {
    Value *bits = lb_bits(b, x, DT_I32), *zero = lb_i32(b, 0), *all = lb_i32(b, -1);
    if (!pairs) return lb_select(b, lb_cmp(b, "eq", bits, lb_i32(b, INT32_MIN)), zero, all);
    Value *low = lb_cmp(b, "eq", lb_and(b, bits, lb_i32(b, 0xffff)), lb_i32(b, 0x8000));
    Value *high = lb_cmp(b, "eq", lb_and(b, bits, lb_i32(b, (int32_t)0xffff0000)), lb_i32(b, INT32_MIN));
    return lb_or(b, lb_select(b, low, zero, lb_i32(b, 0xffff)),
                 lb_select(b, high, zero, lb_i32(b, (int32_t)0xffff0000)));
}

/* Rows of t from `first` on += x[i0 + r, k] * y[k]. */
static void madd_one(Lower *l, Tile *t, int first, Mat x, Value *i0, Mat y, Value *j0, Value *k) {
    LB *b = &l->b;
    RegisterTile sums = sums_of(l, t);
    Value *yv[TILE_MAX], *v[TILE_MAX];
    bool pairs = y.m.dt == DT_I32;
    for (int j = 0; j < t->c; j++)
        yv[j] = mat_load(l, y, k, lb_addi(b, j0, (int64_t)j * b->lanes), tile_lanes(t->c, t->tail, j));
    for (int i = first; i < t->r; i++) {
        Value *xs = mat_load1(l, x, lb_addi(b, i0, i), k),
              *bits = t->skips ? unless_minus_zero(b, xs, pairs) : NULL;
        xs = lb_splat(b, xs);
        for (int j = 0; j < t->c; j++)
            v[j] = bits ? lb_bits(b, lb_and(b, lb_bits(b, yv[j], DT_I32), bits), pairs ? DT_I32 : DT_F32)
                        : yv[j];
        register_tile_add(&sums, i, v, xs, pairs ? lb_dot2 : register_tile_fma);
    }
}

void tile_madd(Lower *l, Tile *t, Mat x, Value *i0, Mat y, Value *j0, Value *k0, Value *k1) {
    KFOR (&l->b, k, k0, k1, 1) {
        prefetch(l, t, y, k, j0);
        madd_one(l, t, 0, x, i0, y, j0, k);
    }
}

void tile_madd_steps(Lower *l, Tile *t, Mat x, Value *step, int rows, Mat y, Value *j0, int columns,
                     bool diagonal) {
    LB *b = &l->b;
    Value *i0 = lb_muli(b, step, rows), *k0 = lb_muli(b, step, columns);
    tile_madd(l, t, x, i0, y, j0, lb_i64(b, 0), k0);
    for (int s = 0; s < t->r / rows; s++)
        for (int k = 0; k < columns; k++)
            if (diagonal || s + 1 < t->r / rows)
                madd_one(l, t, (diagonal ? s : s + 1) * rows, x, i0, y, j0,
                         lb_addi(b, k0, (int64_t)s * columns + k));
}

void tile_madd_below(Lower *l, Tile *t, Mat x, Value *i0, Mat y, Value *j0, bool diagonal) {
    tile_madd_steps(l, t, x, i0, 1, y, j0, 1, diagonal);
}

void tile_scale(Lower *l, Tile *t, Value *s, Value *i0) {
    LB *b = &l->b;
    for (int i = 0; i < t->r; i++) {
        Value *f = lb_splat(b, lb_load(b, DT_F32, 0, s, lb_addi(b, i0, i), 0));
        for (int j = 0; j < t->c; j++) lb_set(b, t->acc[i][j], lb_mul(b, f, lb_get(b, t->acc[i][j])));
    }
}

void tile_load(Lower *l, Tile *t, Mat m, Value *i0, Value *j0) {
    LB *b = &l->b;
    EACH (t, i, j)
        lb_set(b, t->acc[i][j],
               mat_load(l, m, lb_addi(b, i0, i), lb_addi(b, j0, (int64_t)j * b->lanes),
                        tile_lanes(t->c, t->tail, j)));
}

void tile_store(Lower *l, const Tile *t, Mat m, Value *i0, Value *j0) {
    LB *b = &l->b;
    EACH (t, i, j)
        mat_store(l, m, lb_addi(b, i0, i), lb_addi(b, j0, (int64_t)j * b->lanes), lb_get(b, t->acc[i][j]),
                  tile_lanes(t->c, t->tail, j));
}
