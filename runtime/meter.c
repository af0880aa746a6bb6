#include "meter.h"

#include <stdio.h>
#include <unistd.h>

#include "program.h"

static const double FIRST = 2, AGAIN = 0.25; /* seconds */

Meter meter_new(bool quiet, const char *what, const char *units, int64_t all) {
    double start = now();
    return (Meter){what, units, all, start, start + FIRST, !quiet && isatty(2) == 1, false};
}

void meter_show(Meter *m, int64_t done) {
    double t = m->on ? now() : 0;
    if (!m->on || t < m->next) return;
    m->next = t + AGAIN, m->drawn = true;
    if (m->all > done && done > 0)
        fprintf(stderr, "\r\033[K%s %lld of %lld %s, %.0f s left", m->what, (long long)done,
                (long long)m->all, m->units, (t - m->start) / (double)done * (double)(m->all - done));
    else
        fprintf(stderr, "\r\033[K%s %lld %s", m->what, (long long)done, m->units);
    fflush(stderr);
}

void meter_end(Meter *m) {
    if (m->drawn) fputs("\r\033[K", stderr);
    m->drawn = false;
}
