/* Facts of values that do not depend on the plan. */
#ifndef BTC_PLAN_VALUES_H
#define BTC_PLAN_VALUES_H

#include "op.h"

bool value_is_constant(const Value *v); /* known at compile time */
/* Follows reshapes and slices to the value that owns the memory. */
Value *value_base(Value *v, int64_t *offset);
bool is_view(const Op *op); /* no work, the same memory */

#endif
