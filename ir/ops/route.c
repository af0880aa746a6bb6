/* Routing: choosing experts, and adding up their results with weights. */
#include "common.h"

/* ---- topk, largest ---- */

static bool infer_choice(Diag *d, Func *f, Op *op) {
    (void)f;
    int64_t e = last_dim(op->in[0]->type), k = attr_int(op, "k", 0);
    if (k < 1 || k > e)
        return diag_error(d, op->loc, "%s: k must be between 1 and e = %lld, is %lld", op->def->name,
                          (long long)e, (long long)k);
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
        const double *x = c->in[0].data + t * e, *by = tensor_row(&c->in[1], t);
        double *value = c->out[0].data + t * k, *index = c->out[1].data + t * k;
        double sum = attr_float(c->op, "floor", 0);
        for (int64_t j = 0; j < k; j++) {
            int64_t best = next_best(by ? by : x, e, index, j);
            index[j] = (double)best, value[j] = x[best], sum += x[best];
        }
        for (int64_t j = 0; j < k && attr_bool(c->op, "normalize", false); j++) value[j] /= sum;
    }
}

static Cost cost_topk(const Op *op, int64_t rows) {
    return op_cost(op, rows, in_count(op, 0) * out_count(op));
}

static void eval_largest(EvalCtx *c) {
    int64_t e = last_dim(c->in[0].type), k = attr_int(c->op, "k", 1);
    double *index = ARENA_ARRAY(c->scratch, double, k);
    for (int64_t v = 0; v < vector_count(&c->in[0]); v++) {
        double *y = c->out[0].data + v * e;
        for (int64_t i = 0; i < e; i++) y[i] = 0;
        for (int64_t j = 0; j < k; j++) {
            int64_t best = next_best(c->in[0].data + v * e, e, index, j);
            index[j] = (double)best, y[best] = 1;
        }
    }
}

static Cost cost_largest(const Op *op, int64_t rows) {
    return op_cost(op, rows, out_count(op) * (double)attr_int(op, "k", 1));
}

static const AttrDef topk_attrs[] = {
    {"k", AT_INT, true, 0, NULL, "how many are chosen"},
    {"normalize", AT_BOOL, false, 0, NULL, "divide the values by their sum"},
    {"floor", AT_FLOAT, false, 0, ">=0", "added to that sum"},
    {0},
};

const OpDef op_topk = {
    .name = "topk",
    .pattern = PAT_ROW,
    .flags = OPF_CHOOSES,
    .doc =
        "The values of x where `by` (x itself, if absent) is largest, and their indices, largest first; the "
        "lowest index wins ties. NaN counts as the largest.",
    .formula = "value_j = x[index_j], by[index_0] >= by[index_1] >= ...",
    .source = "Shazeer et al. 2017, arXiv:1701.06538, eq. 5; `by`: Wang et al. 2024, arXiv:2408.15664, eq. 3",
    .sig = "x[t,e] by?[t,e] -> value[t,k] index:i32[t,k]",
    .attrs = topk_attrs,
    .infer = infer_choice,
    .eval = eval_topk,
    .cost = cost_topk,
};

static const AttrDef largest_attrs[] = {
    {"k", AT_INT, true, 0, NULL, "how many are marked"},
    {0},
};

const OpDef op_largest = {
    .name = "largest",
    .pattern = PAT_ROW,
    .flags = OPF_CHOOSES,
    .doc = "1 at the k largest numbers along the last dimension, 0 at the others; the lowest index wins "
           "ties. NaN "
           "counts as the largest.",
    .formula = "y_i = 1 where fewer than k of x go before x_i, else 0",
    .source = "DeepSeek-AI 2024, arXiv:2405.04434, sec. 2.2.2 (the groups of experts that a token may use)",
    .sig = "x[t,*,e] -> y[t,*,e]",
    .attrs = largest_attrs,
    .infer = infer_choice,
    .eval = eval_largest,
    .cost = cost_largest,
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
