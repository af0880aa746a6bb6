/* The loops of linear.experts. */
#ifndef BTC_OPS_LINEAR_EXPERTS_LOWER_H
#define BTC_OPS_LINEAR_EXPERTS_LOWER_H

#include "kernels/lower.h"

void linear_experts_access(const Op *op, Form form, Access *a);
void linear_experts_lower(Lower *l, Op *op);

#endif
