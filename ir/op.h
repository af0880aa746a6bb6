/* OpDef: what an op is and means, in one record, declared in one file under ir/ops/ and listed by one row of
 * ir/ops.def. Parser, printer, verifier, shape inference, interpreter, passes, report, documentation and tests
 * read it; nothing switches on an op's name. How it is compiled is another record: plan/op_lowering.h. */
#ifndef BTC_OP_H
#define BTC_OP_H

#include "ir.h"

/* Fusion and placement reason about these classes, never about names. */
typedef enum Pattern {
    PAT_LEAF,        /* a weight, a constant, the position: no operands */
    PAT_ELEMENTWISE, /* out[i] from in[i], with broadcasting; may join any stage */
    PAT_VIEW,        /* same elements under another shape (reshape, slice): no work */
    PAT_ROW,         /* reduces or permutes inside one row: norms, softmax, rope, top-k */
    PAT_CONTRACT,    /* matrix product with a weight: linear, experts */
    PAT_GATHER,      /* rows of a table */
    PAT_SCAN,        /* recurrence over T: sequential in T, parallel over channels or heads */
    PAT_CONV,        /* convolution over T, per channel */
    PAT_ATTEND,      /* reads the whole past */
    PAT_CALL,
    PAT_LOOP, /* loop level */
} Pattern;

typedef enum OpFlag {
    OPF_COMMUTES = 1,    /* first two operands may swap */
    OPF_CONST_ONLY = 2,  /* only ever evaluated at compile time */
    OPF_VARIADIC = 4,    /* the last operand of the signature may repeat */
    OPF_EFFECT = 8,      /* loop level: not to be removed when unused */
    OPF_INTERNAL = 16,   /* put in by passes; descriptions cannot say it */
    OPF_CHOOSES = 32,    /* what it gives jumps with its operands: a comparison, a choice */
    OPF_KEEPS_SUMS = 64, /* its state holds sums for the future, rounded whenever they are stored */
    OPF_WHOLE = 128,     /* a row needs the tokens behind it, too: only whole sequences can be computed */
    OPF_SAME_ROWS = 256, /* what it gives is the same for every token */
} OpFlag;

typedef struct AttrDef {
    const char *name;
    AttrKind kind;
    bool required;
    double otherwise; /* default of INT, FLOAT, BOOL */
    /* STR: the default, or the allowed words "a|b|c" (the first is the default). INT, FLOAT, FLOATS: the range, such as
     * ">=0" or ">0 <=8"; NULL: all. */
    const char *str;
    const char *doc;
} AttrDef;

/* A tensor of the interpreter: double precision, T resolved. rows == 1 when the type has no T. */
typedef struct Tensor {
    Type type;
    int64_t rows;
    double *data; /* [rows, type_count(type)] */
} Tensor;

/* What an op's eval sees. Operands and results follow op->in and op->out (states last, in and out). An
 * absent operand has data == NULL. eval fills out[i].data, allocated by the caller. */
typedef struct EvalCtx {
    const Op *op;
    const Tensor *in;
    Tensor *out;
    int64_t rows; /* T */
    int64_t pos;  /* position of the first row in its sequence */
    Arena *scratch;
    const struct Env *env; /* of the run, or NULL */
    const char *prefix;    /* of weight names in this call */
    const char *error; /* set by eval when the values (not the shapes) are wrong, e.g. an id out of range */
} EvalCtx;

/* Work of one call with `rows` rows, for the report and for choosing forms. */
typedef struct Cost {
    double flops;
    double weight_bytes; /* read once per call, whatever the rows */
    double act_bytes;    /* activations and states read and written */
    double params;
    /* For ops that read all earlier tokens: flops and bytes (counted above) for each earlier token, how many earlier
     * tokens were assumed, and how many the op reads at most. */
    double past_flops, past_bytes, past, past_most;
} Cost;

