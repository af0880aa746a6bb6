/* Products of rows with packed panels: what `linear` and its relatives share. The work is done by kernels
 * (kernels.h); here are the loops around them: rows of x are brought into the form that kernels read, tiles
 * are walked, and sums go through the epilogue while they are in the cache. */
#ifndef BTC_MATMUL_H
#define BTC_MATMUL_H

#include "kernels.h"
#include "lower.h"

/* y[row, o*N + c] = sum_k x[row, o*K + k] * w[c, k] (+ bias). Every output is one chain over k in order,
 * whatever the tile, so all forms and batch sizes give the same bits. */
typedef struct Matmul {
    Value *x;                   /* operand; rows of K elements, per leading index o */
    Value *w;                   /* address of the panels */
    const NumberFormat *format; /* of w */
    const Arithmetic *math;
    int64_t K, N;
    Value *bias;    /* operand or NULL */
    Value *bias_at; /* the element of bias where the N of this matrix begin; NULL: at o*N */
    Value *out;     /* result, handed to lw_write */
    Value *o;       /* leading index (and its count O), or NULL */
    int64_t O;
    bool one_x;   /* the same K elements of x for every o */
    Value *x_o;   /* the number of its K elements of x, where that is not o; or NULL */
    Value *begin; /* where its N outputs begin in the last axis of y, `axis` long; NULL: they are all of it */
    int64_t axis;
    /* With a list, the rows are its entries `first` .. `first + count`: i32, row*O + o; else this thread's.
     */
    Value *list, *first, *count;
} Matmul;

/* The matrix in operand `w` of op, packed as `kind`, and the op's arithmetic. */
void matmul_weights(Lower *l, const Op *op, Value *w, PackKind kind, Matmul *m);

/* Outputs [lo, hi) (multiples of a panel, or N) of all rows. */
void matmul_rows(Lower *l, const Matmul *m, Value *lo, Value *hi);
/* This thread's share of them. */
void matmul_share(Lower *l, const Matmul *m);

/* One vector x, f32[matmul_vector_length] in memory with zeros behind the K numbers, times `count` panels, of which
 * the first lies at `panel` and the others `apart` bytes from each other: sums, f32[count][panel]. count: at most
 * tuning.streams. The arithmetic is f32. */
int64_t matmul_vector_length(const Matmul *m);
void matmul_vector(Lower *l, const Matmul *m, Value *x, Value *panel, Value *apart, int count, Value *sums);

#endif
