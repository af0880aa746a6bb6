/* btc_parallel on OpenMP: the only file that knows it. Compile with gcc: clang's -fopenmp=libgomp drops the
 * pragma without a word, and everything would run on one thread. */
#define _GNU_SOURCE /* sched_getcpu, dladdr */
#include "parallel.h"

#include <dlfcn.h>
#include <omp.h>
#include <pthread.h>
#include <sched.h>
#include <stdint.h>
#include <time.h>
#include <unistd.h>

#include "threads.h"

/* A new thread may begin on its creator's processor, and then both share it until the scheduler looks again,
 * some milliseconds later. One that falls asleep for a moment is woken where nobody else is. */
static void leave(int processor) {
    if (sched_getcpu() == processor) nanosleep(&(struct timespec){.tv_nsec = 1}, NULL);
}

/* A statically linked program has no loader, and needs none. */
extern __typeof(dlopen) dlopen __attribute__((weak));

/* OpenMP's workers wait in its library for the next call, so it must outlive the artefact: dlclose unloads
 * this, and leaves that. */
__attribute__((constructor)) static void keep_openmp(void) {
    Dl_info info;
    if (dlopen && dladdr((void *)(uintptr_t)omp_get_num_threads, &info) && info.dli_fname)
        dlopen(info.dli_fname, RTLD_LAZY | RTLD_NOLOAD | RTLD_NODELETE);
}

/* How many threads a region gets at most: inside of the host's own parallel regions often one. */
static int most_threads(int threads) {
    if (omp_get_active_level() >= omp_get_max_active_levels()) return 1;
    int limit = omp_get_thread_limit();
    return threads < limit ? threads : limit;
}

/* OpenMP keeps a pool for each thread of the host, and so what is known of it belongs to that thread; a work
 * block may be used by any. When a pool shrinks, its last thread ends first: its life says that all are
 * there, whoever else has used the pool meanwhile. */
static _Thread_local struct {
    int threads; /* in the pool, with the host's own; 0: not known */
    pid_t process;
    int64_t last;
} pool;

/* Threads that need not be made for a region of this thread, with its own. 0: there is a pool, but of the
 * process that this one is a copy of, and OpenMP would wait for it for ever. */
static int pool_size(void) {
    if (omp_get_level() > 0 || !pool.threads) return 1; /* a nested team is made anew and ends */
    if (thread_lives(pool.last)) return pool.threads;
    return pool.process == getpid() ? 1 : 0;
}

bool btc_parallel(int threads, void (*f)(void *ctx, int id, int n), void *ctx) {
    if (threads > 1) threads = most_threads(threads);
    if (threads <= 1) {
        f(ctx, 0, 1); /* no region: a host that uses one thread never wakes OpenMP */
        return true;
    }
    int size = pool_size(), given = 0, processor = sched_getcpu();
    int64_t last = 0;
    if (size == 0 || (threads > size && !threads_given(threads - size))) return false;
#pragma omp parallel num_threads(threads)
    {
        int id = omp_get_thread_num(), n = omp_get_num_threads();
        if (id != 0) leave(processor);
        if (threads != size && id == n - 1) given = n, last = thread_clock();
        f(ctx, id, n);
    }
    if (given == threads && omp_get_level() == 0)
        pool.threads = threads, pool.process = getpid(), pool.last = last;
    return true;
}

/* ---- fork ----
 *
 * Only the forking thread lives on in a child, and libgomp would wait there for its pool for ever. So the
 * pool ends before the fork, on both sides, and the next call makes a new one. */

#pragma weak omp_pause_resource_all /* since GCC 9; with an older libgomp a child is refused threads */

static void before_fork(void) {
    if (omp_pause_resource_all && omp_pause_resource_all(omp_pause_hard) == 0) pool.threads = 0;
}

/* What pthread_atfork does, which is no symbol of a shared library: the handler belongs to this artefact, and
 * goes with it when it is closed. No C toolchain's start files are linked that would see to that. */
int __register_atfork(void (*prepare)(void), void (*parent)(void), void (*child)(void), void *owner);
void __cxa_finalize(void *owner);

static const char artefact; /* its address is the owner */

__attribute__((constructor)) static void hear_of_forks(void) {
    __register_atfork(before_fork, NULL, NULL, (void *)(uintptr_t)&artefact);
}

__attribute__((destructor)) static void hear_no_more(void) {
    __cxa_finalize((void *)(uintptr_t)&artefact);
}

int btc_processors(void) {
    return omp_get_num_procs();
}
