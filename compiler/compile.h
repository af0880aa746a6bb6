/* Compiling, from top to bottom: model -> passes -> loops -> machine code -> artefact. Every stage can be printed. */
#ifndef BTC_COMPILE_H
#define BTC_COMPILE_H

#include "kernels/module.h"
#include "link/link.h"
#include "model.h"
#include "passes/pass.h"
#include "target.h"

/* Sequences in a step, where the user says nothing, and tokens of a chunk where memory is scarce. */
enum { DEFAULT_BATCH = 16, SINGLE_CHUNK = 16 };

typedef struct CompileOptions {
    const char *output;
    const char *name;      /* of the model in symbols; NULL: the description's */
    const char *target;    /* NULL: the host */
    const char *cpu, *gpu; /* one of them at most */
    const char *emit;      /* NULL: an artefact by the output's name */
    const char *math;      /* --math: f32, bf16, int8; NULL: what fits weights and machine */
    int chunk;             /* 0: default */
    int max_batch;         /* 0: default */
    const char *forms;     /* --forms: "all" or "step"; NULL: all */
    const char *optimize;  /* --optimize: "speed" or "size"; NULL: what the target asks for */
    bool threads;          /* OpenMP */
    bool weights_in_file;
    bool quiet;
    const char *compress;     /* --compress: "yes" or "no"; NULL: where the machine can (pack/compress.h) */
    const char *state;        /* how states lie in memory: "f32", "bf16", "f16"; NULL: f32 */
    const char *tuning_file;  /* --tuning: a file, "none", or NULL: the one beside the model, if any */
    const Tuning *tuning;     /* these parameters and no file; NULL: as tuning_file says */
    const char *weights_file; /* with weights_in_file: its name (NULL: <output>.weights). One that is there
                                 already is used: it must hold this checkpoint in this layout (identity.h) */
    bool profile;             /* stages note their times: kernels/profile.h */
    PassOptions passes;
} CompileOptions;

typedef struct Compiled {
    TargetInfo target;
    LowerTarget lower;
    const char *tuning_from; /* the file that lower.tuning came from; NULL: the cost model, or options */
    Lowered lowered;
} Compiled;

/* The pipeline on the model's module, as far as o->passes says. */
bool compile_passes(Diag *d, Model *m, const PassOptions *o);
/* The machine that --target with --cpu or --gpu names. */
bool compile_target(Diag *d, const CompileOptions *o, TargetInfo *out);
/* The same, and how code is made for it: c's target, lower and tuning_from. model:
 * the one beside which a tuning file may lie, or NULL: no such file is looked for. */
bool compile_machine(Diag *d, const Model *model, const CompileOptions *o, Compiled *c);
/* What can be wrong with the options, whatever the model: before the work that may take minutes. */
bool compile_check(Diag *d, const CompileOptions *o);
/* Passes and lowering: everything before machine code. It changes the model, and is done once: after a failure, too, the
 * model is to be opened again. */
bool compile_lower(Diag *d, Model *m, const CompileOptions *o, Compiled *c);
/* Runs only the passes that change results on purpose, so that the interpreter matches compiled code. */
bool compile_on_purpose(Diag *d, Model *m, const CompileOptions *o);
/* The whole way to o->output. */
bool compile_artifact(Diag *d, Model *m, const CompileOptions *o, Compiled *c);
/* Text to a file, or to stdout (NULL, "-"), which main flushes and checks. */
bool write_text(Diag *d, Arena *a, const char *output, const char *text, size_t n);

#endif
