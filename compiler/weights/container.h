/* Functions that the containers share: adding a tensor to a WeightSet. For files in this folder and tests only. */
#ifndef BTC_WEIGHTS_CONTAINER_H
#define BTC_WEIGHTS_CONTAINER_H

#include "weights.h"

/* Sets t->bytes from dtype and shape, *count to the number of elements. false: they do not fit 63 bits. */
bool container_measure(RawTensor *t, int64_t *count);
/* Refuses names that no message could show. First of all checks, so that others may print the name. */
bool container_check_name(Diag *d, Arena *a, const char *file, const char *name);
/* Ends a file: merges tensors [first, n) into those before, sorted by name. A name twice is an error. */
bool container_seal(Diag *d, WeightSet *w, int first);
/* Bytes from a distrusted file made fit for a message: control characters become '?', long texts are cut. */
const char *container_clean(Arena *a, const char *s, size_t n);
/* Matrices in MXFP4 that lie in two tensors become one (mxfp4.c). */
bool weights_join_mxfp4(Diag *d, WeightSet *w);
/* Where a tensor is, for diag_error. */
Loc container_loc(const char *file, const char *tensor);

#endif
