/* Products with weights: dense, block-diagonal, and of chosen experts. */
#include "../perturb.h"
#include "../product.h"
#include "common.h"
#include "quantize_rows.h"

/* ---- arithmetic ---- */

static const AttrDef product_attrs[] = {
    {"math", AT_ARITHMETIC, false, 0, "f32|bf16|int8",
     "how inputs are rounded before they are multiplied: not at all, to bf16, or to 8 bits with a scale for "
     "as many as share one in the weights; set by the pass choose-math"},
    {0},
};

/* x[0..n), for matrix number `matrix` of operand `weight`, as the op's arithmetic takes it in. */
static const double *as_multiplied(EvalCtx *c, int weight, int64_t matrix, const double *x, int64_t n) {
    const Env *env = c->env;
    if (env && env->multiplied && c->op->out[0]->type.seq && c->op->in[weight]->def)
        env->multiplied(env->multiplied_user, c->op->in[weight]->def, c->prefix, matrix, x, n);
    const NumberFormat *format = NULL;
    const Arithmetic *math = arithmetic_of(c->op, c->op->in[weight], &format);
    bool rounds = arithmetic_rounds(math);
    Perturb *p = env && c->op->out[0]->type.seq ? env->perturb : NULL;
    if (!rounds && !p) return x;
    double *y = arena_copy(c->scratch, x, sizeof *y * (size_t)n), most = 0;
    for (int64_t i = 0; i < n && p; i++) most = fmax(most, fabs(x[i]));
    for (int64_t i = 0; i < n && p && p->rounding > 0 && rounds; i++)
        y[i] = perturb_absolute(p, y[i], p->rounding * most);
    if (rounds) quantize_row(math, arithmetic_in_bytes(math) ? format_sum(format) : n, y, n, y);
    for (int64_t i = 0; i < n && p; i++) y[i] = perturb_relative(p, y[i], perturb_size(c->op, c->rows));
    return y;
}

/* ---- linear ---- */

static void eval_linear(EvalCtx *c) {
    int64_t o = c->in[1].type.dim[0], i = c->in[1].type.dim[1];
    int64_t n = c->in[0].rows * (i > 0 ? type_count(c->in[0].type) / i : 0);
    const double *w = c->in[1].data, *b = c->in[2].data;
    for (int64_t v = 0; v < n; v++) {
        const double *x = as_multiplied(c, 1, 0, c->in[0].data + v * i, i);
        for (int64_t r = 0; r < o; r++) {
            double sum = b ? b[r] : 0;
            for (int64_t k = 0; k < i; k++) sum += w[r * i + k] * x[k];
            c->out[0].data[v * o + r] = sum;
        }
    }
}

static int64_t contracted_linear(const Op *op) {
    return last_dim(op->in[1]->type);
}

static Cost cost_linear(const Op *op, int64_t rows) {
    return op_cost(op, rows, 2 * out_count(op) * (double)contracted_linear(op));
}

const OpDef op_linear = {
    .name = "linear",
    .pattern = PAT_CONTRACT,
    .doc = "Matrix product with a weight stored [out, in], plus a bias.",
    .formula = "y_o = sum_i w_oi x_i + b_o",
    .source = "affine map",
    .sig = "x[t,*,i] w[o,i] b?[o] -> y[t,*,o]",
    .attrs = product_attrs,
    .eval = eval_linear,
    .cost = cost_linear,
    .contracted = contracted_linear,
};

/* ---- linear.blocks ---- */

static void eval_blocks(EvalCtx *c) {
    const int64_t *dim = c->in[1].type.dim;
    int64_t n = dim[0], ni = dim[1], no = dim[2];
    const double *w = c->in[1].data, *bias = c->in[2].data;
    for (int64_t t = 0; t < vector_count(&c->in[0]); t++)
        for (int64_t b = 0; b < n; b++) {
            const double *x = as_multiplied(c, 1, b, c->in[0].data + (t * n + b) * ni, ni);
            for (int64_t o = 0; o < no; o++) {
                double sum = bias ? bias[b * no + o] : 0;
                for (int64_t i = 0; i < ni; i++) sum += x[i] * w[(b * ni + i) * no + o];
                c->out[0].data[(t * n + b) * no + o] = sum;
            }
        }
}

static int64_t contracted_blocks(const Op *op) {
    return op->in[1]->type.dim[1];
}

static Cost cost_blocks(const Op *op, int64_t rows) {
    return op_cost(op, rows, 2 * out_count(op) * (double)contracted_blocks(op));
}

const OpDef op_linear_blocks = {
    .name = "linear.blocks",
    .pattern = PAT_CONTRACT,
    .doc = "Product with a block-diagonal matrix, weights stored [block, in, out].",
    .formula = "y_bo = sum_i x_bi w_bio + b_bo",
    .source = "De et al. 2024, arXiv:2402.19427, sec. 2.4 and appendix A (gates of the RG-LRU)",
    .sig = "x[t,*,n*i] w[n,i,o] b?[n,o] -> y[t,*,n*o]",
    .attrs = product_attrs,
    .eval = eval_blocks,
    .cost = cost_blocks,
    .contracted = contracted_blocks,
    .inputs_first = true,
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
            const double *x =
                as_multiplied(c, 2, (int64_t)expert, c->in[0].data + (one_x ? t : t * k + j) * ni, ni);
            const double *w = c->in[2].data + (int64_t)expert * no * ni;
            const double *bias = c->in[3].data ? c->in[3].data + (int64_t)expert * no : NULL;
            for (int64_t o = 0; o < no; o++) {
                double sum = bias ? bias[o] : 0;
                for (int64_t i = 0; i < ni; i++) sum += w[o * ni + i] * x[i];
                c->out[0].data[(t * k + j) * no + o] = sum;
            }
        }
}

static int64_t contracted_experts(const Op *op) {
    return last_dim(op->in[2]->type);
}

/* At most every expert is read, at least one per token and choice while these are few. */
static Cost cost_experts(const Op *op, int64_t rows) {
    const int64_t *dim = op->in[2]->type.dim;
    Cost c = op_cost(op, rows, 2 * out_count(op) * (double)contracted_experts(op));
    double experts = fmin((double)dim[0], (double)rows * (double)op->in[1]->type.dim[0]);
    c.weight_bytes = 4 * experts * (double)dim[1] * (double)dim[2];
    return c;
}

const OpDef op_linear_experts = {
    .name = "linear.experts",
    .pattern = PAT_CONTRACT,
    .doc = "Products with the weights of the chosen experts, plus their biases.",
    .formula = "y_ko = sum_i w[index_k]_oi x_ki (or x_i) + b[index_k]_o",
    .source = "Shazeer et al. 2017, arXiv:1701.06538, sec. 2",
    .sig = "x[t,*,i] index:i32[t,k] w[e,o,i] b?[e,o] -> y[t,k,o]",
    .infer = infer_experts,
    .attrs = product_attrs,
    .eval = eval_experts,
    .cost = cost_experts,
    .contracted = contracted_experts,
};
