/* Scans with several numbers per channel keep states and constants [c,n] in panels of channels,
 * [c/panel][n][panel]: number k of a vector of channels is one load, and a block of channels is one contiguous
 * segment. Constants lie so by PACK_PANELS. */
#ifndef BTC_OPS_SCAN_PANELS_H
#define BTC_OPS_SCAN_PANELS_H

#include "kernels/lower.h"

/* Index of number 0 of the vector of channels from i; number k is k * panel further. */
Value *panels_first(Lower *l, Value *i, int64_t n);
/* How many channels are taken at a time: in a chunk half of the nearest cache, a multiple of the panel; in a
 * step all. */
int64_t panels_block(const Lower *l, int64_t bytes_per_channel);
/* lw_staged_begin of the channels [from, to), from a multiple of the panel, to too or the end. */
void panels_staged_begin(LwStaged *h, Value *from, Value *to, int64_t n);
/* OpLowering.state_elements and state_unpack of a slot [c,n]. */
int64_t panels_elements(const LowerTarget *t, int64_t c, int64_t n);
void panels_unpack(const LowerTarget *t, int64_t c, int64_t n, const float *physical, double *logical);

#endif
