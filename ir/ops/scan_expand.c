/* The selective scan: each of e channels has n states of its own; B and C are shared by the channels. */
#include "common.h"

static void eval_scan_expand(EvalCtx *c) {
    int64_t ne = c->in[2].type.dim[0], nn = c->in[2].type.dim[1];
    const double *u = c->in[0].data, *dt = c->in[1].data, *A = c->in[2].data;
    const double *B = c->in[3].data, *C = c->in[4].data;
    double *h = state_begin(&c->in[5], &c->out[1]); /* [e,n] */
    for (int64_t t = 0; t < c->rows; t++)
        for (int64_t e = 0; e < ne; e++) {
            double y = 0;
            for (int64_t n = 0; n < nn; n++) {
                double *s = &h[e * nn + n];
                *s = exp(dt[t * ne + e] * A[e * nn + n]) * *s + u[t * ne + e] * B[t * nn + n];
                y += C[t * nn + n] * *s;
            }
            c->out[0].data[t * ne + e] = y;
        }
}

/* Per state: product, exp (about ten), two products and a sum, product and sum of the read. */
static Cost cost_scan_expand(const Op *op, int64_t rows) {
    return op_cost(op, rows, 16 * in_count(op, 2));
}

const OpDef op_scan_expand = {
    .name = "scan.expand",
    .pattern = PAT_SCAN,
    .doc = "Selective scan: decays exp(dt A) per channel and state, input and output vectors shared.",
    .formula = "h_en = exp(dt_e A_en) h_en + u_e B_n;  y_e = sum_n C_n h_en",
    .source = "Gu & Dao 2023, arXiv:2312.00752, eq. 2 and alg. 2",
    .sig = "u[t,e] dt[t,e] A[e,n] B[t,n] C[t,n] -> y[t,e]",
    .state = "h[e,n] = 0",
    .eval = eval_scan_expand,
    .cost = cost_scan_expand,
};
