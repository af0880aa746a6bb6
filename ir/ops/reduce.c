/* Reductions along the last axis. */
#include "common.h"

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

const OpDef op_softmax = {
    .name = "softmax",
    .pattern = PAT_ROW,
    .doc = "Exponentials that sum to one along the last dimension.",
    .formula = "y_i = exp(x_i - max(x)) / sum_j exp(x_j - max(x))",
    .source = "Bridle 1990, Probabilistic interpretation of feedforward classification network outputs",
    .sig = "x[t,*,d] -> y[t,*,d]",
    .eval = eval_softmax,
    .cost = cost_softmax,
};
