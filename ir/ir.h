/* The IR: modules, functions, blocks, ops, values, types. Read this first.
 *
 * One structure, two levels. At MODEL level an op says what ("scan.matrix", "attend", "linear") over values
 * that are tensors; the sequence is a dimension: `f32[T,768]` has one row per token. At LOOP level an op says
 * how (for, load, fma, store) over scalars, vectors and pointers. Both levels are straight-line SSA with
 * nested blocks and no jumps, so printer, parser, verifier and interpreter are short.
 *
 * A model is a module with one function `main` and one function per kind of block; `main` calls the blocks,
 * one call per layer. A call binds the layer's index and the prefix of its weight names, so a block is
 * written, optimised and compiled once, however many layers use it.
 *
 * State is a value: a stateful op takes the old state as its last operands and gives the new one as its last
 * results; the function lists the slots. There is no hidden memory at model level.
 *
 * Batch is not in the types: everything here is one sequence. A step over several sequences runs the same
 * code row by row, each row with its own state. */
#ifndef BTC_IR_H
#define BTC_IR_H

#include "base/diag.h"
#include "base/dtype.h"

enum { MAX_RANK = 5 };

typedef struct OpDef OpDef;
typedef struct Op Op;
typedef struct Value Value;
typedef struct Block Block;
typedef struct Func Func;
typedef struct Module Module;

typedef enum TypeKind {
    TY_NONE,   /* not inferred yet */
    TY_TENSOR, /* model level: dt[T?, dim...] */
    TY_SCALAR, /* loop level: dt, or dt x lanes */
    TY_PTR,    /* loop level: an address; loads and stores say what lies there */
} TypeKind;

typedef struct Type {
    TypeKind kind;
    DType dt; /* TENSOR: f32 or i32; SCALAR: f32 f64 i32 i64 bool */
    bool seq; /* TENSOR: has the leading dimension T (tokens), which is not counted in rank */
    int rank; /* TENSOR */
    int64_t dim[MAX_RANK];
    int lanes; /* SCALAR: 0 for a scalar, else vector width */
} Type;

Type type_tensor(DType dt, bool seq, int rank, const int64_t *dim);
Type type_scalar(DType dt, int lanes);
Type type_ptr(void);
int64_t type_count(Type t); /* elements of one row (TENSOR with seq) or of the whole (without) */
bool type_equal(Type a, Type b);
const char *type_text(Arena *a, Type t); /* "f32[T,768]", "f32x16", "ptr" */

/* A format and an arithmetic are printed as strings, their names; what the table of an op says makes them records
 * again. */
typedef enum AttrKind {
    AT_INT,
    AT_FLOAT,
    AT_BOOL,
    AT_STR,
    AT_INTS,
    AT_FLOATS,
    AT_FORMAT,
    AT_ARITHMETIC,
    AT_FORMULA, /* in AttrDef alone: a STR that is a formula (formula.h), which descriptions write as maps */
} AttrKind;
typedef struct Attr {
    const char *name;
    AttrKind kind;
    int64_t i; /* INT, BOOL */
    double f;  /* FLOAT */
    const char *s;
    int n; /* INTS, FLOATS */
    const int64_t *ints;
    const double *floats;
    const struct NumberFormat *format;
    const struct Arithmetic *arithmetic;
    struct Attr *next;
} Attr;

/* What code generation may assume of a parameter of a loop function; text has it behind the type. */
typedef enum ParamRole {
    PARAM_PLAIN,
    PARAM_READONLY, /* "readonly": an address; nothing is stored through it */
    PARAM_WORKER, /* "worker": the number of the worker that runs the function; a kernel of a GPU computes it */
    PARAM_WORKERS, /* "workers": how many there are; likewise */
} ParamRole;

struct Value {
    const char *name; /* unique in its function; printed as %name */
    Type type;
    Op *def;   /* NULL: parameter, state or block argument */
    int index; /* which result */
    ParamRole role;
    int mark;  /* scratch for the pass that runs */
    void *aux; /* likewise */
};

struct Op {
    const OpDef *def;
    Value **in; /* NULL entries: optional operands that are absent, printed as _ */
    int nin;
    Value **out;
    int nout;
    Attr *attrs;
    Block *body[2]; /* loop level: for, if/else */
    Op *prev, *next;
    Block *parent;
    Loc loc; /* where the user wrote it */
    int mark;
};

struct Block {
    Op *first, *last;
    Value **args; /* induction variable of a for */
    int nargs;
    Op *owner; /* NULL: the function's body */
    Func *func;
};

/* A state slot of a function: what one sequence keeps between calls, per call of this function. */
typedef struct State {
    const char *name; /* "y.h", or what the description calls it */
    Type type;        /* seq false */
    double init;
    Value *in;  /* the value at the start */
    Value *out; /* the value at the end; == in when never updated */
    /* A slice of a slot that a pass has cut along its last axis, from element `slice_at` there; or NULL. */
    const struct State *slice_of;
    int64_t slice_at;
} State;

