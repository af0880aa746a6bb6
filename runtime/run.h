/* How the rows of a call are run: by threads that share them (run_threads.c), or by the one processor that there
 * is (run_single.c, where the runtime is compiled with BTC_SINGLE). */
#ifndef BTC_RUN_H
#define BTC_RUN_H

#include "artifact.h"
#include "barrier.h"
#include "pace.h"

/* Parts of a work block: its label, and what running needs. */
#ifdef BTC_SINGLE
enum { BTC_LABEL_BYTES = BTC_LABEL_SINGLE, BTC_RUN_BYTES = 0 };
#else
enum { BTC_LABEL_BYTES = BTC_LINE, BTC_RUN_BYTES = BTC_BARRIER_BYTES + 2 * BTC_PACE_BYTES };
#endif

/* The emitted code for c's rows, as a step or as a chunk, on up to `threads` threads; run: BTC_RUN_BYTES of the
 * work block. false: the system gives no more threads, and nothing has run. */
bool btc_run(const btc_artifact *a, btc_call *c, void *run, int32_t threads, bool step);

/* Marks something as in use by a call; false: it is already. */
static inline bool btc_take(uint64_t *taken) {
#ifdef BTC_SINGLE
    return *taken ? false : (*taken = 1, true);
#else
    return !__atomic_exchange_n(taken, 1, __ATOMIC_ACQUIRE);
#endif
}

static inline void btc_give_back(uint64_t *taken) {
#ifdef BTC_SINGLE
    *taken = 0;
#else
    __atomic_store_n(taken, 0, __ATOMIC_RELEASE);
#endif
}

#endif
