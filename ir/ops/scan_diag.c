/* The simplest recurrence: every channel decays and takes in on its own. Covers RG-LRU, HGRN, minGRU. */
#include "common.h"
#include "tile.h"

static void eval_scan_diag(EvalCtx *c) {
    int64_t e = last_dim(c->in[0].type);
    const double *a = c->in[0].data, *b = c->in[1].data;
    double *h = state_begin(&c->in[2], &c->out[1]); /* [e] */
    for (int64_t t = 0; t < c->rows; t++)
        for (int64_t i = 0; i < e; i++) {
            h[i] = a[t * e + i] * h[i] + b[t * e + i];
            c->out[0].data[t * e + i] = h[i];
        }
}

static Cost cost_scan_diag(const Op *op, int64_t rows) {
    return op_cost(op, rows, 2 * out_count(op));
}

/* ---- lowering: both forms do the same fma, so with f32 states they agree bit for bit ---- */

static void access_scan_diag(const Op *op, Form form, Access *a) {
    (void)op;
    *a = (Access){.split = SPLIT_FLAT, .multiple = 16, .rows = form == FORM_STEP};
}

static Value *next(Lower *l, Op *op, const Ix *ix, Value *h) {
    return lb_fma(&l->b, lw_read(l, op->in[0], ix), h, lw_read(l, op->in[1], ix));
}

static void lower_by_rows(Lower *l, Op *op) {
    int64_t e = type_count(op->out[0]->type);
    LwHeld held = lw_hold(l, op, 0, e);
    Value *lo, *hi;
    lw_range(l, e, &lo, &hi);
    lw_hold_begin(&held, lo, hi);
    LW_ROWS (l, row) {
        LwCells h = lw_held(&held, row);
        LW_EACH (l, row, ix) {
            Value *y = next(l, op, &ix, lw_cells_load(l, h, ix.i, ix.n));
            lw_cells_store(l, h, ix.i, y, ix.n);
            lw_write(l, op->out[0], &ix, y);
        }
    }
    lw_hold_end(&held);
}

/* On a GPU the state of a vector of channels stays in registers over all tokens. A CPU gains nothing by that:
 * its cache hands the state out as fast as a and b come, and whole rows are what it prefetches. */
static void lower_by_channels(Lower *l, Op *op) {
    LB *b = &l->b;
    int64_t e = type_count(op->out[0]->type);
    Value *lo, *hi;
    LwCells state = lw_state(l, op, 0, l->row_lo);
    lw_range(l, e, &lo, &hi);
    TILES (l, c, lo, hi, e, b->lanes, 1) {
        Value *h = lb_var(b, lw_cells_load(l, state, c.at, c.tail));
        LW_ROWS (l, row) {
            Ix ix = {.row = row, .i = c.at, .n = c.tail, .O = 1, .I = e};
            lb_set(b, h, next(l, op, &ix, lb_get(b, h)));
            lw_write(l, op->out[0], &ix, lb_get(b, h));
        }
        lw_cells_store(l, state, c.at, lb_get(b, h), c.tail);
    }
}

static void lower_scan_diag(Lower *l, Op *op) {
    if (l->t->warp && l->form == FORM_CHUNK)
        lower_by_channels(l, op);
    else
        lower_by_rows(l, op);
}

const OpDef op_scan_diag = {
    .name = "scan.diag",
    .pattern = PAT_SCAN,
    .doc = "Elementwise linear recurrence.",
    .formula = "h_t = a_t h_(t-1) + b_t;  y_t = h_t",
    .source = "De et al. 2024, arXiv:2402.19427, eq. 4; Martin & Cundy 2018, arXiv:1709.04057",
    .sig = "a[t,e] b[t,e] -> y[t,e]",
    .state = "h[e] = 0",
    .eval = eval_scan_diag,
    .cost = cost_scan_diag,
    .lower = lower_scan_diag,
    .access = access_scan_diag,
};
