/* The machine, as planning and lowering see it. */
#ifndef BTC_LOWER_TARGET_H
#define BTC_LOWER_TARGET_H

#include "loop.h"
#include "tuning.h"

/* What lowering needs to know of the machine. */
struct LowerTarget {
    int lanes;           /* f32 per vector */
    int vregs;           /* vector registers */
    int panel;           /* rows of a weight panel (multiple of lanes) */
    Execution execution; /* in a grid a vector is a warp: no masks on scalars, scratch is per warp */
    int unit;       /* numbers that one worker writes at least: what lies in one cache line, or a vector */
    int cache_line; /* bytes; 0: there is no cache */
    int cache_way;  /* bytes from an address to the next that takes the same place of the nearest cache */
    int workers;    /* that a plan should keep busy */
    /* Bytes near a worker: of states that tokens go over, of weights that all rows are multiplied with, of
     * values that the stages of a tile loop hand on. */
    int64_t state_room, weight_room, value_room;
    int64_t barrier_bytes; /* that a worker could read from memory while all meet at a barrier */
    int max_rows_step;     /* sequences in one step */
    int chunk;             /* tokens in one chunk */
    bool f16_loads;        /* the CPU widens f16 by itself */
    Tuning tuning;         /* tuning.h */
    bool profile;          /* stages note their times: kernels/profile.h */
    DType state_dt;        /* how states lie in memory: f32, bf16 or f16 */
};

#endif
