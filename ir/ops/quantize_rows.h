/* What becomes of the inputs of products whose arithmetic is narrower than f32: see the op quantize.rows. */
#ifndef BTC_OPS_QUANTIZE_ROWS_H
#define BTC_OPS_QUANTIZE_ROWS_H

#include "formats/arithmetic.h"
#include "op.h"

/* y[0..n), numbers that are multiplied together, as the kernels of `math` take x in: to the nearest bf16, or
 * in blocks of `block` to the nearest multiple of the 127th part of the largest magnitude there; ties to
 * even. f32: as they are. */
void quantize_row(const Arithmetic *math, int64_t block, const double *x, int64_t n, double *y);

/* What the op says, and how many numbers it treats as one row. */
typedef struct Rounding {
    const Arithmetic *math;
    int64_t block, zero;
    int64_t K, lead; /* per token: lead rows of K numbers */
    bool parts;      /* the last dimension has several */
} Rounding;
Rounding rounding_of(const Op *op);

#endif
