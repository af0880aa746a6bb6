/* The weights that a block's code reads, and how they lie: one list per block (step and chunk form share it),
 * the same for every call of the block; each call has its own copy of the bytes at its own base. */
#ifndef BTC_PACK_H
#define BTC_PACK_H

#include "formats/panel.h"
#include "lower_target.h"

/* How an operand that is known at compile time lies in the packed weights. One row per layout in
 * pack.c, which writes them. */
typedef enum PackKind {
    PACK_ROWS,       /* f32, row-major, as the IR shape says */
    PACK_TRANSPOSED, /* f32, last two axes swapped */
    PACK_PANELS,     /* [.., o, i] in panels of `panel` outputs (formats/panel.h), stored as `storage` says */
    PACK_PANELS_IO,  /* the same of [.., i, o] */
    PACK_PANELS_F32, /* [o, i] in panels of f32, whatever `storage` says */
    PACK_TABLE,      /* rows of plain numbers, row-major, stored as `storage` says */
    PACK_FFT,        /* filters h[c,l]: see kernels/ops/conv_long.c */
} PackKind;

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

const char *pack_kind_name(PackKind kind);
/* Whether two leaves, maybe of different forms, name the same weight. */
bool pack_same_leaf(const Op *x, const Op *y);
/* The item for this leaf and kind, added if new. */
const PackItem *pack_item(PackList *l, Op *leaf, PackKind kind);
/* How panels and tables of this leaf store numbers; what other kinds hold is f32. */
const NumberFormat *pack_format(const Op *leaf, const LowerTarget *target);
int64_t pack_bytes(PackKind kind, Type t, const NumberFormat *f, const LowerTarget *target);

/* Where packing takes its numbers from: rows of the last axis, each `row` a flat index over the others. */
typedef struct PackSource {
    Type type;
    DType dt;                   /* of data */
    const NumberFormat *blocks; /* data are blocks of this format; NULL: numbers of dt */
    const void *data;           /* row-major */
    const float *importance;    /* of the inputs, a row for each matrix; or NULL: see NumberFormat.quantize */
} PackSource;
/* A packed tensor is a row of pieces of one size, each written without the others, in any order and by any
 * thread: panels, rows of a table, matrices that are transposed; else one piece is all of it. */
int64_t pack_pieces(PackKind kind, Type t, const LowerTarget *target);
/* Writes n of the pieces, from piece `first`, to out: n/pack_pieces of the pack_bytes. */
void pack_write(PackKind kind, const PackSource *src, const NumberFormat *f, const LowerTarget *target,
                int64_t first, int64_t n, void *out);

/* Whether those pieces, panels of bf16 (PACK_PANELS or PACK_PANELS_IO), can be compressed (compressed.h). */
bool pack_compresses(PackKind kind, const PackSource *src, const LowerTarget *target, int64_t first,
                     int64_t n);

/* Adds all that the packed bytes of a block depend on besides the checkpoint: the same text, the same bytes.
 * What pack_write comes to look at belongs in here, too. */
void pack_layout(Text *t, const PackList *l);

#endif
