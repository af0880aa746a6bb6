/* Rows of x in the form that kernels of products read (kernels.h): as they lie, or brought into a scratch of
 * this thread: padded to whole parts, rounded to bf16, or quantised. Every row is treated by itself. */
#ifndef BTC_LOWER_ROWS_H
#define BTC_LOWER_ROWS_H

#include "matmul.h"

typedef struct XRows {
    Value *p, *stride; /* of row 0; bytes from row to row */
    int64_t group;     /* bytes of one group of inputs, which has one scale */
    int64_t scales;    /* where scales begin in a row; 0: there are none */
} XRows;

/* The first `rows` rows of m, at most `most`. */
XRows rows_prepare(Lower *l, const Matmul *m, Value *rows, int64_t most);
/* Address of group `from` of row r, and of its scales (any address where there are none). */
Value *rows_at(Lower *l, const XRows *x, Value *r, Value *from);
Value *rows_scales(Lower *l, const XRows *x, Value *r, Value *from);
/* Entry r of m's list: row*O + o, i64. */
Value *rows_entry(Lower *l, const Matmul *m, Value *r);

#endif
