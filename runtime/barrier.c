/* A central barrier with generations: the last thread to arrive starts the next generation and so frees the
 * others. Arrivals and generation lie on lines of their own (128 bytes: processors fetch lines in pairs),
 * because the waiting threads read one while the arriving threads write the other.
 *
 * A thread waits in three ways. First it spins, since stages are microseconds apart. After about 50 us another
 * thread is late, perhaps because it has lost its core: then the waiting thread yields its own core. If no thread
 * needs the core, the yield returns at once and costs nothing. If another thread or program takes it, perhaps for
 * milliseconds, the cores are crowded. From then on, threads sleep while they wait for a late one: the scheduler
 * credits the time that a thread does not use, and runs it soon after it is woken.
 *
 * The thread that frees the others looks for sleepers without a fence, which would make every barrier slower. So it
 * may miss a thread that is falling asleep. Sleeps are short, and a missed one ends by itself. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* syscall */
#endif
#include "barrier.h"

#include <linux/futex.h>
#include <sched.h>
#include <stdatomic.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

enum { SPINS = 2000, TAKEN_NS = 20000, OFFER_NS = 5000000, SLEEP_NS = 1000000, PATIENCE_NS = 1000000 };
#define CLOSED 0x80000000u

struct btc_barrier {
    _Atomic int64_t arrived;
    _Atomic int32_t sleepers;
    char pad[BTC_LINE - sizeof(int64_t) - sizeof(int32_t)];
    _Atomic uint32_t generation;
    char pad2[BTC_LINE - sizeof(uint32_t)];
    _Atomic int64_t stalled; /* this line: by those who wait long only */
    _Atomic bool crowded;
    _Atomic uint32_t gathered; /* threads that came in time; CLOSED: and no more */
    _Atomic uint32_t members;  /* how many these were; 0: still open */
    char pad3[BTC_LINE - sizeof(int64_t) - 3 * sizeof(uint32_t)];
};
_Static_assert(sizeof(btc_barrier) <= BTC_BARRIER_BYTES, "three lines");

static inline void pause_cpu(void) {
#if defined(__x86_64__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("isb" ::: "memory"); /* `yield` does nothing on most cores; isb waits some cycles */
#elif defined(__riscv)
    __asm__ volatile(".4byte 0x0100000f" ::
                         : "memory"); /* pause; a hint, which old cores and assemblers lack */
#endif
}

int64_t btc_clock(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

void btc_barrier_init(btc_barrier *b, bool crowded) {
    atomic_init(&b->arrived, 0);
    atomic_init(&b->sleepers, 0);
    atomic_init(&b->generation, 0);
    atomic_init(&b->stalled, 0);
    atomic_init(&b->crowded, crowded);
    atomic_init(&b->gathered, 0);
    atomic_init(&b->members, 0);
}

int64_t btc_barrier_stalled(const btc_barrier *b) {
    return atomic_load_explicit(&b->stalled, memory_order_relaxed);
}

bool btc_barrier_crowded(const btc_barrier *b) {
    return atomic_load_explicit(&b->crowded, memory_order_relaxed);
}

static bool waiting(const btc_barrier *b, uint32_t mine) {
    return atomic_load_explicit(&b->generation, memory_order_acquire) == mine;
}

/* Offers the core until the partners are here or somebody takes it. */
static void offer_core(btc_barrier *b, uint32_t mine, int64_t start) {
    int64_t before = start;
    while (waiting(b, mine) && before - start < OFFER_NS) {
        if (btc_barrier_crowded(b)) return;
        sched_yield();
        int64_t after = btc_clock();
        if (after - before > TAKEN_NS) atomic_store_explicit(&b->crowded, true, memory_order_relaxed);
        before = after;
    }
}

static void futex(_Atomic uint32_t *at, int what, uint32_t value, const struct timespec *limit) {
    syscall(SYS_futex, at, what | FUTEX_PRIVATE_FLAG, value, limit, NULL, 0);
}

/* Sleeps while *at has this value, or for a while. */
static void sleep_on(_Atomic uint32_t *at, uint32_t value, int64_t ns) {
    struct timespec limit = {.tv_nsec = ns};
    if (ns > 0) futex(at, FUTEX_WAIT, value, &limit);
}

static __attribute__((noinline, cold)) void wait_long(btc_barrier *b, uint32_t mine) {
    int64_t start = btc_clock();
    offer_core(b, mine, start);
    if (waiting(b, mine)) {
        atomic_fetch_add_explicit(&b->sleepers, 1, memory_order_seq_cst);
        while (waiting(b, mine)) sleep_on(&b->generation, mine, SLEEP_NS);
        atomic_fetch_sub_explicit(&b->sleepers, 1, memory_order_relaxed);
    }
    atomic_fetch_add_explicit(&b->stalled, btc_clock() - start, memory_order_relaxed);
}

int64_t btc_barrier_gather(btc_barrier *b, int64_t nthreads, int64_t *id) {
    uint32_t all = (uint32_t)nthreads;
    bool first = *id == 0;
    uint32_t before = atomic_fetch_add(&b->gathered, 1), here = before + 1;
    if (before & CLOSED) return 0;
    *id = before;
    if (here == all) futex(&b->gathered, FUTEX_WAKE, INT32_MAX, NULL);
    if (!first) {
        while (!atomic_load(&b->members)) sleep_on(&b->members, 0, SLEEP_NS);
        return atomic_load(&b->members);
    }
    for (int64_t end = btc_clock() + PATIENCE_NS; (here = atomic_load(&b->gathered)) < all;) {
        int64_t left = end - btc_clock();
        if (left <= 0) break;
        sleep_on(&b->gathered, here, left);
    }
    here = atomic_fetch_or(&b->gathered, CLOSED);
    atomic_store(&b->members, here);
    futex(&b->members, FUTEX_WAKE, INT32_MAX, NULL);
    return here;
}

void btc_barrier_wait(btc_barrier *b, int64_t nthreads) {
    if (nthreads == 1) return;
    uint32_t mine = atomic_load_explicit(&b->generation, memory_order_relaxed);
    if (atomic_fetch_add_explicit(&b->arrived, 1, memory_order_acq_rel) == nthreads - 1) {
        atomic_store_explicit(&b->arrived, 0, memory_order_relaxed);
        atomic_store_explicit(&b->generation, mine + 1, memory_order_release);
        if (atomic_load_explicit(&b->sleepers, memory_order_relaxed) > 0)
            futex(&b->generation, FUTEX_WAKE, INT32_MAX, NULL);
        return;
    }
    for (int spin = 0; spin < SPINS; spin++) {
        if (!waiting(b, mine)) return;
        pause_cpu();
    }
    wait_long(b, mine);
}
