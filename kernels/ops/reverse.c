/* Loops of reverse: ir/ops/reverse.c says what they compute. */
#include "kernels/lower.h"
#include "ops/common.h"

/* Rows need each other, channels do not. */
static void access_reverse(const Op *op, Form form, Access *a) {
    (void)op, (void)form;
    *a = (Access){.split = SPLIT_FLAT};
}

static void lower_reverse(Lower *l, Op *op) {
    LB *b = &l->b;
    Value *last = lb_addi(b, l->rows, -1);
    LW_ROWS (l, row) {
        Value *from = lb_sub(b, last, row);
        LW_EACH (l, row, ix) {
            Value *at = ix.o ? lb_add(b, lb_muli(b, ix.o, ix.I), ix.i) : ix.i;
            lw_write(l, op->out[0], &ix, lw_read_flat(l, op->in[0], from, at, ix.n));
        }
    }
}

const OpLowering lowering_reverse = {
    .lower = lower_reverse,
    .access = access_reverse,
};
