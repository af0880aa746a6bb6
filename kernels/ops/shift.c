/* Loops of shift: ir/ops/shift.c says what they compute. */
#include "kernels/lower.h"
#include "ops/common.h"

/* The first row of a chunk and every row of a step read the state, the others the row above: of the same
 * channels, so a split by channels needs no meeting of the threads. */
static void lower_shift(Lower *l, Op *op) {
    LB *b = &l->b;
    LW_ROWS (l, row)
        LW_EACH (l, row, ix) {
            LwAccessor state = lw_state(l, op, 0, row);
            if (l->form == FORM_STEP) {
                lw_write(l, op->out[0], &ix, lw_accessor_load(l, state, ix.i, ix.n));
                continue;
            }
            Value *y = lb_var(b, lw_zero(l));
            lb_if_begin(b, lb_cmp(b, "gt", row, lb_i64(b, 0)));
            lb_set(b, y, lw_read_flat(l, op->in[0], lb_addi(b, row, -1), ix.i, ix.n));
            lb_else(b);
            lb_set(b, y, lw_accessor_load(l, state, ix.i, ix.n));
            lb_if_end(b);
            lw_write(l, op->out[0], &ix, lb_get(b, y));
        }
}

/* A step may run in every thread (replicated), so nobody writes the state before all have read it. */
static void commit_shift(Lower *l, Op *op) {
    LB *b = &l->b;
    Value *first = l->form == FORM_STEP ? l->row_lo : lb_max(b, l->row_lo, lb_addi(b, l->rows, -1));
    KFOR (b, row, first, l->row_hi, 1) {
        LW_EACH (l, row, ix) {
            Value *x = lw_read_flat(l, op->in[0], row, ix.i, ix.n);
            lw_accessor_store(l, lw_state(l, op, 0, row), ix.i, x, ix.n);
        }
    }
}

const OpLowering lowering_shift = {
    .lower = lower_shift,
    .store_state = commit_shift,
};
