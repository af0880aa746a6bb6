/* Whether the system gives threads; used by parallel_omp.c alone. */
#ifndef BTC_THREADS_H
#define BTC_THREADS_H

#include <stdbool.h>
#include <stdint.h>

/* Whether `n` more threads, as OpenMP makes them, can run at the same time. */
bool threads_given(int n);

/* A clock that only the calling thread has: a name for it that says whether it still lives. */
int64_t thread_clock(void);
bool thread_lives(int64_t clock); /* of this process */

#endif
