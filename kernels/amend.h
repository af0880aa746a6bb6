/* What the lists of squeezed panels (squeeze.h) hold, done behind the kernels of products. Each gives the
 * name of a function in l's module, written at the first call:
 *
 *     amend_unpacked(list, from, n, out)               adds to inputs [from, from + n) of a panel of bf16 at
 * out amend_sums(list, x, x_stride, rows, sums, sums_stride)      adds to the sums, [rows][width], of a
 * panel; rows of x in numbers of type x_type; strides in bytes */
#ifndef BTC_AMEND_H
#define BTC_AMEND_H

#include "lower.h"

const char *amend_unpacked(Lower *l);
const char *amend_sums(Lower *l, DType x_type);

#endif
