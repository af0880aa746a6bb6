/* Loops over the tokens of a whole sequence: ir/ops/tokens.c says what they compute. Columns of a value are independent,
 * rows are not: everything splits by channels, and each thread goes over all rows. */
#include "kernels/lower.h"
#include "kernels/sort.h"
#include "kernels/tile.h"
#include "ops/common.h"

/* ---- topk.tokens: by one thread ---- */

static void access_one(const Op *op, Form form, Access *a) {
    (void)op, (void)form;
    *a = (Access){.split = SPLIT_FLAT, .units = 1, .all = {true}};
}

/* A number as an i32 that is larger where the number is; NaN is larger than all. */
static Value *key_of(LB *b, Value *x) {
    Value *bits = lb_bits(b, lb_add(b, x, lb_f32(b, 0)), DT_I32); /* -0 is 0 */
    Value *turned = lb_xor(b, bits, lb_i32(b, INT32_MAX));
    Value *key = lb_select(b, lb_cmp(b, "lt", bits, lb_i32(b, 0)), turned, bits);
    return lb_select(b, lb_cmp(b, "ne", x, x), lb_i32(b, INT32_MAX), key);
}

/* Column `column` of x as keys, and behind them, up to whole vectors, what no key is less than. */
static void keys_of(Lower *l, Value *x, Value *column, Value *keys) {
    LB *b = &l->b;
    LW_ROWS (l, row) lb_store(b, DT_I32, keys, row, key_of(b, lw_read1(l, x, row, column)), 0);
    lb_store(b, DT_I32, keys, l->rows, lb_splat(b, lb_i32(b, INT32_MIN)), 0);
}

/* How many keys are above `least`, which is not the smallest number. */
static Value *count_from(Lower *l, Value *keys, Value *least) {
    LB *b = &l->b;
    Value *count = lb_var(b, lb_splat(b, lb_i32(b, 0)));
    KFOR (b, i, lb_i64(b, 0), l->rows, b->lanes) {
        Value *in = lb_cmp(b, "ge", lb_load(b, DT_I32, b->lanes, keys, i, 0), lb_splat(b, least));
        lb_set(b, count, lb_add(b, lb_get(b, count), lb_select(b, in, lb_i32(b, 1), lb_i32(b, 0))));
    }
    return lb_cast(b, lb_reduce(b, "add", lb_get(b, count)), DT_I64);
}

/* The largest key that `each` keys are not below, found bit by bit; i64. */
static Value *threshold(Lower *l, Value *keys, Value *each) {
    LB *b = &l->b;
    Value *least = lb_var(b, lb_i64(b, INT32_MIN)), *step = lb_var(b, lb_i64(b, (int64_t)1 << 31));
    KFOR (b, bit, lb_i64(b, 0), lb_i64(b, 32), 1) {
        Value *higher = lb_add(b, lb_get(b, least), lb_get(b, step));
        Value *enough = lb_cmp(b, "ge", count_from(l, keys, lb_cast(b, higher, DT_I32)), each);
        lb_set(b, least, lb_select(b, enough, higher, lb_get(b, least)));
        lb_set(b, step, lb_div(b, lb_get(b, step), lb_i64(b, 2)));
    }
    return lb_get(b, least);
}

