/* The cost of a model, counted from its plans: per kind of layer and in total, for a step (one token) and for prefill
 * (per token, in full chunks). report.c counts, report_text.c and report_json.c print. */
#ifndef BTC_REPORT_H
#define BTC_REPORT_H

#include "compile.h"

/* Work of a call. Bytes are those of the stored types. */
typedef struct Work {
    double flops;
    double weights; /* bytes read */
    double states;  /* bytes read and written */
    double values;  /* bytes of activations that pass through memory, in and out */
} Work;
static inline double work_bytes(const Work *w) {
    return w->weights + w->states + w->values;
}
void work_add(Work *to, const Work *w, double times);

/* A call of the compiled model, as far as its work depends on it. */
typedef struct CallShape {
    int64_t rows;    /* tokens of a chunk, or sequences of a step */
    int64_t outputs; /* rows of a chunk whose output somebody wants */
    double past;     /* tokens before these in each sequence; negative: as the ops assume */
} CallShape;

/* One stage of a block: an op and the elementwise ops that run inside it. */
typedef struct ReportOp {
    const char *value;            /* the name of its first result */
    const char *ops;              /* "linear + silu" */
    const char *form_step, *form; /* for a token, over a chunk; NULL when there is no state */
    const char *why;              /* why better forms were refused, or NULL */
    Work step;                    /* one token */
    Work chunk;                   /* a full chunk */
} ReportOp;

/* A kind of layer, or main: what comes before and after the layers. */
typedef struct ReportBlock {
    const char *name;
    double parameters;
    int64_t weight_bytes, state_bytes; /* packed; of one sequence */
    int barriers_step, barriers_chunk; /* per call */
    ReportOp *ops;
    int nops, cap;
    Work step, chunk; /* sums */
} ReportBlock;

/* Neighbouring layers of the same block. */
typedef struct ReportRun {
    int block;
    int64_t first, last;
} ReportRun;

typedef struct ReportMachine {
    int threads;
    double bandwidth, peak; /* bytes/s, flop/s; of all threads together */
    bool assumed_bandwidth, assumed_peak;
} ReportMachine;

/* The best that bandwidth and arithmetic allow. */
typedef struct Roofline {
    double by_memory, by_arithmetic, tokens_per_second;
} Roofline;

typedef struct Report {
    const char *name, *target, *cpu;
    const char *state_type; /* of the numbers in states */
    int lanes, chunk_tokens, max_batch;
    Tuning tuning, cost_model; /* numbers in use, and what the cost model says */
    const char *tuning_from;   /* the tuning file, or NULL */
    double past;               /* tokens before those that are counted; negative: as the ops assume */
    ReportBlock *blocks;       /* the first is main */
    int nblocks, blocks_cap;
    ReportRun *runs;
    int nruns, runs_cap;
    int64_t layers;
    double parameters;
    int64_t weight_bytes, state_bytes, work_shared, work_thread;
    int64_t barriers_step, barriers_chunk; /* per step, per chunk */
    bool whole;                            /* reads whole sequences: there is no step */
    bool last_row_only; /* what follows the layers runs for the last token of a chunk only */
    Work step, chunk;
    ReportMachine machine;
    Roofline roof_step, roof_prefill;
} Report;

/* Work of one stage, and of a whole call with all its layers, as compiled. */
Work report_stage_work(FuncPlan *p, const Stage *s, const PackList *packs, const CallShape *call);
Work report_call_work(Arena *a, const Schedule *l, Form form, const CallShape *call);
/* The plan of an instance's block in a form; "linear + silu" for a stage. */
FuncPlan *report_plan(const Schedule *l, Arena *a, const BlockCall *call, Form form);

/* Compiles m up to the loops and counts. past: as in CallShape. */
bool report_make(Diag *d, Model *m, const CompileOptions *o, const ReportMachine *machine, double past,
                 Report *out);
char *report_text(Arena *a, const Report *r);
char *report_json(Arena *a, const Report *r);

#endif
