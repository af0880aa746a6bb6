/* How the state slots of a planned function lie in memory: slot k of p->f, at p->state_offset[k]. */
#ifndef BTC_STATE_SLOTS_H
#define BTC_STATE_SLOTS_H

#include "stage.h"

/* The op that owns the slot, and which of its slots it is. */
const Op *state_slot_owner(const Func *f, int k, int *slot);
/* Elements, padding included, and their type. */
int64_t state_slot_elements(const FuncPlan *p, int k, const LowerTarget *t);
DType state_slot_dtype(const FuncPlan *p, int k, const LowerTarget *t);
/* OpLowering.state_use of the op that owns the slot. */
bool state_slot_use(const FuncPlan *p, int k, const LowerTarget *t, StateUse *out);
/* Elements of each piece that are in use at a position. */
int64_t state_used(const StateUse *u, int64_t position);

#endif
