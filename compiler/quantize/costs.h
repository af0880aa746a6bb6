/* The cost of quantising a model, for `btc quantize --report`: the errors of every matrix in every requested format,
 * and of the model's outputs. */
#ifndef BTC_QUANTIZE_COSTS_H
#define BTC_QUANTIZE_COSTS_H

#include "errors.h"
#include "run/compare.h"

enum { COSTS_MOST = 4 }; /* formats */

typedef struct CostsOptions {
    CompileOptions compile;
    ModelOptions model; /* its quant is not looked at */
    const char *formats[COSTS_MOST];
    int nformats;
    TokenSource source;
    int tokens;
    bool asked; /* for so many tokens: else a model may read fewer */
    int threads;
} CostsOptions;

/* One matrix tensor under --quant=FORMAT. */
typedef struct MatrixCost {
    const NumberFormat *format; /* what --quant and the rules make of it */
    bool measured;              /* it is quantised: the errors have a meaning */
    MatrixError plain, calibrated;
} MatrixCost;

/* The model under --quant=FORMAT, or unquantised and its products of bf16 pairs. */
typedef struct ModelCost {
    const char *format; /* NULL: unquantised */
    bool bf16_dot;      /* --math=bf16 */
    bool calibrated;
    int64_t weights_bytes;
    double bits; /* of a number in a matrix, in the mean */
    ComparePoint point;
} ModelCost;

typedef struct Costs {
    const CostsOptions *options;
    Collected collected;
    bool calibrated;
    MatrixCost *matrices[COSTS_MOST]; /* [collected.matrices.n] for each format */
    ModelCost models[COMPARE_MOST]; /* the first is unquantised, in f32, and what others are compared with */
    int nmodels;
    Comparison comparison;
} Costs;

bool costs_measure(Diag *d, Arena *a, const char *path, const CostsOptions *o, Costs *out);
void costs_close(Costs *c); /* also after a failure */
const char *costs_text(Arena *a, const Costs *c);
const char *costs_json(Arena *a, const Costs *c);

#endif
