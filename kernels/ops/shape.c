/* Loops of slice and concat: ir/ops/shape.c says what they compute. */
#include "ops/shape.h"
#include "kernels/lower.h"
#include "ops/common.h"

/* ---- copying pieces of rows, for what is not a view ---- */

static void access_pieces(const Op *op, Form form, Access *a) {
    (void)form;
    *a = (Access){.split = SPLIT_NONE, .rows = true};
    for (int k = 0; k < op->nin && k < ACCESS_OPERANDS; k++) a->all[k] = true;
}

/* out[to + i] = v[from + i], i < n, of one row; total: elements of a row of out */
static void copy_piece(Lower *l, Op *op, Value *v, Value *row, Value *from, Value *to, int64_t n) {
    LB *b = &l->b;
    int64_t total = type_count(op->out[0]->type);
    LW_SPAN (l, row, NULL, 1, n, ix) {
        Value *x = lw_read_flat(l, v, row, lb_add(b, from, ix.i), ix.n);
        Ix at = {.row = row, .i = lb_add(b, to, ix.i), .n = ix.n, .O = 1, .I = total};
        lw_write(l, op->out[0], &at, x);
    }
}

static void lower_slice(Lower *l, Op *op) {
    LB *b = &l->b;
    Type x = op->in[0]->type;
    int axis = axis_of(op, x.rank);
    int64_t start = attr_int(op, "start", 0), size = attr_int(op, "size", 0), outer, inner;
    around_axis(x, axis, &outer, &inner);
    LW_ROWS (l, row)
        KFOR (b, o, lb_i64(b, 0), lb_i64(b, outer), 1) {
            Value *from = lb_addi(b, lb_muli(b, o, x.dim[axis] * inner), start * inner);
            copy_piece(l, op, op->in[0], row, from, lb_muli(b, o, size * inner), size * inner);
        }
}

static void lower_concat(Lower *l, Op *op) {
    LB *b = &l->b;
    Type y = op->out[0]->type;
    int axis = axis_of(op, y.rank);
    int64_t outer, inner;
    around_axis(y, axis, &outer, &inner);
    LW_ROWS (l, row)
        KFOR (b, o, lb_i64(b, 0), lb_i64(b, outer), 1) {
            int64_t at = 0;
            for (int i = 0; i < op->nin; i++) {
                int64_t n = op->in[i]->type.dim[axis] * inner;
                Value *to = lb_addi(b, lb_muli(b, o, y.dim[axis] * inner), at);
                copy_piece(l, op, op->in[i], row, lb_muli(b, o, n), to, n);
                at += n;
            }
        }
}

const OpLowering lowering_slice = {
    .access = access_pieces,
    .lower = lower_slice,
};

const OpLowering lowering_concat = {
    .access = access_pieces,
    .lower = lower_concat,
};
