/* The running maximum that keeps exponential gates in range: RWKV-4's pp, xLSTM's m. What the gates weigh is
 * then a scan.diag or scan.matrix whose coefficients are exponentials of differences to it, none above 1. */
#include "common.h"

static void eval_scan_max(EvalCtx *c) {
    int64_t e = last_dim(c->in[0].type);
    const double *a = c->in[0].data, *b = c->in[1].data;
    double *m = state_begin(&c->in[2], &c->out[1]); /* [e] */
    bool before = reads_before(c->op);
    for (int64_t t = 0; t < c->rows; t++)
        for (int64_t i = 0; i < e; i++) {
            double x = a[t * e + i] + m[i], new = isnan(x) || x > b[t * e + i] ? x : b[t * e + i];
            c->out[0].data[t * e + i] = before ? m[i] : new;
            m[i] = new;
        }
}

static Cost cost_scan_max(const Op *op, int64_t rows) {
    return op_cost(op, rows, 2 * out_count(op));
}

static const AttrDef attrs[] = {
    {"read", AT_STR, false, 0, "after|before", "before: y is the maximum without this token"},
    {"start", AT_FLOAT, false, -1e30, NULL, "the maximum before the first token; finite"},
    {0},
};

const OpDef op_scan_max = {
    .name = "scan.max",
    .pattern = PAT_SCAN,
    .doc = "Elementwise running maximum under decay: the recurrence of scan.diag with (max, +) for (+, *).",
    .formula = "m_t = max(a_t + m_(t-1), b_t);  y_t = m_t;  read = before: y_t = m_(t-1)",
    .source =
        "Milakov & Gimelshein 2018, arXiv:1805.02867, alg. 3; Peng et al. 2023, arXiv:2305.13048, app. D; "
        "Beck et al. 2024, arXiv:2405.04517, eq. 15",
    .sig = "a[t,e] b[t,e] -> y[t,e]",
    .state = "m[e] = start",
    .attrs = attrs,
    .eval = eval_scan_max,
    .cost = cost_scan_max,
};
