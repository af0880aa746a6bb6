/* The machine, as planning and lowering see it. */
#ifndef BTC_LOWER_TARGET_H
#define BTC_LOWER_TARGET_H

#include "formats/arithmetic.h"
#include "loop.h"
#include "loop_cost.h"
#include "tuning.h"

/* What is fastest by the costs of instructions, where nobody asks for something else: kernels/cost_model.h. */
typedef struct Defaults {
    Tuning tuning;
    const Arithmetic *bf16, *blocks; /* of products with weights in bf16, and in q8 or q4 */
    double
        gain_of_compressing; /* how many times as fast a step reads bf16 weights in 12 bits; 0: it cannot */
} Defaults;

/* What lowering needs to know of the machine. */
typedef struct LowerTarget {
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
    bool small;            /* code is made for its size */
    bool bf16_dots, byte_dots, byte_tables; /* TargetInfo's */
    /* What a worker reads from memory in a cycle, and what instructions take. */
    double bytes_per_cycle;
    const MachineCosts *costs;
    Defaults defaults;
    Tuning tuning;  /* tuning.h */
    bool profile;   /* stages note their times: kernels/profile.h */
    DType state_dt; /* how states lie in memory: f32, bf16 or f16 */
} LowerTarget;

#endif
