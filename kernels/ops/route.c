/* Loops of topk and combine: ir/ops/route.c says what they compute. */
#include "kernels/lower.h"
#include "ops/common.h"

/* k passes over the scores, beside which stands what has been chosen. */
static void lower_topk(Lower *l, Op *op) {
    LB *b = &l->b;
    int64_t e = last_dim(op->in[0]->type), k = attr_int(op, "k", 1);
    Value *scores = lw_scratch(l, 4 * e), *chosen = lw_scratch(l, 4 * e), *values = lw_scratch(l, 4 * k);
    Value *zero = lb_i64(b, 0), *none = lb_i64(b, -1);
    LW_ROWS (l, row) {
        KFOR (b, i, zero, lb_i64(b, e), 1) {
            lb_store(b, DT_F32, scores, i, lw_read1(l, op->in[0], row, i), 0);
            lb_store(b, DT_I32, chosen, i, lb_i32(b, 0), 0);
        }
        Value *sum = lb_var(b, lb_f32(b, 0));
        KFOR (b, j, zero, lb_i64(b, k), 1) {
            Value *best = lb_var(b, lb_f32(b, 0)), *at = lb_var(b, none);
            KFOR (b, i, zero, lb_i64(b, e), 1) {
                Value *x = lb_load(b, DT_F32, 0, scores, i, 0), *y = lb_get(b, best);
                Value *left = lb_cmp(b, "eq", lb_load(b, DT_I32, 0, chosen, i, 0), lb_i32(b, 0));
                Value *after = lb_or(b, lb_cmp(b, "le", x, y), lb_cmp(b, "ne", y, y));
                Value *first = lb_cmp(b, "lt", lb_get(b, at), zero);
                Value *better =
                    lb_and(b, left, lb_or(b, first, lb_xor(b, after, lb_cmp(b, "eq", zero, zero))));
                lb_set(b, at, lb_select(b, better, i, lb_get(b, at)));
                lb_set(b, best, lb_select(b, better, x, lb_get(b, best)));
            }
            lb_store(b, DT_I32, chosen, lb_get(b, at), lb_i32(b, 1), 0);
            lb_store(b, DT_F32, values, j, lb_get(b, best), 0);
            lb_set(b, sum, lb_add(b, lb_get(b, sum), lb_get(b, best)));
            lw_write1(l, op->out[1], row, j, lb_cast(b, lb_get(b, at), DT_I32));
        }
        KFOR (b, j, zero, lb_i64(b, k), 1) {
            Value *v = lb_load(b, DT_F32, 0, values, j, 0);
            if (attr_bool(op, "normalize", false)) v = lb_div(b, v, lb_get(b, sum));
            Ix ix = {.row = row, .i = j, .n = 1, .O = 1, .I = k};
            lw_write(l, op->out[0], &ix, v);
        }
    }
}

/* Split like the experts' outputs that it sums: the same channels of every choice. */
static void access_combine(const Op *op, Form form, Access *a) {
    (void)op, (void)form;
    *a = (Access){.split = SPLIT_INNER, .rows = true, .all = {false, true}};
}

static void lower_combine(Lower *l, Op *op) {
    LB *b = &l->b;
    int64_t k = op->in[0]->type.dim[0], d = op->in[0]->type.dim[1];
    LW_ROWS (l, row)
        LW_EACH (l, row, ix) {
            Value *sum = lw_zero(l);
            for (int64_t j = 0; j < k; j++) {
                Value *x = lw_read_flat(l, op->in[0], row, lb_addi(b, ix.i, j * d), ix.n);
                sum = lb_fma(b, lw_read1(l, op->in[1], row, lb_i64(b, j)), x, sum);
            }
            lw_write(l, op->out[0], &ix, sum);
        }
}

const OpLowering lowering_topk = {
    .lower = lower_topk,
};

const OpLowering lowering_combine = {
    .access = access_combine,
    .lower = lower_combine,
};
