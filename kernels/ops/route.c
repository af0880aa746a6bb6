/* Loops of topk, largest and combine: ir/ops/route.c says what they compute. */
#include "kernels/lower.h"
#include "ops/common.h"

/* The numbers of one choice, and beside them which of them have been chosen. */
typedef struct Choice {
    int64_t e;
    Value *scores, *chosen; /* scratch: f32, i32 */
} Choice;

static Choice choice_new(Lower *l, int64_t e) {
    return (Choice){e, lw_scratch(l, 4 * e), lw_scratch(l, 4 * (e + l->b.lanes))};
}

/* Begins with numbers [from, from + e) of a row of x, of which none is chosen. */
static void choice_begin(Lower *l, const Choice *c, Value *x, Value *row, Value *from) {
    LB *b = &l->b;
    KFOR (b, i, lb_i64(b, 0), lb_i64(b, c->e), 1) {
        lb_store(b, DT_F32, c->scores, i, lw_read1(l, x, row, lb_add(b, from, i)), 0);
        lb_store(b, DT_I32, c->chosen, i, lb_i32(b, 0), 0);
    }
}

/* Chooses the first of the largest that are left: its index. */
static Value *choose_next(Lower *l, const Choice *c) {
    LB *b = &l->b;
    Value *zero = lb_i64(b, 0), *best = lb_var(b, lb_f32(b, 0)), *at = lb_var(b, lb_i64(b, -1));
    KFOR (b, i, zero, lb_i64(b, c->e), 1) {
        Value *x = lb_load(b, DT_F32, 0, c->scores, i, 0), *y = lb_get(b, best);
        Value *left = lb_cmp(b, "eq", lb_load(b, DT_I32, 0, c->chosen, i, 0), lb_i32(b, 0));
        Value *after = lb_or(b, lb_cmp(b, "le", x, y), lb_cmp(b, "ne", y, y));
        Value *first = lb_cmp(b, "lt", lb_get(b, at), zero);
        Value *better = lb_and(b, left, lb_or(b, first, lb_xor(b, after, lb_cmp(b, "eq", zero, zero))));
        lb_set(b, at, lb_select(b, better, i, lb_get(b, at)));
        lb_set(b, best, lb_select(b, better, x, lb_get(b, best)));
    }
    lb_store(b, DT_I32, c->chosen, lb_get(b, at), lb_i32(b, 1), 0);
    return lb_get(b, at);
}

static void lower_topk(Lower *l, Op *op) {
    LB *b = &l->b;
    Value *x = op->in[0], *by = op->in[1] ? op->in[1] : x, *zero = lb_i64(b, 0);
    int64_t k = attr_int(op, "k", 1);
    Choice c = choice_new(l, last_dim(x->type));
    Value *values = lw_scratch(l, 4 * k);
    LW_ROWS (l, row) {
        choice_begin(l, &c, by, row, zero);
        Value *sum = lb_var(b, lb_f32(b, 0));
        KFOR (b, j, zero, lb_i64(b, k), 1) {
            Value *at = choose_next(l, &c), *v = lw_read1(l, x, row, at);
            lb_store(b, DT_F32, values, j, v, 0);
            lb_set(b, sum, lb_add(b, lb_get(b, sum), v));
            lw_write1(l, op->out[1], row, j, lb_cast(b, at, DT_I32));
        }
        double floor = attr_float(op, "floor", 0);
        Value *total = lb_get(b, sum);
        if (floor > 0) total = lb_add(b, total, lb_f32(b, floor));
        KFOR (b, j, zero, lb_i64(b, k), 1) {
            Value *v = lb_load(b, DT_F32, 0, values, j, 0);
            if (attr_bool(op, "normalize", false)) v = lb_div(b, v, total);
            Ix ix = {.row = row, .i = j, .n = 1, .O = 1, .I = k};
            lw_write(l, op->out[0], &ix, v);
        }
    }
}

static void lower_largest(Lower *l, Op *op) {
    LB *b = &l->b;
    Value *x = op->in[0];
    int64_t e = last_dim(x->type), O = type_count(x->type) / e;
    Choice c = choice_new(l, e);
    LW_ROWS (l, row)
        LW_OUTER (l, g) {
            choice_begin(l, &c, x, row, g.o ? lb_muli(b, g.o, e) : lb_i64(b, 0));
            KFOR (b, j, lb_i64(b, 0), lb_i64(b, attr_int(op, "k", 1)), 1) choose_next(l, &c);
            LW_SPAN (l, row, g.o, O, e, ix) {
                Value *y = lb_load(b, DT_I32, b->lanes, c.chosen, ix.i, ix.n);
                lw_write(l, op->out[0], &ix, lb_cast(b, y, DT_F32));
            }
        }
}

/* Split like the experts' outputs that it sums: the same channels of every choice. */
static void access_combine(const Op *op, Form form, Access *a) {
    (void)op, (void)form;
    *a = (Access){.split = SPLIT_INNER, .rows = true, .all = {false, true}};
}

/* sum += what choice j of the row gives */
static void add_choice(Lower *l, const Op *op, Value *row, Value *j, const Ix *ix, Value *sum) {
    LB *b = &l->b;
    Value *at = lb_add(b, ix->i, lb_muli(b, j, op->in[0]->type.dim[1]));
    Value *x = lw_read_flat(l, op->in[0], row, at, ix->n);
    lb_set(b, sum, lb_fma(b, lw_read1(l, op->in[1], row, j), x, lb_get(b, sum)));
}

static void lower_combine(Lower *l, Op *op) {
    enum { UNROLLED = 16 };
    LB *b = &l->b;
    int64_t k = op->in[0]->type.dim[0];
    LW_ROWS (l, row)
        LW_EACH (l, row, ix) {
            Value *sum = lb_var(b, lw_zero(l));
            for (int64_t j = 0; j < k && k <= UNROLLED; j++) add_choice(l, op, row, lb_i64(b, j), &ix, sum);
            if (k > UNROLLED)
                KFOR (b, j, lb_i64(b, 0), lb_i64(b, k), 1) add_choice(l, op, row, j, &ix, sum);
            lw_write(l, op->out[0], &ix, lb_get(b, sum));
        }
}

const OpLowering lowering_topk = {
    .lower = lower_topk,
};

const OpLowering lowering_largest = {
    .lower = lower_largest,
};

const OpLowering lowering_combine = {
    .access = access_combine,
    .lower = lower_combine,
};
