/* Damped oscillations: every channel drives n complex modes of its own, whose decays never change. The form
 * of diagonal state-space models without selection, and of long filters that were distilled (the pass
 * distill-filters). The state is read before it takes in the token, so that the impulse response is
 * d, Re sum_n g, Re sum_n g a, Re sum_n g a^2 ..; a model that reads afterwards has g a for g and d + Re sum
 * g for d. A real mode has no imaginary parts.
 *
 * Decays are given as a - 1: a slow mode has a near 1, where single precision would leave few digits of how
 * fast it fades. */
#include "scan_modal.h"
#include "common.h"

static void eval_scan_modal(EvalCtx *c) {
    int64_t nc = c->in[IN_RE].type.dim[0], nn = c->in[IN_RE].type.dim[1];
    const double *x = c->in[IN_X].data, *re = c->in[IN_RE].data, *im = c->in[IN_IM].data;
    const double *gre = c->in[IN_GRE].data, *gim = c->in[IN_GIM].data, *d = c->in[IN_D].data;
    double *p = state_begin(&c->in[IN_STATE_RE], &c->out[1]);
    double *q = state_begin(&c->in[IN_STATE_IM], &c->out[2]);
    for (int64_t t = 0; t < c->rows; t++)
        for (int64_t i = 0; i < nc; i++) {
            double u = x[t * nc + i], y = d ? d[i] * u : 0;
            for (int64_t k = i * nn; k < (i + 1) * nn; k++) {
                double s = p[k], r = q[k];
                y += gre[k] * s - gim[k] * r;
                p[k] = s + re[k] * s - im[k] * r + u;
                q[k] = r + im[k] * s + re[k] * r;
            }
            c->out[0].data[t * nc + i] = y;
        }
}

/* Per mode: two products and sums of the read; four products and five sums of the update. */
static Cost cost_scan_modal(const Op *op, int64_t rows) {
    return op_cost(op, rows, 13 * in_count(op, IN_RE) + 2 * out_count(op));
}

const OpDef op_scan_modal = {
    .name = "scan.modal",
    .pattern = PAT_SCAN,
    .doc = "Sum of damped oscillations: n complex modes per channel, with constant decays and gains.",
    .formula = "y_c = d_c x_c + Re sum_n (gre + i gim)_cn s_cn;  s_cn = (1 + re + i im)_cn s_cn + x_c",
    .source = "Gu et al. 2022, arXiv:2206.11893; Massaroli et al. 2023, arXiv:2310.18780, eq. 3.2",
    .sig = "x[t,c] re[c,n] im[c,n] gre[c,n] gim[c,n] d?[c] -> y[t,c]",
    .state = "sre[c,n] = 0; sim[c,n] = 0",
    .eval = eval_scan_modal,
    .cost = cost_scan_modal,
};
