/* Moves the elements of a matrix to their places in the packed weights, and converts them if the types differ. This
 * takes most of the time of packing: loops over elements of a known size, in blocks that stay in the cache. */
#ifndef BTC_LOWER_PACK_MOVE_H
#define BTC_LOWER_PACK_MOVE_H

#include "base/dtype.h"

typedef struct PackMove {
    DType from, to;
    const void *data; /* of type `from`, maybe unaligned */
    int64_t start;    /* its element (0, 0) */
    int64_t stride;   /* elements from one of its rows to the next */
    int64_t panel;    /* elements from one row of the result to the next */
    int group;        /* so many k lie together: 1, or 2, where a missing last one is 0 */
} PackMove;

static inline const void *pack_element(DType dt, const void *data, int64_t i) {
    return (const char *)data + i * (int64_t)dtype_size(dt);
}

/* out[k, c] = in[c, k] for c < channels, k < depth; with groups out[k/group, c, k%group]. */
void pack_move_transposed(const PackMove *m, int64_t channels, int64_t depth, void *out);
/* out[k, c] = in[k, c], likewise. */
void pack_move_straight(const PackMove *m, int64_t channels, int64_t depth, void *out);

#endif
