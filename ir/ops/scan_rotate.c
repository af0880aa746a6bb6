/* Turning by an angle that grows with every token, each token by as much as it says: rotary positions whose speed
 * depends on the data. With x the keys or the queries of a matrix state, this is that state with complex decays. */
#include "common.h"

#include "../perturb.h"

static bool turns_pairs(const Op *op) {
    return !strcmp(attr_str(op, "layout", "half"), "pairs");
}

static bool infer_scan_rotate(Diag *d, Func *f, Op *op) {
    (void)f;
    const int64_t *x = op->in[0]->type.dim, *turn = op->in[1]->type.dim;
    if (turn[0] < 1 || x[0] % turn[0])
        return diag_error(d, op->loc, "scan.rotate: %lld heads of x do not share %lld rows of turn evenly",
                          (long long)x[0], (long long)turn[0]);
    if (2 * turn[1] > x[1] || (!turns_pairs(op) && x[1] % 2))
        return diag_error(d, op->loc, "scan.rotate: %lld planes do not lie in %lld components%s",
                          (long long)turn[1], (long long)x[1],
                          turns_pairs(op) ? "" : ", whose number must be even");
    return true;
}

static void turn_head(const EvalCtx *c, const double *x, const double *phase, double *y) {
    int64_t d = c->in[0].type.dim[1], f = c->in[1].type.dim[1];
    bool pairs = turns_pairs(c->op);
    Perturb *off = c->env ? c->env->perturb : NULL;
    for (int64_t i = 0; i < d; i++) y[i] = x[i];
    for (int64_t i = 0; i < f; i++) {
        double angle = 2 * M_PI * phase[i];
        if (off) angle = perturb_angle(off, angle);
        int64_t p = pairs ? 2 * i : i, q = pairs ? 2 * i + 1 : i + d / 2;
        y[p] = x[p] * cos(angle) - x[q] * sin(angle);
        y[q] = x[q] * cos(angle) + x[p] * sin(angle);
    }
}

static void eval_scan_rotate(EvalCtx *c) {
    int64_t h = c->in[0].type.dim[0], d = c->in[0].type.dim[1];
    int64_t g = c->in[1].type.dim[0], f = c->in[1].type.dim[1];
    double *phase = state_begin(&c->in[2], &c->out[1]); /* [g,f] */
    for (int64_t t = 0; t < c->rows; t++) {
        for (int64_t i = 0; i < g * f; i++) {
            phase[i] += tensor_row(&c->in[1], t)[i];
            phase[i] -= nearbyint(phase[i]);
        }
        for (int64_t j = 0; j < h; j++)
            turn_head(c, tensor_row(&c->in[0], t) + j * d, phase + j / (h / g) * f,
                      c->out[0].data + (t * h + j) * d);
    }
}

/* sin and cos are shared by the heads of a row of turn. */
static Cost cost_scan_rotate(const Op *op, int64_t rows) {
    return op_cost(op, rows, 3 * out_count(op) + 24 * in_count(op, 1));
}

/* In 16 bits every token's turn would be rounded to a 256th of a turn or so, and the errors add up. */
static DType state_dt(const Op *op, DType asked) {
    (void)op, (void)asked;
    return DT_F32;
}

static const AttrDef attrs[] = {
    {"layout", AT_STR, false, 0, "half|pairs", "half: planes (i, i + d/2); pairs: (2i, 2i+1); i < f"},
    {0},
};

const OpDef op_scan_rotate = {
    .name = "scan.rotate",
    .pattern = PAT_SCAN,
    .doc = "Turns planes of each head by a running sum of turns (1: once round); the sum is kept near 0.",
    .formula =
        "phase = phase_old + turn, less its nearest whole number;  (y_p, y_q) = R(2 pi phase_i) (x_p, x_q)",
    .source =
        "Lahoti et al. 2026, Mamba-3 (rotations that depend on the data); Su et al. 2021, arXiv:2104.09864",
    .sig = "x[t,h,d] turn[t,g,f] -> y[t,h,d]",
    .state = "phase[g,f] = 0",
    .attrs = attrs,
    .infer = infer_scan_rotate,
    .eval = eval_scan_rotate,
    .cost = cost_scan_rotate,
    .state_dt = state_dt,
    .tolerance = 1e-4, /* the sum is rounded at each token */
};
