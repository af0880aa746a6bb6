/* A schedule run by threads: one function for each plan, which runs its stages in order, and the entry points
 * btc_entry_step and btc_entry_chunk of an artefact (runtime/btc_call.h). All threads of a call run all of
 * it, take their shares and meet at the barriers. */
#ifndef BTC_THREADS_H
#define BTC_THREADS_H

#include "plan/schedule.h"

void threads_lower(Diag *d, const Schedule *s, Module *loops);

#endif
