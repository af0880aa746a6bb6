/* The table of lowerings: ir/ops.def expanded, as OP_TABLE is. */
#ifndef BTC_OP_TABLE_H
#define BTC_OP_TABLE_H

#include "plan/op_lowering.h"

extern const OpLowering *const OP_LOWERINGS[OP_COUNT]; /* NULL: the op has none */
/* A record without anything for ops that have none. */
const OpLowering *op_lowering(const OpDef *def);

#endif
