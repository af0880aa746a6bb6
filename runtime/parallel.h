/* The one door to threads: parallel_omp.c or parallel_serial.c, chosen when the artefact is linked. */
#ifndef BTC_PARALLEL_H
#define BTC_PARALLEL_H

#include <stdbool.h>

/* Runs f(ctx, id, n) once for each id in 0 .. n-1, all at the same time, and returns when all are done.
 * n is at most `threads`; it may be fewer, so f must take n as it comes. false: the system gives no more
 * threads, and nothing has run. */
bool btc_parallel(int threads, void (*f)(void *ctx, int id, int n), void *ctx);

/* How many threads can run at once. */
int btc_processors(void);

#endif
