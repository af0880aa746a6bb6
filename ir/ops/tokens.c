/* Ops over the tokens of a whole sequence: columns that choose tokens, and sums over all tokens. (In topk, tokens choose
 * columns.) A list of choices is stored in the rows of the tokens, k in each row; the row of a choice has no meaning. */
#include "common.h"

/* ---- topk.tokens ---- */

static double factor_of(const Op *op) {
    double factor = attr_float(op, "factor", 0);
    return factor > 0 ? factor : (double)attr_int(op, "k", 1);
}

static bool infer_topk_tokens(Diag *d, Func *f, Op *op) {
    (void)f;
    int64_t k = attr_int(op, "k", 0), e = op->in[0]->type.dim[0];
    double factor = factor_of(op);
    if (k < 1) return diag_error(d, op->loc, "topk.tokens: k must be at least 1, is %lld", (long long)k);
    if (factor > (double)k)
        return diag_error(d, op->loc, "topk.tokens: factor is %g, but a token has room for k = %lld", factor,
                          (long long)k);
    if (factor > (double)e)
        return diag_error(d, op->loc, "topk.tokens: factor is %g, but there are only e = %lld columns",
                          factor, (long long)e);
    return true;
}

/* How many tokens go before token t in column i: NaN before all numbers, the lowest number wins ties. */
static int64_t rank_of(const Tensor *x, int64_t e, int64_t t, int64_t i) {
    int64_t rank = 0;
    double v = x->data[t * e + i];
    for (int64_t s = 0; s < x->rows; s++) {
        double u = x->data[s * e + i];
        bool larger = !isnan(v) && !(u <= v), same = u == v || (isnan(u) && isnan(v));
        rank += larger || (same && s < t);
    }
    return rank;
}

static void eval_topk_tokens(EvalCtx *c) {
    int64_t e = c->in[0].type.dim[0], k = attr_int(c->op, "k", 1), room = c->rows * k;
    int64_t each = (int64_t)((double)c->rows * factor_of(c->op) / (double)e);
    double *value = c->out[0].data, *token = c->out[1].data, *column = c->out[2].data;
    for (int64_t s = 0; s < room; s++) value[s] = 0, token[s] = -1, column[s] = 0;
    for (int64_t i = 0, s = 0; i < e; i++)
        for (int64_t t = 0; t < c->rows; t++) {
            if (rank_of(&c->in[0], e, t, i) >= each) continue;
            value[s] = c->in[0].data[t * e + i], token[s] = (double)t, column[s] = (double)i, s++;
        }
}

static Cost cost_topk_tokens(const Op *op, int64_t rows) {
    return op_cost(op, rows, 32 * in_count(op, 0));
}

static const AttrDef topk_tokens_attrs[] = {
    {"k", AT_INT, true, 0, NULL, "places for choices in each row"},
    {"factor", AT_FLOAT, false, 0, ">=0", "how many columns choose a token, on average; 0: k"},
    {0},
};

const OpDef op_topk_tokens = {
    .name = "topk.tokens",
    .pattern = PAT_SCAN,
    .flags = OPF_WHOLE | OPF_CHOOSES,
    .doc = "Each column chooses the tokens where it is largest, floor(T factor/e) of them; the lowest token "
           "wins "
           "ties. The choices are listed column by column, in the order of the tokens, k in each row; what "
           "is left "
           "of the list has the value 0, the token -1 and the column 0.",
    .formula = "value_s = x[token_s, column_s], s = t k + j",
    .source = "Zhou et al. 2022, arXiv:2202.09368, sec. 3.2",
    .sig = "x[t,e] -> value[t,k] token:i32[t,k] column:i32[t,k]",
    .attrs = topk_tokens_attrs,
    .infer = infer_topk_tokens,
    .eval = eval_topk_tokens,
    .cost = cost_topk_tokens,
};

/* ---- gather, scatter ---- */

/* The row of a token; NULL: there is none, and it is too large where *wrong is set. */
static const double *row_of(EvalCtx *c, const Tensor *x, double token) {
    if (token >= 0 && token < (double)x->rows) return tensor_row(x, (int64_t)token);
    if (token >= 0) c->error = "the number of a token is out of range";
    return NULL;
}

static void eval_gather(EvalCtx *c) {
    int64_t k = c->in[1].type.dim[0], d = c->in[0].type.dim[0];
    for (int64_t s = 0; s < c->rows * k; s++) {
        const double *x = row_of(c, &c->in[0], c->in[1].data[s]);
        for (int64_t i = 0; i < d; i++) c->out[0].data[s * d + i] = x ? x[i] : 0;
    }
}

