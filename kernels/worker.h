/* The worker that emitted code runs on: the parameters that every function of a plan takes, and this worker's
 * share of a stage. */
#ifndef BTC_WORKER_H
#define BTC_WORKER_H

#include "lower.h"
#include "plan/stage.h"

/* Begins function f with the parameters call, weights, state, worker, workers, and the addresses of the
 * plan's parameters and results (a block's; main has none). */
void worker_open(Lower *l, Func *f);
/* Those parameters, for a call of another function of the plan; `room` more may be added. Returns how many. */
int worker_arguments(Lower *l, int room, Value ***args);
/* Loads rows, out_begin and work. */
void worker_load_call(Lower *l);

/* The rows that a stage computes: all of the call, or one that stands for them. */
Value *stage_rows(Lower *l, const Stage *s);
/* This worker's share of a stage: rows, or shares of the units. */
typedef struct Share {
    Value *lo, *hi;
} Share;
Share worker_share(Lower *l, const Stage *s);

#endif