static void lower_topk_tokens(Lower *l, Op *op) {
    LB *b = &l->b;
    int64_t e = op->in[0]->type.dim[0], k = attr_int(op, "k", 1);
    double factor = attr_float(op, "factor", 0) > 0 ? attr_float(op, "factor", 0) : (double)k;
    Value *keys = lw_scratch(l, 4 * (l->t->chunk + 2 * b->lanes)),
          *values = lw_scratch(l, 4 * l->t->chunk * k);
    Value *zero = lb_i64(b, 0), *places = lb_i64(b, k);
    LW_UNITS (l, unit) {
        Value *room = lb_mul(b, lb_cast(b, l->rows, DT_F64), lb_f64(b, factor));
        Value *each = lb_cast(b, lb_div(b, room, lb_f64(b, (double)e)), DT_I64), *next = lb_var(b, unit);
        LW_ROWS (l, row)
            KFOR (b, j, zero, places, 1) {
                lb_store(b, DT_F32, values, lb_add(b, lb_mul(b, row, places), j), lb_f32(b, 0), 0);
                lw_write1(l, op->out[1], row, j, lb_i32(b, -1));
                lw_write1(l, op->out[2], row, j, lb_i32(b, 0));
            }
        KFOR (b, column, zero, lb_i64(b, e), 1) {
            keys_of(l, op->in[0], column, keys);
            Value *least = threshold(l, keys, each);
            /* of those that are equal to the last one taken, only as many as are left when all above it are in */
            Value *above = lb_cmp(b, "lt", least, lb_i64(b, INT32_MAX)), *more = lb_var(b, each);
            lb_if_begin(b, above);
            Value *beyond = count_from(l, keys, lb_cast(b, lb_addi(b, least, 1), DT_I32));
            lb_set(b, more, lb_sub(b, each, beyond));
            lb_if_end(b);
            LW_ROWS (l, row) {
                Value *key = lb_cast(b, lb_load(b, DT_I32, 0, keys, row, 0), DT_I64);
                Value *equal = lb_cmp(b, "eq", key, least);
                Value *takes = lb_and(b, equal, lb_cmp(b, "gt", lb_get(b, more), zero));
                lb_if_begin(b, lb_or(b, lb_cmp(b, "gt", key, least), takes));
                Value *at = lb_get(b, next), *to = lb_div(b, at, places), *j = lb_rem(b, at, places);
                lb_store(b, DT_F32, values, at, lw_read1(l, op->in[0], row, column), 0);
                lw_write1(l, op->out[1], to, j, lb_cast(b, row, DT_I32));
                lw_write1(l, op->out[2], to, j, lb_cast(b, column, DT_I32));
                lb_set(b, next, lb_addi(b, at, 1));
                lb_set(b, more, lb_sub(b, lb_get(b, more), lb_select(b, equal, lb_i64(b, 1), zero)));
                lb_if_end(b);
            }
        }
        LW_ROWS (l, row)
            KFOR (b, j, zero, places, 1) {
                Ix ix = {.row = row, .i = j, .n = 1, .O = 1, .I = k};
                Value *at = lb_add(b, lb_mul(b, row, places), j);
                lw_write(l, op->out[0], &ix, lb_load(b, DT_F32, 0, values, at, 0));
            }
    }
}

/* ---- gather, scatter ---- */

static void access_gather(const Op *op, Form form, Access *a) {
    (void)op, (void)form;
    *a = (Access){.split = SPLIT_INNER, .all = {false, true}};
}

static void lower_gather(Lower *l, Op *op) {
    LB *b = &l->b;
    Value *zero = lb_i64(b, 0);
    LW_ROWS (l, row)
        LW_EACH (l, row, ix) {
            Value *token = lb_cast(b, lw_read1(l, op->in[1], row, ix.o ? ix.o : zero), DT_I64);
            Value *y = lb_var(b, lw_zero(l));
            lb_if_begin(b, lb_cmp(b, "ge", token, zero));
            lb_set(b, y, lb_splat(b, lw_read_flat(l, op->in[0], token, ix.i, ix.n)));
            lb_if_end(b);
            lw_write(l, op->out[0], &ix, lb_get(b, y));
        }
}

static void access_scatter(const Op *op, Form form, Access *a) {
    (void)op, (void)form;
    *a = (Access){.split = SPLIT_FLAT, .all = {true, true, true}};
}

static void lower_scatter(Lower *l, Op *op) {
    LB *b = &l->b;
    const int64_t *dim = op->in[0]->type.dim;
    Sorted s = sort_indices(l, op->in[2], l->rows, l->t->chunk, true);
    LW_ROWS (l, row) {
        Value *first = sort_get(b, s.begin, row), *end = sort_get(b, s.begin, lb_addi(b, row, 1));
        LW_EACH (l, row, ix) {
            Value *sum = lb_var(b, lw_zero(l));
            KFOR (b, i, first, end, 1) {
                Value *entry = sort_get(b, s.order, i), *k = lb_i64(b, dim[0]);
                Value *from = lb_div(b, entry, k), *j = lb_rem(b, entry, k);
                Value *at = lb_add(b, lb_muli(b, j, dim[1]), ix.i);
                Value *x = lw_read_flat(l, op->in[0], from, at, ix.n);
                lb_set(b, sum, lb_fma(b, lw_read1(l, op->in[1], from, j), x, lb_get(b, sum)));
            }
            lw_write(l, op->out[0], &ix, lb_get(b, sum));
        }
    }
}

