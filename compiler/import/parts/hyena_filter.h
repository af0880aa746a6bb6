/* Part: Hyena's implicit filters, Poli et al. 2023, arXiv:2302.10866, sec. 3.3: a small network with sine
 * activations reads the position, and an exponential window multiplies its output. The filters are constants,
 * computed when the model is compiled. */
#ifndef BTC_IMPORT_PART_HYENA_FILTER_H
#define BTC_IMPORT_PART_HYENA_FILTER_H

#include "import/import.h"

typedef struct HyenaFilter {
    int64_t L, emb, width, inner; /* taps, features of a position, width of the network, layers within */
    double shift, fast, slow, target;
    bool modulate, normalized;           /* normalized: each tap over the sum of all channels */
    const char *first;                   /* before the names of tensors, in the first layer */
    const char *module;                  /* "mixer.filter_fn" */
    const char *channels, *taps, *Z, *F; /* how the sizes are called in the description */
} HyenaFilter;

/* fast_decay_pct, slow_decay_pct, target, shift, modulate. */
void cfg_hyena_fading(Cfg *c, HyenaFilter *t);
/* Writes "h", [channels, taps]. */
void st_hyena_filter(ImportCtx *x, cJSON *b, const HyenaFilter *t);

#endif
