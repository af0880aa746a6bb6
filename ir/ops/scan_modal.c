/* Damped oscillations: every channel drives n complex modes of its own, whose decays never change. The form
 * of diagonal state-space models without selection, and of long filters that were distilled (the pass
 * distill-filters). The state is read before it takes in the token, so that the impulse response is
 * d, Re sum_n g, Re sum_n g a, Re sum_n g a^2 ..; a model that reads afterwards has g a for g and d + Re sum
 * g for d. A real mode has no imaginary parts.
 *
 * Decays are given as a - 1: a slow mode has a near 1, where single precision would leave few digits of how
 * fast it fades.
 *
 * With f and q the modes of a channel meet: the transition is diagonal plus low rank, as that of S4. */
#include "scan_modal.h"
#include "common.h"

static void eval_scan_modal(EvalCtx *c) {
    int64_t nc = c->in[IN_RE].type.dim[0], nn = c->in[IN_RE].type.dim[1];
    const double *x = c->in[IN_X].data, *re = c->in[IN_RE].data, *im = c->in[IN_IM].data;
    const double *gre = c->in[IN_GRE].data, *gim = c->in[IN_GIM].data, *d = c->in[IN_D].data;
    const double *fre = c->in[IN_FRE].data, *fim = c->in[IN_FIM].data, *qre = c->in[IN_QRE].data,
                 *qim = c->in[IN_QIM].data;
    double *p = state_begin(&c->in[IN_STATE_RE], &c->out[1]);
    double *q = state_begin(&c->in[IN_STATE_IM], &c->out[2]);
    int64_t rank = fre ? attr_int(c->op, "rank", 1) : 0;
    double *met = ARENA_ARRAY(c->scratch, double, rank);
    for (int64_t t = 0; t < c->rows; t++)
        for (int64_t i = 0; i < nc; i++) {
            double u = x[t * nc + i], y = d ? d[i] * u : 0;
            for (int64_t r = 0; r < rank; r++) {
                const double *a = qre + (i * rank + r) * nn, *b = qim + (i * rank + r) * nn;
                met[r] = 0;
                for (int64_t k = 0; k < nn; k++) met[r] += a[k] * p[i * nn + k] - b[k] * q[i * nn + k];
            }
            for (int64_t k = i * nn; k < (i + 1) * nn; k++) {
                double s = p[k], r = q[k];
                y += gre[k] * s - gim[k] * r;
                p[k] = s + re[k] * s - im[k] * r + u;
                q[k] = r + im[k] * s + re[k] * r;
                for (int64_t j = 0; j < rank; j++) {
                    int64_t at = (i * rank + j) * nn + k - i * nn;
                    p[k] += fre[at] * met[j], q[k] += fim[at] * met[j];
                }
            }
            c->out[0].data[t * nc + i] = y;
        }
}

static bool infer_scan_modal(Diag *d, Func *f, Op *op) {
    int given = 0; /* all, or none */
    (void)f;
    for (int k = IN_FRE; k <= IN_QIM; k++) given += op->in[k] != NULL;
    return given == 0 || given == 4 ||
           diag_error(d, op->loc, "scan.modal: fre, fim, qre and qim go together, and %d are given", given);
}

/* Per mode: two products and sums of the read; four products and five sums of the update; where modes meet, four of
 * both. */
static Cost cost_scan_modal(const Op *op, int64_t rows) {
    return op_cost(op, rows, 13 * in_count(op, IN_RE) + 8 * in_count(op, IN_FRE) + 2 * out_count(op));
}

static const AttrDef attrs[] = {
    {"rank", AT_INT, false, 1, ">=1 <=16", "of what is added to the diagonal, where f and q are given"},
    {0},
};

const OpDef op_scan_modal = {
    .name = "scan.modal",
    .pattern = PAT_SCAN,
    .doc = "Sum of damped oscillations: n complex modes per channel, with constant decays and gains; with f "
           "and q they "
           "meet each other.",
    .formula = "y_c = d_c x_c + Re sum_n (gre + i gim)_cn s_cn;  s_cn = (1 + re + i im)_cn s_cn + x_c + "
               "sum_r (fre + i "
               "fim)_crn Re sum_m (qre + i qim)_crm s_cm",
    .source = "Gu et al. 2022, arXiv:2206.11893; Massaroli et al. 2023, arXiv:2310.18780, eq. 3.2; "
              "Gu et al. 2022, arXiv:2111.00396 (low rank)",
    .sig = "x[t,c] re[c,n] im[c,n] gre[c,n] gim[c,n] d?[c] fre?[c,n*rank] fim?[c,n*rank] qre?[c,n*rank] "
           "qim?[c,n*rank] -> y[t,c]",
    .state = "sre[c,n] = 0; sim[c,n] = 0",
    .attrs = attrs,
    .infer = infer_scan_modal,
    .eval = eval_scan_modal,
    .cost = cost_scan_modal,
};
