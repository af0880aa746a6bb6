/* Loops of conv.long. */
#ifndef BTC_OPS_CONV_LONG_LOWER_H
#define BTC_OPS_CONV_LONG_LOWER_H

#include "../lower.h"

void conv_long_lower(Lower *l, Op *op);

#endif
