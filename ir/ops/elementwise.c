/* Elementwise ops: out[i] from in[i]. Operands broadcast from the right ([3,4] with [4] and with []); T is no
 * axis: an operand without it is the same for every token. A NaN in any operand comes out as NaN. i32
 * operands (the position) are read as numbers; the result is f32, but for that of copy, which keeps its
 * operand's type. One row of a table per op: to add one, add a row here and one in ops.def. */
#include "../formula.h"
#include "common.h"

/* ---- shape and walking ---- */

static bool infer_broadcast(Diag *d, Func *f, Op *op) {
    Type y = {.kind = TY_TENSOR, .dt = DT_F32};
    for (int i = 0; i < op->nin; i++) {
        Type t = op->in[i]->type;
        y.seq = y.seq || t.seq;
        if (t.rank > y.rank) y.rank = t.rank;
    }
    for (int k = 0; k < y.rank; k++) y.dim[k] = 1;
    for (int i = 0; i < op->nin; i++) {
        Type t = op->in[i]->type;
        for (int k = 0; k < t.rank; k++) {
            int64_t *dim = &y.dim[y.rank - t.rank + k];
            if (*dim == 1) *dim = t.dim[k];
            if (t.dim[k] != 1 && t.dim[k] != *dim)
                return diag_error(d, op->loc, "%s: %s does not fit beside %s", op->def->name,
                                  type_text(f->module->arena, t),
                                  type_text(f->module->arena, op->in[0]->type));
        }
    }
    op->out[0]->type = y;
    if (op->def == &op_copy) op->out[0]->type.dt = op->in[0]->type.dt;
    return true;
}

/* Index into an operand of type t of the element `i` of a row of type y. */
static int64_t broadcast_index(Type y, Type t, int64_t i) {
    int64_t index = 0, stride = 1;
    for (int k = 0; k < y.rank; k++) {
        int64_t at = i % y.dim[y.rank - 1 - k];
        i /= y.dim[y.rank - 1 - k];
        if (k >= t.rank) continue;
        int64_t n = t.dim[t.rank - 1 - k];
        if (n != 1) index += at * stride;
        stride *= n;
    }
    return index;
}

/* An operand seen under the result's shape: at[i] is its element for element i of a row. */
typedef struct View {
    const Tensor *t;
    int64_t *at;
} View;

static View view(const EvalCtx *c, int which) {
    Type y = c->out[0].type, t = c->in[which].type;
    int64_t n = type_count(y);
    View v = {.t = &c->in[which], .at = ARENA_ARRAY(c->scratch, int64_t, n)};
    for (int64_t i = 0; i < n; i++) v.at[i] = broadcast_index(y, t, i);
    return v;
}

/* y[row,i] = expr; inside it VAL(v) is the element of view v. */
#define EACH(c, expr)                                                                                        \
    do {                                                                                                     \
        int64_t n_ = type_count((c)->out[0].type);                                                           \
        for (int64_t r_ = 0; r_ < (c)->out[0].rows; r_++)                                                    \
            for (int64_t i_ = 0; i_ < n_; i_++) (c)->out[0].data[r_ * n_ + i_] = (expr);                     \
    } while (0)
#define VAL(v) tensor_row((v).t, r_)[(v).at[i_]]

static void map1(EvalCtx *c, double (*f)(double)) {
    View x = view(c, 0);
    EACH (c, f(VAL(x)))
        ;
}
static void map2(EvalCtx *c, double (*f)(double, double)) {
    View a = view(c, 0), b = view(c, 1);
    EACH (c, f(VAL(a), VAL(b)))
        ;
}

static Cost cost_one(const Op *op, int64_t rows) {
    return op_cost(op, rows, out_count(op));
}
/* A transcendental function counts as about ten operations. */
static Cost cost_ten(const Op *op, int64_t rows) {
    return op_cost(op, rows, 10 * out_count(op));
}

/* ---- functions that need care in extreme arguments ---- */

