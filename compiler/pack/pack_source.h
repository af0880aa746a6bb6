/* Where the numbers of a packed tensor come from: bytes of the checkpoint as they lie in the mapped file, or
 * values that are computed from them. */
#ifndef BTC_PACK_SOURCE_H
#define BTC_PACK_SOURCE_H

#include "model.h"
#include "plan/pack.h"
#include "weight_view.h"

typedef struct Source {
    const PackItem *item;
    const char *prefix; /* of the call, for names of tensors */
    const Value *value; /* what is packed */
    const Op *leaf;     /* the weight whose own numbers it is; NULL: its values are computed */
    WeightView view;    /* of the leaf */
    PackSource
        *tensors; /* [count] of the leaf: one, or several of one shape stacked along a new first axis */
    int64_t count;
    /* Whether it is packed part by part from what lies in the file; else by source_gather. Parts have one type, and
     * their packed bytes follow each other: they are the tensors, or, where the numbers of a matrix do not lie
     * one behind the other, the matrices. */
    bool direct, strided;
    int64_t parts;
    Type part;
} Source;

/* Finds the tensors; nothing is read. Results live in the model's arena. */
bool source_find(Diag *d, Model *m, const PackItem *item, const char *prefix, const LowerTarget *t,
                 Source *s);
/* Slices [first, first + n) of a part of a direct source: slices of what is given back, from number *at on. What has
 * to be copied for that is in memory of `a`. */
PackSource source_slices(const Source *s, const LowerTarget *t, Arena *a, int64_t part, int64_t first,
                         int64_t n, int64_t *at);
/* They are not needed again soon. */
void source_release(const Model *m, const Source *s, const LowerTarget *t, int64_t part, int64_t first,
                    int64_t n);
/* All values as one tensor, in memory of `a`. Any thread may, with a Diag and an arena of its own. */
bool source_gather(Diag *d, Arena *a, const Model *m, const Source *s, PackSource *out);

#endif
