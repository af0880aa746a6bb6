/* Lowering: from a model op to loops. This is the API that the `lower` functions under ops/ are written in.
 *
 * A stage is one op (its anchor) and the elementwise ops of its fused epilogue; each stage becomes one loop
 * function. The anchor's `lower` writes the loops and hands every vector of results to lw_write, which
 * computes and stores the epilogue. Work is shared out among workers (threads) by the stage's axis:
 *     channels    a worker takes a range of units (channels, heads) of every row
 *     rows        a worker takes a range of rows, whole
 *     replicated  (step only) every worker computes everything for itself, into memory of its own
 * The loops below already run over this worker's share, so most ops never look at the axis.
 *
 * A row is a token (chunk form: rows of one sequence, in order) or a sequence (step form: one token each).
 * Stateful ops must therefore fetch the state of a row with lw_state(l, op, slot, row).
 *
 *     static void lower_relu6_row(Lower *l, Op *op) {          // an op with loops of its own
 *         LW_ROWS(l, row) LW_EACH(l, row, ix) {
 *             Value *x = lw_read(l, op->in[0], &ix);
 *             lw_write(l, op->out[0], &ix, lb_min(&l->b, x, lb_f32(&l->b, 6)));
 *         }
 *     }
 */
#ifndef BTC_LOWER_H
#define BTC_LOWER_H

#include "formats/format.h"
#include "loop.h"
#include "plan/op_lowering.h"
#include "plan/pack.h"
#include "plan/values.h"

typedef struct Stage Stage;       /* plan/stage.h */
typedef struct FuncPlan FuncPlan; /* plan/stage.h */
typedef struct PackList PackList; /* plan/pack.h */

struct Lower {
    LB b;
    Diag *diag;
    Arena *arena;
    const LowerTarget *t;
    Form form; /* STEP or CHUNK */
    FuncPlan *plan;
    Stage *stage;
    PackList *packs;
    /* parameters of every stage function */
    Value *call, *w, *state_base, *worker, *workers;
    Value **io; /* pointers of the function's params and results */
    /* loaded at the top of the stage function */
    Value *rows;              /* all rows of the call */
    Value *row_lo, *row_hi;   /* rows that this stage handles on this thread */
    Value *out_begin;         /* first row with an output */
    Value *unit_lo, *unit_hi; /* this thread's units (channels axis), else all */
    Value *work, *worker_memory;
    int64_t scratch_used, scratch_peak;
};

/* Where in a row: element o*I + i, with n active lanes from there (0: a full vector). */
typedef struct Ix {
    Value *row; /* i64 */
    Value *o;   /* i64 leading index, or NULL when O == 1 */
    Value *i;   /* i64 index in the last axis */
    int n;
    int64_t O, I;
} Ix;

/* ---- loops over this thread's share ---- */
#define LW_ROWS(l, r)                                                                                        \
    for (Value *r = lb_for_begin(&(l)->b, (l)->row_lo, (l)->row_hi, 1); r; r = lb_for_end(&(l)->b))
/* Every vector of the stage's result shape [O, I] in this thread's share, with a masked tail. The body is
 * emitted once for full vectors and once for the tail. */
