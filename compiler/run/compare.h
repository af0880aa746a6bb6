/* Runs variants of a model (other states, other weights) over the same tokens, and measures how far the outputs of each
 * differ from those of the first. */
#ifndef BTC_COMPARE_H
#define BTC_COMPARE_H

#include "compile.h"
#include "tokens.h"

enum { COMPARE_MOST = 12, COMPARE_LENGTHS = 16 };

/* One way to compile the model; steps are of one sequence. */
typedef struct Variant {
    CompileOptions compile;
    ModelOptions model;
} Variant;

typedef struct CompareOptions {
    const char *what; /* for the bar on the terminal */
    Variant variants[COMPARE_MOST];
    int nvariants;                          /* the first is what the others are compared with */
    int lengths[COMPARE_LENGTHS], nlengths; /* tokens after which to look, ascending; clipped when they are
                                               ours */
    bool asked;                             /* the lengths are the user's: none may be too long */
    int window;                             /* tokens before each length over which means are taken */
    TokenSource source;
    bool steps; /* token by token, as in decoding; else in chunks, as a prompt */
    int threads;
} CompareOptions;

/* Means over the window before a length. */
typedef struct ComparePoint {
    double error;      /* |other - first| / |first|, Euclidean, of all outputs in the window */
    double divergence; /* KL(first || other) of the next token's distribution, in bits */
    double agreement;  /* share of tokens whose likeliest next token is the same */
    double bits[2];    /* of the source's own next token: of the first, and of the other */
} ComparePoint;        /* all but agreement are NaN where outputs are not finite */

typedef struct Comparison {
    const char *name;
    bool tokens, text; /* divergence and agreement; bits have a meaning */
    int nlengths, lengths[COMPARE_LENGTHS];
    int64_t state_bytes[COMPARE_MOST]; /* of one sequence, by variant */
    int64_t weights_bytes[COMPARE_MOST];
    ComparePoint points[COMPARE_MOST][COMPARE_LENGTHS]; /* of variant i + 1 at length k */
    int64_t
        not_finite[COMPARE_MOST]; /* by variant: the first token whose output holds NaN or +Inf; -1: none */
} Comparison;

/* Compiles every variant and runs them to the last length; a bar on the terminal meanwhile. */
bool compare_run(Diag *d, Arena *a, const char *path, const CompareOptions *o, Comparison *out);

#endif
