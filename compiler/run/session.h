/* A model opened to be run on given inputs:
 *     interpreted
 *     native: compiled into a library that is loaded into this process
 *     emulated: compiled into a program for another machine, which runs under an emulator
 * The first run compiles; any number of runs follow, in step and in chunk form. */
#ifndef BTC_SESSION_H
#define BTC_SESSION_H

#include "btc.h"
#include "link/link.h"
#include "verify.h"

/* What a run gives besides the model's output and states. */
typedef enum SessionProbes {
    PROBES_NONE,
    PROBES_HIDDEN, /* hidden.0, hidden.1, ... */
    PROBES_VALUES, /* these, and what VerifyOptions.show wants */
} SessionProbes;

typedef struct Session {
    Diag *d;
    Arena *a;
    VerifyOptions o; /* form "interpret" decides the way; else only a default that runs do not look at */
    Model model;
    TensorList exposed; /* constants that the description exposes, the same in every form */
    SessionProbes probes;
    ProbeList shown; /* PROBES_VALUES: what the probes are */
    int64_t cut; /* in chunk form a prompt is given in two calls, the first with so many tokens; 0: in one */
    bool as_in_checkpoint;     /* interpreting takes weights as they are there, not as they are stored */
    InterpState *constants;    /* of a run that has computed the constants that others share; or NULL */
    bool compiled_yet, failed; /* failed: a message has said why */
    Compiled compiled;
    LinkFolder folder; /* of what was compiled */
    /* compiled, here */
    void *library;
    const btc_api *api;
    btc_model handle;
    void *work;
    int work_threads; /* that it has room for */
    /* compiled, for another machine */
    const char *program;
} Session;

bool session_open(Session *s, Diag *d, Arena *a, const char *path, const VerifyOptions *o,
                  SessionProbes probes);
/* Passes, code and loading; runs do it when it has not been done. After a failure it fails, without another message. */
bool session_compile(Session *s);
/* form: "step" or "chunk"; not looked at when the session interprets. Everything that the run gives is added
 * to *out. The batch may be as large as o.compile.max_batch. */
bool session_run(Session *s, const char *form, int threads, const RawTensor *input, TensorList *out);
/* prompt [P] -> the n ids that follow, each the likeliest. On another machine: only without probes. */
bool session_greedy(Session *s, const char *form, int threads, const RawTensor *prompt, int64_t n,
                    int64_t *ids);
void session_close(Session *s); /* also after a failed open */

/* ---- what the ways share ---- */

/* Sequences to run: [B, T] ids, or [B, T, width] features. */
typedef struct Batch {
    int64_t B, T, width; /* width 0: ids */
    const RawTensor *t;
} Batch;

/* One buffer [B, T, width] per result of main: the output, then the probes. */
typedef struct Outputs {
    int n;
    double **data;
    int64_t *width;
} Outputs;

Func *session_main(const Session *s);
Outputs session_outputs(Session *s, const Batch *b, TensorList *list);
/* Rows [t, t+n) of sequence `row` as the runtime takes them: int32_t or float. */
void *session_rows(Session *s, const Batch *b, int64_t row, int64_t t, int64_t n);
/* Adds the states of sequence `row`: of the interpreter, or from a state block of the runtime. */
void session_states(Session *s, const char *block, int64_t B, int64_t row, TensorList *list);
void session_interpreted_states(Session *s, const InterpState *st, int64_t B, int64_t row, TensorList *list);
/* The likeliest of n logits, those for position `at`. NaN and -Inf are never chosen; false: a message says
 * that none is finite, or one +Inf, as programs refuse it. */
bool session_likeliest(Session *s, const double *logits, int64_t n, int64_t at, int64_t *id);
void session_take(const Session *s, int result, double *to, const float *from, int64_t n);
/* Adds, or finds, a state in the list (call: its index; -1: main's) and sets sequence `row` of it. */
void session_state_add(Session *s, TensorList *list, int64_t call, const State *st, int64_t B, int64_t row,
                       const double *data);
bool session_batch(Session *s, const RawTensor *input, Batch *out);
/* A new tensor [dims] of doubles in the list; returns its data. */
double *session_tensor_add(Arena *a, TensorList *l, const char *name, int rank, const int64_t *dim);

/* session_native.c, session_emulated.c: compiled for this machine, and for another. */
bool native_load(Session *s, const char *path);
bool native_run(Session *s, bool step, int threads, const Batch *b, TensorList *out);
bool native_greedy(Session *s, bool step, int threads, const int32_t *prompt, int64_t np, int64_t n,
                   int64_t *ids);
bool emulated_check(Diag *d, Arena *a, const Target *t); /* whether there is an emulator */
bool emulated_run(Session *s, bool step, int threads, const Batch *b, TensorList *out);
bool emulated_greedy(Session *s, int threads, const int32_t *prompt, int64_t np, int64_t n, int64_t *ids);

#endif
