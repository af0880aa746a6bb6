/* Loops of scan.modal: ir/ops/scan_modal.c says what they compute. */
#include "ops/scan_modal.h"
#include "kernels/lower.h"
#include "kernels/ops/scan_panels.h"
#include "kernels/tile.h"
#include "ops/common.h"

/* ---- lowering: a block of channels goes through all tokens before the next one, so that its modes and
 * states stay in the nearest cache. Both forms do the same sums in the same order; with f32 states
 * they agree bit for bit. At
 * some ten operations a mode, this is less work than any product form for as many modes as anybody uses. ----
 */

static void access_scan_modal(const Op *op, Form form, Access *a) {
    (void)op;
    *a = (Access){.split = SPLIT_FLAT, .rows = form == FORM_STEP};
}

enum { MOST_RANK = 16 };

typedef struct Modes {
    Value *weight[4]; /* re, im, gre, gim */
    int64_t rank;     /* 0: modes do not meet */
    Value *f[2], *q[2], *met[MOST_RANK];
    int64_t n;
    LwAccessor state[2];
} Modes;

/* met[r] = Re sum q s, of a vector of channels whose first mode is at `first` in panels of n. */
static void meet(Lower *l, Modes *m, Value *i) {
    LB *b = &l->b;
    Value *first = panels_first(l, i, m->n), *low = panels_first(l, i, m->rank * m->n), *sum[MOST_RANK];
    for (int r = 0; r < m->rank; r++) sum[r] = lb_var(b, lw_zero(l));
    KFOR (b, n, lb_i64(b, 0), lb_i64(b, m->n), 1) {
        Value *at = lb_add(b, first, lb_muli(b, n, l->t->panel)), *s[2];
        for (int k = 0; k < 2; k++) s[k] = lw_accessor_load(l, m->state[k], at, 0);
        for (int r = 0; r < m->rank; r++) {
            Value *there = lb_add(b, low, lb_muli(b, lb_addi(b, n, r * m->n), l->t->panel)), *q[2];
            for (int k = 0; k < 2; k++) q[k] = lb_load(b, DT_F32, b->lanes, m->q[k], there, 0);
            Value *y = lb_fma(b, q[0], s[0], lb_get(b, sum[r]));
            lb_set(b, sum[r], lb_fma(b, lb_neg(b, q[1]), s[1], y));
        }
    }
    for (int r = 0; r < m->rank; r++) m->met[r] = lb_get(b, sum[r]);
}

/* One mode of a vector of channels: y += Re(g s), then s = a s + x. `at`: its index in panels; low: that of the first
 * rank's f. */
static Value *one_mode(Lower *l, const Modes *m, Value *at, Value *low, Value *x, Value *y) {
    LB *b = &l->b;
    Value *w[4], *s[2];
    for (int i = 0; i < 4; i++) w[i] = lb_load(b, DT_F32, b->lanes, m->weight[i], at, 0);
    for (int i = 0; i < 2; i++) s[i] = lw_accessor_load(l, m->state[i], at, 0);
    y = lb_fma(b, w[2], s[0], y);
    y = lb_fma(b, lb_neg(b, w[3]), s[1], y);
    Value *re = lb_fma(b, lb_neg(b, w[1]), s[1], lb_fma(b, w[0], s[0], lb_add(b, s[0], x)));
    Value *im = lb_fma(b, w[1], s[0], lb_fma(b, w[0], s[1], s[1]));
    for (int r = 0; r < m->rank; r++) {
        Value *there = lb_addi(b, low, r * m->n * l->t->panel);
        re = lb_fma(b, lb_load(b, DT_F32, b->lanes, m->f[0], there, 0), m->met[r], re);
        im = lb_fma(b, lb_load(b, DT_F32, b->lanes, m->f[1], there, 0), m->met[r], im);
    }
    lw_accessor_store(l, m->state[0], at, re, 0);
    lw_accessor_store(l, m->state[1], at, im, 0);
    return y;
}

static void one_token(Lower *l, Op *op, Modes *m, const Ix *ix) {
    enum { AT_ONCE = 4 };
    LB *b = &l->b;
    int64_t nn = op->in[IN_RE]->type.dim[1], whole = nn / AT_ONCE * AT_ONCE, panel = l->t->panel;
    /* Memory is padded up to the panel, so modes are whole vectors; the last vector of x is masked. */
    Value *x = lb_splat(b, lw_read(l, op->in[IN_X], ix)), *first = panels_first(l, ix->i, nn),
          *y = lw_zero(l);
    if (op->in[IN_D]) y = lb_mul(b, lb_splat(b, lw_read(l, op->in[IN_D], ix)), x);
    if (m->rank) meet(l, m, ix->i);
    Value *sum = lb_var(b, y), *low = m->rank ? panels_first(l, ix->i, m->rank * nn) : first;
    for (int tail = 0; tail < 2; tail++) {
        int step = tail ? 1 : AT_ONCE;
        KFOR (b, n, lb_i64(b, tail ? whole : 0), lb_i64(b, tail ? nn : whole), step) {
            y = lb_get(b, sum);
            for (int i = 0; i < step; i++) {
                Value *from = lb_muli(b, lb_addi(b, n, i), panel);
                y = one_mode(l, m, lb_add(b, first, from), lb_add(b, low, from), x, y);
            }
            lb_set(b, sum, y);
        }
    }
    lw_write(l, op->out[0], ix, lb_get(b, sum));
}

static void lower_scan_modal(Lower *l, Op *op) {
    LB *b = &l->b;
    int64_t nc = op->in[IN_RE]->type.dim[0], nn = op->in[IN_RE]->type.dim[1];
    LwStaged staged[2];
    Modes m = {.n = nn, .rank = op->in[IN_FRE] ? attr_int(op, "rank", 1) : 0};
    int64_t block = panels_block(l, (6 + 4 * m.rank) * 4 * nn);
    Value *lo, *hi;
    for (int i = 0; i < 4; i++) m.weight[i] = lw_weight(l, op->in[IN_RE + i], PACK_PANELS_F32, NULL);
    for (int i = 0; i < 2 && m.rank; i++) {
        m.f[i] = lw_weight(l, op->in[IN_FRE + i], PACK_PANELS_F32, NULL);
        m.q[i] = lw_weight(l, op->in[IN_QRE + i], PACK_PANELS_F32, NULL);
    }
    for (int i = 0; i < 2; i++) staged[i] = lw_staged_new(l, op, i, block * nn);
    lw_range(l, nc, &lo, &hi);
    KFOR (b, from, lo, hi, block) {
        Value *to = lw_min_i64(l, hi, lb_addi(b, from, block));
        for (int i = 0; i < 2; i++) panels_staged_begin(&staged[i], from, to, nn);
        LW_ROWS (l, row) {
            for (int i = 0; i < 2; i++) m.state[i] = lw_staged(&staged[i], row);
            LW_PART(l, row, from, to, ix) one_token(l, op, &m, &ix);
        }
        for (int i = 0; i < 2; i++) lw_staged_end(&staged[i]);
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

const OpLowering lowering_scan_modal = {
    .lower = lower_scan_modal,
    .access = access_scan_modal,
    .state_elements = state_elements,
    .state_unpack = unpack_state,
};
