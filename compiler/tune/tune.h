/* Tuning: looks for numbers (plan/tuning.def) with which a model is faster on this machine than with the
 * cost model's. Coordinate descent: one number after the other is moved up and down as long as that is
 * clearly faster, first those that leave all bits of the results as they are; when none helps any more, pairs
 * of numbers move against each other (a tile may have fewer columns and more rows). */
#ifndef BTC_TUNE_H
#define BTC_TUNE_H

#include <cjson/cJSON.h>

#include "tune/contest.h"
#include "tune/trial.h"

typedef struct TuneOptions {
    TuneGoal goal;
    double seconds;   /* about as long it may take */
    const bool *rows; /* [TUNING_COUNT] numbers that may change */
    Tuning from;      /* where to begin */
} TuneOptions;

/* A change of one or two numbers. */
typedef struct TuneMove {
    int n, field[2], from[2], to[2];
} TuneMove;

/* A change that was clearly faster. */
typedef struct TuneKept {
    TuneMove move;
    Verdict v;
} TuneKept;

typedef struct TuneResult {
    Tuning cost_model, best;
    TuneKept *kept;
    int nkept, kept_cap;
    int tried;     /* candidates that ran */
    int wrong;     /* and that were left out, since their results were */
    bool complete; /* the search came to its end before the time did */
    bool compared; /* total is there: the best numbers are not the cost model's */
    Verdict total; /* the cost model's numbers against the best */
} TuneResult;

/* Prints a line for every candidate, and a bar when stderr is a terminal. out->cost_model is given. */
bool tune_run(Workshop *w, const TuneOptions *o, TuneResult *out);

/* tune_text.c: what is printed. */
const char *tune_move_text(Arena *a, const TuneMove *m);
const char *tune_line(Arena *a, const TuneMove *m, const Verdict *v);
const char *tune_total_text(Arena *a, const Workshop *w, const TuneResult *r);
cJSON *tune_measured_json(const Workshop *w, const TuneResult *r, const char *model);

#endif
