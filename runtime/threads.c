/* libgomp ends the process if the system refuses a thread, and offers no way to ask beforehand. So this file starts
 * as many threads as libgomp will, with the same attributes, all alive at once, and ends them again. If that works,
 * libgomp may start its own. This happens only when its pool must grow, not in every call. */
#define _GNU_SOURCE /* sched_yield, MAP_ANONYMOUS */
#include "threads.h"

#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>

/* For libgomp's own books of a team of 1024, and for malloc to get them from. */
enum { SPARE_BYTES = 2 << 20, TRIES = 3, PAUSE_NS = 2000000 };

int64_t thread_clock(void) {
    clockid_t clock = 0;
    pthread_getcpuclockid(pthread_self(), &clock);
    return clock;
}

bool thread_lives(int64_t clock) {
    return clock_getres((clockid_t)clock, NULL) == 0;
}

static bool spare_memory(void) {
    void *p = mmap(NULL, SPARE_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (p == MAP_FAILED) return false;
    munmap(p, SPARE_BYTES);
    return true;
}

typedef struct Probe {
    const pthread_attr_t *attr;
    int64_t clock;
    int behind; /* threads to start from this one */
    bool given; /* all of these, too */
} Probe;

static bool start(const pthread_attr_t *attr, int n);

/* Each thread starts the next one and waits for it. */
static void *probe(void *ctx) {
    Probe *p = ctx;
    p->clock = thread_clock();
    p->given = p->behind ? start(p->attr, p->behind) : spare_memory();
    return NULL;
}

static bool start(const pthread_attr_t *attr, int n) {
    Probe p = {.attr = attr, .behind = n - 1};
    pthread_t thread;
    if (pthread_create(&thread, attr, probe, &p) != 0) return false;
    pthread_join(thread, NULL);
    while (thread_lives(p.clock)) sched_yield(); /* joined, but the kernel counts it until it is gone */
    return p.given;
}

/* The value of OMP_STACKSIZE and its kin in bytes, as libgomp reads it; 0: not set, or not a size. */
static size_t stack_size(const char *variable) {
    static const char units[] = "bkmg";
    const char *s = getenv(variable);
    size_t n = 0, shift = 10; /* kilobytes without a unit */
    if (!s) return 0;
    while (*s == ' ' || *s == '\t') s++;
    if (*s < '0' || *s > '9') return 0;
    for (; *s >= '0' && *s <= '9'; s++)
        if (__builtin_mul_overflow(n, (size_t)10, &n) || __builtin_add_overflow(n, (size_t)(*s - '0'), &n))
            return 0;
    while (*s == ' ' || *s == '\t') s++;
    for (size_t i = 0; i < 4; i++)
        if ((*s | 0x20) == units[i]) shift = 10 * i;
    return n << shift >> shift == n ? n << shift : 0;
}

bool threads_given(int n) {
    pthread_attr_t attr;
    if (pthread_attr_init(&attr) != 0) return false;
    size_t size = stack_size("OMP_STACKSIZE");
    if (!size) size = stack_size("GOMP_STACKSIZE");
    if (size) pthread_attr_setstacksize(&attr, size); /* refused, libgomp takes the default as well */
    bool given = start(&attr, n);
    for (int more = TRIES; !given && more > 0;
         more--) { /* those of a pool that has shrunk may not be gone yet */
        nanosleep(&(struct timespec){.tv_nsec = PAUSE_NS}, NULL);
        given = start(&attr, n);
    }
    pthread_attr_destroy(&attr);
    return given;
}
