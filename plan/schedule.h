/* A schedule: the order in which functions run, their parts of the work, and the places of all that they read and
 * write. Planning makes it. Its users are the entry functions (kernels/threads.c), `--emit=stages`,
 * `--emit=schedule`, reports and identity.
 *
 *     for each stage of main's plan, in order:
 *         if it has a barrier, all workers meet
 *         if it is a call: the stages of the called block's plan, with the bases of this BlockCall
 *         if a tile loop begins: the stages of the loop in turn, for tile 0, 1, ..
 *         else the stage's function, on every worker
 *
 * A worker is a thread, a core, or a warp of a grid. Memory has spaces: `shared` is one region of the work
 * block for all workers, `worker` a region for each, `scratch` a block-local part of the latter, which holds
 * nothing between stages. Offsets of weights and states count from the bases of the call; all others from the
 * region. */
#ifndef BTC_SCHEDULE_H
#define BTC_SCHEDULE_H

#include "pack.h"
#include "stage.h"

/* One call of a block, in the order of execution; the first one is main itself (layer -1, no prefix). */
typedef struct BlockCall {
    const char *block; /* its name without a form */
    int64_t layer;
    const char *prefix; /* of weight names */
    int64_t weights;    /* offset of its packed weights */
    int64_t state;      /* offset of its slots behind the state header */
    const PackList *packs;
    const FuncPlan *plan; /* its step, or NULL */
} BlockCall;

typedef struct Schedule {
    Arena *arena;
    const LowerTarget *machine;
    ModulePlan plans; /* a plan for each function in each form; blocks before main */
    PackList **packs; /* weights of each block */
    int npacks, packs_cap;
    BlockCall *calls;
    int ncalls, calls_cap;
    int64_t weight_bytes, state_bytes; /* of all calls; states without their header */
    int64_t shared_bytes, worker_bytes;
    int64_t noutputs; /* results of main: the output and the probes */
} Schedule;

/* Plans of all functions of m, their calls, states and memory. lowerings: of all ops (OpId). false: messages
 * are filed. */
bool schedule_plan(Diag *d, Module *m, const OpLowering *const *lowerings, const LowerTarget *t,
                   Schedule *out);
/* What only the stage functions can say, once they are written: offsets of the weights that they read and
 * room for the scratch memory that they use. */
void schedule_place(Schedule *s);

/* The weights of a block, by its name without a form; added if new. */
PackList *schedule_packs(Schedule *s, const char *block);
/* The plan of `call`'s block in a form. */
FuncPlan *schedule_plan_of(const Schedule *s, const BlockCall *call, Form form);
FuncPlan *schedule_main(const Schedule *s, Form form);

/* How the work of a stage is shared out among workers. */
typedef enum Sharing {
    SHARE_UNITS,      /* stage.shares parts of each row */
    SHARE_ROWS,       /* whole rows */
    SHARE_REPLICATED, /* every worker does all of it */
    SHARE_ONE,        /* one worker does all of it */
} Sharing;
Sharing stage_sharing(const Stage *s);
const char *sharing_name(Sharing s);

/* With LowerTarget.profile every stage of every plan has a record in each worker's memory, the numbers below
 * as int64_t each; those of a plan begin at FuncPlan.profile_offset. See kernels/profile.h. */
enum { PROFILE_WORK, PROFILE_WAIT, PROFILE_FIELDS };

#endif
