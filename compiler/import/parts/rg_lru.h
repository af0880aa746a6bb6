/* Part: the recurrent block of Hawk and Griffin, De et al. 2024, arXiv:2402.19427: a gated branch beside a short
 * convolution and the gated linear recurrence RG-LRU. Dims: R, RB, RW. */
#ifndef BTC_IMPORT_PART_RG_LRU_H
#define BTC_IMPORT_PART_RG_LRU_H

#include "import/import.h"

/* The names that formats give to tensors inside the block. */
typedef struct RgLruNames {
    const char *taps, *conv_bias; /* of the convolution */
    bool taps_first;              /* its weights are [taps, channels] */
    const char *input_gate, *recurrent_gate, *weight, *bias, *decay;
} RgLruNames;
extern const RgLruNames RG_LRU_NAMES_HF, RG_LRU_NAMES_AUTHORS;

typedef struct RgLru {
    int64_t R, W;   /* width, taps of the convolution */
    int64_t blocks; /* on the diagonals of the gates' matrices */
    const char *act, *module;
    const RgLruNames *names;
} RgLru;

/* out = block(in) */
void st_rg_lru(ImportCtx *x, cJSON *b, const char *out, const char *in, const RgLru *t);

#endif