static Cost cost_gather(const Op *op, int64_t rows) {
    return op_cost(op, rows, 0);
}

const OpDef op_gather = {
    .name = "gather",
    .pattern = PAT_SCAN,
    .flags = OPF_WHOLE,
    .doc = "The rows of tokens given by their numbers; zeros for -1.",
    .formula = "y_tj = x[token_tj]",
    .source = "Zhou et al. 2022, arXiv:2202.09368, eq. 4",
    .sig = "x[t,d] token:i32[t,k] -> y[t,k,d]",
    .eval = eval_gather,
    .cost = cost_gather,
};

static void eval_scatter(EvalCtx *c) {
    int64_t k = c->in[1].type.dim[0], d = c->out[0].type.dim[0];
    for (int64_t i = 0; i < c->rows * d; i++) c->out[0].data[i] = 0;
    for (int64_t s = 0; s < c->rows * k; s++) {
        double token = c->in[2].data[s], w = c->in[1].data[s];
        if (!row_of(c, &c->out[0], token)) continue;
        double *y = c->out[0].data + (int64_t)token * d;
        for (int64_t i = 0; i < d; i++) y[i] += w * c->in[0].data[s * d + i];
    }
}

static Cost cost_scatter(const Op *op, int64_t rows) {
    return op_cost(op, rows, 2 * in_count(op, 0));
}

const OpDef op_scatter = {
    .name = "scatter",
    .pattern = PAT_SCAN,
    .flags = OPF_WHOLE,
    .doc = "Weighted sums of what was computed for tokens, given by their numbers; -1 is left out.",
    .formula = "y_t = sum of w_sj x_sj over all s, j with token_sj = t",
    .source = "Zhou et al. 2022, arXiv:2202.09368, eq. 5",
    .sig = "x[t,k,d] w[t,k] token:i32[t,k] -> y[t,d]",
    .eval = eval_scatter,
    .cost = cost_scatter,
};

/* ---- softmax.tokens, pool ---- */

static void eval_softmax_tokens(EvalCtx *c) {
    const Tensor *x = &c->in[0];
    int64_t d = last_dim(x->type);
    for (int64_t i = 0; i < d && c->rows; i++) {
        double *y = c->out[0].data + i, max = x->data[i], sum = 0;
        for (int64_t t = 0; t < c->rows; t++) max = x->data[t * d + i] > max ? x->data[t * d + i] : max;
        for (int64_t t = 0; t < c->rows; t++) sum += y[t * d] = exp(x->data[t * d + i] - max);
        for (int64_t t = 0; t < c->rows; t++) y[t * d] /= sum;
    }
}

static Cost cost_softmax_tokens(const Op *op, int64_t rows) {
    return op_cost(op, rows, 13 * out_count(op));
}

const OpDef op_softmax_tokens = {
    .name = "softmax.tokens",
    .pattern = PAT_SCAN,
    .flags = OPF_WHOLE,
    .doc = "Exponentials that sum to one over the tokens of the sequence, for each column.",
    .formula = "y_t = exp(x_t - max(x)) / sum_s exp(x_s - max(x))",
    .source = "Puigcerver et al. 2023, arXiv:2308.00951, eq. 1",
    .sig = "x[t,d] -> y[t,d]",
    .eval = eval_softmax_tokens,
    .cost = cost_softmax_tokens,
};

static void eval_pool(EvalCtx *c) {
    int64_t d = c->in[0].type.dim[0], n = c->in[1].type.dim[0];
    for (int64_t k = 0; k < n; k++)
        for (int64_t i = 0; i < d; i++) {
            double sum = 0;
            for (int64_t t = 0; t < c->rows; t++) sum += c->in[1].data[t * n + k] * c->in[0].data[t * d + i];
            for (int64_t t = 0; t < c->rows; t++) c->out[0].data[(t * n + k) * d + i] = sum;
        }
}

/* Made once for all tokens. */
static Cost cost_pool(const Op *op, int64_t rows) {
    return op_cost(op, rows, 2 * out_count(op));
}

const OpDef op_pool = {
    .name = "pool",
    .pattern = PAT_SCAN,
    .flags = OPF_WHOLE | OPF_SAME_ROWS,
    .doc = "Weighted sums over all tokens of the sequence, the same for each of them.",
    .formula = "y_tn = sum_s w_sn x_s",
    .source = "Puigcerver et al. 2023, arXiv:2308.00951, eq. 1",
    .sig = "x[t,d] w[t,n] -> y[t,n,d]",
    .eval = eval_pool,
    .cost = cost_pool,
};
