/* Part: Mamba-2's mixer, Dao & Gu 2024, arXiv:2405.21060, section 7. A head has one decay exp(dt*A), its state is a
 * matrix, and the heads of a group share B and C. Dims: ME, MH, MP, MG, MN, MW. */
#ifndef BTC_IMPORT_PART_MAMBA2_H
#define BTC_IMPORT_PART_MAMBA2_H

#include "import/import.h"

/* What becomes of the gate z and the RMS norm of what comes out. */
typedef enum Mamba2Gate {
    MAMBA2_GATE_NORM, /* norm(y * silu(z)) */
    MAMBA2_NORM_GATE, /* norm(y) * silu(z) */
    MAMBA2_GATE_ONLY, /* y * silu(z) */
} Mamba2Gate;

typedef struct Mamba2 {
    int64_t E, H, P, G, N, W; /* inner width = H heads of P, G groups, state width, taps */
    double dt_min, dt_max;    /* limits of the step, after softplus: 0 and INFINITY cut nothing */
    bool bias, conv_bias;
    bool out_bias; /* of the last projection, which follows `bias` in most models */
    const char *act;
    Mamba2Gate gate;
    double eps;           /* of the norm, which goes group by group */
    const double *scales; /* factors on z, x, B, C, dt after the first projection, or NULL */
    const char *module;   /* "mixer" */
} Mamba2;

/* The configuration's names for the sizes. Without heads there are as many as the inner width holds; without expand it is
 * as wide as the heads make it. */
typedef struct Mamba2Keys {
    const char *heads, *head, *groups, *state, *taps, *expand, *bias, *conv_bias, *limit;
} Mamba2Keys;
extern const Mamba2Keys MAMBA2_KEYS_HF, MAMBA2_KEYS_AUTHORS, MAMBA2_KEYS_HYBRID, MAMBA2_KEYS_NEMOTRON,
    MAMBA2_KEYS_ZAMBA;

/* Fills in all but act, gate, eps, scales and module. D: the width of the residual stream. otherwise: the defaults; E there
 * holds whatever expand says; without P a head is as wide as the number of heads makes it. */
void cfg_mamba2(Cfg *c, const Mamba2Keys *k, int64_t D, const Mamba2 *otherwise, Mamba2 *t);
/* An error where the heads do not make the inner width, or do not share the groups evenly. */
void mamba2_check(ImportCtx *x, const Mamba2 *t);
/* out = mixer(in) */
void st_mamba2(ImportCtx *x, cJSON *b, const char *out, const char *in, const Mamba2 *t);

#endif
