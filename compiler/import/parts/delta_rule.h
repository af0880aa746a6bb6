/* Part: mixers whose matrix state follows the delta rule: DeltaNet (Yang et al. 2024, arXiv:2406.06484), Gated
 * DeltaNet (arXiv:2412.06464), Kimi Delta Attention with decays per channel (arXiv:2510.26692), Comba with output
 * correction (arXiv:2506.02475), DeltaProduct with several steps per token (arXiv:2502.10297). Dims: DG heads of
 * keys, DH of values, DK and DP their widths, DW. */
#ifndef BTC_IMPORT_DELTA_RULE_H
#define BTC_IMPORT_DELTA_RULE_H

#include "import/parts/heads.h"

typedef enum DeltaRows {
    DELTA_APART,    /* q_proj, k_proj, v_proj, and q_conv1d, k_conv1d, v_conv1d */
    DELTA_IN_ORDER, /* in_proj_qkv: q, k, v, and conv1d; in_proj_z, in_proj_b, in_proj_a */
    DELTA_BY_HEAD,  /* in_proj_qkvz and in_proj_ba: q, k, v, z and b, a of each head of keys, and conv1d */
} DeltaRows;

typedef enum DeltaDecay {
    DELTA_KEEPS,         /* none */
    DELTA_DECAY_HEAD,    /* -exp(A_log) softplus(a_proj u + dt_bias) */
    DELTA_DECAY_CHANNEL, /* the same for each channel of keys, from decay_in (and decay_out, a low rank) */
    DELTA_DECAY_BOUNDED, /* lowest * sigmoid(exp(A_log) (decay_in u + dt_bias)) */
} DeltaDecay;

typedef struct DeltaRule {
    const char *module;
    int64_t key_heads, heads, K, P;
    int64_t taps; /* 0: no convolutions */
    DeltaRows rows;
    const char *act; /* on q and k; NULL: none */
    bool act_last;   /* the activation follows the split into heads, not the convolution */
    bool sums;       /* q and k are divided by their sums, not by their lengths */
    int64_t steps;   /* corrections of a token; 0 counts as 1 */
    bool no_beta;    /* the strength of a correction is 1 */
    double beta;     /* its factor; 0: none */
    bool corrected;  /* Comba: p = sigmoid(decay) k reads the state, and q - D p */
    DeltaDecay decay;
    const char *decay_in, *decay_out; /* projections, or NULL */
    double lowest;
    const char *gate_in, *gate_out; /* of the result: projections, or NULL */
    const char *gate_act;
    const char *norm, *out; /* tensors */
    Norm kind;
} DeltaRule;

/* out = mixer(in) */
void st_delta_rule(ImportCtx *x, cJSON *ops, const char *out, const char *in, const DeltaRule *t);

#endif
