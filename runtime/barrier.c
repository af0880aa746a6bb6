/* A central barrier with generations: the last thread to arrive starts the next generation and so frees the
 * others. Arrivals and generation lie on lines of their own (128 bytes: processors fetch lines in pairs),
 * because the waiting threads read one while the arriving threads write the other. It spins, since stages are
 * microseconds apart. After some 20 us a partner has probably lost its core, and then giving up our own
 * helps: with more threads than free cores, 2,000 turns were ten times faster than 20,000. In the end it
 * sleeps. */
#define _POSIX_C_SOURCE 200809L /* sched_yield, nanosleep */
#include "barrier.h"

#include <sched.h>
#include <stdatomic.h>
#include <time.h>

enum { SPINS = 2000, YIELDS = 20000, SLEEP_NS = 50000 };

struct btc_barrier {
    _Atomic int64_t arrived;
    char pad[BTC_LINE - sizeof(int64_t)];
    _Atomic uint64_t generation;
    char pad2[BTC_LINE - sizeof(uint64_t)];
};
_Static_assert(sizeof(btc_barrier) == BTC_BARRIER_BYTES, "two lines");

static inline void pause_cpu(void) {
#if defined(__x86_64__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("isb" ::: "memory"); /* `yield` does nothing on most cores; isb waits some cycles */
#endif
}

void btc_barrier_init(btc_barrier *b) {
    atomic_init(&b->arrived, 0);
    atomic_init(&b->generation, 0);
}

void btc_barrier_wait(btc_barrier *b, int64_t nthreads) {
    if (nthreads == 1) return;
    uint64_t mine = atomic_load_explicit(&b->generation, memory_order_relaxed);
    if (atomic_fetch_add_explicit(&b->arrived, 1, memory_order_acq_rel) == nthreads - 1) {
        atomic_store_explicit(&b->arrived, 0, memory_order_relaxed);
        atomic_store_explicit(&b->generation, mine + 1, memory_order_release);
        return;
    }
    for (int64_t spin = 0; atomic_load_explicit(&b->generation, memory_order_acquire) == mine; spin++) {
        if (spin < SPINS) {
            pause_cpu();
        } else if (spin < SPINS + YIELDS) {
            sched_yield();
        } else {
            nanosleep(&(struct timespec){.tv_nsec = SLEEP_NS}, NULL);
        }
    }
}
