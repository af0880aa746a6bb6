/* How many threads a call uses. Results have the same bits for every number. If other programs use the cores, too,
 * the threads of a call wait for each other, and fewer threads can be faster. The work block keeps the measurements
 * from call to call. */
#ifndef BTC_PACE_H
#define BTC_PACE_H

#include <stdbool.h>
#include <stdint.h>

enum { BTC_PACE_BYTES = 128 };
typedef struct btc_pace btc_pace;

/* What to do with some rows. */
typedef struct btc_plan {
    int32_t threads;
    bool gather;  /* it is doubtful that all of them are about to run: see who comes */
    bool crowded; /* others were known to want our cores, for the barrier */
} btc_plan;

/* p: BTC_PACE_BYTES of a work block, with anything in it; owner: a number of the model and block; threads >
 * 1: what the caller offers; processors: how many can run at once, asked for only when it matters. Times are
 * btc_clock's. */
btc_plan btc_pace_begin(btc_pace *p, uint64_t model, int32_t threads, int64_t now, int (*processors)(void));

/* How the rows went. */
typedef struct btc_outcome {
    int64_t rows;
    int64_t stalled; /* what the threads waited for one another in all, in ns */
    bool crowded;    /* somebody else had a core that they wanted */
} btc_outcome;

void btc_pace_end(btc_pace *p, const btc_outcome *o, int64_t now, int (*processors)(void));

#endif
