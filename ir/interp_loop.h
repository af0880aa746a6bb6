/* Runs loop-level functions without a compiler, and checks every load and store. If compiled code and this agree on a
 * wrong result, lowering is wrong; if they differ, code generation is. */
#ifndef BTC_INTERP_LOOP_H
#define BTC_INTERP_LOOP_H

#include "loop.h"

typedef struct LoopRegion {
    const char *name; /* for messages */
    void *base;
    size_t bytes;
} LoopRegion;

typedef struct LoopRun {
    const LoopRegion *regions; /* memory that may be touched; NULL: anything */
    int nregions;
    bool fused; /* fma rounds once, as on targets that have it */
    Denormals denormals;
} LoopRun;

/* An argument by its parameter's type. */
typedef union LoopArg {
    int64_t i;
    double f; /* f32 and f64 */
    void *p;
} LoopArg;

/* Runs f (verified) alone: barriers are passed, one thread. Real f32 arithmetic for f32, so results equal
 * those of compiled code bit for bit (payloads of NaN aside, and denormals that min and max let through). exp
 * and its like, where they were not expanded, are the double function rounded. false: a bad access or an
 * undefined operation, which is filed. */
bool interp_loop(Diag *d, Func *f, const LoopArg *args, const LoopRun *run);

#endif
