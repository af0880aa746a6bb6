/* Runs a model in one of its forms on given inputs. */
#ifndef BTC_VERIFY_H
#define BTC_VERIFY_H

#include "compile.h"
#include "tensors.h"
#include "verify_model.h"

typedef struct VerifyOptions {
    const char *form; /* "interpret", "step", "chunk" */
    int threads;      /* of compiled forms */
    CompileOptions compile;
    ModelOptions model;
    const ProbeFilter *show; /* PROBES_VALUES: which values */
} VerifyOptions;

/* Runs the model at `path` over `input` (input_ids: [B,T] integers; or input: [B,T,D] floats). Rows of the
 * batch are independent sequences; in step form they are stepped together. */
bool verify_run(Diag *d, Arena *a, const char *path, const VerifyOptions *o, const RawTensor *input,
                TensorList *out);
/* Greedy decoding: prompt [P] -> n ids, by the chosen form. */
bool verify_greedy(Diag *d, Arena *a, const char *path, const VerifyOptions *o, const RawTensor *prompt,
                   int64_t n, int64_t *ids);

#endif
