/* Damped oscillations: every channel drives n complex modes of its own, whose decays never change. The form
 * of diagonal state-space models without selection, and of long filters that were distilled (the pass
 * distill-filters). The state is read before it takes in the token, so that the impulse response is
 * d, Re sum_n g, Re sum_n g a, Re sum_n g a^2 ..; a model that reads afterwards has g a for g and d + Re sum
 * g for d. A real mode has no imaginary parts.
 *
 * Decays are given as a - 1: a slow mode has a near 1, where single precision would leave few digits of how
 * fast it fades. */
#include "common.h"
#include "kernels/ops/scan_panels.h"
#include "kernels/tile.h"

enum { IN_X, IN_RE, IN_IM, IN_GRE, IN_GIM, IN_D, IN_STATE_RE, IN_STATE_IM };

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

/* ---- lowering: a block of channels goes through all tokens before the next one, so that its modes and
 * states stay in the nearest cache. Both forms do the same sums in the same order; with f32 states
 * they agree bit for bit. At
 * some ten operations a mode, this is less work than any product form for as many modes as anybody uses. ----
 */

static void access_scan_modal(const Op *op, Form form, Access *a) {
    (void)op;
    *a = (Access){.split = SPLIT_FLAT, .multiple = 16, .rows = form == FORM_STEP};
}

typedef struct Modes {
    Value *weight[4]; /* re, im, gre, gim */
    LwCells state[2];
} Modes;

/* One mode of a vector of channels: y += Re(g s), then s = a s + x. `at`: its index in panels. */
static Value *one_mode(Lower *l, const Modes *m, Value *at, Value *x, Value *y) {
    LB *b = &l->b;
    Value *w[4], *s[2];
    for (int i = 0; i < 4; i++) w[i] = lb_load(b, DT_F32, b->lanes, m->weight[i], at, 0);
    for (int i = 0; i < 2; i++) s[i] = lw_cells_load(l, m->state[i], at, 0);
    y = lb_fma(b, w[2], s[0], y);
    y = lb_fma(b, lb_neg(b, w[3]), s[1], y);
    Value *re = lb_fma(b, lb_neg(b, w[1]), s[1], lb_fma(b, w[0], s[0], lb_add(b, s[0], x)));
    Value *im = lb_fma(b, w[1], s[0], lb_fma(b, w[0], s[1], s[1]));
    lw_cells_store(l, m->state[0], at, re, 0);
    lw_cells_store(l, m->state[1], at, im, 0);
    return y;
}

static void one_token(Lower *l, Op *op, const Modes *m, const Ix *ix) {
    enum { AT_ONCE = 4 };
    LB *b = &l->b;
    int64_t nn = op->in[IN_RE]->type.dim[1], whole = nn / AT_ONCE * AT_ONCE, panel = l->t->panel;
    /* Memory is padded up to the panel, so modes are whole vectors; the last vector of x is masked. */
    Value *x = lb_splat(b, lw_read(l, op->in[IN_X], ix)), *first = panels_first(l, ix->i, nn),
          *y = lw_zero(l);
    if (op->in[IN_D]) y = lb_mul(b, lb_splat(b, lw_read(l, op->in[IN_D], ix)), x);
    Value *sum = lb_var(b, y);
    for (int tail = 0; tail < 2; tail++) {
        int step = tail ? 1 : AT_ONCE;
        KFOR (b, n, lb_i64(b, tail ? whole : 0), lb_i64(b, tail ? nn : whole), step) {
            y = lb_get(b, sum);
            for (int i = 0; i < step; i++)
                y = one_mode(l, m, lb_add(b, first, lb_muli(b, lb_addi(b, n, i), panel)), x, y);
            lb_set(b, sum, y);
        }
    }
    lw_write(l, op->out[0], ix, lb_get(b, sum));
}

static void lower_scan_modal(Lower *l, Op *op) {
    LB *b = &l->b;
    int64_t nc = op->in[IN_RE]->type.dim[0], nn = op->in[IN_RE]->type.dim[1];
    int64_t block = panels_block(l, 6 * 4 * nn);
    LwHeld held[2];
    Modes m;
    Value *lo, *hi;
    for (int i = 0; i < 4; i++) m.weight[i] = lw_weight(l, op->in[IN_RE + i], PACK_PANELS_F32, NULL);
    for (int i = 0; i < 2; i++) held[i] = lw_hold(l, op, i, block * nn);
    lw_range(l, nc, &lo, &hi);
    KFOR (b, from, lo, hi, block) {
        Value *to = lw_min_i64(l, hi, lb_addi(b, from, block));
        for (int i = 0; i < 2; i++) panels_hold(&held[i], from, to, nn);
        LW_ROWS (l, row) {
            for (int i = 0; i < 2; i++) m.state[i] = lw_held(&held[i], row);
            LW_PART(l, row, from, to, ix) one_token(l, op, &m, &ix);
        }
        for (int i = 0; i < 2; i++) lw_hold_end(&held[i]);
    }
}

static int64_t state_elements(const Op *op, int slot, const LowerTarget *t) {
    (void)slot;
    return panels_elements(t, op->in[IN_RE]->type.dim[0], op->in[IN_RE]->type.dim[1]);
}

static void unpack_state(const Op *op, int slot, const LowerTarget *t, int64_t position,
                         const float *physical, double *logical) {
    (void)slot, (void)position;
    panels_unpack(t, op->in[IN_RE]->type.dim[0], op->in[IN_RE]->type.dim[1], physical, logical);
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
    .lower = lower_scan_modal,
    .access = access_scan_modal,
    .state_elements = state_elements,
    .state_unpack = unpack_state,
};
