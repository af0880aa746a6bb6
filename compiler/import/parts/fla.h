/* Part: the language models of flash-linear-attention around their mixers: x + mixer(norm x), x + mlp(norm x); some layers
 * may be softmax attention. */
#ifndef BTC_IMPORT_FLA_H
#define BTC_IMPORT_FLA_H

#include "import/parts/attention.h"
#include "import/parts/frame.h"
#include "import/parts/mlp.h"

typedef struct Fla {
    Frame frame;
    Norm norm;  /* around mixers and MLPs */
    Norm inner; /* of what mixers give; elementwise_affine speaks of this one alone */
    Mlp mlp;
    Attention attention; /* of the layers listed under "attn" */
    Layers layers;       /* "mixer" and "attention" */
} Fla;

/* The keys that all these models share, with the defaults of the library; hidden_ratio: of the MLP's width. */
bool cfg_fla(ImportCtx *x, Fla *f, double hidden_ratio);
/* Whether layers that are no attention have such a tensor. */
bool fla_has(const ImportCtx *x, const Fla *f, const char *tensor);
/* The description begins. Returns the mixer's block, with its input "u". */
cJSON *fla_begin(ImportCtx *x, Fla *f);
/* A block of another name for some layers. */
cJSON *fla_block(ImportCtx *x, const Fla *f, const char *name, const char *in);
/* The rest of a block: "o", and the MLP. */
void fla_block_end(ImportCtx *x, const Fla *f, cJSON *b);
/* The same, and the rest of the model. */
cJSON *fla_end(ImportCtx *x, Fla *f, cJSON *b);

#endif
