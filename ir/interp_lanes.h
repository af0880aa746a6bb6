/* Arithmetic of the loop interpreter on one lane, as interp_loop.h defines it. `id` is the op's number in the table
 * (OP_loop_..). */
#ifndef BTC_INTERP_LANES_H
#define BTC_INTERP_LANES_H

#include "interp_loop.h"

typedef union Cell {
    float f;
    double d;
    int64_t i; /* i32 is kept sign-extended; bool is 0 or 1 */
    char *p;
} Cell;

int64_t lane_wrap(DType dt, int64_t v); /* an i64 as it would be kept in dt */
/* false: undefined for these numbers. */
bool lane_binary(const LoopRun *run, int id, DType dt, Cell x, Cell y, Cell *r);
Cell lane_unary(const LoopRun *run, int id, DType dt, Cell x);
Cell lane_fma(const LoopRun *run, DType dt, Cell x, Cell y, Cell z);
Cell lane_dot4(Cell acc, Cell x, Cell y);
Cell lane_dot2(const LoopRun *run, Cell acc, Cell x, Cell y);
Cell lane_pair(Cell x, Cell y);
/* Of vectors: lane l of the result. from: the byte of the four lanes that comes first. */
Cell lane_lookup(const Cell *x, const Cell *table, int l);
Cell lane_zip(const Cell *x, const Cell *y, int l, int from);
bool lane_holds(const LoopRun *run, const char *pred, DType dt, Cell x, Cell y); /* a comparison */
Cell lane_cast(const LoopRun *run, DType from, DType to, Cell x);
Cell lane_bits(DType from, DType to, Cell x);

#endif
