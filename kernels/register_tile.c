/* See register_tile.h. */
#include "register_tile.h"

static Value **variable(const RegisterTile *t, int r, int c) {
    return &t->acc[r * t->stride + c];
}

void register_tile_begin(const RegisterTile *t, Value *zero) {
    for (int r = 0; r < t->rows; r++)
        for (int c = 0; c < t->columns; c++) *variable(t, r, c) = lb_var(t->b, zero);
}

Value *register_tile_get(const RegisterTile *t, int r, int c) {
    return lb_get(t->b, *variable(t, r, c));
}

void register_tile_set(const RegisterTile *t, int r, int c, Value *v) {
    lb_set(t->b, *variable(t, r, c), v);
}

Value *register_tile_fma(LB *b, Value *acc, Value *y, Value *x) {
    return lb_fma(b, x, y, acc);
}

void register_tile_add(const RegisterTile *t, int r, Value *const *y, Value *x, Accumulate *add) {
    for (int c = 0; c < t->columns; c++)
        register_tile_set(t, r, c, add(t->b, register_tile_get(t, r, c), y[c], x));
}
