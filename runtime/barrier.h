/* The barrier between the stages of a step. Emitted code calls btc_barrier_wait with the btc_call's barrier
 * and its own nthreads. It lives in the work block: no globals, nothing to clean up. */
#ifndef BTC_BARRIER_H
#define BTC_BARRIER_H

#include "btc_call.h"

enum { BTC_LINE = 128, BTC_BARRIER_BYTES = 2 * BTC_LINE };

/* b: BTC_BARRIER_BYTES of memory. Before the threads start. */
void btc_barrier_init(btc_barrier *b);
/* Returns when all `nthreads` threads of the call are here; what they wrote before is then visible. */
void btc_barrier_wait(btc_barrier *b, int64_t nthreads);

#endif
