/* Values that only move the numbers of a weight about: reshapes, slices and transposes of it, as distances between its
 * numbers. They are packed from the weight's own bytes, and where they keep its rows they can be quantised like it. */
#ifndef BTC_WEIGHT_VIEW_H
#define BTC_WEIGHT_VIEW_H

#include "op.h"

typedef struct WeightView {
    const Op *leaf;
    Type type;                /* of the value */
    int64_t start;            /* number of the leaf with which it begins */
    int64_t stride[MAX_RANK]; /* from number to number along each axis, counted in the leaf */
} WeightView;

/* Whether v is such a value of a weight, and how. */
bool weight_view(const Value *v, WeightView *out);
/* Whether its numbers lie one behind the other. */
bool weight_view_is_plain(const WeightView *v);
/* Whether its rows, along the last axis, are rows of the leaf. */
bool weight_view_keeps_rows(const WeightView *v);
/* The number of the leaf with which matrix `matrix` of the last two axes begins. */
int64_t weight_view_matrix(const WeightView *v, int64_t matrix);
/* All numbers, each of `size` bytes, from those of the leaf to `to`. */
void weight_view_copy(const WeightView *v, const char *leaf, size_t size, char *to);

#endif
