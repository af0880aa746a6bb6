/* What passes and lowering need to know of rope. */
#ifndef BTC_OPS_ROPE_H
#define BTC_OPS_ROPE_H

#include "../op.h"

/* How many leading components turn. */
int64_t rope_dims(const Op *op);

#endif