static double sigmoid(double x) {
    return x >= 0 ? 1 / (1 + exp(-x)) : exp(x) / (1 + exp(x));
}
/* max(x,0) + log1p(exp(-|x|)) never overflows and keeps exp(x) for very negative x. */
static double softplus(double x) {
    return (x > 0 ? x : 0) + log1p(exp(-fabs(x)));
}
/* erfc keeps the digits of the left tail that 1 + erf loses. */
static double gelu(double x) {
    return 0.5 * x * erfc(-x * 0.70710678118654752440);
}
static double gelu_tanh(double x) {
    return 0.5 * x * (1 + tanh(0.79788456080286535588 * (x + 0.044715 * x * x * x)));
}

/* ---- the table ---- */

#define ELEMENTARY "elementary function"

/*     id         value           doc, source, cost */
#define UNARY_OPS(X)                                                                                         \
    X(copy, x, "The same numbers again, in memory of their own.", ELEMENTARY, cost_one)                      \
    X(neg, -x, "Sign changed.", ELEMENTARY, cost_one)                                                        \
    X(abs, fabs(x), "Absolute value.", ELEMENTARY, cost_one)                                                 \
    X(square, (x * x), "Square.", ELEMENTARY, cost_one)                                                      \
    X(sqrt, sqrt(x), "Square root.", ELEMENTARY, cost_one)                                                   \
    X(rsqrt, 1 / sqrt(x), "One over the square root.", ELEMENTARY, cost_one)                                 \
    X(exp, exp(x), "Exponential function.", ELEMENTARY, cost_ten)                                            \
    X(log, log(x), "Natural logarithm.", ELEMENTARY, cost_ten)                                               \
    X(sin, sin(x), "Sine.", ELEMENTARY, cost_ten)                                                            \
    X(cos, cos(x), "Cosine.", ELEMENTARY, cost_ten)                                                          \
    X(tanh, tanh(x), "Hyperbolic tangent.", ELEMENTARY, cost_ten)                                            \
    X(erf, erf(x), "Error function.", ELEMENTARY, cost_ten)                                                  \
    X(sigmoid, sigmoid(x), "Logistic function 1/(1+exp(-x)).", ELEMENTARY, cost_ten)                         \
    X(softplus, softplus(x), "log(1+exp(x)), exact for all x.",                                              \
      "Dugas et al. 2001, Incorporating second-order functional knowledge", cost_ten)                        \
    X(silu, (x * sigmoid(x)), "x sigmoid(x), also called swish.",                                            \
      "Hendrycks & Gimpel 2016, arXiv:1606.08415, sec. 2", cost_ten)                                         \
    X(gelu, gelu(x), "x Phi(x) with the normal distribution Phi: the erf form.",                             \
      "Hendrycks & Gimpel 2016, arXiv:1606.08415, sec. 2", cost_ten)                                         \
    X(gelu_tanh, gelu_tanh(x), "0.5 x (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3))).",                           \
      "Hendrycks & Gimpel 2016, arXiv:1606.08415, sec. 2", cost_ten)                                         \
    X(relu, x < 0 ? 0 : x, "max(x, 0).", "Nair & Hinton 2010, sec. 2.1", cost_one)

/* The same, of those that jump. */
#define STEP_OPS(X)                                                                                          \
    X(floor, floor(x), "The largest whole number that is not above x.", ELEMENTARY, cost_one)                \
    X(round, nearbyint(x), "The nearest whole number; halves to the even one.", ELEMENTARY, cost_one)

#define BINARY_OPS(X)                                                                                        \
    X(add, a + b, "Sum.", OPF_COMMUTES, cost_one)                                                            \
    X(sub, a - b, "Difference.", 0, cost_one)                                                                \
    X(mul, (a * b), "Product.", OPF_COMMUTES, cost_one)                                                      \
    X(div, a / b, "Quotient.", 0, cost_one)                                                                  \
    X(maximum, isnan(a) || a > b ? a : b, "The larger one.", OPF_COMMUTES, cost_one)                         \
    X(minimum, isnan(a) || a < b ? a : b, "The smaller one.", OPF_COMMUTES, cost_one)                        \
    X(power, pow(a, b), "a to the power b.", 0, cost_ten)                                                    \
    X(less, isunordered(a, b) ? NAN : a < b ? 1.0 : 0.0, "1 where a < b, else 0.", OPF_CHOOSES, cost_one)    \
    X(less_equal,                                                                                            \
      isunordered(a, b) ? NAN                                                                                \
      : a <= b          ? 1.0                                                                                \
                        : 0.0,                                                                                        \
      "1 where a <= b, else 0.", OPF_CHOOSES, cost_one)                                                      \
    X(equal,                                                                                                 \
      isunordered(a, b) ? NAN                                                                                \
      : a == b          ? 1.0                                                                                \
                        : 0.0,                                                                                        \
      "1 where a = b, else 0.", OPF_COMMUTES | OPF_CHOOSES, cost_one)

