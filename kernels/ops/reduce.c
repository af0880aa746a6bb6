/* Loops of reduce and softmax: ir/ops/reduce.c says what they compute. */
#include "kernels/lower.h"
#include "ops/common.h"

/* Inactive lanes hold 0 after a masked load: right for sums, replaced for a maximum. */
static Value *mask_lanes(Lower *l, Value *x, int n, double neutral) {
    LB *b = &l->b;
    if (!n) return x;
    return lb_select(b, lb_cmp(b, "lt", lb_iota(b), lb_i32(b, n)), x, lb_f32(b, neutral));
}

/* FOLD_SQUARES: the sum of squares, NaN only where an element is. */
typedef enum Fold { FOLD_SUM, FOLD_MAX, FOLD_SQUARES } Fold;

/* Of one vector of the last axis of v (d elements, leading index o of O). A maximum passes over NaN. */
static Value *fold(Lower *l, Value *v, Value *row, Value *o, Fold kind) {
    LB *b = &l->b;
    int64_t d = last_dim(v->type), O = type_count(v->type) / d;
    bool is_max = kind == FOLD_MAX;
    double neutral = is_max ? -INFINITY : 0;
    Value *acc = lb_var(b, lb_splat(b, lb_f32(b, neutral)));
    LW_SPAN (l, row, o, O, d, ix) {
        Value *x = mask_lanes(l, lb_splat(b, lw_read(l, v, &ix)), ix.n, neutral), *a = lb_get(b, acc);
        lb_set(b, acc,
               is_max                 ? lb_max(b, a, x)
               : kind == FOLD_SQUARES ? lb_fma(b, x, x, a)
                                      : lb_add(b, a, x));
    }
    return lb_reduce(b, is_max ? "max" : "add", lb_get(b, acc));
}

static void lower_reduce(Lower *l, Op *op) {
    LB *b = &l->b;
    const char *kind = attr_str(op, "kind", "sum");
    bool is_max = !strcmp(kind, "max");
    int64_t d = last_dim(op->in[0]->type), O = type_count(op->in[0]->type) / d;
    LW_ROWS (l, row)
        LW_OUTER (l, e) {
            Value *y = fold(l, op->in[0], row, e.o, is_max ? FOLD_MAX : FOLD_SUM);
            if (is_max) y = lb_keep_nan(b, fold(l, op->in[0], row, e.o, FOLD_SQUARES), y);
            if (!strcmp(kind, "mean")) y = lb_div(b, y, lb_f32(b, (double)d));
            Ix ix = {.row = row, .o = e.o, .i = lb_i64(b, 0), .n = 1, .O = O, .I = 1};
            lw_write(l, op->out[0], &ix, y);
        }
}

static void lower_softmax(Lower *l, Op *op) {
    LB *b = &l->b;
    Value *x = op->in[0];
    int64_t d = last_dim(x->type), O = type_count(x->type) / d;
    Value *exps = lw_scratch(l, 4 * (d + b->lanes));
    LW_ROWS (l, row)
        LW_OUTER (l, e) {
            Value *max = fold(l, x, row, e.o, FOLD_MAX), *acc = lb_var(b, lw_zero(l));
            LW_SPAN (l, row, e.o, O, d, ix) {
                Value *y = lb_exp(b, lb_sub(b, lw_read(l, x, &ix), max));
                y = mask_lanes(l, y, ix.n, 0);
                lb_store(b, DT_F32, exps, ix.i, y, 0);
                lb_set(b, acc, lb_add(b, lb_get(b, acc), y));
            }
            Value *scale = lb_div(b, lb_f32(b, 1), lb_reduce(b, "add", lb_get(b, acc)));
            LW_SPAN (l, row, e.o, O, d, jx) {
                Value *y = lb_load(b, DT_F32, b->lanes, exps, jx.i, jx.n);
                lw_write(l, op->out[0], &jx, lb_mul(b, y, scale));
            }
        }
}

const OpLowering lowering_reduce = {
    .lower = lower_reduce,
};

const OpLowering lowering_softmax = {
    .lower = lower_softmax,
};
