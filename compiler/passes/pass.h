/* Passes over modules, and the runner of compiler/pipeline.def. A pass is one file that exports one `const Pass`. It
 * works on properties of ops (pattern, state, shapes), hardly ever on names; a comment explains each test of a
 * name. */
#ifndef BTC_PASS_H
#define BTC_PASS_H

#include "plan/lower_target.h"

typedef struct PassOptions PassOptions;

typedef struct PassCtx {
    Diag *diag;
    int changed; /* rewrites; 0: the runner says "(unchanged)" */
    const PassOptions *options;
} PassCtx;

typedef struct Pass {
    const char *name;                    /* kebab-case */
    const char *doc;                     /* one line */
    bool (*run)(PassCtx *cx, Module *m); /* false: messages are filed */
} Pass;

#define PASS(id) extern const Pass pass_##id;
#include "pipeline.def"
#undef PASS
extern const Pass *const PASSES[];
extern const int PASS_COUNT;

/* The checkpoint, for passes that look into it. */
typedef struct PassWeights {
    Env env;
    /* Adds a computed tensor that `weight` ops find by this full name (f32, row-major, copied); env.user is
     * handed on. false: message filed. */
    bool (*add)(void *user, Diag *d, const char *name, Type t, const float *data);
} PassWeights;

struct PassOptions {
    bool step_only;             /* no form for chunks of tokens */
    bool chunk_only;            /* no step: whole sequences are read */
    int distill_filters;        /* order; 0: leave filters as they are */
    bool distill_quietly;       /* without saying how well it went */
    const PassWeights *weights; /* may be NULL when nothing is distilled */
    const LowerTarget *machine; /* that forms are chosen for; may be NULL up to choose-form */
    const char *algorithm;      /* --algorithm: forms that are asked for, "OP:FORM,..", or NULL */
    const char *print_after;    /* a pass, "all" or NULL */
    const char *stop_after;     /* or NULL */
    FILE *print_to;
    bool time;
    bool verify; /* check the module after every pass */
};
bool run_passes(Diag *d, Module *m, const PassOptions *o);
/* Whether --print-after and --stop-after name passes; before the work begins. */
bool check_pass_names(Diag *d, const PassOptions *o);
/* Whether --algorithm names ops and forms of theirs (choose_form.c). */
bool check_form_names(Diag *d, const PassOptions *o);

/* What several passes need. */
bool op_is_constant(const Op *op); /* all results known at compile time */
/* Builds an op before `at`; see ir_build. */
Op *build_before(PassCtx *cx, Func *f, Op *at, const char *name, Value *const *in, int nin, Attr *attrs);
/* The first result of `made` becomes operand k of `op`, and is named after its operand 0: "x.rounded". */
void use_result(PassCtx *cx, Func *f, Op *op, int k, Op *made, const char *suffix);
/* Takes the state slots of an op, which is about to go, out of its function. */
void drop_states(Func *f, const Op *op);

#endif