#define UNARY_AS(id, flags_, expr, doc_, source_, cost_)                                                     \
    static double value_##id(double x) {                                                                     \
        return expr;                                                                                         \
    }                                                                                                        \
    static void eval_##id(EvalCtx *c) {                                                                      \
        map1(c, value_##id);                                                                                 \
    }                                                                                                        \
    const OpDef op_##id = {.name = #id,                                                                      \
                           .pattern = PAT_ELEMENTWISE,                                                       \
                           .doc = doc_,                                                                      \
                           .formula = "y = " #expr,                                                          \
                           .source = source_,                                                                \
                           .sig = "x:any -> y",                                                              \
                           .flags = flags_,                                                                  \
                           .infer = infer_broadcast,                                                         \
                           .eval = eval_##id,                                                                \
                           .cost = cost_};
#define UNARY(id, ...) UNARY_AS(id, 0, __VA_ARGS__)
#define STEP(id, ...) UNARY_AS(id, OPF_CHOOSES, __VA_ARGS__)
UNARY_OPS(UNARY)
STEP_OPS(STEP)

#define BINARY(id, expr, doc_, flags_, cost_)                                                                \
    static double value_##id(double a, double b) {                                                           \
        return expr;                                                                                         \
    }                                                                                                        \
    static void eval_##id(EvalCtx *c) {                                                                      \
        map2(c, value_##id);                                                                                 \
    }                                                                                                        \
    const OpDef op_##id = {.name = #id,                                                                      \
                           .pattern = PAT_ELEMENTWISE,                                                       \
                           .doc = doc_,                                                                      \
                           .formula = "y = " #expr,                                                          \
                           .source = ELEMENTARY,                                                             \
                           .sig = "a:any b:any -> y",                                                        \
                           .flags = flags_,                                                                  \
                           .infer = infer_broadcast,                                                         \
                           .eval = eval_##id,                                                                \
                           .cost = cost_};
BINARY_OPS(BINARY)

static bool infer_per_token(Diag *d, Func *f, Op *op) {
    if (!infer_broadcast(d, f, op)) return false;
    op->out[0]->type.seq = true;
    return true;
}

static void eval_per_token(EvalCtx *c) {
    View x = view(c, 0);
    EACH (c, VAL(x))
        ;
}

const OpDef op_per_token = {
    .name = "per_token",
    .pattern = PAT_ELEMENTWISE,
    .doc =
        "The same numbers for every token: gives a constant the dimension T, for ops whose operands have it.",
    .formula = "y_t = x",
    .source = ELEMENTARY,
    .sig = "x:any -> y",
    .infer = infer_per_token,
    .eval = eval_per_token,
    .cost = cost_one,
};

static void eval_where(EvalCtx *c) {
    View cond = view(c, 0), a = view(c, 1), b = view(c, 2);
    EACH (c, isnan(VAL(cond)) ? NAN : VAL(cond) != 0 ? VAL(a) : VAL(b))
        ;
}

const OpDef op_where = {
    .name = "where",
    .pattern = PAT_ELEMENTWISE,
    .doc = "a where c is not 0, else b.",
    .formula = "y = c != 0 ? a : b",
    .source = ELEMENTARY,
    .sig = "c:any a:any b:any -> y",
    .infer = infer_broadcast,
    .eval = eval_where,
    .cost = cost_one,
};

const OpDef *elementwise_find(const char *name) {
    static const OpDef *const all[] = {
#define ROW(id, ...) &op_##id,
        UNARY_OPS(ROW) STEP_OPS(ROW) BINARY_OPS(ROW)
#undef ROW
            & op_where,
    };
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        if (!strcmp(all[i]->name, name)) return all[i];
    return NULL;
}
