/* Keys and values of attend in memory. States, for every kv head (positions are slots; with a window the
 * ring's):
 *     k [context/PANEL, rounded up][depth][PANEL]    the scores of a vector of keys need no horizontal sum
 *     v [context][p], or of pairs [context/PANEL, rounded up][PANEL/2][p]
 * The layout does not depend on the machine's vector width. With bf16 dot products the cache holds pairs of bf16,
 * whatever type other states have: the dot products read them without conversion, and they take half the memory. */
#ifndef BTC_OPS_ATTEND_CACHE_H
#define BTC_OPS_ATTEND_CACHE_H

#include "attend_block.h"

/* Of kv head `kv` in the cache of the sequence of `row`. */
KeyValues attend_cached(const Attend *a, Value *row, Value *kv);
/* Scratch for `tokens` of the call's own keys and, of pairs, values. */
KeyValues attend_own_scratch(const Attend *a, int64_t tokens);
/* The call's own, rows [lo, hi), as keys 0 .. hi - lo. */
KeyValues attend_own(const Attend *a, const KeyValues *scratch, Value *lo, Value *hi, Value *kv);
/* The cache takes k and v of the call's tokens, kv heads [lo, hi). */
void attend_keep(const Attend *a, Value *lo, Value *hi);

#endif
