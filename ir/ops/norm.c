/* Normalisations along the last axis, in `groups` equal parts. The scale w and shift b come after. */
#include "common.h"

static bool infer_groups(Diag *d, Func *f, Op *op) {
    (void)f;
    int64_t n = last_dim(op->in[0]->type), groups = attr_int(op, "groups", 1);
    if (n % groups)
        return diag_error(d, op->loc, "%s: dimension d of %lld does not divide into %lld groups",
                          op->def->name, (long long)n, (long long)groups);
    return true;
}

static Cost cost_norm(const Op *op, int64_t rows) {
    return op_cost(op, rows, 5 * out_count(op));
}

typedef struct Part {
    double shift, scale; /* y = (x - shift) * scale */
} Part;

/* 1 / length, but NaN where the sum that it comes from is infinite. */
static double inverse(double length, double sum) {
    return 1 / length + (sum - sum);
}

/* Applies `part` to every group of every vector, then w and b. */
static void eval_groups(EvalCtx *c, Part (*part)(const Op *op, const double *x, int64_t n)) {
    const Tensor *x = &c->in[0];
    int64_t d = last_dim(x->type), n = d / attr_int(c->op, "groups", 1);
    const double *w = c->op->nin > 1 ? c->in[1].data : NULL;
    const double *b = c->op->nin > 2 ? c->in[2].data : NULL;
    for (int64_t v = 0; v < vector_count(x); v++) {
        const double *in = x->data + v * d;
        double *out = c->out[0].data + v * d;
        Part p = {0};
        for (int64_t i = 0; i < d; i++) {
            if (i % n == 0) p = part(c->op, in + i, n);
            out[i] = (in[i] - p.shift) * p.scale * (w ? w[i] : 1) + (b ? b[i] : 0);
        }
    }
}

/* ---- norm.rms ---- */

static Part part_rms(const Op *op, const double *x, int64_t n) {
    double sum = 0;
    for (int64_t i = 0; i < n; i++) sum += x[i] * x[i];
    return (Part){.scale = inverse(sqrt(sum / (double)n + attr_float(op, "eps", 0)), sum)};
}

static void eval_rms(EvalCtx *c) {
    eval_groups(c, part_rms);
}

static const AttrDef norm_attrs[] = {
    {"eps", AT_FLOAT, true, 0, ">=0", "added under the root"},
    {"groups", AT_INT, false, 1, ">=1", "equal parts of the last dimension, each normalised on its own"},
    {0},
};

const OpDef op_norm_rms = {
    .name = "norm.rms",
    .pattern = PAT_ROW,
    .doc = "Divides by the root mean square.",
    .formula = "y = x / sqrt(mean(x^2) + eps) * w + b",
    .source = "Zhang & Sennrich 2019, arXiv:1910.07467, eq. 4",
    .sig = "x[t,*,d] w?[d] b?[d] -> y[t,*,d]",
    .attrs = norm_attrs,
    .infer = infer_groups,
    .eval = eval_rms,
    .cost = cost_norm,
};

/* ---- norm.layer ---- */

static Part part_layer(const Op *op, const double *x, int64_t n) {
    double mean = 0, var = 0;
    for (int64_t i = 0; i < n; i++) mean += x[i] / (double)n;
    for (int64_t i = 0; i < n; i++) var += (x[i] - mean) * (x[i] - mean) / (double)n;
    return (Part){.shift = mean, .scale = inverse(sqrt(var + attr_float(op, "eps", 0)), var)};
}

static void eval_layer(EvalCtx *c) {
    eval_groups(c, part_layer);
}

const OpDef op_norm_layer = {
    .name = "norm.layer",
    .pattern = PAT_ROW,
    .doc = "Subtracts the mean and divides by the standard deviation; with groups: group norm.",
    .formula = "y = (x - mean(x)) / sqrt(var(x) + eps) * w + b, var with 1/n",
    .source = "Ba et al. 2016, arXiv:1607.06450, eq. 4; Wu & He 2018, arXiv:1803.08494, eq. 1",
    .sig = "x[t,*,d] w?[d] b?[d] -> y[t,*,d]",
    .attrs = norm_attrs,
    .infer = infer_groups,
    .eval = eval_layer,
    .cost = cost_norm,
};

/* ---- norm.l2 ---- */

static Part part_l2(const Op *op, const double *x, int64_t n) {
    double sum = 0, eps = attr_float(op, "eps", 0);
    for (int64_t i = 0; i < n; i++) sum += x[i] * x[i];
    bool inside = !strcmp(attr_str(op, "mode", "inside"), "inside");
    return (Part){.scale = inverse(inside ? sqrt(sum + eps) : sqrt(sum) < eps ? eps : sqrt(sum), sum)};
}

static void eval_l2(EvalCtx *c) {
    eval_groups(c, part_l2);
}

static const AttrDef l2_attrs[] = {
    {"eps", AT_FLOAT, true, 0, ">=0", "keeps the root away from 0"},
    {"groups", AT_INT, false, 1, ">=1", "equal parts of the last dimension, each normalised on its own"},
    {"mode", AT_STR, false, 0, "inside|floor", "inside: eps under the root; floor: the root is at least eps"},
    {0},
};

const OpDef op_norm_l2 = {
    .name = "norm.l2",
    .pattern = PAT_ROW,
    .doc = "Divides by the Euclidean length.",
    .formula = "inside: y = x / sqrt(sum(x^2) + eps);  floor: y = x / max(sqrt(sum(x^2)), eps)",
    .source = "Yang et al. 2024, arXiv:2406.06484 (inside); Peng et al. 2025, arXiv:2503.14456, "
              "sec. 4 (floor)",
    .sig = "x[t,*,d] -> y[t,*,d]",
    .attrs = l2_attrs,
    .infer = infer_groups,
    .eval = eval_l2,
    .cost = cost_norm,
};
