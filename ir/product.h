/* How the weights of a product are stored, and the arithmetic that it has by that. */
#ifndef BTC_IR_PRODUCT_H
#define BTC_IR_PRODUCT_H

#include "formats/arithmetic.h"
#include "op.h"

/* How the numbers of a constant are stored: as those of the weight that it only moves around, or the weights,
 * if theirs are alike; else f32. */
const NumberFormat *format_of_constant(const Value *v);
/* The arithmetic of a product with weight `w`: the op's attribute `math`, where the format of w allows it, else
 * f32. *format (or NULL): how w is stored, where it is a weight. */
const Arithmetic *arithmetic_of(const Op *op, const Value *w, const NumberFormat **format);
/* The same for the op's matrix, its first operand of two dimensions or more that no token changes. */
const Arithmetic *arithmetic_of_product(const Op *op, const NumberFormat **format);
/* The code of a weight that stands for 0 in sums of integers; these begin with -zero * (sum of the inputs). -1 where
 * the format has a minimum: then that sum itself is asked for. */
int product_zero(const NumberFormat *f);

#endif
