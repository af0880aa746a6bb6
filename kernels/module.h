/* From a module of model functions, split into forms, to a module of loop functions and the schedule that
 * says how they are run. */
#ifndef BTC_LOWER_MODULE_H
#define BTC_LOWER_MODULE_H

#include "plan/schedule.h"
#include "plan/state_slots.h"

typedef struct Lowered {
    Module *loops;     /* stages, kernels, and what runs them */
    Schedule schedule; /* its plans are within; not to be copied */
} Lowered;

/* forms of m: functions "<block>.step" and "<block>.chunk" made by the pass split-entry, main's marked with
 * the attribute "main". false: messages are filed. */
bool lower_module(Diag *d, Module *m, const LowerTarget *t, Lowered *out);

/* The numbers of slot k of a call, in logical order, from a state block (header included); what is not in
 * use is 0. out: as many as the slot's type has. */
void state_slot_read(Arena *a, const BlockCall *call, int k, const LowerTarget *t, const void *block,
                     double *out);

#endif
