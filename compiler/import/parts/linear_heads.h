/* Part: the sizes and projections that the linear attentions of flash-linear-attention share. Dims: DH heads of queries,
 * DG of keys and values, DK and DP their widths. */
#ifndef BTC_IMPORT_LINEAR_HEADS_H
#define BTC_IMPORT_LINEAR_HEADS_H

#include "import/parts/fla.h"
#include "import/parts/heads.h"

typedef struct LinearHeads {
    int64_t heads, kv_heads, K, P;
    int64_t taps;     /* of the short convolutions on q, k and v; 0: there are none */
    const char *act;  /* on q and k as heads, or NULL */
    bool gate;        /* the result passes one */
    const char *norm; /* the tensor of the norm of a head */
} LinearHeads;

/* num_heads, num_kv_heads, expand_k, expand_v, use_short_conv, conv_size, use_output_gate. */
void cfg_linear_heads(ImportCtx *x, const Fla *f, double expand_k, double expand_v, LinearHeads *t);
/* The dims, and q [DH, DK], k [DG, DK], v [DG, DP] from "u". */
void st_linear_heads(ImportCtx *x, cJSON *b, const LinearHeads *t);
/* "o" from "y" [DH, DP]: norm, gate, projection. */
void st_linear_out(ImportCtx *x, cJSON *b, const Fla *f, const LinearHeads *t);

#endif
