/* Axes of the ops that rearrange elements. */
#ifndef BTC_OPS_SHAPE_H
#define BTC_OPS_SHAPE_H

#include "../op.h"

/* Attribute `axis` as an index 0..rank-1; -1 when it is out of range. Negative axes count from the end. */
int axis_of(const Op *op, int rank);
/* Elements before and behind an axis in one row. */
void around_axis(Type t, int axis, int64_t *outer, int64_t *inner);

#endif
