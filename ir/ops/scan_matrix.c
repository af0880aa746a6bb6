/* The matrix state: each of h heads keeps S [p,n], writes the outer product v kT and reads S q. One op for
 * linear attention, retention, Mamba-2, GLA, RWKV 5 to 7 and the delta rules:
 *   Mamba-2      q = C, k = B, v = dt x, decay = dt A [1]
 *   RWKV-5/6     q = r, read = before, bonus = u, decay [n]
 *   RWKV-7       a = -kappa, b = kappa * icl, decay [n]
 *   gated delta  v = beta v, a = -beta exp(g) k, decay = g [1 or n], no b   (a sees the state before the decay)
 *   Gated DeltaProduct: the same with several writes, a = -beta k from the second on
 *   Mamba-3      two writes, v = (beta x_old, gamma x), k = (B_old, B); MIMO: as many again for each rank, and reads
 */
#include "common.h"

enum { Q, K, V, DECAY, A, B, BONUS, S };

static int64_t writes(const Op *op) {
    return attr_int(op, "writes", 1);
}

static int64_t reads(const Op *op) {
    return attr_int(op, "reads", 1);
}

static bool infer_scan_matrix(Diag *d, Func *f, Op *op) {
    (void)f;
    int64_t g = op->in[Q]->type.dim[0] / reads(op), h = op->in[V]->type.dim[0] / writes(op);
    if (g < 1 || h % g)
        return diag_error(d, op->loc, "scan.matrix: %lld heads of v do not share %lld rows of q evenly",
                          (long long)h, (long long)g);
    if (op->in[B] && !op->in[A])
        return diag_error(d, op->loc, "scan.matrix: operand b has a meaning only with a");
    if (op->in[BONUS] && !reads_before(op))
        return diag_error(d, op->loc, "scan.matrix: operand bonus has a meaning only with read = before");
    if (op->in[BONUS] && (writes(op) > 1 || reads(op) > 1))
        return diag_error(d, op->loc,
                          "scan.matrix: operand bonus has a meaning only with one write and one read");
    return true;
}

typedef struct Sizes {
    int64_t g, h, n, p, ndecay;
} Sizes;

/* Row `index` of a token; NULL: the operand is absent. */
static const double *at(const EvalCtx *c, int in, int64_t token, int64_t index, int64_t size) {
    return c->in[in].data ? tensor_row(&c->in[in], token) + index * size : NULL;
}

static void decay_rows(double *state, const double *decay, const Sizes *s) {
    for (int64_t p = 0; p < s->p && decay; p++)
        for (int64_t n = 0; n < s->n; n++) state[p * s->n + n] *= exp(decay[s->ndecay == 1 ? 0 : n]);
}

/* y[p] = row p of the state times x */
static void read_rows(const double *state, const double *x, double *y, const Sizes *s) {
    for (int64_t p = 0; p < s->p; p++) {
        y[p] = 0;
        for (int64_t n = 0; n < s->n; n++) y[p] += state[p * s->n + n] * x[n];
    }
}

/* One write of head h of a token: the first one lets the state decay, behind what `a` reads. */
static void write_state(const EvalCtx *c, double *state, double *removed, int64_t t, int64_t h, int64_t w,
                        const Sizes *s) {
    int64_t group = h / (s->h / s->g) * writes(c->op) + w, head = h * writes(c->op) + w;
    const double *k = at(c, K, t, group, s->n), *v = at(c, V, t, head, s->p), *a = at(c, A, t, head, s->n),
                 *b = c->in[B].data ? at(c, B, t, head, s->n) : k;
    if (a) read_rows(state, a, removed, s);
    if (w == 0) decay_rows(state, at(c, DECAY, t, h, s->ndecay), s);
    for (int64_t p = 0; p < s->p; p++)
        for (int64_t n = 0; n < s->n; n++) state[p * s->n + n] += (a ? removed[p] * b[n] : 0) + v[p] * k[n];
}

static void read_state(const EvalCtx *c, const double *state, int64_t t, int64_t h, const Sizes *s) {
    int64_t group = h / (s->h / s->g), nr = reads(c->op);
    for (int64_t r = 0; r < nr; r++)
        read_rows(state, at(c, Q, t, group * nr + r, s->n), c->out[0].data + ((t * s->h + h) * nr + r) * s->p,
                  s);
}

