/* Products with weights: dense, block-diagonal, and of chosen experts. */
#include "../lower/matmul.h"
#include "common.h"

/* ---- linear ---- */

static void eval_linear(EvalCtx *c) {
    int64_t o = c->in[1].type.dim[0], i = c->in[1].type.dim[1];
    int64_t n = c->in[0].rows * (i > 0 ? type_count(c->in[0].type) / i : 0);
    const double *w = c->in[1].data, *b = c->in[2].data;
    for (int64_t v = 0; v < n; v++) {
        const double *x = c->in[0].data + v * i;
        for (int64_t r = 0; r < o; r++) {
            double sum = b ? b[r] : 0;
            for (int64_t k = 0; k < i; k++) sum += w[r * i + k] * x[k];
            c->out[0].data[v * o + r] = sum;
        }
    }
}

static Cost cost_linear(const Op *op, int64_t rows) {
    return op_cost(op, rows, 2 * out_count(op) * (double)last_dim(op->in[1]->type));
}

/* By outputs: a unit is one panel of weights. With leading dimensions, the same outputs of every index. */
static void access_linear(const Op *op, Form form, Access *a) {
    (void)form;
    *a = (Access){.split = op->in[0]->type.rank > 1 ? SPLIT_INNER : SPLIT_FLAT, .rows = true, .all = {true}};
    a->multiple = 16;
}

static void lower_linear(Lower *l, Op *op) {
    Type x = op->in[0]->type;
    int64_t o = op->in[1]->type.dim[0], i = op->in[1]->type.dim[1], lead = i ? type_count(x) / i : 1;
    Matmul m = {.x = op->in[0], .K = i, .N = o, .bias = op->in[2], .out = op->out[0], .O = lead};
    Value *lo, *hi;
    m.w = lw_weight(l, op->in[1], PACK_PANELS, &m.dt);
    lw_range(l, o, &lo, &hi);
    if (lead == 1) {
        matmul_rows(l, &m, lo, hi);
        return;
    }
    KFOR(&l->b, k, lb_i64(&l->b, 0), lb_i64(&l->b, lead), 1) {
        m.o = k;
        matmul_rows(l, &m, lo, hi);
    }
}

const OpDef op_linear = {
    .name = "linear",
    .pattern = PAT_CONTRACT,
    .doc = "Matrix product with a weight stored [out, in], plus a bias.",
    .formula = "y_o = sum_i w_oi x_i + b_o",
    .source = "affine map",
    .sig = "x[t,*,i] w[o,i] b?[o] -> y[t,*,o]",
    .eval = eval_linear,
    .cost = cost_linear,
    .access = access_linear,
    .lower = lower_linear,
};

/* Bytes of one matrix of o outputs by i inputs, packed in panels. */
static int64_t panels_bytes(const Lower *l, int64_t o, int64_t i, DType dt) {
    int64_t panel = l->t->panel;
    return (o + panel - 1) / panel * panel * i * (int64_t)dtype_size(dt);
}

/* ---- linear.blocks ---- */

static void eval_blocks(EvalCtx *c) {
    const int64_t *dim = c->in[1].type.dim;
    int64_t n = dim[0], ni = dim[1], no = dim[2];
    const double *w = c->in[1].data, *bias = c->in[2].data;
    for (int64_t t = 0; t < c->in[0].rows; t++)
        for (int64_t b = 0; b < n; b++) {
            const double *x = c->in[0].data + (t * n + b) * ni;
            for (int64_t o = 0; o < no; o++) {
                double sum = bias ? bias[b * no + o] : 0;
                for (int64_t i = 0; i < ni; i++) sum += x[i] * w[(b * ni + i) * no + o];
                c->out[0].data[(t * n + b) * no + o] = sum;
            }
        }
}

static Cost cost_blocks(const Op *op, int64_t rows) {
    return op_cost(op, rows, 2 * out_count(op) * (double)op->in[1]->type.dim[1]);
}

/* A unit is a block: it reads its own part of x only. */
static void access_blocks(const Op *op, Form form, Access *a) {
    (void)form;
    *a = (Access){.split = SPLIT_FLAT, .units = op->in[1]->type.dim[0], .rows = true};
}

static void lower_blocks(Lower *l, Op *op) {
    LB *b = &l->b;
    const int64_t *dim = op->in[1]->type.dim;
    Matmul m = {.x = op->in[0], .K = dim[1], .N = dim[2], .bias = op->in[2], .out = op->out[0], .O = dim[0]};
    Value *w = lw_weight(l, op->in[1], PACK_PANELS_IO, &m.dt);
    int64_t block_bytes = panels_bytes(l, dim[2], dim[1], m.dt);
    LW_UNITS (l, u) {
        m.o = u, m.w = lb_offset(b, w, lb_muli(b, u, block_bytes));
        matmul_rows(l, &m, lb_i64(b, 0), lb_i64(b, m.N));
    }
}

const OpDef op_linear_blocks = {
    .name = "linear.blocks",
    .pattern = PAT_CONTRACT,
    .doc = "Product with a block-diagonal matrix, weights stored [block, in, out].",
    .formula = "y_bo = sum_i x_bi w_bio + b_bo",
    .source = "De et al. 2024, arXiv:2402.19427, sec. 2.4 and appendix A (gates of the RG-LRU)",
    .sig = "x[t,n*i] w[n,i,o] b?[n,o] -> y[t,n*o]",
    .eval = eval_blocks,
    .cost = cost_blocks,
    .access = access_blocks,
    .lower = lower_blocks,
};

