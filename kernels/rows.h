/* Rows of x in the form that kernels of products read (kernels.h): f32 in place, or rounded, in the layout of the op
 * quantize.rows (ir/ops/quantize_rows.c). Rows that are chosen one by one (those of an expert), and f32 rows that must
 * be padded to whole parts, are copied into scratch memory of this thread. */
#ifndef BTC_LOWER_ROWS_H
#define BTC_LOWER_ROWS_H

#include "matmul.h"

/* The layout of a row of K rounded inputs: bf16; or int8, followed by {f32 scale, i32 start} for each block, where
 * start is the initial value of a kernel's integer sum. Padded with zeros to a multiple of QUANT_PART. */
typedef struct RowLayout {
    int64_t scales; /* where they begin; 0: there are none */
    int64_t bytes;  /* of all, a multiple of 64 */
} RowLayout;
RowLayout row_layout(const Arithmetic *math, int64_t block, int64_t K);

typedef struct XRows {
    Value *p, *stride;    /* of row 0; bytes from row to row */
    int64_t group;        /* bytes of one group of the weights' inputs */
    int64_t scales;       /* where scales begin in a row; 0: there are none */
    int64_t group_scales; /* bytes of those of a group */
} XRows;

/* The first `rows` rows of m, at most `most`. */
XRows rows_prepare(Lower *l, const Matmul *m, Value *rows, int64_t most);
/* Address of group `from` of row r, and of its scales (any address where there are none). */
Value *rows_at(Lower *l, const XRows *x, Value *r, Value *from);
Value *rows_scales(Lower *l, const XRows *x, Value *r, Value *from);
/* Entry r of m's list: row*O + o, i64. */
Value *rows_entry(Lower *l, const Matmul *m, Value *r);

#endif