typedef struct LwEach {
    Lower *l;
    int phase;
    Ix at;
    Value *olo, *ohi, *ilo, *ihi;
} LwEach;
LwEach lw_each(Lower *l, Value *row);
bool lw_each_next(LwEach *e);
#define LW_EACH(l, row, ix)                                                                                  \
    for (LwEach ix##_each = lw_each((l), (row)); lw_each_next(&ix##_each);)                                  \
        for (Ix ix = ix##_each.at, *ix##_once = &ix; ix##_once; ix##_once = NULL)
/* Those of the flat elements [lo, hi) only: lo a multiple of the lanes, hi too or the end; for stages whose
 * split is flat and O is 1. */
LwEach lw_part(Lower *l, Value *row, Value *lo, Value *hi);
#define LW_PART(l, row, lo, hi, ix)                                                                          \
    for (LwEach ix##_each = lw_part((l), (row), (lo), (hi)); lw_each_next(&ix##_each);)                      \
        for (Ix ix = ix##_each.at, *ix##_once = &ix; ix##_once; ix##_once = NULL)
/* Every vector of [0, n) of one row (n known at compile time), whatever the split; ix.o = o (may be NULL),
 * ix.O = O, ix.I = n: for reading a whole row or head, e.g. to sum it. */
LwEach lw_span(Lower *l, Value *row, Value *o, int64_t O, int64_t n);
#define LW_SPAN(l, row, o, O, n, ix)                                                                         \
    for (LwEach ix##_each = lw_span((l), (row), (o), (O), (n)); lw_each_next(&ix##_each);)                   \
        for (Ix ix = ix##_each.at, *ix##_once = &ix; ix##_once; ix##_once = NULL)
/* This thread's leading indices o of the stage's shape [O, I] (o##_each.o is NULL when O == 1). */
typedef struct LwOuter {
    Lower *l;
    Value *o;
    int phase;
} LwOuter;
LwOuter lw_outer(Lower *l);
bool lw_outer_next(LwOuter *e);
#define LW_OUTER(l, e) for (LwOuter e = lw_outer(l); lw_outer_next(&e);)
/* This thread's units as a loop: u in [unit_lo, unit_hi); the stage's split must have fixed units. */
#define LW_UNITS(l, u)                                                                                       \
    for (Value *u = lb_for_begin(&(l)->b, (l)->unit_lo, (l)->unit_hi, 1); u; u = lb_for_end(&(l)->b))
/* This thread's range of flat elements [lo, hi) when the split is by channels (else everything). n is the
 * whole count; hi <= n. */
void lw_range(Lower *l, int64_t n, Value **lo, Value **hi);

/* ---- values ---- */
/* The vector of v at ix, by v's own shape: a value with as many elements as ix.O*ix.I is read at o*I+i; one
 * with shape [..,1] or fewer leading dims is broadcast; weights and constants have no rows. f32. */
Value *lw_read(Lower *l, Value *v, const Ix *ix);
/* One element: flat index `at` of row `row`. f32 (i32 for ids). */
Value *lw_read1(Lower *l, Value *v, Value *row, Value *at);
/* A vector at flat index `at` of row `row`. */
Value *lw_read_flat(Lower *l, Value *v, Value *row, Value *at, int n);
/* Base address of row `row` of v, elements contiguous (4 bytes each: f32 or i32), for hand-made loops. */
Value *lw_row_ptr(Lower *l, Value *v, Value *row);
int64_t lw_row_stride(Lower *l, Value *v); /* in elements */
/* Takes a vector of the anchor's result at ix: stores it if another stage reads it, and computes every
 * elementwise op of the epilogue. Vectors of one stage may come in any order, each once. */
void lw_write(Lower *l, Value *v, const Ix *ix, Value *vec);
/* One element (ids, top-k), without an epilogue. */
void lw_write1(Lower *l, Value *v, Value *row, Value *at, Value *scalar);

/* ---- state, position, scratch ---- */
/* f32 numbers that are stored as `dt`: widened on load, rounded to nearest even on store. A store to f16 limits
 * numbers to +-65504: an infinity would make a recurrence NaN for ever, the largest number decays again. All indices count elements; n: active lanes, 0 for all. */
typedef struct LwAccessor {
    Value *p;
    DType dt;
} LwAccessor;
LwAccessor lw_accessor_from(Lower *l, LwAccessor c, Value *element);
Value *lw_accessor_load(Lower *l, LwAccessor c, Value *at, int n); /* a vector */
Value *lw_accessor_load1(Lower *l, LwAccessor c, Value *at);       /* a scalar */
void lw_accessor_store(Lower *l, LwAccessor c, Value *at, Value *v, int n);

/* Slot `slot` (0: first) of `op` for the sequence of `row`. Physical layout is the op's own business:
 * OpLowering.state_elements and state_unpack say how it differs from docs/ops.md. */
LwAccessor lw_state(Lower *l, const Op *op, int slot, Value *row);

/* Staged state: a slot that every token changes. In a chunk its numbers are held in f32 while tokens update them, and
 * rounded once, at the end of the chunk. Rounding at each token would lose updates that are small beside the state,
 * and take more time. So a state is rounded once a call, in all forms. In a step, and if states are f32, nothing is
 * copied and lw_staged is lw_state.
 *
 *     LwStaged h = lw_staged_new(l, op, 0, most);      most: elements staged at a time
 *     lw_staged_begin(&h, lo, hi);               elements [lo, hi) of the slot, this thread's alone
 *     LW_ROWS(l, row) .. lw_staged(&h, row) ..   indexed as the slot is
 *     lw_staged_end(&h);
 *
 * An op that stores a number several times for one token stages the rows of a step, too (lw_staged_rows_new), with
 * lw_staged_row_begin and lw_staged_row_end around each row. */
typedef struct LwStaged {
    Lower *l;
    const Op *op;
    int slot;
    Value *scratch; /* NULL: nothing is copied */
    Value *lo, *hi;
    bool each; /* row, in a step */
} LwStaged;
LwStaged lw_staged_new(Lower *l, const Op *op, int slot, int64_t most);
LwStaged lw_staged_rows_new(Lower *l, const Op *op, int slot, int64_t most);
void lw_staged_begin(LwStaged *h, Value *lo, Value *hi);
void lw_staged_row_begin(const LwStaged *h, Value *row);
LwAccessor lw_staged(const LwStaged *h, Value *row);
void lw_staged_row_end(const LwStaged *h, Value *row);
void lw_staged_end(const LwStaged *h);
Value *lw_call_pointer(LB *b, Value *call,
                       int field);        /* a field (BTC_CALL_..) of the call that is a pointer */
Value *lw_position(Lower *l, Value *row); /* i64: of the token of this row, counted from 0 */
/* Memory of this thread, 64-byte aligned, for the time of the stage; bytes known at compile time. A caller
 * that no longer needs it may restore the earlier value of l->scratch_used. */
Value *lw_scratch(Lower *l, int64_t bytes);

/* ---- weights ---- */
/* Address of the packed operand; *f: the format of its numbers (may be NULL). */
Value *lw_weight(Lower *l, Value *v, PackKind kind, const NumberFormat **f);
/* The format of a panel or table of this operand: the attribute `storage` of the leaf. */
const NumberFormat *lw_format(const Lower *l, const Value *v);

/* ---- the building blocks that several ops share ---- */
/* exp-based functions with care for the edges; vectors or scalars, f32 */
Value *lw_sigmoid(Lower *l, Value *x);
/* Sum over a row span: acc must be a vector var; see norm.c. */
Value *lw_zero(Lower *l); /* a vector of zeros */
/* i64 helpers: min, floor division by constants known to be exact */
Value *lw_min_i64(Lower *l, Value *x, Value *y);

/* ---- for module.c ---- */
/* Computes the epilogue of the current stage, at ix. */
void lower_epilogue(Lower *l, const Ix *ix);
/* Where this thread's private part of the work block begins. */
Value *lw_worker_memory(Lower *l);

#endif
