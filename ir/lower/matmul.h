/* Products of rows with packed panels: the kernel that `linear` and its relatives share. */
#ifndef BTC_MATMUL_H
#define BTC_MATMUL_H

#include "../lower.h"

/* One product y[row, o*N + c] = sum_k x[row, o*K + k] * w[c, k] (+ bias). Every output is one chain of fused
 * multiply-adds over k in order, whatever the tile, so all forms and batch sizes give the same bits. */
typedef struct Matmul {
    Value *x; /* operand; rows of K elements, per leading index o */
    Value *w; /* address of the panels */
    DType dt; /* of the panels */
    int64_t K, N;
    Value *bias; /* operand or NULL */
    Value *out;  /* result, handed to lw_write */
    Value *o;    /* leading index (and its count O), or NULL */
    int64_t O;
    Value *x_at; /* element offset of the row of x, or NULL: o*K */
} Matmul;

/* All rows of this thread's share, outputs [lo, hi) (multiples of a panel, or N). */
void matmul_rows(Lower *l, const Matmul *m, Value *lo, Value *hi);
/* One row. */
void matmul_row(Lower *l, const Matmul *m, Value *row, Value *lo, Value *hi);

#endif
