#include "scan_channels.h"

#include "kernels/tile.h"
#include "ops/common.h"

void scan_channels_access(const Op *op, Form form, Access *a) {
    (void)op;
    *a = (Access){.split = SPLIT_FLAT, .rows = form == FORM_STEP};
}

static void lower_by_rows(Lower *l, Op *op, ScanNext next) {
    int64_t e = type_count(op->out[0]->type);
    bool before = reads_before(op);
    LwStaged staged = lw_staged_new(l, op, 0, e);
    Value *lo, *hi;
    lw_range(l, e, &lo, &hi);
    lw_staged_begin(&staged, lo, hi);
    LW_ROWS (l, row) {
        LwAccessor h = lw_staged(&staged, row);
        LW_EACH (l, row, ix) {
            Value *old = lw_accessor_load(l, h, ix.i, ix.n);
            Value *new = next(l, op, &ix, old);
            lw_accessor_store(l, h, ix.i, new, ix.n);
            lw_write(l, op->out[0], &ix, before ? old : new);
        }
    }
    lw_staged_end(&staged);
}

/* On a GPU the state of a vector of channels stays in registers over all tokens. A CPU gains nothing by that:
 * its cache hands the state out as fast as the operands come, and whole rows are what it prefetches. */
static void lower_by_channels(Lower *l, Op *op, ScanNext next) {
    LB *b = &l->b;
    int64_t e = type_count(op->out[0]->type);
    bool before = reads_before(op);
    Value *lo, *hi;
    LwAccessor state = lw_state(l, op, 0, l->row_lo);
    lw_range(l, e, &lo, &hi);
    TILES (l, c, lo, hi, e, b->lanes, 1) {
        Value *h = lb_var(b, lw_accessor_load(l, state, c.at, c.tail));
        LW_ROWS (l, row) {
            Ix ix = {.row = row, .i = c.at, .n = c.tail, .O = 1, .I = e};
            Value *old = lb_get(b, h);
            lb_set(b, h, next(l, op, &ix, old));
            lw_write(l, op->out[0], &ix, before ? old : lb_get(b, h));
        }
        lw_accessor_store(l, state, c.at, lb_get(b, h), c.tail);
    }
}

void scan_channels_lower(Lower *l, Op *op, ScanNext next) {
    if (l->t->execution == EXECUTION_GRID && l->form == FORM_CHUNK)
        lower_by_channels(l, op, next);
    else
        lower_by_rows(l, op, next);
}
