/* Part: the gated short convolution of LFM2, Liquid AI 2025: C * conv(B * x), where one projection gives all
 * three. Dim: CW. */
#ifndef BTC_IMPORT_PART_SHORT_CONV_H
#define BTC_IMPORT_PART_SHORT_CONV_H

#include "import/import.h"

typedef struct ShortConv {
    int64_t taps;
    bool bias; /* of projections and convolution */
    const char *module;
} ShortConv;

/* out = block(in), from D to D */
void st_short_conv(ImportCtx *x, cJSON *b, const char *out, const char *in, const ShortConv *t);

#endif
