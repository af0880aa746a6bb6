/* What a long run of a program is at: after two seconds, in one line on the terminal, which goes away at the
 * end. Nothing is written where stderr is no terminal. */
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