/* ---- linear.experts ---- */

static bool infer_experts(Diag *d, Func *f, Op *op) {
    Type x = op->in[0]->type, index = op->in[1]->type;
    if (x.rank == 1 || (x.rank == 2 && x.dim[0] == index.dim[0])) return true;
    return diag_error(d, op->loc, "linear.experts: operand x must be [T,i] or [T,k,i] with k = %lld, is %s",
                      (long long)index.dim[0], type_text(f->module->arena, x));
}

static void eval_experts(EvalCtx *c) {
    const int64_t *dim = c->in[2].type.dim;
    int64_t e = dim[0], no = dim[1], ni = dim[2], k = c->in[1].type.dim[0];
    bool one_x = c->in[0].type.rank == 1; /* all chosen experts read the same x */
    for (int64_t t = 0; t < c->in[0].rows; t++)
        for (int64_t j = 0; j < k; j++) {
            double expert = c->in[1].data[t * k + j];
            if (!(expert >= 0 && expert < (double)e)) {
                c->error = "an expert index is out of range";
                return;
            }
            const double *x = c->in[0].data + (one_x ? t : t * k + j) * ni;
            const double *w = c->in[2].data + (int64_t)expert * no * ni;
            for (int64_t o = 0; o < no; o++) {
                double sum = 0;
                for (int64_t i = 0; i < ni; i++) sum += w[o * ni + i] * x[i];
                c->out[0].data[(t * k + j) * no + o] = sum;
            }
        }
}

/* At most every expert is read, at least one per token and choice while these are few. */
static Cost cost_experts(const Op *op, int64_t rows) {
    const int64_t *dim = op->in[2]->type.dim;
    Cost c = op_cost(op, rows, 2 * out_count(op) * (double)dim[2]);
    double experts = fmin((double)dim[0], (double)rows * (double)op->in[1]->type.dim[0]);
    c.weight_bytes = 4 * experts * (double)dim[1] * (double)dim[2];
    return c;
}

/* By outputs of every chosen expert: each thread reads its panels of them all. */
static void access_experts(const Op *op, Form form, Access *a) {
    (void)op, (void)form;
    *a = (Access){.split = SPLIT_INNER, .multiple = 16, .rows = true, .all = {true, true}};
}

/* The product of one row with expert `expert`, outputs [lo, hi). */
static void expert_row(Lower *l, Op *op, Matmul m, Value *row, Value *j, Value *expert, Value *lo, Value *hi) {
    LB *b = &l->b;
    m.o = j;
    m.w = lb_offset(b, m.w, lb_muli(b, expert, panels_bytes(l, m.N, m.K, m.dt)));
    if (op->in[0]->type.rank == 1) m.x_at = lb_i64(b, 0);
    matmul_row(l, &m, row, lo, hi);
}

/* Over many tokens: a few panels of one expert are read from memory once for all rows that chose it. */
static void lower_experts_grouped(Lower *l, Op *op, const Matmul *m, Value *lo, Value *hi) {
    LB *b = &l->b;
    int64_t some = 4 * l->t->panel;
    Value *zero = lb_i64(b, 0), *experts = lb_i64(b, op->in[2]->type.dim[0]);
    KFOR (b, at, lo, hi, some)
        KFOR (b, e, zero, experts, 1)
            LW_ROWS (l, row)
                KFOR (b, j, zero, lb_i64(b, m->O), 1) {
                    Value *chosen = lb_cast(b, lw_read1(l, op->in[1], row, j), DT_I64);
                    lb_if_begin(b, lb_cmp(b, "eq", chosen, e));
                    expert_row(l, op, *m, row, j, e, at, lw_min_i64(l, lb_addi(b, at, some), hi));
                    lb_if_end(b);
                }
}

static void lower_experts(Lower *l, Op *op) {
    LB *b = &l->b;
    const int64_t *dim = op->in[2]->type.dim;
    int64_t k = op->in[1]->type.dim[0];
    Matmul m = {.x = op->in[0], .K = dim[2], .N = dim[1], .out = op->out[0], .O = k};
    Value *lo, *hi;
    m.w = lw_weight(l, op->in[2], PACK_PANELS, &m.dt);
    lw_range(l, m.N, &lo, &hi);
    if (l->form == FORM_CHUNK) {
        lower_experts_grouped(l, op, &m, lo, hi);
        return;
    }
    LW_ROWS (l, row)
        KFOR (b, j, lb_i64(b, 0), lb_i64(b, k), 1) {
            Value *expert = lb_cast(b, lw_read1(l, op->in[1], row, j), DT_I64);
            expert_row(l, op, m, row, j, expert, lo, hi);
        }
}

const OpDef op_linear_experts = {
    .name = "linear.experts",
    .pattern = PAT_CONTRACT,
    .doc = "Products with the weights of the chosen experts.",
    .formula = "y_ko = sum_i w[index_k]_oi x_ki (or x_i)",
    .source = "Shazeer et al. 2017, arXiv:1701.06538, sec. 2",
    .sig = "x[t,*,i] index:i32[t,k] w[e,o,i] -> y[t,k,o]",
    .infer = infer_experts,
    .eval = eval_experts,
    .cost = cost_experts,
    .access = access_experts,
    .lower = lower_experts,
};
