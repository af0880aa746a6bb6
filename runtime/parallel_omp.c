/* btc_parallel on OpenMP: the only file that knows it. Compile with gcc: clang's -fopenmp=libgomp drops the
 * pragma without a word, and everything would run on one thread. */
#include "parallel.h"

#include <omp.h>

void btc_parallel(int threads, void (*f)(void *ctx, int id, int n), void *ctx) {
    if (threads == 1) {
        f(ctx, 0, 1); /* no region: a host that uses one thread never wakes OpenMP */
        return;
    }
#pragma omp parallel num_threads(threads)
    f(ctx, omp_get_thread_num(), omp_get_num_threads());
}
