/* Measures the model and the machine's limits in turn, so that both see the machine in the same condition. */
#ifndef BTC_BENCH_MEASURE_H
#define BTC_BENCH_MEASURE_H

#include "profile.h"

enum { BENCH_MAX = 16, BENCH_MAX_REPEAT = 1000 };

/* A list of numbers, as in --threads=1,2. */
typedef struct Ints {
    int n, v[BENCH_MAX];
} Ints;

typedef struct BenchOptions {
    Ints prompts; /* tokens of a prefill; steps begin behind the first of them */
    int tokens;   /* of each sequence in a run of steps */
    Ints threads, batches;
    int repeat;
    bool profile;
} BenchOptions;

/* One figure over the repetitions. */
typedef struct Series {
    double *v; /* [n], in order of time */
    int n;
} Series;
typedef struct Spread {
    double median, least, most;
} Spread;
Spread series_spread(const Series *s);

/* The machine with a number of threads. */
typedef struct LimitSeries {
    int threads;
    Series bandwidth, peak; /* bytes/s, flop/s */
} LimitSeries;

/* One kind of run. A token is one of one sequence, also in a batch. */
typedef struct Measured {
    Form form; /* CHUNK: prefill of a prompt; STEP: decoding */
    int threads, batch, tokens;
    Series seconds;               /* of a run: a whole prefill, or one step of the batch */
    Series rate;                  /* tokens/s */
    bool has_work;                /* the plan is known */
    Work work;                    /* of a run */
    Series of_bandwidth, of_peak; /* weights and states per second, flops per second, as parts of the limits
                                     of the same repetition */
    Profile profile;              /* of a run, when asked for */
} Measured;

typedef struct Bench {
    const Subject *subject;
    BenchOptions o;
    const char *machine; /* "AMD EPYC, 2 CPUs" */
    const char *vectors; /* what the peak was reached with */
    double note_seconds; /* cost of reading the clock once in a profiled model */
    LimitSeries *limits; /* [o.threads.n] */
    Measured *runs;      /* all prefills, then all steps, of the first number of threads; then of the next */
    int nruns;
} Bench;
const LimitSeries *bench_limits(const Bench *b, const Measured *m); /* of as many threads */

/* progress: written to stderr when that is a terminal. Errors of the model's calls are filed. */
bool bench_run(Subject *s, const BenchOptions *o, Bench *out);

char *bench_text(Arena *a, const Bench *b);
/* "decode, batch of 8" */
const char *bench_run_name(Arena *a, const Measured *m);
char *bench_chart(Arena *a, const Bench *b); /* SVG; the plan must be known */
char *bench_json(Arena *a, const Bench *b);

#endif