/* ---- softmax.tokens, pool ---- */

static void access_columns(const Op *op, Form form, Access *a) {
    (void)op, (void)form;
    *a = (Access){.split = SPLIT_FLAT};
}

static void lower_softmax_tokens(Lower *l, Op *op) {
    LB *b = &l->b;
    Value *x = op->in[0], *lo, *hi;
    int64_t d = last_dim(x->type);
    Value *exps = lw_scratch(l, 4 * l->t->chunk * b->lanes);
    lw_range(l, d, &lo, &hi);
    TILES (l, c, lo, hi, d, b->lanes, 1) {
        Value *max = lb_var(b, lb_splat(b, lb_f32(b, -INFINITY))), *sum = lb_var(b, lw_zero(l));
        LW_ROWS (l, row) lb_set(b, max, lb_max(b, lb_get(b, max), lw_read_flat(l, x, row, c.at, c.tail)));
        LW_ROWS (l, row) {
            Value *y = lb_exp(b, lb_sub(b, lw_read_flat(l, x, row, c.at, c.tail), lb_get(b, max)));
            lb_store(b, DT_F32, exps, lb_muli(b, row, b->lanes), y, 0);
            lb_set(b, sum, lb_add(b, lb_get(b, sum), y));
        }
        Value *scale = lb_div(b, lb_f32(b, 1), lb_get(b, sum));
        LW_ROWS (l, row) {
            Ix ix = {.row = row, .i = c.at, .n = c.tail, .O = 1, .I = d};
            Value *y = lb_load(b, DT_F32, b->lanes, exps, lb_muli(b, row, b->lanes), 0);
            lw_write(l, op->out[0], &ix, lb_mul(b, y, scale));
        }
    }
}

static Mat rows_of(Lower *l, Value *v) {
    return mat_fixed(l, lw_row_ptr(l, v, lb_i64(&l->b, 0)), lw_row_stride(l, v));
}

static void lower_pool(Lower *l, Op *op) {
    enum { ROWS = 4, VECTORS = 2 };
    LB *b = &l->b;
    int64_t d = op->in[0]->type.dim[0], n = op->in[1]->type.dim[0];
    Mat x = rows_of(l, op->in[0]), w = mat_turned(rows_of(l, op->in[1]));
    Value *lo, *hi;
    lw_range(l, d, &lo, &hi);
    TILES (l, c, lo, hi, d, b->lanes, VECTORS)
        TILES_OF (l, r, n, 1, ROWS) {
            Tile sums = tile_new(l, r.count, c.count, c.tail);
            tile_madd(l, &sums, w, r.at, x, c.at, lb_i64(b, 0), l->rows);
            LW_ROWS (l, row)
                for (int i = 0; i < r.count; i++)
                    for (int j = 0; j < c.count; j++) {
                        Ix ix = {.row = row, .O = n, .I = d, .n = tile_lanes(c.count, c.tail, j)};
                        ix.o = n > 1 ? lb_addi(b, r.at, i) : NULL;
                        ix.i = lb_addi(b, c.at, (int64_t)j * b->lanes);
                        lw_write(l, op->out[0], &ix, lb_get(b, sums.acc[i][j]));
                    }
        }
}

const OpLowering lowering_topk_tokens = {
    .access = access_one,
    .lower = lower_topk_tokens,
};

const OpLowering lowering_gather = {
    .access = access_gather,
    .lower = lower_gather,
};

const OpLowering lowering_scatter = {
    .access = access_scatter,
    .lower = lower_scatter,
};

const OpLowering lowering_softmax_tokens = {
    .access = access_columns,
    .lower = lower_softmax_tokens,
};

const OpLowering lowering_pool = {
    .access = access_gather,
    .lower = lower_pool,
};
