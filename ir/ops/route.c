/* Routing: choosing among experts and adding up what they say. */
#include "common.h"
#include "kernels/lower.h"

/* ---- topk ---- */

static bool infer_topk(Diag *d, Func *f, Op *op) {
    (void)f;
    int64_t e = last_dim(op->in[0]->type), k = attr_int(op, "k", 0);
    if (k < 1 || k > e)
        return diag_error(d, op->loc, "topk: k must be between 1 and e = %lld, is %lld", (long long)e,
                          (long long)k);
    return true;
}

/* Whether x goes before y: NaN before all numbers, so that it is chosen and comes out. */
static bool goes_before(double x, double y) {
    return !isnan(y) && !(x <= y);
}

/* The largest not yet chosen; strictly larger is needed to replace, so that the lowest index wins ties. */
static int64_t next_best(const double *x, int64_t e, const double *chosen, int64_t n) {
    int64_t best = -1;
    for (int64_t i = 0; i < e; i++) {
        bool used = false;
        for (int64_t j = 0; j < n; j++) used = used || chosen[j] == (double)i;
        if (!used && (best < 0 || goes_before(x[i], x[best]))) best = i;
    }
    return best;
}

static void eval_topk(EvalCtx *c) {
    int64_t e = last_dim(c->in[0].type), k = attr_int(c->op, "k", 1);
    for (int64_t t = 0; t < c->in[0].rows; t++) {
        const double *x = c->in[0].data + t * e;
        double *value = c->out[0].data + t * k, *index = c->out[1].data + t * k, sum = 0;
        for (int64_t j = 0; j < k; j++) {
            int64_t best = next_best(x, e, index, j);
            index[j] = (double)best, value[j] = x[best], sum += x[best];
        }
        for (int64_t j = 0; j < k && attr_bool(c->op, "normalize", false); j++) value[j] /= sum;
    }
}

static Cost cost_topk(const Op *op, int64_t rows) {
    return op_cost(op, rows, in_count(op, 0) * out_count(op));
}

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

static const AttrDef topk_attrs[] = {
    {"k", AT_INT, true, 0, NULL, "how many are chosen"},
    {"normalize", AT_BOOL, false, 0, NULL, "divide the values by their sum"},
    {0},
};

const OpDef op_topk = {
    .name = "topk",
    .pattern = PAT_ROW,
    .flags = OPF_CHOOSES,
    .doc = "The k largest values and their indices, largest first; the lowest index wins ties. NaN counts as "
           "the largest.",
    .formula = "value_j = x[index_j], x[index_0] >= x[index_1] >= ...",
    .source = "Shazeer et al. 2017, arXiv:1701.06538, eq. 5",
    .sig = "x[t,e] -> value[t,k] index:i32[t,k]",
    .attrs = topk_attrs,
    .infer = infer_topk,
    .eval = eval_topk,
    .lower = lower_topk,
    .cost = cost_topk,
};

/* ---- combine ---- */

static void eval_combine(EvalCtx *c) {
    int64_t k = c->in[0].type.dim[0], d = c->in[0].type.dim[1];
    for (int64_t t = 0; t < c->in[0].rows; t++)
        for (int64_t i = 0; i < d; i++) {
            double sum = 0;
            for (int64_t j = 0; j < k; j++)
                sum += c->in[1].data[t * k + j] * c->in[0].data[(t * k + j) * d + i];
            c->out[0].data[t * d + i] = sum;
        }
}

static Cost cost_combine(const Op *op, int64_t rows) {
    return op_cost(op, rows, 2 * in_count(op, 0));
}

/* Split like the experts' outputs that it sums: the same channels of every choice. */
static void access_combine(const Op *op, Form form, Access *a) {
    (void)op, (void)form;
    *a = (Access){.split = SPLIT_INNER, .multiple = 16, .rows = true, .all = {false, true}};
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

const OpDef op_combine = {
    .name = "combine",
    .pattern = PAT_ROW,
    .doc = "Weighted sum over the chosen experts.",
    .formula = "y_d = sum_k w_k x_kd",
    .source = "Shazeer et al. 2017, arXiv:1701.06538, eq. 1",
    .sig = "x[t,k,d] w[t,k] -> y[t,d]",
    .eval = eval_combine,
    .access = access_combine,
    .lower = lower_combine,
    .cost = cost_combine,
};
