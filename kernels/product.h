/* A product that is being written: what matmul.c, which makes sums, and product_sums.c, which hands them on,
 * have in common. */
#ifndef BTC_LOWER_PRODUCT_H
#define BTC_LOWER_PRODUCT_H

#include "matmul.h"
#include "rows.h"

typedef struct Product {
    Lower *l;
    const Matmul *m;
    XRows x;
    Value *rows;    /* how many */
    Value *lo, *hi; /* panels */
    int64_t bands;  /* of the weights; 1: there are none */
    bool split;     /* this thread has some of them, else all */
    int64_t parts;  /* of a band's inputs, and how many make a group */
    int64_t group_parts;
    int64_t group_size; /* bytes of a group of one panel */
    int64_t panel_size, band_size;
    Value *sums;       /* scratch: of all bands together, or of each of this thread's */
    int64_t band_sums; /* bytes of them */
} Product;

/* Panels that are multiplied together: the number of the first, and how far the next is. */
typedef struct Span {
    Value *first, *apart;
    int panels;     /* known */
    int64_t active; /* outputs of the last one */
} Span;

/* Tiles whose sums lie one behind the other and are handed on together. */
typedef struct Tiles {
    Span at;      /* of the first */
    int64_t next; /* how many panels further the next one begins */
    Value *count; /* NULL: one */
} Tiles;

/* Bytes of the sums of all rows and so many panels. */
Value *product_tile_bytes(const Product *p, int panels);
/* Opens the loop over tiles: p with the sums of one, and *at its panels. */
Product product_begin_tile(const Product *p, const Tiles *t, Span *at);
void product_end_tile(const Product *p, const Tiles *t);
/* Opens the loop over the bands of weights that this thread has, `step` at a time: *band, NULL if there are
 * none, and p with its sums. */
Product product_begin_band(const Product *p, int64_t step, Value **band);
void product_end_band(const Product *p);

/* The sums of all inputs are there, or of all of this thread's bands: they go to the product's result. */
void product_write_sums(const Product *p, const Tiles *t);

#endif
