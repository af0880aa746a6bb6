/* Lowering of recurrences in which every channel goes its own way: scan.diag, scan.max. */
#ifndef BTC_OPS_SCAN_CHANNELS_H
#define BTC_OPS_SCAN_CHANNELS_H

#include "kernels/lower.h"

/* The state of a vector of channels behind the token at ix, from the one before it. */
typedef Value *(*ScanNext)(Lower *l, Op *op, const Ix *ix, Value *state);

/* result 0 [t,e] = the state [e] of slot 0 behind each token, or before it. Step and chunk do the same
 * arithmetic: with f32 states they agree bit for bit. */
void scan_channels_lower(Lower *l, Op *op, ScanNext next);
void scan_channels_access(const Op *op, Form form, Access *a);

#endif
