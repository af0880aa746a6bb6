/* How the states of attend lie. */
#ifndef BTC_OPS_ATTEND_LOWER_H
#define BTC_OPS_ATTEND_LOWER_H

#include "kernels/lower.h"

int64_t attend_state_elements(const Op *op, int slot, const LowerTarget *t);
bool attend_state_use(const Op *op, int slot, const LowerTarget *t, StateUse *out);
void attend_state_unpack(const Op *op, int slot, const LowerTarget *t, int64_t position,
                         const float *physical, double *logical);

#endif
