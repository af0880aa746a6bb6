/* Filters of many channels at once, on all CPUs: each is a fit of its own, so the numbers do not depend on
 * who makes it. */
#include <pthread.h>
#include <stdatomic.h>
#include <unistd.h>

#include "modes/modes.h"

enum { THREADS_MAX = 64 };

typedef struct Job {
    const double *h;
    int64_t channels, taps;
    int n;
    Modes *out;
    atomic_llong next;    /* channel to be taken */
    atomic_llong refused; /* the first channel with a tap that is not finite */
} Job;

static void *work(void *arg) {
    Job *j = arg;
    for (;;) {
        long long i = atomic_fetch_add(&j->next, 1);
        if (i >= j->channels) return NULL;
        if (modes_fit(j->h + i * j->taps, j->taps, j->n, &j->out[i])) continue;
        long long first = atomic_load(&j->refused);
        while (i < first && !atomic_compare_exchange_weak(&j->refused, &first, i)) {
        }
    }
}

int64_t modes_fit_all(const double *h, int64_t channels, int64_t taps, int n, Modes *out) {
    Job j = {.h = h, .channels = channels, .taps = taps, .n = n, .out = out};
    atomic_init(&j.next, 0), atomic_init(&j.refused, channels);
    pthread_t thread[THREADS_MAX];
    long cpus = sysconf(_SC_NPROCESSORS_ONLN);
    int more = 0;
    while (more < THREADS_MAX && more + 1 < cpus && more + 1 < channels &&
           !pthread_create(&thread[more], NULL, work, &j))
        more++;
    work(&j);
    for (int i = 0; i < more; i++) pthread_join(thread[i], NULL);
    long long refused = atomic_load(&j.refused);
    return refused < channels ? refused : -1;
}
