/* Routing: choosing experts, and adding up their results with weights. */
#include "common.h"

/* ---- topk ---- */

static bool infer_topk(Diag *d, Func *f, Op *op) {
    (void)f;
    int64_t e = last_dim(op->in[0]->type), k = attr_int(op, "k", 0);
    if (k < 1 || k > e)
        return diag_error(d, op->loc, "topk: k must be between 1 and e = %lld, is %lld", (long long)e,
                          (long long)k);
    return true;
}

/* Whether x goes before y: NaN before all numbers, so that it is chosen and comes out. */
static bool goes_before(double x, double y) {
    return !isnan(y) && !(x <= y);
}

/* The largest not yet chosen; strictly larger is needed to replace, so that the lowest index wins ties. */
static int64_t next_best(const double *x, int64_t e, const double *chosen, int64_t n) {
    int64_t best = -1;
    for (int64_t i = 0; i < e; i++) {
        bool used = false;
        for (int64_t j = 0; j < n; j++) used = used || chosen[j] == (double)i;
        if (!used && (best < 0 || goes_before(x[i], x[best]))) best = i;
    }
    return best;
}

static void eval_topk(EvalCtx *c) {
    int64_t e = last_dim(c->in[0].type), k = attr_int(c->op, "k", 1);
    for (int64_t t = 0; t < c->in[0].rows; t++) {
        const double *x = c->in[0].data + t * e;
        double *value = c->out[0].data + t * k, *index = c->out[1].data + t * k, sum = 0;
        for (int64_t j = 0; j < k; j++) {
            int64_t best = next_best(x, e, index, j);
            index[j] = (double)best, value[j] = x[best], sum += x[best];
        }
        for (int64_t j = 0; j < k && attr_bool(c->op, "normalize", false); j++) value[j] /= sum;
    }
}

static Cost cost_topk(const Op *op, int64_t rows) {
    return op_cost(op, rows, in_count(op, 0) * out_count(op));
}

static const AttrDef topk_attrs[] = {
    {"k", AT_INT, true, 0, NULL, "how many are chosen"},
    {"normalize", AT_BOOL, false, 0, NULL, "divide the values by their sum"},
    {0},
};

const OpDef op_topk = {
    .name = "topk",
    .pattern = PAT_ROW,
    .flags = OPF_CHOOSES,
    .doc = "The k largest values and their indices, largest first; the lowest index wins ties. NaN counts as "
           "the largest.",
    .formula = "value_j = x[index_j], x[index_0] >= x[index_1] >= ...",
    .source = "Shazeer et al. 2017, arXiv:1701.06538, eq. 5",
    .sig = "x[t,e] -> value[t,k] index:i32[t,k]",
    .attrs = topk_attrs,
    .infer = infer_topk,
    .eval = eval_topk,
    .cost = cost_topk,
};

/* ---- combine ---- */

static void eval_combine(EvalCtx *c) {
    int64_t k = c->in[0].type.dim[0], d = c->in[0].type.dim[1];
    for (int64_t t = 0; t < c->in[0].rows; t++)
        for (int64_t i = 0; i < d; i++) {
            double sum = 0;
            for (int64_t j = 0; j < k; j++)
                sum += c->in[1].data[t * k + j] * c->in[0].data[(t * k + j) * d + i];
            c->out[0].data[t * d + i] = sum;
        }
}

static Cost cost_combine(const Op *op, int64_t rows) {
    return op_cost(op, rows, 2 * in_count(op, 0));
}

const OpDef op_combine = {
    .name = "combine",
    .pattern = PAT_ROW,
    .doc = "Weighted sum over the chosen experts.",
    .formula = "y_d = sum_k w_k x_kd",
    .source = "Shazeer et al. 2017, arXiv:1701.06538, eq. 1",
    .sig = "x[t,k,d] w[t,k] -> y[t,d]",
    .eval = eval_combine,
    .cost = cost_combine,
};
