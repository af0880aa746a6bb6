/* Elementwise ops on vectors: the compiled meaning of the table in elementwise.c. */
#include "kernels/lower.h"

#include <math.h>

#define SELF(id, expr)                                                                                       \
    static Value *lower_##id(Lower *l, const Op *op, Value *const *in) {                                     \
        LB *b = &l->b;                                                                                       \
        Value *x = in[0];                                                                                    \
        (void)b, (void)op, (void)x;                                                                          \
        return expr;                                                                                         \
    }
#define C(v) lb_f32(b, v)

/* 1 or 0; a NaN on either side stays one. */
static Value *compare(LB *b, const char *how, Value *x, Value *y) {
    return lb_keep_nan(b, x, lb_keep_nan(b, y, lb_select(b, lb_cmp(b, how, x, y), C(1), C(0))));
}

SELF(copy, x)
SELF(per_token, x)
SELF(neg, lb_neg(b, x))
SELF(abs, lb_abs(b, x))
SELF(square, lb_mul(b, x, x))
SELF(sqrt, lb_sqrt(b, x))
SELF(rsqrt, lb_div(b, C(1), lb_sqrt(b, x)))
SELF(exp, lb_exp(b, x))
SELF(log, lb_log(b, x))
SELF(sin, lb_sin(b, x))
SELF(cos, lb_cos(b, x))
SELF(tanh, lb_tanh(b, x))
SELF(erf, lb_erf(b, x))
SELF(floor, lb_floor(b, x))
SELF(round, lb_round(b, x))
SELF(sigmoid, lw_sigmoid(l, x))
SELF(softplus, lb_softplus(&l->b, x))
SELF(silu, lb_div(b, x, lb_add(b, C(1), lb_exp(b, lb_neg(b, x)))))
/* 0.5 x (1 + erf(x / sqrt 2)) */
SELF(gelu,
     lb_mul(b, lb_mul(b, x, C(0.5)), lb_add(b, C(1), lb_erf(b, lb_mul(b, x, C(0.70710678118654752440))))))
SELF(relu, lb_max(b, C(0), x)) /* the second operand stays where it is NaN */
SELF(add, lb_add(b, x, in[1]))
SELF(sub, lb_sub(b, x, in[1]))
SELF(mul, lb_mul(b, x, in[1]))
SELF(div, lb_div(b, x, in[1]))
SELF(maximum, lb_keep_nan(b, x, lb_max(b, x, in[1])))
SELF(minimum, lb_keep_nan(b, x, lb_min(b, x, in[1])))
SELF(less, compare(b, "lt", x, in[1]))
SELF(less_equal, compare(b, "le", x, in[1]))
SELF(equal, compare(b, "eq", x, in[1]))
SELF(where, lb_keep_nan(b, x, lb_select(b, lb_cmp(b, "ne", x, C(0)), in[1], in[2])))

/* 0.5 x (1 + tanh u) = x sigmoid(2u), u = sqrt(2/pi) (x + 0.044715 x^3): one exponential, no cancellation */
static Value *lower_gelu_tanh(Lower *l, const Op *op, Value *const *in) {
    (void)op;
    LB *b = &l->b;
    Value *x = in[0], *x2 = lb_mul(b, x, x);
    Value *u =
        lb_mul(b, x, lb_fma(b, x2, C(0.044715 * 2 * 0.79788456080286535588), C(2 * 0.79788456080286535588)));
    return lb_div(b, x, lb_add(b, C(1), lb_exp(b, lb_neg(b, u))));
}

/* a^b = exp(b log |a|), 1 when b is 0 or |a| is 1; a negative a that is finite takes whole b only. Small
 * whole powers, known when compiling, are products. */
static Value *lower_power(Lower *l, const Op *op, Value *const *in) {
    LB *b = &l->b;
    const Attr *t = op->in[1]->def ? attr_find(op->in[1]->def->attrs, "values") : NULL;
    if (t && t->kind == AT_FLOATS && t->n == 1 && fabs(t->floats[0]) <= 8 &&
        t->floats[0] == (int)t->floats[0]) {
        int n = (int)fabs(t->floats[0]);
        Value *y = n ? in[0] : C(1);
        for (int i = 1; i < n; i++) y = lb_mul(b, y, in[0]);
        return t->floats[0] < 0 ? lb_div(b, C(1), y) : y;
    }
    Value *zero = C(0), *e = in[1], *a = lb_abs(b, in[0]), *size = lb_exp(b, lb_mul(b, e, lb_log(b, a)));
    size = lb_select(b, lb_or(b, lb_cmp(b, "eq", e, zero), lb_cmp(b, "eq", a, C(1))), C(1), size);
    Value *half = lb_mul(b, e, C(0.5)), *even = lb_cmp(b, "eq", lb_floor(b, half), half);
    Value *whole = lb_cmp(b, "eq", lb_floor(b, e), e);
    whole = lb_or(b, whole, lb_cmp(b, "eq", a, C(INFINITY)));
    Value *below = lb_select(b, whole, lb_select(b, even, size, lb_neg(b, size)), C(NAN));
    return lb_select(b, lb_cmp(b, "lt", in[0], zero), below, size);
}

/* clang-format off */
#define ELEMENTWISE_OPS(X) \
    X(copy) X(per_token) X(neg) X(abs) X(square) X(sqrt) X(rsqrt) X(exp) X(log) X(sin) X(cos) \
    X(tanh) X(erf) X(floor) X(round) X(sigmoid) X(softplus) X(silu) X(gelu) X(gelu_tanh) X(relu) X(add) X(sub) X(mul) X(div) \
    X(maximum) X(minimum) X(power) X(less) X(less_equal) X(equal) X(where)
/* clang-format on */
#define X(id) const OpLowering lowering_##id = {.elem = lower_##id};
ELEMENTWISE_OPS(X)
#undef X
