/* Keys and values of attend in memory. States, for every kv head (positions are slots; with a window the
 * ring's):
 *     k [context/PANEL, rounded up][d][PANEL]    the scores of a vector of keys need no horizontal sum
 *     v [context][p]
 * independent of the machine's vector width. */
#ifndef BTC_OPS_ATTEND_CACHE_H
#define BTC_OPS_ATTEND_CACHE_H

#include "attend_block.h"

/* Panels and rows of kv head `kv` in the cache of the sequence of `row`. */
LwCells attend_cached_keys(const Attend *a, Value *row, Value *kv);
LwCells attend_cached_values(const Attend *a, Value *row, Value *kv);
/* Key `slot` of a kv head's panels becomes k[row, kv]. */
void attend_put_key(const Attend *a, LwCells panels, Value *slot, Value *row, Value *kv);
/* The cache takes k and v of the call's tokens, kv heads [lo, hi). */
void attend_keep(const Attend *a, Value *lo, Value *hi);

#endif