struct OpDef {
    const char *name; /* in text and JSON: "scan.diag" */
    Level level;
    Pattern pattern;
    const char *doc;     /* one sentence */
    const char *formula; /* ASCII mathematics */
    const char *source;  /* paper, equation */
    /* Operands and results with shapes, e.g. "x[t,i] w[o,i] b?[o] -> y[t,o]". Lower-case letters and words
     * are dimensions bound at first sight and compared afterwards; t is the sequence; `*` is any number of
     * dimensions, the same in all places; `?` marks an optional operand; a number is that size. NULL: no
     * operands and results as given (the op has its own infer). */
    const char *sig;
    /* State slots: "h[e] = 0; s[w-1,c] = start" (dimension arithmetic with + - * over bound names and attrs;
     * the value at the start is a number or an attr). */
    const char *state;
    const AttrDef *attrs; /* ends with a NULL name */
    unsigned flags;
    bool (*infer)(Diag *d, Func *f, Op *op); /* after (or instead of) sig; false: message filed */
    void (*eval)(EvalCtx *c);                /* reference semantics: plain loops in double */
    Cost (*cost)(const Op *op, int64_t rows);
    /* Of products with a matrix, CONTRACT and others: how many numbers an output sums over. */
    int64_t (*contracted)(const Op *op);
    bool inputs_first; /* CONTRACT: its matrix is [.., inputs, outputs]; else [.., outputs, inputs] */
    /* The type of its states in memory where the user asks for `asked`; NULL: that. */
    DType (*state_dt)(const Op *op, DType asked);
    double tolerance; /* of compiled f32 against eval, relative to the largest output; 0: 1e-5 */
};

/* The table: ir/ops.def expanded. */
typedef enum OpId {
#define OP(id) OP_##id,
#include "ops.def"
#undef OP
    OP_COUNT
} OpId;
#define OP(id) extern const OpDef op_##id;
#include "ops.def"
#undef OP
extern const OpDef *const OP_TABLE[OP_COUNT];

OpId op_id(const OpDef *def);
const OpDef *op_find(const char *name);
/* The nearest op name for a typo, as " (did you mean ...?)" or "". */
const char *op_did_you_mean(Arena *a, const char *name, Level level);

/* ---- whole.c ---- */
/* The first op of the module that needs whole sequences (OPF_WHOLE), or NULL. A module with one has no steps: a
 * call takes a sequence from its beginning to its end. */
const Op *whole_reader(const Module *m);

/* ---- signature.c: the executable comment ---- */
enum { SIG_MAX = 12 };
typedef struct SigTensor {
    const char *name;
    bool optional;
    bool index; /* i32: numbers in the first dimension of the operand behind it (index_range.h) */
    int ndim;   /* -1: anything */
    const char *dim[MAX_RANK + 2];
} SigTensor;
typedef struct Signature {
    SigTensor in[SIG_MAX], out[SIG_MAX];
    int nin, nout;
} Signature;
/* Whether the tensor has the dimension T; whether it may have it. */
bool sig_has_t(const SigTensor *t);
bool sig_may_have_t(const SigTensor *t);
/* A dimension as messages show it. */
const char *sig_dim_text(const char *dim);
/* Parsed form of def->sig, in the arena. */
const Signature *signature_of(Arena *a, const OpDef *def);
/* Number of operands without states / of state slots. */
int op_state_count(const OpDef *def);
/* The type of an op's states in memory if the user asks for `asked`. */
DType op_state_dtype(const Op *op, DType asked);
/* Binds dimensions from operand types, checks them, sets result types. Called by ir_infer_op. */
bool signature_infer(Diag *d, Func *f, Op *op);
/* The types, names and initial values of the state slots of an op whose operands are typed. */
typedef struct StateDef {
    const char *name;
    Type type;
    double init;
} StateDef;
bool signature_states(Diag *d, Func *f, const Op *op, StateDef *out /* [SIG_MAX] */, int *n);

