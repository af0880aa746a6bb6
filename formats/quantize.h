/* The quantizer of the formats with a bf16 scale: see NumberFormat.quantize. Scaling x by a power of two scales the
 * result. A bf16 scale has the exponents of f32, so tiny and huge blocks keep as many digits as others; with code
 * and factor it fits in an f32 without rounding. */
#ifndef BTC_FORMATS_QUANTIZE_H
#define BTC_FORMATS_QUANTIZE_H

#include "format.h"

/* Beyond these magnitudes a scale, or what a product makes of it, has no room in an f32. */
#define QUANTIZE_LOWEST 0x1p-100
#define QUANTIZE_HIGHEST 0x1p126

void quantize_block(const NumberFormat *f, const float *x, int n, const float *importance, FormatBlock *out);

#endif
