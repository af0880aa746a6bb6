/* The matrix state: each of h heads keeps S [p,n], writes the outer product v kT and reads S q. One op for
 * linear attention, retention, Mamba-2, GLA, RWKV 5 to 7 and the delta rules:
 *   Mamba-2      q = C, k = B, v = dt x, decay = dt A [1]
 *   RWKV-5/6     q = r, read = before, bonus = u, decay [n]
 *   RWKV-7       a = -kappa, b = kappa * icl, decay [n]
 *   gated delta  v = beta v, a = -exp(g) k, b = beta k, decay = g [1]   (a sees the state before the decay)
 */
#include "common.h"

static bool infer_scan_matrix(Diag *d, Func *f, Op *op) {
    (void)f;
    int64_t g = op->in[0]->type.dim[0], h = op->in[2]->type.dim[0];
    if (g < 1 || h % g)
        return diag_error(d, op->loc, "scan.matrix: %lld heads of v do not share %lld rows of q evenly",
                          (long long)h, (long long)g);
    if (!op->in[4] != !op->in[5])
        return diag_error(d, op->loc, "scan.matrix: operands a and b come together");
    if (op->in[6] && !reads_before(op))
        return diag_error(d, op->loc, "scan.matrix: operand bonus has a meaning only with read = before");
    return true;
}

/* One token of one head; everything points at its rows. */
typedef struct Head {
    const double *q, *k, *v, *decay, *a, *b, *bonus;
    int64_t ndecay; /* 1: the same for all n */
} Head;

static void step(const Head *x, double *S, double *y, int64_t np, int64_t nn, bool before) {
    double direct = 0; /* how much of v passes by the state */
    for (int64_t n = 0; n < nn && x->bonus; n++) direct += x->q[n] * x->bonus[n] * x->k[n];
    for (int64_t p = 0; p < np; p++) {
        double *row = S + p * nn, removed = 0, old = 0, new = 0;
        for (int64_t n = 0; n < nn && x->a; n++) removed += row[n] * x->a[n];
        for (int64_t n = 0; n < nn; n++) {
            double keep = x->decay ? exp(x->decay[x->ndecay == 1 ? 0 : n]) : 1;
            old += row[n] * x->q[n];
            row[n] = row[n] * keep + (x->b ? removed * x->b[n] : 0) + x->v[p] * x->k[n];
            new += row[n] * x->q[n];
        }
        y[p] = !before ? new : x->bonus ? old + direct * x->v[p] : old;
    }
}

static const double *at(const Tensor *t, int64_t row, int64_t index, int64_t size) {
    return t->data ? tensor_row(t, row) + index * size : NULL;
}

static void eval_scan_matrix(EvalCtx *c) {
    int64_t ng = c->in[0].type.dim[0], nn = c->in[0].type.dim[1];
    int64_t nh = c->in[2].type.dim[0], np = c->in[2].type.dim[1];
    int64_t ndecay = c->in[3].data ? c->in[3].type.dim[1] : 1;
    bool before = reads_before(c->op);
    double *S = state_begin(&c->in[7], &c->out[1]); /* [h,p,n] */
    for (int64_t t = 0; t < c->rows; t++)
        for (int64_t h = 0; h < nh; h++) {
            int64_t g = h / (nh / ng);
            Head x = {.q = at(&c->in[0], t, g, nn),
                      .k = at(&c->in[1], t, g, nn),
                      .v = at(&c->in[2], t, h, np),
                      .decay = at(&c->in[3], t, h, ndecay),
                      .a = at(&c->in[4], t, h, nn),
                      .b = at(&c->in[5], t, h, nn),
                      .bonus = at(&c->in[6], 0, h, nn),
                      .ndecay = ndecay};
            step(&x, S + h * np * nn, c->out[0].data + (t * nh + h) * np, np, nn, before);
        }
}

/* Per element of S: decay, write, read; with a rank-one correction two more products and sums. */
static Cost cost_scan_matrix(const Op *op, int64_t rows) {
    double state = (double)type_count(op->out[1]->type);
    return op_cost(op, rows, state * (op->in[4] ? 9 : 5));
}

static const AttrDef attrs[] = {
    {"read", AT_STR, false, 0, "after|before", "before: y sees the old state and the bonus"},
    {"min_decay", AT_FLOAT, false, 0, "<=0",
     "a lower bound of decay that always holds, such as -5 behind max(decay, -5); 0: none known"},
    {0},
};

const OpDef op_scan_matrix = {
    .name = "scan.matrix",
    .pattern = PAT_SCAN,
    .doc = "Recurrence with a matrix per head: decay, an optional rank-one correction, an outer product.",
    .formula = "S = S_old diag(exp(decay)) + (S_old a) bT + v kT;  y = S q;  "
               "read = before: y = S_old q + (sum_n q bonus k) v",
    .source = "Dao & Gu 2024, arXiv:2405.21060; Yang et al. 2024, arXiv:2412.06464, eq. 10; "
              "Peng et al. 2024, arXiv:2404.05892; Peng et al. 2025, arXiv:2503.14456",
    .sig = "q[t,g,n] k[t,g,n] v[t,h,p] decay?[t,h,1|n] a?[t,h,n] b?[t,h,n] bonus?[h,n] -> y[t,h,p]",
    .state = "S[h,p,n] = 0",
    .attrs = attrs,
    .infer = infer_scan_matrix,
    .eval = eval_scan_matrix,
    .cost = cost_scan_matrix,
    .tolerance = 1e-4, /* chunked forms add in another order and divide decays */
};
