/* Part: Mamba's mixer, Gu & Dao 2023, arXiv:2312.00752, algorithm 2. Step sizes come from a low rank; the decay of
 * a state is exp(dt*A); B is discretised as dt*B. Dims: ME, MN, MR, MW, MH. */
#ifndef BTC_IMPORT_PART_MAMBA_H
#define BTC_IMPORT_PART_MAMBA_H

#include "import/import.h"

/* The RMS norms on low-rank steps, B and C. */
typedef enum MambaNorms { MAMBA_NORMS_NONE, MAMBA_NORMS_PLAIN, MAMBA_NORMS_WEIGHTED } MambaNorms;

typedef struct Mamba {
    int64_t E, N, R, W; /* inner width, states of a channel, rank of the steps, taps of the convolution */
    int64_t heads;      /* > 0: channels fall into heads, each with steps, B and C of its own (Zamba) */
    bool bias, conv_bias;
    const char *act; /* after the convolution; the gate is silu */
    MambaNorms norms;
    double eps;         /* of the norms */
    const char *module; /* "mixer", or NULL */
    const char *tag;    /* see st_part */
} Mamba;

/* The configuration's names for the sizes; NULL: it has none, and the default holds. */
typedef struct MambaKeys {
    const char *state, *taps, *expand, *rank, *bias, *conv_bias;
} MambaKeys;
extern const MambaKeys MAMBA_KEYS_HF, MAMBA_KEYS_AUTHORS, MAMBA_KEYS_HYBRID;

/* Fills in E to conv_bias, but heads. D: the width of the residual stream. */
void cfg_mamba(Cfg *c, const MambaKeys *k, int64_t D, Mamba *t);
/* A multiple of `base` that a configuration gives by its factor, which may have a fraction: int(expand * base). */
int64_t cfg_expand(Cfg *c, const char *key, double otherwise, int64_t base);
/* out = mixer(in) */
void st_mamba(ImportCtx *x, cJSON *b, const char *out, const char *in, const Mamba *t);

#endif
