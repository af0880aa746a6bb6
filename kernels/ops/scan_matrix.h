/* The loops of scan.matrix: one token at a time (scan_matrix.c) and many at once
 * (scan_matrix_chunked.c). In both a vector is a vector of values p, so nothing is ever summed across lanes,
 * and the state lies [head][n][p]. */
#ifndef BTC_OPS_SCAN_MATRIX_LOWER_H
#define BTC_OPS_SCAN_MATRIX_LOWER_H

#include "kernels/tile.h"

enum { IN_Q, IN_K, IN_V, IN_DECAY, IN_A, IN_B, IN_BONUS };
typedef enum Decay { DECAY_NONE, DECAY_HEAD, DECAY_CHANNEL } Decay;

typedef struct MatrixShape {
    int64_t g, h, n, p;    /* rows of q and k, heads, keys, values */
    int64_t writes, reads; /* of a token */
    Decay decay;
    bool rank1;  /* with a and b */
    bool before; /* y reads the old state */
} MatrixShape;
MatrixShape scan_matrix_shape(const Op *op);

/* Operand `in` of head u, from row `row` on, one row of the matrix per token. which: of its writes, or reads. b that is
 * absent is k. */
Mat scan_matrix_operand(Lower *l, Op *op, int in, Value *u, Value *row, int64_t which);
/* sum_n q bonus k of one token: how much of v passes by the state. q, k: rows [n]. */
Value *scan_matrix_direct(Lower *l, Op *op, Value *u, Mat q, Mat k, Value *row);

/* Why the chunked form would be wrong, and why it would not pay. */
const char *scan_matrix_cannot_chunk(const Op *op, const LowerTarget *t, Arena *a);
const char *scan_matrix_refuse_chunked(const Op *op, const LowerTarget *t, Arena *a);
void scan_matrix_chunked(Lower *l, Op *op);

#endif
