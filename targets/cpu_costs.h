/* The table of what instructions cost on CPUs. */
#ifndef BTC_CPU_COSTS_H
#define BTC_CPU_COSTS_H

#include "loop_cost.h"
#include "target.h"

/* Of instruction sets; a row without a name ends them. */
extern const MachineCosts costs_x86_64[], costs_aarch64[];

/* The machine that t is taken for: its CPU's row, else that of a CPU with the same vectors; never NULL. */
const MachineCosts *costs_for(const TargetInfo *t);

#endif