/* y += (sum_n q bonus k) v: how much of v passes by the state. */
static void read_token(const EvalCtx *c, int64_t t, int64_t h, const Sizes *s) {
    int64_t group = h / (s->h / s->g);
    const double *bonus = at(c, BONUS, 0, h, s->n), *q = at(c, Q, t, group, s->n),
                 *k = at(c, K, t, group, s->n);
    double direct = 0;
    for (int64_t n = 0; n < s->n && bonus; n++) direct += q[n] * bonus[n] * k[n];
    for (int64_t p = 0; p < s->p && bonus; p++)
        c->out[0].data[(t * s->h + h) * s->p + p] += direct * at(c, V, t, h, s->p)[p];
}

static void eval_scan_matrix(EvalCtx *c) {
    Sizes s = {.g = c->in[Q].type.dim[0] / reads(c->op),
               .n = c->in[Q].type.dim[1],
               .h = c->in[V].type.dim[0] / writes(c->op),
               .p = c->in[V].type.dim[1],
               .ndecay = c->in[DECAY].data ? c->in[DECAY].type.dim[1] : 1};
    bool before = reads_before(c->op);
    double *all = state_begin(&c->in[S], &c->out[1]), *removed = ARENA_ARRAY(c->scratch, double, s.p);
    for (int64_t t = 0; t < c->rows; t++)
        for (int64_t h = 0; h < s.h; h++) {
            double *state = all + h * s.p * s.n; /* [p,n] */
            if (before) read_state(c, state, t, h, &s), read_token(c, t, h, &s);
            for (int64_t w = 0; w < writes(c->op); w++) write_state(c, state, removed, t, h, w, &s);
            if (!before) read_state(c, state, t, h, &s);
        }
}

/* Per element of S: decay, and a product and a sum for each write and read; with a rank-one correction two more for
 * each write. */
static Cost cost_scan_matrix(const Op *op, int64_t rows) {
    double state = (double)type_count(op->out[1]->type), w = (double)writes(op), r = (double)reads(op);
    return op_cost(op, rows, state * (1 + 2 * r + (op->in[A] ? 6 : 2) * w));
}

static const AttrDef attrs[] = {
    {"read", AT_STR, false, 0, "after|before", "before: y sees the old state and the bonus"},
    {"writes", AT_INT, false, 1, ">=1 <=16",
     "how often a token corrects and writes, the decay with the first: rows of k, v, a, b for each head"},
    {"reads", AT_INT, false, 1, ">=1 <=8",
     "how often a token reads the state: rows of q and y for each head"},
    {"min_decay", AT_FLOAT, false, 0, "<=0",
     "a lower bound of decay that always holds: with one above -1 or so chunks take fewer steps; 0: none "
     "known"},
    {0},
};

const OpDef op_scan_matrix = {
    .name = "scan.matrix",
    .pattern = PAT_SCAN,
    .doc = "Recurrence with a matrix per head: decay, an optional rank-one correction, an outer product.",
    .formula = "S = S_old diag(exp(decay)) + (S_old a) bT + v kT;  y = S q;  b absent: k;  "
               "further writes: S = S + (S a) bT + v kT;  "
               "read = before: y = S_old q + (sum_n q bonus k) v",
    .source = "Dao & Gu 2024, arXiv:2405.21060; Yang et al. 2024, arXiv:2412.06464, eq. 10; "
              "Peng et al. 2024, arXiv:2404.05892; Peng et al. 2025, arXiv:2503.14456",
    .sig = "q[t,g*reads,n] k[t,g*writes,n] v[t,h*writes,p] decay?[t,h,1|n] a?[t,h*writes,n] b?[t,h*writes,n] "
           "bonus?[h,n] -> y[t,h*reads,p]",
    .state = "S[h,p,n] = 0",
    .attrs = attrs,
    .infer = infer_scan_matrix,
    .eval = eval_scan_matrix,
    .cost = cost_scan_matrix,
    .tolerance = 1e-4, /* chunked forms add in another order and divide decays */
};
