/* What states in 16 bits cost over a long sequence: the same model with f32 states and with narrow ones over
 * the same tokens, and how far their outputs have come apart. */
#ifndef BTC_DRIFT_H
#define BTC_DRIFT_H

#include "compile.h"

enum { DRIFT_MOST = 16 };

typedef struct DriftOptions {
    CompileOptions compile; /* its state is not looked at */
    ModelOptions model;
    const char *states[2]; /* to compare with f32 */
    int nstates;
    int lengths[DRIFT_MOST], nlengths; /* tokens after which to look, ascending; clipped when they are ours */
    bool asked;                        /* the lengths are the user's: none may be too long */
    int stretch;                       /* over how many tokens before each length the means are taken */
    const char *text;                  /* a file whose bytes are the tokens; NULL: random ids or features */
    bool steps;                        /* token by token, as in decoding; else in chunks, as a prompt */
    int threads;
} DriftOptions;

/* Means over the stretch before a length. */
typedef struct DriftPoint {
    double error;      /* |narrow - f32| / |f32|, Euclidean, of all outputs of the stretch together */
    double divergence; /* KL(f32 || narrow) of the next token's distribution, in bits */
    double agreement;  /* share of tokens whose likeliest next token is the same */
    double bits[2];    /* of the text's own next token: with f32, and narrow */
} DriftPoint;

typedef struct Drift {
    const char *name;
    bool tokens, text; /* divergence and agreement; bits have a meaning */
    int nlengths, lengths[DRIFT_MOST];
    int64_t state_bytes[3]; /* of one sequence: f32, then as o->states */
    DriftPoint points[2][DRIFT_MOST];
} Drift;

/* Compiles the model 1 + nstates times and runs it to the last length; a bar on the terminal meanwhile. */
bool drift_run(Diag *d, Arena *a, const char *path, const DriftOptions *o, Drift *out);

#endif
