/* The errors of quantising one matrix: of its numbers, and of its products. */
#ifndef BTC_QUANTIZE_ERRORS_H
#define BTC_QUANTIZE_ERRORS_H

#include "collect.h"

/* Sums of squares, so that errors of several tensors can be put together. */
typedef struct MatrixError {
    double weights[2]; /* of the errors of the weights, and of the weights */
    double outputs[2]; /* the same of the products with the sampled inputs, without bias */
} MatrixError;
MatrixError error_sum(MatrixError a, MatrixError b);
/* Root of the ratio: 0 where there is nothing. */
double error_relative(const double sums[2]);

/* Of matrix tensor `i` of what was collected, in format f, with scales that weigh errors by importance
 * ([matrices, inputs], or NULL). Any thread may ask; it takes inputs * outputs * samples operations. */
MatrixError matrix_error(const Collected *c, int i, const NumberFormat *f, const float *importance);

#endif
