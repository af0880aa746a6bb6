/* Norms: over the mean square, with weights w or 1 + w, and over mean and variance. */
#ifndef BTC_IMPORT_NORM_H
#define BTC_IMPORT_NORM_H

#include "import/import.h"

typedef enum NormKind {
    NORM_RMS,        /* x / rms(x) * w */
    NORM_RMS_PLUS,   /* x / rms(x) * (1 + w) */
    NORM_LAYER,      /* (x - mean) / deviation * w + b */
    NORM_LAYER_PLUS, /* (x - mean) / deviation * (1 + w) */
    NORM_RMS_APART,  /* x / (rms(x) + eps) * w: eps is not under the root */
} NormKind;

typedef struct Norm {
    NormKind kind;
    double eps;
    bool no_bias;  /* NORM_LAYER without b */
    bool bare;     /* without w and b */
    const char *w; /* what the tensor of weights is called; NULL: weight */
} Norm;

/* out = norm(in), whose weights are MODULE.w (and MODULE.bias), as long as the dimension. */
void st_norm(cJSON *ops, const char *out, const char *in, const char *module, const char *dim, const Norm *n);

#endif
