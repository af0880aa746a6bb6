/* The weights that the code of a block reads, and their layouts: one list per block, shared by the step and the chunk
 * form and by all calls of the block. Each call has its own bytes at its own base. */
#ifndef BTC_PACK_H
#define BTC_PACK_H

#include "formats/layout.h"
#include "lower_target.h"

typedef struct PackItem {
    Op *leaf; /* a `weight` or `derived` op of the block */
    PackKind kind;
    const NumberFormat *format;
    int64_t offset, bytes; /* from the call's base */
} PackItem;

typedef struct PackList {
    Arena *arena;
    const char *block; /* the function before it was split into forms */
    const LowerTarget *target;
    PackItem *items;
    int n, cap;
    int64_t bytes;
} PackList;

/* Whether two leaves, maybe of different forms, name the same weight. */
bool pack_same_leaf(const Op *x, const Op *y);
/* The item for this leaf and kind, added if new. */
const PackItem *pack_item(PackList *l, Op *leaf, PackKind kind);
/* How panels and tables of this leaf store numbers; what other kinds hold is f32. */
const NumberFormat *pack_format(const Op *leaf, const LowerTarget *target);
int64_t pack_bytes(PackKind kind, Type t, const NumberFormat *f, const LowerTarget *target);

/* What is packed: a tensor, or a value that was computed. */
typedef struct PackSource {
    Type type;
    LayoutSource numbers;
} PackSource;
int64_t pack_slices(PackKind kind, Type t, const LowerTarget *target);
/* Writes n of the slices, from piece `first`, to out: n/pack_slices of the pack_bytes. */
void pack_write(PackKind kind, const PackSource *src, const NumberFormat *f, const LowerTarget *target,
                int64_t first, int64_t n, void *out);
/* Whether those slices, panels, can be written in format f, which is compressed. */
bool pack_fits(PackKind kind, const PackSource *src, const NumberFormat *f, const LowerTarget *target,
               int64_t first, int64_t n);

/* Adds all that the packed bytes of a block depend on besides the checkpoint: the same text, the same bytes.
 * If pack_write depends on more facts, they must be added here. */
void pack_layout(Text *t, const PackList *l);

#endif
