/* Part: the projections into and out of the heads of a recurrence with a matrix state: short convolutions after
 * the input projections; a norm per head and an output gate before the output projection. Dim: DW, the width of
 * the convolutions. */
#ifndef BTC_IMPORT_HEADS_H
#define BTC_IMPORT_HEADS_H

#include "import/parts/norm.h"

/* out [heads, width] = act(conv(in W)) */
typedef struct HeadRows {
    const char *module;        /* NULL: the tensors stand in the block itself */
    const char *tensor;        /* of the projection */
    const char *heads, *width; /* dims, or products of dims */
    const char *conv;          /* the tensor of a short convolution, or NULL */
    int64_t taps;
    const char *act; /* applied last, or NULL */
} HeadRows;
void st_head_rows(ImportCtx *x, cJSON *ops, const char *out, const char *in, const HeadRows *t);

/* out [D] = (norm(y) * act(gate)) W, from y [heads, width]. */
typedef struct HeadsOut {
    const char *module;
    const char *heads, *width; /* dims */
    const char *norm;          /* its tensors, or NULL: there is none */
    Norm kind;
    bool whole;       /* the norm goes over all heads together */
    const char *gate; /* a value [heads*width], or NULL */
    const char *act;  /* of the gate */
    const char *tensor;
} HeadsOut;
void st_heads_out(ImportCtx *x, cJSON *ops, const char *out, const char *y, const HeadsOut *t);

/* out = act(x) for the activations and feature maps that have no weights: also elu1, which is elu + 1. */
void st_act(cJSON *ops, const char *out, const char *in, const char *act);
/* out [groups*times, width]: each row of x [groups, width] times over. */
void st_repeat_rows(ImportCtx *x, cJSON *ops, const char *out, const char *in, const char *groups,
                    int64_t times, const char *width);
/* out [heads*n, width] from in0, in1 .. [heads, width]: the rows of a head stand together. */
void st_rows_by_head(ImportCtx *x, cJSON *ops, const char *out, const char *in, const char *heads, int64_t n,
                     const char *width);
/* out [heads, 1]: all 1 */
void st_ones(cJSON *ops, const char *out, const char *heads);
/* value [heads, width] becomes [heads, width + 1]: a 1 is appended, so that the sum of the keys is computed with the values. */
void st_with_ones(cJSON *ops, const char *value, const char *heads);
/* x / sqrt(sum x^2 + eps) over the last axis */
void st_l2_norm(cJSON *ops, const char *value, double eps);
/* out [heads, 1]: logarithms of decays that are the same for all tokens, one for each head. */
void st_fixed_decays(ImportCtx *x, cJSON *ops, const char *out, const char *heads, const double *log_decay,
                     int64_t n);
/* The name of a tensor of a module. */
const char *head_tensor(ImportCtx *x, const char *module, const char *name);
/* A width that a configuration gives by a factor, as int(expand * base). */
int64_t cfg_times(Cfg *c, const char *key, double otherwise, int64_t base);
/* Heads of keys under a key of the configuration; NULL there: as many as there are heads, which they divide. */
int64_t cfg_shared_heads(Cfg *c, const char *key, int64_t heads);

#endif
