/* Register tiles (register_tile.h) of matrices in memory: what the products inside ops are written with.
 *
 * A range of rows or of columns is walked in blocks of `max` units (a unit: one row, or one vector of
 * columns); the body is emitted once for full blocks and again for what is left over, with the numbers of
 * that block known to the C code, so accumulators are plain arrays of variables:
 *
 *     TILES(l, c, lo, hi, n, lanes, 4) {           columns [lo, hi) of n: c.count vectors from column c.at
 *         TILES(l, r, row_lo, row_hi, NO_END, 1, 4) {            rows: c.count rows from row r.at
 *             Tile t = tile_new(l, r.count, c.count, c.tail);
 *             tile_madd(l, &t, x, r.at, w, c.at, zero, depth);      t += x[r, k] w[k, c], k in order
 *             ...
 *
 * Each element of a product is one chain of fma over k, whatever the blocks: how many rows are computed
 * together never changes a result. */
#ifndef BTC_OPS_TILE_H
#define BTC_OPS_TILE_H

#include "lower.h"
#include "register_tile.h"

enum { NO_END = -1, TILE_MAX = 8 };

typedef struct Tiles {
    Lower *l;
    Value *lo, *hi, *full; /* full: end of the whole units */
    int64_t n;
    int unit, max, phase;
    bool fixed, in_loop, in_if; /* fixed: lo and hi are known numbers */
    /* the block at hand */
    Value *at;
    int count; /* units */
    int tail;  /* active lanes of the last vector; 0: all */
} Tiles;
/* n: where the whole axis ends, hi <= n, both lo and hi multiples of the unit except at n; NO_END when units
 * are single elements. */
Tiles tiles_begin(Lower *l, Value *lo, Value *hi, int64_t n, int unit, int max);
bool tiles_next(Tiles *t);
#define TILES(l, c, lo, hi, n, unit, max)                                                                    \
    for (Tiles c = tiles_begin((l), (lo), (hi), (n), (unit), (max)); tiles_next(&c);)
/* All of [0, n). */
#define TILES_OF(l, c, n, unit, max) TILES (l, c, lb_i64(&(l)->b, 0), lb_i64(&(l)->b, (n)), n, unit, max)

/* A matrix in memory: element (i, j) at i*rows + j*cols. Of i32 elements each is a pair of bf16. */
typedef struct Mat {
    LwAccessor m;
    Value *rows, *cols;
} Mat;
Mat mat(Lower *l, Value *p, Value *row_stride); /* f32, rows of consecutive elements */
Mat mat_fixed(Lower *l, Value *p, int64_t row_stride);
Mat mat_of(Lower *l, LwAccessor m, int64_t row_stride); /* the same of a state */
Mat mat_turned(Mat m);                                  /* the transpose: same memory */
Mat mat_from(Lower *l, Mat m, Value *row);              /* begins at that row */
Value *mat_at(Lower *l, Mat m, Value *i, Value *j);     /* index of an element from m.m */
Value *mat_load1(Lower *l, Mat m, Value *i, Value *j);
Value *mat_load(Lower *l, Mat m, Value *i, Value *j, int n); /* a vector along j; cols must be 1 */
void mat_store(Lower *l, Mat m, Value *i, Value *j, Value *v, int n);

typedef struct Tile {
    int r, c, tail;
    Value *acc[TILE_MAX][TILE_MAX]; /* variables */
    int64_t prefetch;               /* bytes: how far before its use tile_madd prefetches y; 0: it does not */
    bool skips; /* where x is -0, tile_madd leaves y out: 0 times what is not finite is NaN */
} Tile;
Tile tile_new(Lower *l, int r, int c, int tail); /* zeros */
/* += sum over k in [k0, k1) of x[i0 + r, k] * y[k, j0 + c*lanes ..]; with pairs in x and y, of their
 * products */
void tile_madd(Lower *l, Tile *t, Mat x, Value *i0, Mat y, Value *j0, Value *k0, Value *k1);
/* The same where only the lower triangle of x counts: row i0 + r over the k < i0 + r, and with `diagonal`
 * over k = i0 + r. What lies above it in x is not read, nor can a row of y that is not finite reach an
 * earlier row. */
void tile_madd_below(Lower *l, Tile *t, Mat x, Value *i0, Mat y, Value *j0, bool diagonal);
/* The same in steps of several rows and columns: the tile begins at a step, whose `rows` rows count over the columns of
 * the steps before it, and with `diagonal` over the `columns` of its own. */
void tile_madd_steps(Lower *l, Tile *t, Mat x, Value *step, int rows, Mat y, Value *j0, int columns,
                     bool diagonal);
/* Row r times s[i0 + r], a column of scalars. */
void tile_scale(Lower *l, Tile *t, Value *s, Value *i0);
void tile_load(Lower *l, Tile *t, Mat m, Value *i0, Value *j0);
void tile_store(Lower *l, const Tile *t, Mat m, Value *i0, Value *j0);
/* Active lanes of vector c. */
static inline int tile_lanes(int count, int tail, int c) {
    return c == count - 1 ? tail : 0;
}

#endif
