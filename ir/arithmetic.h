/* The arithmetic of products: how numbers are rounded before they are multiplied. */
#ifndef BTC_ARITHMETIC_H
#define BTC_ARITHMETIC_H

#include "formats/quant.h"
#include "op.h"

typedef enum Math { MATH_F32, MATH_BF16, MATH_INT8 } Math;
bool math_parse(const char *text, Math *out);
const char *math_name(Math m);
/* How the numbers of a constant are stored: as those of the weight that it only moves around, or the weights,
 * if theirs are alike; else "f32". */
const char *storage_of_constant(const Value *v);
/* The arithmetic of a product with weight `w`: the op's attribute `math`, where w is stored in a way that
 * allows it, else MATH_F32. *stored (or NULL): how w is stored, where it is a weight. */
Math math_of(const Op *op, const Value *w, Storage *stored);
/* The same for the op's matrix, its first operand of two dimensions or more that no token changes. */
Math math_of_product(const Op *op, Storage *stored);
int math_bytes(Math m); /* of a number of x */

#endif
