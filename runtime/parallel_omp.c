/* btc_parallel on OpenMP: the only file that knows it. Compile with gcc: clang's -fopenmp=libgomp drops the
 * pragma without a word, and everything would run on one thread. */
#define _GNU_SOURCE /* sched_getcpu */
#include "parallel.h"

#include <omp.h>
#include <sched.h>
#include <time.h>

/* A new thread may begin on its creator's processor, and then both share it until the scheduler looks again,
 * some milliseconds later. One that falls asleep for a moment is woken where nobody else is. */
static void leave(int processor) {
    if (sched_getcpu() == processor) nanosleep(&(struct timespec){.tv_nsec = 1}, NULL);
}

void btc_parallel(int threads, void (*f)(void *ctx, int id, int n), void *ctx) {
    if (threads == 1) {
        f(ctx, 0, 1); /* no region: a host that uses one thread never wakes OpenMP */
        return;
    }
    int processor = sched_getcpu();
#pragma omp parallel num_threads(threads)
    {
        if (omp_get_thread_num() != 0) leave(processor);
        f(ctx, omp_get_thread_num(), omp_get_num_threads());
    }
}
