/* Where the numbers of a packed tensor come from: bytes of the checkpoint as they lie in the mapped file, or
 * values that are computed from them. */
#ifndef BTC_PACK_SOURCE_H
#define BTC_PACK_SOURCE_H

#include "model.h"
#include "plan/pack.h"

typedef struct Source {
    const PackItem *item;
    const char *prefix; /* of the call, for names of tensors */
    const Value *value; /* what is packed */
    const Op *leaf;     /* the weight whose own bytes it is; NULL: its values are computed */
    PackSource
        *tensors; /* [count] of the leaf: one, or several of one shape stacked along a new first axis */
    int64_t count;
    int64_t start; /* element of the leaf where the value begins */
    bool direct;   /* packed from the tensors as they are, one behind the other; else by source_gather */
} Source;

/* Finds the tensors; nothing is read. Results live in the model's arena. */
bool source_find(Diag *d, Model *m, const PackItem *item, const char *prefix, const LowerTarget *t,
                 Source *s);
/* Pieces [first, first + n) of a tensor's `pieces` are not needed again soon. */
void source_release(const Model *m, const PackSource *tensor, int64_t pieces, int64_t first, int64_t n);
/* All values as one tensor, in memory of `a`. Any thread may, with a Diag and an arena of its own. */
bool source_gather(Diag *d, Arena *a, const Model *m, const Source *s, PackSource *out);

#endif
