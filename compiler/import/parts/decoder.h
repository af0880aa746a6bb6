/* The block of most decoders: attention, then an MLP or a mixture of experts, each with a pre-norm and a residual
 * connection. */
#ifndef BTC_IMPORT_DECODER_H
#define BTC_IMPORT_DECODER_H

#include "import/parts/attention.h"
#include "import/parts/experts.h"

/* x = x + scale * (mlp or, if there are any, experts)(norm(x)). scale 0: none. */
void st_feed_forward(ImportCtx *x, cJSON *ops, const char *norm, const Norm *n, const Mlp *mlp,
                     const Experts *e, double scale);

typedef struct Decoder {
    Norm norm;
    Attention attention;
    const Mlp *mlp;
    const Experts *experts; /* in place of mlp, or NULL */
    double residual;        /* a factor on both branches; 0: none */
} Decoder;

/* A block of that name, with the names of norms that transformers gives. */
void decoder_block(ImportCtx *x, const char *name, const Decoder *t);

#endif
