/* Loops of conv.long, and how its state lies. */
#ifndef BTC_OPS_CONV_LONG_LOWER_H
#define BTC_OPS_CONV_LONG_LOWER_H

#include "kernels/lower.h"

void conv_long_lower(Lower *l, Op *op);
int64_t conv_long_state_elements(const Op *op, int slot, const LowerTarget *t);
bool conv_long_state_use(const Op *op, int slot, const LowerTarget *t, StateUse *out);
void conv_long_state_unpack(const Op *op, int slot, const LowerTarget *t, int64_t position,
                            const float *physical, double *logical);

#endif
