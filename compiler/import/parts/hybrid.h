/* Part: models whose layers have different mixers: a mixer, then an MLP or a mixture of experts, each with a
 * pre-norm and a residual connection. */
#ifndef BTC_IMPORT_HYBRID_H
#define BTC_IMPORT_HYBRID_H

#include "import/parts/attention.h"
#include "import/parts/delta_rule.h"
#include "import/parts/experts.h"
#include "import/parts/frame.h"
#include "import/parts/mamba.h"
#include "import/parts/mamba2.h"
#include "import/parts/mla.h"
#include "import/parts/short_conv.h"

/* The kinds that a stack has; NULL: none of it has that kind. */
typedef struct Hybrid {
    const char *mixer_norm, *ff_norm; /* modules */
    const char *mixer_post, *ff_post; /* of further norms, of what is added; or NULL */
    double residual;                  /* a factor on what is added; 0: none */
    const Mamba *mamba;
    const Mamba2 *mamba2;
    const ShortConv *conv;
    const DeltaRule *delta;
    const Mla *mla;
    const Attention *attention, *sliding; /* sliding: in a window */
    const Mlp *mlp;
    const Experts *experts;
} Hybrid;

/* The whole model, its norms those of the frame. It has a block for each kind of layer in l. The block's name says of what it is made: "mamba", "mamba2", "conv", "delta", "mla",
 * "attention" or "sliding", then nothing (an MLP) or "_experts". */
cJSON *hybrid_model(ImportCtx *x, Frame *f, const Hybrid *h, const Layers *l);

#endif
