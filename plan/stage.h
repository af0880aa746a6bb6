/* Stages: the loop functions that a function of model ops becomes, their split over threads, the barriers between
 * them, and the place of every value. Made once per function and form, in this order:
 *     stages.c   ops -> stages (an anchor and its fused epilogue)
 *     split.c    axis and units of each stage
 *     barriers.c where threads meet, and where deferred state updates go
 *     place.c    buffers: shared, per thread, passed in, output
 *     tile_loops.c  fused tile loops: stages that run tile by tile
 * lower.c then writes the loops. */
#ifndef BTC_STAGE_H
#define BTC_STAGE_H

#include "op_lowering.h"
#include "values.h"

typedef enum Axis { AXIS_CHANNELS, AXIS_ROWS, AXIS_REPLICATED } Axis;

typedef struct FuncPlan FuncPlan;

typedef struct Stage {
    const char *name;
    Op *anchor;    /* NULL: elementwise ops only */
    Op **epilogue; /* elementwise, in order: computed while a vector of the result is in registers */
    int nepilogue, epilogue_cap;
    bool deferred_store; /* the deferred state store of `anchor` */
    bool is_call;        /* `anchor` is a call */
    int64_t O, I;        /* shape of the result that the epilogue sees */
    Access access;
    Axis axis;
    int cls;                /* stages of one class split alike (channels axis) */
    int64_t units, grain;   /* unit u: elements [u*grain, min((u+1)*grain, n)) */
    int64_t shares;         /* what threads take: units / shares units each; the same in a class */
    bool barrier;           /* threads meet before this stage */
    int tile_stages;        /* how many stages from here on run in one tile loop; 0: this one alone */
    int64_t tile;           /* shares, or rows, of a tile; 0: all at once */
    int epoch;              /* number of barriers up to here */
    bool out_rows;          /* only rows with an output: what follows the last layer */
    bool once;              /* its results are the same for all rows: they are computed and stored once */
    const char *function;   /* the symbol of its loop function; NULL: it is a call */
    int call;               /* of a call: its number in Schedule.calls, */
    const FuncPlan *callee; /* and the plan of what it calls */
    int *weights;           /* items of the block's PackList that its function reads */
    int nweights, weights_cap;
    int64_t scratch_bytes; /* of a worker, while the function runs */
} Stage;

typedef enum Space {
    SPACE_NONE,     /* never stored */
    SPACE_SHARED,   /* in the call's work block */
    SPACE_WORKER,   /* in this thread's part of it */
    SPACE_ARGUMENT, /* passed in: a parameter or result of a block */
    SPACE_INPUT,    /* the caller's input */
    SPACE_OUTPUT,   /* the caller's output, or a probe */
} Space;

/* Facts of one value during planning and lowering: Value.aux points here. */
typedef struct ValueInfo {
    int stage; /* that computes it; -1: parameter */
    bool stored;
    int first_epoch, last_epoch, first_stage, last_stage;
    Space space;
    int io;         /* IO: index of the pointer; OUTPUT: 0 output, k: probe k-1 */
    int64_t offset; /* bytes */
    int64_t stride; /* elements from row to row */
    Value *flight;  /* the vector at hand while a stage's body is written */
    int flight_gen;
} ValueInfo;

typedef struct ModulePlan {
    const OpLowering *const *lowerings; /* by op_id */
    FuncPlan **plans;
    int n, cap;
} ModulePlan;

struct FuncPlan {
    Func *f;
    ModulePlan *module;
    Arena *arena;
    Stage **stages;
    int n, cap;
    const char *function; /* the symbol of the function that runs its stages */
    int64_t shared_bytes, worker_bytes;
    int64_t shared_base, worker_base; /* where this function's parts begin in the work block */
    int64_t profile_offset;           /* with LowerTarget.profile: see schedule.h */
    int64_t state_bytes;
    int64_t *state_offset; /* per slot, from the call's own state base */
    int *alias;            /* per result: the parameter whose memory it may take, or -1 */
    int barriers;          /* including the one at entry */
    int nclasses;
    /* step: products of weights up to so many bytes may be computed whole by every thread (plan.c), but for
     * those in shared_out; so many bytes of weights are */
    int64_t whole_most, whole_bytes;
    const Op **shared_out;
    int nshared_out, shared_out_cap;
    int gen;
};

const OpLowering *plan_lowering(const FuncPlan *p, const Op *op);
FuncPlan *plan_find(const ModulePlan *m, const Func *f);

/* A read of `v` (its base) by a stage: `all`: beyond its own unit or row. */
typedef struct Read {
    Value *v;
    bool all;
} Read;

ValueInfo *value_info(const Value *v);
/* All of the below, for p->f; false: the message is filed. */
bool plan_function(Diag *d, FuncPlan *p, const LowerTarget *t);
/* Bytes of the weights of a product; INT64_MAX where a token changes them. */
int64_t plan_product_bytes(const Op *op, const LowerTarget *t);
bool plan_stages(Diag *d, FuncPlan *p, const LowerTarget *t);
void plan_split(FuncPlan *p, const LowerTarget *t);
void plan_barriers(FuncPlan *p);
/* Which values are stored, from when to when. */
void plan_lifetimes(FuncPlan *p);
/* rows: the most rows of a call in this form. */
void plan_place(FuncPlan *p, const LowerTarget *t, int64_t rows, bool is_main);
void plan_tile_loops(FuncPlan *p, const LowerTarget *t, int64_t rows);
/* Whether result r may lie in the memory of parameter j (place.c). */
bool plan_may_alias(FuncPlan *p, int r, int j);
/* All reads of stage s: fills reads (grown in the arena), returns their number. */
int stage_reads(FuncPlan *p, const Stage *s, Read **reads);
/* Whether element u of a SAME operand made by `from` is made by the thread that needs it in `to`. */
bool stage_same_split(const Stage *from, const Stage *to);

const char *stage_ops(Arena *a, const Stage *s);
/* Text of the plan, one line a stage: for --emit=stages and the report. */
char *plan_print(Arena *a, const FuncPlan *p);

#endif
