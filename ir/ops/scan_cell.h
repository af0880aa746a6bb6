/* Operands and sizes of scan.cell, for its definition and its loops. */
#ifndef BTC_SCAN_CELL_H
#define BTC_SCAN_CELL_H

#include "formula.h"

enum { CELL_X, CELL_W, CELL_B, CELL_PROJ, CELL_Y, CELL_KEPT };

typedef struct CellShape {
    int64_t n, g, d, i; /* blocks; gates; channels and inputs of a block */
    int64_t e, p;       /* channels and outputs of all */
    int kept;
    bool projected;
} CellShape;

CellShape cell_shape(const Op *op);
/* Inputs of the formula: for each gate its sum and the two parts of it; y, unless it is projected; what is kept. Outputs:
 * what is kept, then y. NULL, or what is wrong. */
const char *cell_formula(Arena *a, const Op *op, Formula *f);
static inline int cell_input_y(const CellShape *s) {
    return (int)(3 * s->g);
}
static inline int cell_input_kept(const CellShape *s) {
    return (int)(3 * s->g) + !s->projected;
}

#endif
