/* What passes and lowering need to know of rope. */
#ifndef BTC_OPS_ROPE_H
#define BTC_OPS_ROPE_H

#include "../op.h"

/* How many leading components turn. */
int64_t rope_dims(const Op *op);
/* Gives an op without the operand freqs a `constant` of theta^(-2i/dims), in double. false: message filed. */
bool rope_add_freqs(Diag *d, Func *f, Op *op);

#endif
