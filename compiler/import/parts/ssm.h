/* Part: state space models with constant parameters (S4, S4D, H3): diagonal, or diagonal plus low rank. They are
 * discretised when the model is compiled, and scaled so that the input matrix is 1. Dims: SH, SN, SC, SK, SR. */
#ifndef BTC_IMPORT_PART_SSM_H
#define BTC_IMPORT_PART_SSM_H

#include "import/import.h"

/* The parameters of a file: tensors, and maps of them in which # stands for the tensor. Complex numbers are stored as
 * two. */
typedef struct SsmNames {
    const char *re, *im, *dt, *B, *C, *P; /* B NULL: 1 */
    const char *re_map, *im_map, *dt_map;
} SsmNames;

typedef struct Ssm {
    const SsmNames *names;
    const char *module;                        /* "layer.kernel" */
    int64_t channels, modes, systems, outputs; /* modes: of each conjugate pair one; outputs: rows of C */
    int64_t rank, length;                      /* of P; taps that C stands for, see the op modes */
    bool hold;                                 /* the rule; else bilinear */
    bool steps;                                /* every mode has a step of its own */
} Ssm;

/* Sizes from the shapes of the tensors; rank 0: there is no P. */
void ssm_sizes(ImportCtx *x, const char *prefix, Ssm *t);
/* The modes of outputs [from, from + count), with all names ending in `tag`: are, aim, gre, gim, d, and of low rank fre ..
 * before: read without the token. */
void st_modes(ImportCtx *x, cJSON *ops, const Ssm *t, int64_t from, int64_t count, bool before,
              const char *tag);
/* out [count*SH] = what these modes make of in [SH]; skip: a value [count*SH] that is added to d, or NULL; the states are
 * NAMEre, NAMEim. */
void st_ssm(ImportCtx *x, cJSON *ops, const char *out, const char *in, const Ssm *t, int64_t count,
            const char *skip, const char *tag, const char *state);
/* filter [count, SH, taps]: that of these modes, without what is skipped. late: from its second tap on. */
void st_filter(cJSON *ops, const char *out, const Ssm *t, int64_t count, int64_t taps, bool late,
               const char *tag);

#endif
