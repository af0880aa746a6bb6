/* Filters of many channels at once, on all CPUs: each is a fit of its own, so the numbers do not depend on
 * who makes it. */
#include <stdatomic.h>

#include "base/work.h"
#include "modes/modes.h"

typedef struct Job {
    const double *h;
    int64_t channels, taps;
    int n;
    Modes *out;
    atomic_llong refused; /* the first channel with a tap that is not finite */
} Job;

static void fit_channel(void *user, int64_t i) {
    Job *j = user;
    if (modes_fit(j->h + i * j->taps, j->taps, j->n, &j->out[i])) return;
    long long first = atomic_load(&j->refused);
    while (i < first && !atomic_compare_exchange_weak(&j->refused, &first, i)) {
    }
}

int64_t modes_fit_all(const double *h, int64_t channels, int64_t taps, int n, Modes *out) {
    Job j = {.h = h, .channels = channels, .taps = taps, .n = n, .out = out};
    atomic_init(&j.refused, channels);
    work_share(channels, fit_channel, &j);
    long long refused = atomic_load(&j.refused);
    return refused < channels ? refused : -1;
}
