/* Facts of attend for lowering. */
#ifndef BTC_OPS_ATTEND_H
#define BTC_OPS_ATTEND_H

#include "../op.h"

bool attend_in_bf16(const Op *op); /* its arithmetic: bf16 dot products, or else f32 */
double attend_scale(const Op *op); /* the factor on the scores */

#endif
