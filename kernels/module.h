/* From a module of model functions, split into forms, to a module of loop functions and the facts that the
 * artefact needs: layout of weights, states and the work block. */
#ifndef BTC_LOWER_MODULE_H
#define BTC_LOWER_MODULE_H

#include "plan/pack.h"
#include "plan/stage.h"

/* One call of a block, in order; the first entry is main itself ("index" -1, no prefix). */
typedef struct Instance {
    const char *block; /* name before forms */
    int64_t index;
    const char *prefix;
    int64_t weights; /* offset of its packed weights */
    int64_t state;   /* offset of its slots behind the state header */
    const PackList *packs;
    const FuncPlan *plan; /* of the step form; NULL if only a chunk form exists */
} Instance;

typedef struct Lowered {
    Module *loops; /* entry points btc_entry_step and btc_entry_chunk */
    ModulePlan plans;
    PackList **packs;
    int npacks, packs_cap;
    Instance *instances;
    int ninstances, instances_cap;
    int64_t weight_bytes, state_bytes, shared_bytes, private_bytes;
    int64_t noutputs; /* results of main: the output and the taps */
} Lowered;

/* forms of m: functions "<block>.step" and "<block>.chunk" made by the pass split-entry, main's marked with
 * the attribute "main". false: messages are filed. */
bool lower_module(Diag *d, Module *m, const LowerTarget *t, Lowered *out);

/* ---- states: how slot k of f (FuncPlan.state_offset) lies in a block ---- */
/* Elements, padding included, and their type. */
int64_t state_slot_elements(const Func *f, int k, const LowerTarget *t);
DType state_slot_dtype(const Func *f, int k, const LowerTarget *t);
/* OpLowering.state_use of the op that owns the slot. */
bool state_slot_use(const Func *f, int k, const LowerTarget *t, StateUse *out);
/* Elements of each piece that are in use at a position. */
int64_t state_used(const StateUse *u, int64_t position);
/* The op that owns the slot, and which of its slots it is. */
const Op *state_slot_owner(const Func *f, int k, int *slot);
/* The numbers of an instance's slot, in logical order, from a state block (header included); what is not in
 * use is 0. out: as many as the slot's type has. */
void state_slot_read(Arena *a, const Instance *inst, int k, const LowerTarget *t, const void *block,
                     double *out);

/* The original name of "mamba.step". */
const char *form_base_name(Arena *a, const Func *f);

#endif
