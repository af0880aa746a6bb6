/* The costs of a CPU's instructions, those of all kernels on it, and what follows: `btc list costs`. */
#ifndef BTC_MACHINE_COSTS_H
#define BTC_MACHINE_COSTS_H

#include "compile.h"

const char *machine_costs_text(Arena *a, const Compiled *machine);
const char *machine_costs_json(Arena *a, const Compiled *machine);

#endif
