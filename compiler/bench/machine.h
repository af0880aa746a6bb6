/* The name of this machine, for figures that are shown to others. */
#ifndef BTC_BENCH_MACHINE_H
#define BTC_BENCH_MACHINE_H

#include "base/arena.h"

/* "AMD EPYC 9R14, 2 CPUs": the processor as the system names it, and how many the process may use. */
const char *machine_name(Arena *a);

#endif
