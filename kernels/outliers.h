/* Outlier correction of compressed panels (formats/compressed.h): the entries of their lists are added after the
 * kernels of products. Each gives the name of a function in l's module, written at the first call:
 *
 *     outliers_to_panel(list, from, n, out)
 *         adds to inputs [from, from + n) of a panel of bf16 at out
 *     outliers_to_sums(list, x, x_stride, rows, sums, sums_stride)
 *         adds to the sums, [rows][width], of a panel; rows of x in numbers of type x_type; strides in bytes */
#ifndef BTC_OUTLIERS_H
#define BTC_OUTLIERS_H

#include "kernels/lower.h"

const char *outliers_to_panel(Lower *l);
const char *outliers_to_sums(Lower *l, DType x_type);

#endif
