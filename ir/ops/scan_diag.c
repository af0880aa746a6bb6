/* The simplest recurrence: every channel decays and takes in on its own. Covers RG-LRU, HGRN, minGRU, and
 * with read = before the sums of RWKV-4. */
#include "common.h"

static void eval_scan_diag(EvalCtx *c) {
    int64_t e = last_dim(c->in[0].type);
    const double *a = c->in[0].data, *b = c->in[1].data;
    double *h = state_begin(&c->in[2], &c->out[1]); /* [e] */
    bool before = reads_before(c->op);
    for (int64_t t = 0; t < c->rows; t++)
        for (int64_t i = 0; i < e; i++) {
            double new = a[t * e + i] * h[i] + b[t * e + i];
            c->out[0].data[t * e + i] = before ? h[i] : new;
            h[i] = new;
        }
}

static Cost cost_scan_diag(const Op *op, int64_t rows) {
    return op_cost(op, rows, 2 * out_count(op));
}

static DType state_dt(const Op *op, DType asked) {
    return attr_bool(op, "exact", false) ? DT_F32 : asked;
}

static const AttrDef attrs[] = {
    {"read", AT_STR, false, 0, "after|before", "before: y is the h that the token finds"},
    {"exact", AT_BOOL, false, 0, NULL,
     "h is stored as f32 always: for sums that forget nothing, such as counts"},
    {0},
};

const OpDef op_scan_diag = {
    .name = "scan.diag",
    .pattern = PAT_SCAN,
    .doc = "Elementwise linear recurrence.",
    .formula = "h_t = a_t h_(t-1) + b_t;  y_t = h_t;  read = before: y_t = h_(t-1)",
    .source = "De et al. 2024, arXiv:2402.19427, eq. 4; Martin & Cundy 2018, arXiv:1709.04057",
    .sig = "a[t,e] b[t,e] -> y[t,e]",
    .state = "h[e] = 0",
    .attrs = attrs,
    .eval = eval_scan_diag,
    .cost = cost_scan_diag,
    .state_dt = state_dt,
};
