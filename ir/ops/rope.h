/* Facts of rope for passes and lowering. */
#ifndef BTC_OPS_ROPE_H
#define BTC_OPS_ROPE_H

#include "../op.h"

/* How many leading components turn. */
int64_t rope_dims(const Op *op);

#endif