typedef enum Level { LEVEL_MODEL, LEVEL_LOOP } Level;

/* How a function runs its sequence: the same text, specialised by the pass split-entry. */
typedef enum Form {
    FORM_SEQUENCE, /* as written: T tokens of one sequence */
    FORM_STEP,     /* one token each of several sequences: a row is a sequence */
    FORM_CHUNK,    /* up to C tokens of one sequence: a row is a token */
} Form;
const char *form_name(Form f);
/* The name of "mamba.step" before it was split into forms: "mamba". */
const char *form_base_name(Arena *a, const Func *f);

struct Func {
    Module *module;
    const char *name;
    Level level;
    Form form;
    Value **params;
    int nparams, params_cap;
    State *states;
    int nstates, states_cap;
    Block *body;
    Value **results;
    const char **result_names; /* of main: "logits", ... ; may be NULL */
    int nresults, results_cap;
    Attr *attrs;
    Func *next;
    int next_name; /* for ir_fresh_name */
    Loc loc;
};

struct Module {
    Arena *arena;
    const char *name; /* of the model; an identifier */
    Func *first, *last;
    Attr *attrs; /* kind="lm"|"features", chunk, context, eps ... : facts of the model as a whole */
};

/* ---- building (ir.c) ---- */
Module *ir_module_new(Arena *a, const char *name);
Func *ir_func_new(Module *m, const char *name, Level level);
Func *ir_func_find(const Module *m, const char *name);
void ir_func_remove(Module *m, Func *f);
Value *ir_param_add(Func *f, const char *name, Type t);
Value *ir_param_as(Func *f, ParamRole role, const char *name, Type t);
const char *ir_role_name(ParamRole role);                            /* "" for PARAM_PLAIN */
State *ir_state_add(Func *f, const char *name, Type t, double init); /* pointer valid until the next add */
void ir_result_add(Func *f, const char *name, Value *v);
Value *ir_value_new(Func *f, const char *name_hint, Type t);
Block *ir_block_new(Func *f, Op *owner);
/* A new op, not placed yet. in: nin operands (copied). nout results with fresh names and no type. */
Op *ir_op_new(Func *f, const OpDef *def, Value *const *in, int nin, int nout, Loc loc);
void ir_append(Block *b, Op *op);
void ir_insert_before(Op *at, Op *op);
void ir_insert_after(Op *at, Op *op);
void ir_remove(Op *op); /* takes it out of its block; its results must have no users */
const char *ir_fresh_name(Func *f, const char *hint);

/* ---- walking and rewriting ---- */
#define OPS_OF(block, op) for (Op *op = (block)->first; op; op = op->next)
/* Replaces every use of `from` (operands, states' out, results, also in nested blocks) by `to`. */
void ir_replace_uses(Func *f, Value *from, Value *to);
int ir_count_uses(const Func *f, const Value *v);
/* The slot that `v` is the entry value of, or NULL. */
State *ir_state_of(Func *f, const Value *v);
/* A deep copy of a function under a new name (same module). */
Func *ir_func_clone(Func *f, const char *name);

/* ---- attributes ---- */
const Attr *attr_find(const Attr *list, const char *name);
int64_t attr_int(const Op *op, const char *name, int64_t otherwise);
double attr_float(const Op *op, const char *name, double otherwise);
bool attr_bool(const Op *op, const char *name, bool otherwise);
const char *attr_str(const Op *op, const char *name, const char *otherwise);
const struct NumberFormat *attr_format(const Op *op, const char *name);   /* f32 where it is not there */
const struct Arithmetic *attr_arithmetic(const Op *op, const char *name); /* likewise */
void attr_set(Arena *a, Attr **list, Attr value); /* adds or replaces, keeps order of first setting */
void op_set_int(Func *f, Op *op, const char *name, int64_t v);
void op_set_float(Func *f, Op *op, const char *name, double v);
void op_set_str(Func *f, Op *op, const char *name, const char *v);
void op_set_format(Func *f, Op *op, const char *name, const struct NumberFormat *v);
void op_set_arithmetic(Func *f, Op *op, const char *name, const struct Arithmetic *v);

/* ---- text (print.c, parse.c): printing then parsing then printing is the identity ---- */
char *ir_print_module(Arena *a, const Module *m);
char *ir_print_func(Arena *a, const Func *f);
char *ir_print_op(Arena *a, const Op *op);
Module *ir_parse(Diag *d, Arena *a, const char *file, const char *text); /* NULL: messages are filed */

/* ---- checking (verify.c) ---- */
/* Structure (every operand defined before its use, names unique) and each op's signature. */
bool ir_verify(Diag *d, Module *m);
/* Types of all results from the operands' types; files errors about shapes. */
bool ir_infer_func(Diag *d, Func *f);
bool ir_infer_op(Diag *d, Func *f, Op *op);

#endif
