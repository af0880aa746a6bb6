/* The barrier between the stages of a step. Emitted code calls btc_barrier_wait with the btc_call's barrier
 * and its own nthreads. It lives in the work block: no globals, nothing to clean up. */
#ifndef BTC_BARRIER_H
#define BTC_BARRIER_H

#include <stdbool.h>

#include "btc_call.h"

enum { BTC_LINE = 128, BTC_BARRIER_BYTES = 3 * BTC_LINE };

/* b: BTC_BARRIER_BYTES of memory. Before the threads start. crowded: others are known to want our cores. */
void btc_barrier_init(btc_barrier *b, bool crowded);
/* At the start of a call, where it is doubtful that all threads are about to run: how many take part, and in
 * *id which of them this one is. Thread 0 waits a moment for the others; who comes later gets 0 and does
 * nothing. */
int64_t btc_barrier_gather(btc_barrier *b, int64_t nthreads, int64_t *id);
/* Returns when all `nthreads` threads of the call are here; what they wrote before is then visible. */
void btc_barrier_wait(btc_barrier *b, int64_t nthreads);
/* After the threads: nanoseconds that they have waited in all, beyond what is usual. */
int64_t btc_barrier_stalled(const btc_barrier *b);
/* Whether somebody else had a core that a thread wanted. */
bool btc_barrier_crowded(const btc_barrier *b);

/* Nanoseconds of a clock that never goes back. */
int64_t btc_clock(void);

#endif
