/* The machine, as planning and lowering see it. */
#ifndef BTC_LOWER_TARGET_H
#define BTC_LOWER_TARGET_H

#include "tuning.h"

/* What lowering needs to know of the machine. */
struct LowerTarget {
    int lanes;         /* f32 per vector */
    int vregs;         /* vector registers */
    int panel;         /* rows of a weight panel (multiple of lanes) */
    bool warp;         /* a vector is a warp (GPU): no masks on scalars, scratch is per warp */
    int64_t l1, l2;    /* bytes */
    int max_rows_step; /* sequences in one step */
    int chunk;         /* tokens in one chunk */
    bool f16_loads;    /* the CPU widens f16 by itself */
    Tuning tuning;     /* tuning.h */
    bool profile;      /* stages note their times: kernels/profile.h */
    DType state_dt;    /* how states lie in memory: f32, bf16 or f16 */
};

#endif
