/* The tensors of a run, and how far two of them are from each other. */
#ifndef BTC_RUN_TENSORS_H
#define BTC_RUN_TENSORS_H

#include "weights/weights.h"

/* What a run gives, in the order of execution: "hidden.0", .., "logits" or "output", "state.3.S", "filter".
 */
typedef struct TensorList {
    RawTensor *items;
    int n, cap;
} TensorList;
const RawTensor *tensor_find(const TensorList *l, const char *name);
/* The same; and "state.h", where each layer has a state "state.0.h", "state.1.h" .. of one shape [B, ..]: all of them,
 * as [layers, B, ..], without the axes of one number. */
const RawTensor *tensor_find_all(Arena *a, const TensorList *l, const char *name);

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
