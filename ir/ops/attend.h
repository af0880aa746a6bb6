/* Facts of attend for lowering. */
#ifndef BTC_OPS_ATTEND_H
#define BTC_OPS_ATTEND_H

#include "../op.h"

bool attend_has_pairs(const Op *op); /* its arithmetic: products of bf16 pairs, or else f32 */
double attend_scale(const Op *op);   /* the factor on the scores */

#endif
