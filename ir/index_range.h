/* Ranges of indices: see index_range.c. */
#ifndef BTC_INDEX_RANGE_H
#define BTC_INDEX_RANGE_H

#include "ir.h"

/* Whether no index can leave what it chooses from; the module's attribute `context` must not be too long for
 * one that is the position. false: a message is filed. */
bool index_check(Diag *d, const Module *m);
/* The longest sequence in which every index that is the position stays in what it chooses from; 0: any. */
int64_t index_longest(const Module *m);

#endif
