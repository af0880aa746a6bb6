/* Loops of conv.short: ir/ops/conv_short.c says what they compute. */
#include "kernels/lower.h"
#include "ops/common.h"

/* More taps than this are walked by a loop. */
enum { UNROLLED = 16 };

typedef struct Taps {
    int64_t k, c;
    LwAccessor w; /* [k][c] */
} Taps;

static Taps taps_of(Lower *l, const Op *op) {
    Type t = op->in[1]->type;
    LwAccessor w = {lw_weight(l, op->in[1], PACK_TRANSPOSED, NULL), DT_F32};
    return (Taps){.k = t.dim[1], .c = t.dim[0], .w = w};
}

/* Row j of an array [..][c] at the channels of ix: the taps or the state. */
static Value *load_at(Lower *l, const Taps *t, LwAccessor p, Value *j, const Ix *ix) {
    LB *b = &l->b;
    return lw_accessor_load(l, p, lb_add(b, lb_muli(b, j, t->c), ix->i), ix->n);
}

static void store_at(Lower *l, const Taps *t, LwAccessor p, Value *j, const Ix *ix, Value *v) {
    LB *b = &l->b;
    lw_accessor_store(l, p, lb_add(b, lb_muli(b, j, t->c), ix->i), v, ix->n);
}

static Value *bias_at(Lower *l, const Op *op, const Ix *ix) {
    return op->in[2] ? lb_splat(&l->b, lw_read(l, op->in[2], ix)) : lw_zero(l);
}

/* Bias, tap 0, .., tap k-1: the same order everywhere, so that all forms agree bit for bit. */
static Value *dot(Lower *l, const Taps *t, Value *bias, Value *const *x, Value *const *w) {
    Value *sum = bias;
    for (int64_t j = 0; j < t->k; j++) sum = lb_fma(&l->b, x[j], w[j], sum);
    return sum;
}

/* The inputs move up by one in the state; a channel belongs to one thread, so nothing is deferred. */
static void step_row(Lower *l, Op *op, const Taps *t, Value *row) {
    LB *b = &l->b;
    LwAccessor state = lw_state(l, op, 0, row);
    LW_EACH (l, row, ix) {
        Value *x[UNROLLED], *w[UNROLLED];
        for (int64_t j = 0; j < t->k; j++) w[j] = load_at(l, t, t->w, lb_i64(b, j), &ix);
        for (int64_t j = 0; j < t->k - 1; j++) x[j] = load_at(l, t, state, lb_i64(b, j), &ix);
        x[t->k - 1] = lb_splat(b, lw_read(l, op->in[0], &ix));
        for (int64_t j = 1; j < t->k; j++) store_at(l, t, state, lb_i64(b, j - 1), &ix, x[j]);
        lw_write(l, op->out[0], &ix, dot(l, t, bias_at(l, op, &ix), x, w));
    }
}

/* Input number j - (k-1) of the rows from `first`: negative ones are in the state. */
static Value *past_input(Lower *l, Op *op, const Taps *t, LwAccessor state, Value *first, Value *j,
                         const Ix *ix) {
    LB *b = &l->b;
    Value *x = lb_var(b, lw_zero(l)), *at = lb_addi(b, j, 1 - t->k);
    lb_if_begin(b, lb_cmp(b, "lt", at, lb_i64(b, 0)));
    lb_set(b, x, load_at(l, t, state, j, ix));
    lb_else(b);
    lb_set(b, x, lw_read_flat(l, op->in[0], lb_add(b, first, at), ix->i, ix->n));
    lb_if_end(b);
    return lb_get(b, x);
}

/* The last inputs of `rows` rows; upwards, so that what is read is not yet overwritten. */
static void keep_inputs(Lower *l, Op *op, const Taps *t, LwAccessor state, Value *first, Value *rows,
                        const Ix *ix) {
    LB *b = &l->b;
    KFOR (b, j, lb_i64(b, 0), lb_i64(b, t->k - 1), 1)
        store_at(l, t, state, j, ix, past_input(l, op, t, state, first, lb_add(b, rows, j), ix));
}

/* A few rows at a time, so that they stay in the cache and few pages are in use; a vector of channels over
 * these rows has its taps and last inputs in registers. */
static void chunk(Lower *l, Op *op, const Taps *t) {
    enum { ROWS = 8 };
    LB *b = &l->b;
    Value *zero = lb_i64(b, 0);
    LwAccessor state = lw_state(l, op, 0, zero);
    KFOR (b, first, zero, l->rows, ROWS) {
        Value *end = lw_min_i64(l, l->rows, lb_addi(b, first, ROWS));
        LW_EACH (l, first, ix) {
            Value *last[UNROLLED], *w[UNROLLED], *bias = bias_at(l, op, &ix);
            for (int64_t j = 0; j < t->k; j++) w[j] = load_at(l, t, t->w, lb_i64(b, j), &ix);
            for (int64_t j = 0; j < t->k - 1; j++)
                last[j] = lb_var(b, past_input(l, op, t, state, zero, lb_addi(b, first, j), &ix));
            KFOR (b, row, first, end, 1) {
                Ix at = ix;
                Value *x[UNROLLED];
                at.row = row;
                for (int64_t j = 0; j < t->k - 1; j++) x[j] = lb_get(b, last[j]);
                x[t->k - 1] = lb_splat(b, lw_read(l, op->in[0], &at));
                for (int64_t j = 1; j < t->k; j++) lb_set(b, last[j - 1], x[j]);
                lw_write(l, op->out[0], &at, dot(l, t, bias, x, w));
            }
        }
    }
    LW_EACH (l, zero, ix) keep_inputs(l, op, t, state, zero, l->rows, &ix);
}

/* Any number of taps, over the `rows` rows of one sequence. */
static void many_taps(Lower *l, Op *op, const Taps *t, Value *first, Value *rows) {
    LB *b = &l->b;
    Value *zero = lb_i64(b, 0);
    LwAccessor state = lw_state(l, op, 0, first);
    LW_EACH (l, first, ix) {
        KFOR (b, r, zero, rows, 1) {
            Value *sum = lb_var(b, bias_at(l, op, &ix));
            KFOR (b, j, zero, lb_i64(b, t->k), 1) {
                Value *x = past_input(l, op, t, state, first, lb_add(b, r, j), &ix);
                lb_set(b, sum, lb_fma(b, x, load_at(l, t, t->w, j, &ix), lb_get(b, sum)));
            }
            Ix at = ix;
            at.row = lb_add(b, first, r);
            lw_write(l, op->out[0], &at, lb_get(b, sum));
        }
        keep_inputs(l, op, t, state, first, rows, &ix);
    }
}

static void lower_conv_short(Lower *l, Op *op) {
    LB *b = &l->b;
    Taps t = taps_of(l, op);
    bool step = l->form == FORM_STEP;
    if (t.k <= UNROLLED && !step)
        chunk(l, op, &t);
    else if (t.k <= UNROLLED)
        LW_ROWS (l, row) step_row(l, op, &t, row);
    else if (!step)
        many_taps(l, op, &t, lb_i64(b, 0), l->rows);
    else
        LW_ROWS (l, row) many_taps(l, op, &t, row, lb_i64(b, 1));
}

const OpLowering lowering_conv_short = {
    .lower = lower_conv_short,
};
