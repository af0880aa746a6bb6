/* The vector forms of the elementwise ops, one per row of the table in elementwise.c. */
#ifndef BTC_ELEMENTWISE_LOWER_H
#define BTC_ELEMENTWISE_LOWER_H

#include "kernels/lower.h"

/* In the order of the table. */
/* clang-format off */
#define ELEMENTWISE_OPS(X) \
    X(copy) X(per_token) X(neg) X(abs) X(square) X(sqrt) X(rsqrt) X(exp) X(log) X(sin) X(cos) \
    X(tanh) X(erf) X(floor) X(round) X(sigmoid) X(softplus) X(silu) X(gelu) X(gelu_tanh) X(relu) X(add) X(sub) X(mul) X(div) \
    X(maximum) X(minimum) X(power) X(less) X(less_equal) X(equal) X(where)
/* clang-format on */
#define X(id) Value *lower_##id(Lower *l, const Op *op, Value *const *in);
ELEMENTWISE_OPS(X)
#undef X

#endif
