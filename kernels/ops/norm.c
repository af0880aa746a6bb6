/* Loops of the normalisations: ir/ops/norm.c says what they compute. */
#include "kernels/lower.h"
#include "ops/common.h"

/* sum over one group of f(x), as a scalar */
typedef Value *Term(Lower *l, Value *x, Value *shift);

static Value *sum_group(Lower *l, Op *op, Value *row, Value *o, Term *term, Value *shift) {
    LB *b = &l->b;
    int64_t groups = attr_int(op, "groups", 1), I = last_dim(op->in[0]->type) / groups;
    int64_t O = type_count(op->in[0]->type) / I;
    Value *acc = lb_var(b, lw_zero(l));
    LW_SPAN (l, row, o, O, I, ix) {
        Value *t = term(l, lw_read(l, op->in[0], &ix), shift);
        if (ix.n) t = lb_select(b, lb_cmp(b, "lt", lb_iota(b), lb_i32(b, ix.n)), t, lb_f32(b, 0));
        lb_set(b, acc, lb_add(b, lb_get(b, acc), t));
    }
    return lb_reduce(b, "add", lb_get(b, acc));
}

static Value *term_square(Lower *l, Value *x, Value *shift) {
    if (shift) x = lb_sub(&l->b, x, shift);
    return lb_mul(&l->b, x, x);
}
static Value *term_self(Lower *l, Value *x, Value *shift) {
    return (void)l, (void)shift, x;
}

/* w or b at ix. Groups inside further dimensions take turns with the parts of w. */
static Value *affine(Lower *l, const Op *op, Value *v, const Ix *ix) {
    int64_t groups = attr_int(op, "groups", 1);
    if (groups == 1 || ix->O == groups) return lw_read(l, v, ix);
    Value *part = lb_rem(&l->b, ix->o, lb_i64(&l->b, groups));
    return lw_read_flat(l, v, ix->row, lb_add(&l->b, lb_muli(&l->b, part, ix->I), ix->i), ix->n);
}

/* y = (x - shift) * scale * w + b over one group */
static void write_group(Lower *l, Op *op, Value *row, Value *o, Value *shift, Value *scale) {
    LB *b = &l->b;
    int64_t groups = attr_int(op, "groups", 1), I = last_dim(op->in[0]->type) / groups;
    int64_t O = type_count(op->in[0]->type) / I;
    LW_SPAN (l, row, o, O, I, ix) {
        Value *y = lw_read(l, op->in[0], &ix);
        if (shift) y = lb_sub(b, y, shift);
        y = lb_mul(b, y, scale);
        if (op->nin > 1 && op->in[1]) y = lb_mul(b, y, affine(l, op, op->in[1], &ix));
        if (op->nin > 2 && op->in[2]) y = lb_add(b, y, affine(l, op, op->in[2], &ix));
        lw_write(l, op->out[0], &ix, y);
    }
}

static Value *group_size(Lower *l, const Op *op) {
    return lb_f32(&l->b, (double)(last_dim(op->in[0]->type) / attr_int(op, "groups", 1)));
}

static Value *eps(Lower *l, const Op *op) {
    return lb_f32(&l->b, attr_float(op, "eps", 0));
}

/* 1 / length; of a sum that has become infinite nothing is known, and 0 would hide it. */
static Value *reciprocal(Lower *l, Value *length, Value *sum) {
    LB *b = &l->b;
    return lb_add(b, lb_div(b, lb_f32(b, 1), length), lb_sub(b, sum, sum));
}

static void lower_rms(Lower *l, Op *op) {
    LB *b = &l->b;
    LW_ROWS (l, row)
        LW_OUTER (l, e) {
            Value *mean = lb_div(b, sum_group(l, op, row, e.o, term_square, NULL), group_size(l, op));
            write_group(l, op, row, e.o, NULL, reciprocal(l, lb_sqrt(b, lb_add(b, mean, eps(l, op))), mean));
        }
}

static void lower_layer(Lower *l, Op *op) {
    LB *b = &l->b;
    LW_ROWS (l, row)
        LW_OUTER (l, e) {
            Value *mean = lb_div(b, sum_group(l, op, row, e.o, term_self, NULL), group_size(l, op));
            Value *var = lb_div(b, sum_group(l, op, row, e.o, term_square, mean), group_size(l, op));
            write_group(l, op, row, e.o, mean, reciprocal(l, lb_sqrt(b, lb_add(b, var, eps(l, op))), var));
        }
}

static void lower_l2(Lower *l, Op *op) {
    LB *b = &l->b;
    bool inside = !strcmp(attr_str(op, "mode", "inside"), "inside");
    LW_ROWS (l, row)
        LW_OUTER (l, e) {
            Value *sum = sum_group(l, op, row, e.o, term_square, NULL);
            Value *length =
                inside ? lb_sqrt(b, lb_add(b, sum, eps(l, op))) : lb_max(b, eps(l, op), lb_sqrt(b, sum));
            write_group(l, op, row, e.o, NULL, reciprocal(l, length, sum));
        }
}

const OpLowering lowering_norm_rms = {
    .lower = lower_rms,
};

const OpLowering lowering_norm_layer = {
    .lower = lower_layer,
};

const OpLowering lowering_norm_l2 = {
    .lower = lower_l2,
};
