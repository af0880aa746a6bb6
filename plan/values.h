/* What is known of a value before any plan is made. */
#ifndef BTC_PLAN_VALUES_H
#define BTC_PLAN_VALUES_H

#include "op.h"

bool lw_is_constant(const Value *v); /* known at compile time */
/* Follows reshapes and slices to the value that owns the memory. */
Value *lw_base(Value *v, int64_t *offset);
bool is_view(const Op *op); /* no work, the same memory */

#endif
