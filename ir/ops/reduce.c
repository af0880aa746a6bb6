/* Reductions along the last axis. */
#include "common.h"
#include "kernels/lower.h"

/* ---- reduce ---- */

static Cost cost_reduce(const Op *op, int64_t rows) {
    return op_cost(op, rows, in_count(op, 0));
}

static void eval_reduce(EvalCtx *c) {
    const Tensor *x = &c->in[0];
    int64_t d = last_dim(x->type);
    const char *kind = attr_str(c->op, "kind", "sum");
    for (int64_t v = 0; v < vector_count(x); v++) {
        const double *in = x->data + v * d;
        double sum = 0, max = in[0];
        for (int64_t i = 0; i < d; i++) {
            sum += in[i];
            if (isnan(in[i]) || in[i] > max) max = in[i];
        }
        c->out[0].data[v] = !strcmp(kind, "max") ? max : !strcmp(kind, "mean") ? sum / (double)d : sum;
    }
}

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

static const AttrDef reduce_attrs[] = {
    {"kind", AT_STR, true, 0, "sum|mean|max", "what to compute"},
    {0},
};

const OpDef op_reduce = {
    .name = "reduce",
    .pattern = PAT_ROW,
    .doc = "Sum, mean or maximum of the last dimension.",
    .formula = "y = sum_d x_d, or sum/d, or max_d x_d",
    .source = "elementary function",
    .sig = "x[t,*,d] -> y[t,*,1]",
    .attrs = reduce_attrs,
    .eval = eval_reduce,
    .lower = lower_reduce,
    .cost = cost_reduce,
};

/* ---- softmax ---- */

static Cost cost_softmax(const Op *op, int64_t rows) {
    return op_cost(op, rows, 13 * out_count(op));
}

static void eval_softmax(EvalCtx *c) {
    const Tensor *x = &c->in[0];
    int64_t d = last_dim(x->type);
    for (int64_t v = 0; v < vector_count(x); v++) {
        const double *in = x->data + v * d;
        double *out = c->out[0].data + v * d, max = in[0], sum = 0;
        for (int64_t i = 0; i < d; i++)
            if (in[i] > max) max = in[i];
        for (int64_t i = 0; i < d; i++) sum += out[i] = exp(in[i] - max);
        for (int64_t i = 0; i < d; i++) out[i] /= sum;
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

const OpDef op_softmax = {
    .name = "softmax",
    .pattern = PAT_ROW,
    .doc = "Exponentials that sum to one along the last dimension.",
    .formula = "y_i = exp(x_i - max(x)) / sum_j exp(x_j - max(x))",
    .source = "Bridle 1990, Probabilistic interpretation of feedforward classification network outputs",
    .sig = "x[t,*,d] -> y[t,*,d]",
    .eval = eval_softmax,
    .lower = lower_softmax,
    .cost = cost_softmax,
};
