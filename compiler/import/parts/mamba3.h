/* Part: Mamba-3's mixer, Lahoti et al. 2026: a matrix state per head, trapezoidal discretisation (a step also uses
 * the previous input), and B and C rotated by angles that depend on the data. MIMO: several inputs and outputs per
 * head share its state. Dims: ME, MH, MP, MG, MN, MS, MR. */
#ifndef BTC_IMPORT_PART_MAMBA3_H
#define BTC_IMPORT_PART_MAMBA3_H

#include "import/import.h"

typedef struct Mamba3 {
    int64_t E, H, P, G, N; /* inner width = H heads of P, groups of B and C, state width */
    int64_t S;             /* rotated pairs of components */
    int64_t R;             /* rank; 1 unless mimo */
    bool mimo, bias, out_norm;
    bool softplus; /* the decay is softplus(a), else 1 + a or 1 / (1 - a) */
    double floor;  /* of the decay, before the step */
    double eps;    /* of all norms */
    const char *module;
} Mamba3;

/* The configuration's names for the sizes; NULL: it has none, and the default holds. */
typedef struct Mamba3Keys {
    const char *state, *head, *groups;
} Mamba3Keys;
extern const Mamba3Keys MAMBA3_KEYS_AUTHORS, MAMBA3_KEYS_FLA;

/* Fills in all but bias, softplus, eps and module. D: the width of the residual stream. */
void cfg_mamba3(Cfg *c, const Mamba3Keys *k, int64_t D, Mamba3 *t);
/* out = mixer(in) */
void st_mamba3(ImportCtx *x, cJSON *b, const char *out, const char *in, const Mamba3 *t);

#endif