/* ---- attributes.c ---- */
/* Converts numbers to the kinds that the op's record declares, and checks all attributes that it declares. */
bool attrs_check(Diag *d, Func *f, const Op *op);
/* Converts a number or a string to the kind that the op's record declares, if possible. */
void attr_convert(Arena *a, Attr *t, AttrKind want);
/* What is wrong with an attribute, for a message; NULL: nothing. */
const char *attr_wrong(Arena *a, const AttrDef *ad, const Attr *t);
/* The same for a number that models compute with: whether it is in the range and f32 can hold it. */
const char *number_wrong(Arena *a, double v, const char *range);
/* The bounds of a range, one after the other; *range moves on. false: there is no further one. */
typedef struct Bound {
    double at;
    bool above, equal; /* >, or < without; equal: the bound itself counts */
} Bound;
bool range_next(const char **range, Bound *out);
const char *range_text(Arena *a, const char *range); /* "at least 0 and at most 8" */

/* ---- builder.c: adds an op by name the way every front end does ---- */
/* in: the operands of the signature in order (NULL for absent ones). Creates state slots (named
 * state_names[i], or "<first result>.<slot>"), infers types. NULL: message filed. out_names may be NULL. */
Op *ir_build(Diag *d, Func *f, Block *b, const char *op_name, Value *const *in, int nin, Attr *attrs,
             const char *const *out_names, int nout, const char *const *state_names, Loc loc);

/* ---- interp.c ---- */
/* The outside world of an evaluation: weights by full name, in double. */
typedef struct Env {
    void *user;
    /* Fills data (count elements) of the tensor `name`; false: message filed. */
    bool (*weight)(void *user, Diag *d, Loc loc, const char *name, Type type, double *data);
    bool stored; /* weights are taken as the artefact stores them: rounded to their attribute `storage` */
    /* The weights of errors when the tensor `name` is quantised (NumberFormat.quantize): a row of its inputs for
     * each matrix that it holds. NULL, or returns NULL: all errors count alike. */
    const float *(*importance)(void *user, const char *name);
    /* Called by products of tokens with every vector x[n] that they multiply by a matrix of the op `weight`,
     * in a call with this prefix; matrix: its number in the operand. Or NULL. */
    void (*multiplied)(void *multiplied_user, const Op *weight, const char *prefix, int64_t matrix,
                       const double *x, int64_t n);
    void *multiplied_user;
    /* Perturbs all operands and results (perturb.h), or NULL. */
    struct Perturb *perturb;
} Env;
/* One sequence's state for a whole module: slots of main and of every call in it, in order of execution. */
typedef struct InterpState InterpState;
InterpState *interp_state_new(Arena *a, const Module *m);
/* A state for another sequence of the same module and weights. It shares the constants of `of`, which must have run
 * once with the same Env (but for `perturb`) and must live as long. */
InterpState *interp_state_beside(Arena *a, const InterpState *of);
/* The path of the call number `call` of main, in the order of execution. */
const char *interp_call_path(const InterpState *s, int call);
/* Called after every op with its results; call_path is "" in main, or "3" inside the call with index 3. It may
 * overwrite the numbers of `out` that are not constants: the run continues with them. */
typedef void InterpWatch(void *user, const char *call_path, const Op *op, const Tensor *out);
/* Runs `main` over `rows` tokens; advances state and position. inputs follow main's params. results follow
 * main's results. Everything returned lives in arena `a`. */
bool interp_run(Diag *d, Arena *a, const Module *m, const Env *env, InterpState *s, const Tensor *inputs,
                int64_t rows, Tensor *results, InterpWatch *watch, void *watch_user);
int64_t interp_position(const InterpState *s);
/* From now on slots are rounded (dtype_round) to dt, or the type that their op has instead, at the end
 * of every run, as compiled code with such states does at the end of every call. */
void interp_state_precision(InterpState *s, DType dt);
/* Evaluates the value `v` of `f`, which depends on weights and constants only. prefix: of weight names. */
bool interp_constant(Diag *d, Arena *a, const Env *env, const Func *f, const Value *v, const char *prefix,
                     Tensor *out);
/* The named slot of a call ("" for main), or NULL. Its numbers may be changed between runs. */
Tensor *interp_state_slot(const InterpState *s, const char *call_path, const char *slot);

/* Numbers of elementwise kinds etc. live with their ops. */
#endif
