/* Loops of attend, and how its states lie. */
#ifndef BTC_OPS_ATTEND_LOWER_H
#define BTC_OPS_ATTEND_LOWER_H

#include "kernels/lower.h"

bool attend_has_pairs(const Op *op); /* its arithmetic: products of bf16 pairs, or else f32 */
void attend_lower(Lower *l, Op *op);
void attend_commit(Lower *l, Op *op);
void attend_access(const Op *op, Form form, Access *a);
/* The cache is of what is multiplied. */
DType attend_state_dt(const Op *op, DType asked);
int64_t attend_state_elements(const Op *op, int slot, const LowerTarget *t);
bool attend_state_use(const Op *op, int slot, const LowerTarget *t, StateUse *out);
void attend_state_unpack(const Op *op, int slot, const LowerTarget *t, int64_t position,
                         const float *physical, double *logical);

#endif
