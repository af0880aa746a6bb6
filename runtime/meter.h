/* The progress of a long run of a program: after two seconds, one line on the terminal, which is removed at the end. If
 * stderr is not a terminal, nothing is written. */
#ifndef BTC_METER_H
#define BTC_METER_H

#include <stdbool.h>
#include <stdint.h>

typedef struct Meter {
    const char *what, *units;
    int64_t all;        /* 0: not known */
    double start, next; /* seconds; when to write again */
    bool on, drawn;
} Meter;

Meter meter_new(bool quiet, const char *what, const char *units, int64_t all);
void meter_show(Meter *m, int64_t done);
void meter_end(Meter *m);

#endif
