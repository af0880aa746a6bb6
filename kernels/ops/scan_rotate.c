/* Loops of scan.rotate: ir/ops/scan_rotate.c says what they compute. */
#include <string.h>

#include "kernels/ops/turn.h"
#include "ops/common.h"

static const double TWO_PI = 6.283185307179586476925;

/* A unit is a row of turn, with the heads that share it; sines and cosines are made once for all of them. */
static void access_scan_rotate(const Op *op, Form form, Access *a) {
    *a = (Access){.split = SPLIT_FLAT, .units = op->in[1]->type.dim[0], .rows = form == FORM_STEP};
}

/* The new phases of unit u, and their sines and cosines. */
static void fill_tables(Turn *r, Value *row, Value *u, LwAccessor phase) {
    Lower *l = r->l;
    LB *b = r->b;
    int64_t g = r->op->in[1]->type.dim[0];
    Value *first = lb_muli(b, u, r->planes);
    LW_SPAN (l, row, g > 1 ? u : NULL, g, r->planes, ix) {
        Value *at = lb_add(b, first, ix.i), *turn = lw_read(l, r->op->in[1], &ix);
        Value *sum = lb_add(b, lw_accessor_load(l, phase, at, ix.n), turn);
        sum = lb_sub(b, sum, lb_round(b, sum));
        lw_accessor_store(l, phase, at, sum, ix.n);
        Value *angle = lb_mul(b, sum, lb_f32(b, TWO_PI));
        lb_store(b, DT_F32, r->co, ix.i, lb_cos(b, angle), ix.n);
        lb_store(b, DT_F32, r->si, ix.i, lb_sin(b, angle), ix.n);
    }
    /* each twice, from the last on, so that none is overwritten before it is read */
    KFOR (b, k, lb_i64(b, 0), lb_i64(b, r->pairs ? r->planes : 0), 1) {
        Value *i = lb_sub(b, lb_i64(b, r->planes - 1), k), *to = lb_muli(b, i, 2);
        Value *tables[] = {r->co, r->si};
        for (int t = 0; t < 2; t++) {
            Value *x = lb_load(b, DT_F32, 0, tables[t], i, 0);
            lb_store(b, DT_F32, tables[t], to, x, 0);
            lb_store(b, DT_F32, tables[t], lb_addi(b, to, 1), x, 0);
        }
    }
}

/* Token by token: the heads of a row lie side by side. */
static void lower_scan_rotate(Lower *l, Op *op) {
    LB *b = &l->b;
    int64_t g = op->in[1]->type.dim[0], f = op->in[1]->type.dim[1];
    bool pairs = strcmp(attr_str(op, "layout", "half"), "half") != 0;
    Turn r = turn_new(l, op, f, pairs, op->in[0]->type.dim[1] / 2);
    LwStaged staged = lw_staged_new(l, op, 0, g * f);
    Value *heads = lb_i64(b, r.h / g);
    lw_staged_begin(&staged, lb_muli(b, l->unit_lo, f), lb_muli(b, l->unit_hi, f));
    LW_ROWS (l, row) {
        LwAccessor phase = lw_staged(&staged, row);
        LW_UNITS (l, u) {
            fill_tables(&r, row, u, phase);
            KFOR (b, j, lb_i64(b, 0), heads, 1) turn_head(&r, row, lb_add(b, lb_mul(b, u, heads), j));
        }
    }
    lw_staged_end(&staged);
}

const OpLowering lowering_scan_rotate = {
    .lower = lower_scan_rotate,
    .access = access_scan_rotate,
};
