/* OpLowering: how an op is planned and lowered, in one record. kernels/ops/ has the files, and ir/ops.def the
 * rows: the same as those of OpDef, which says what the op computes. */
#ifndef BTC_OP_LOWERING_H
#define BTC_OP_LOWERING_H

#include "lower_target.h"

typedef struct Lower Lower; /* kernels/lower.h */

/* How the work of an op splits over threads, besides by rows. A unit is the smallest part that one thread takes;
 * a unit of the result needs the same unit of a SAME operand and everything of an ALL operand. */
typedef enum Split {
    SPLIT_NONE,  /* only whole rows */
    SPLIT_FLAT,  /* unit u = elements [u*g, (u+1)*g) of a row's flat result */
    SPLIT_INNER, /* unit u = elements [u*g, (u+1)*g) of the last axis, for every leading index */
} Split;
enum { ACCESS_OPERANDS = 16 };
typedef struct Access {
    Split split;
    int64_t units;             /* fixed number of units (heads); 0: any multiple of `multiple` elements */
    int64_t multiple;          /* with units == 0; at least LowerTarget.unit */
    bool rows;                 /* rows are independent: may also be split by rows */
    bool all[ACCESS_OPERANDS]; /* operand k is needed whole; those behind are taken to be */
    bool at_once; /* every share costs something that does not depend on its size: few, large ones */
} Access;

/* The part of a state slot that is in use after `position` tokens, if that is not always all of it. The slot consists
 * of equal pieces. Each is filled from its beginning, unit by unit, and the rest is neither read nor written. */
typedef struct StateUse {
    int64_t pieces;
    int64_t elements; /* of a unit */
    int64_t tokens;   /* that a unit has room for, */
    int64_t most;     /* and a piece */
    bool ahead;       /* tokens up to the next power of two above the position have their place already */
} StateUse;

/* One way to compute a stateful op over T rows (the first legal row of OpLowering.forms is taken). */
typedef struct OpForm {
    const char *name; /* "recurrent", "chunked", "fft" */
    const char *doc;
    /* NULL, or why this form cannot compute the op, in words for the report; */
    const char *(*cannot)(const Op *op, const LowerTarget *t, Arena *a);
    /* or why it is not worth it on this machine: it is taken all the same where the user asks for it. */
    const char *(*refuse)(const Op *op, const LowerTarget *t, Arena *a);
    void (*lower)(Lower *l, Op *op);
} OpForm;

typedef struct OpLowering {
    /* ELEMENTWISE: the value for one vector of lanes, from the operands' vectors. */
    Value *(*elem)(Lower *l, const Op *op, Value *const *in);
    /* All others: writes the loops of the stage that this op anchors. */
    void (*lower)(Lower *l, Op *op);
    /* Bytes that a row of the first result takes in memory, when it does not lie there as numbers of 4 bytes,
     * so that only ops which know of it can read it; NULL: it does. */
    int64_t (*row_bytes)(const Op *op);
    /* How the work splits; NULL: by pattern (see stages.c). */
    void (*access)(const Op *op, Form form, Access *out);
    /* The update of the state, when it must wait until all threads have read the old one: a stage of its own
     * behind the next barrier. NULL: lower writes the state itself. */
    void (*store_state)(Lower *l, Op *op);
    /* How slot `slot` lies in a state block: how many elements (NULL: row-major, the logical shape), and the
     * conversion to the logical order for reading a state (needed when number or order differ).
     * `physical` is widened already. position: tokens so far. */
    int64_t (*state_elements)(const Op *op, int slot, const LowerTarget *t);
    void (*state_unpack)(const Op *op, int slot, const LowerTarget *t, int64_t position,
                         const float *physical, double *logical);
    /* false, or NULL: all of the slot is always in use. Else what was in use at a position must be all there
     * is to know of the slot then; at position 0 it is cleared before the first token, the rest holds
     * anything. */
    bool (*state_use)(const Op *op, int slot, const LowerTarget *t, StateUse *out);
    const OpForm *forms; /* alternatives for FORM_CHUNK, best first; ends with a NULL name */
} OpLowering;

#endif
