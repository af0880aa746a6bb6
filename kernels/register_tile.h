/* The register tile: sums of some rows by some vectors of columns, in variables that stay in registers. All
 * matrix products are made of it: those with packed weights (kernels.c, whose columns come in panels) and
 * those inside ops (tile.h, whose operands are matrices in memory). */
#ifndef BTC_REGISTER_TILE_H
#define BTC_REGISTER_TILE_H

#include "loop.h"

/* A view of the variables: row r is acc[r * stride .. r * stride + columns). */
typedef struct RegisterTile {
    LB *b;
    Value **acc;
    int rows, columns, stride;
} RegisterTile;

/* acc + y * x, where x is the same for all lanes: lb_dot2, lb_dot4, or register_tile_fma. */
typedef Value *Accumulate(LB *b, Value *acc, Value *y, Value *x);
Accumulate register_tile_fma;

/* Makes the variables; zero: a vector. */
void register_tile_begin(const RegisterTile *t, Value *zero);
/* Row r += x times the vectors y: the step over k of every product. */
void register_tile_add(const RegisterTile *t, int r, Value *const *y, Value *x, Accumulate *add);
Value *register_tile_get(const RegisterTile *t, int r, int c);
void register_tile_set(const RegisterTile *t, int r, int c, Value *v);

#endif
