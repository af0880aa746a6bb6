/* Rows of indices sorted by index. */
#ifndef BTC_KERNELS_SORT_H
#define BTC_KERNELS_SORT_H

#include "lower.h"

/* The entries with index i are order[begin[i]] .. order[begin[i + 1] - 1], each row*k + j, in the order of the rows. */
typedef struct Sorted {
    Value *begin, *order; /* scratch of this thread, i32 */
} Sorted;

/* Sorts `index` [t,k] of the rows at hand: indices are below n (i64), which is at most `most`. some: an index below 0
 * is none, and its entry is left out. */
Sorted sort_indices(Lower *l, Value *index, Value *n, int64_t most, bool some);
/* An element of one of the tables, as i64. */
Value *sort_get(LB *b, Value *table, Value *i);

#endif
