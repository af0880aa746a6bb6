/* Running a model in any of its forms on given inputs, and comparing what comes out, tensor by tensor. */
#ifndef BTC_VERIFY_H
#define BTC_VERIFY_H

#include "compile.h"
#include "verify_model.h"

typedef struct VerifyOptions {
    const char *form; /* "interpret", "step", "chunk" */
    int threads;      /* of compiled forms */
    CompileOptions compile;
    ModelOptions model;
    const TapFilter *show; /* TAPS_VALUES: which values */
} VerifyOptions;

/* What a run gives, in the order of execution: "hidden.0", .., "logits" or "output", "state.3.S", "filter".
 */
typedef struct TensorList {
    RawTensor *items;
    int n, cap;
} TensorList;
const RawTensor *tensor_find(const TensorList *l, const char *name);

/* Runs the model at `path` over `input` (input_ids: [B,T] integers; or input: [B,T,D] floats). Rows of the
 * batch are independent sequences; in step form they are stepped together. */
bool verify_run(Diag *d, Arena *a, const char *path, const VerifyOptions *o, const RawTensor *input,
                TensorList *out);
/* Greedy decoding: prompt [P] -> n ids, by the chosen form. */
bool verify_greedy(Diag *d, Arena *a, const char *path, const VerifyOptions *o, const RawTensor *prompt,
                   int64_t n, int64_t *ids);

/* The largest absolute difference and where; INFINITY when the shapes differ, when nothing is in them, and
 * where one has a NaN and the other has none. */
typedef struct Difference {
    double max_error, max_value;
    int64_t at;       /* of the largest */
    bool other_shape; /* then nothing was compared */
} Difference;
Difference tensor_difference(const RawTensor *got, const RawTensor *want);
/* `got` with a last axis as long as that of `want`, when it is longer: a filter may have taps beyond the ones
 * that were kept. */
const RawTensor *tensor_cut(Arena *a, const RawTensor *got, const RawTensor *want);

#endif
