/* The search of `btc tune` for parameters (plan/tuning.def) with which a model is faster on this machine than with
 * those of the cost model. Coordinate descent: one parameter after the other is moved up and down as long as an
 * A/B trial says that this is faster, first those that leave all bits of the results as they are. */
#ifndef BTC_TUNE_H
#define BTC_TUNE_H

#include <cjson/cJSON.h>

#include "tune/results.h"
#include "tune/trial.h"

typedef struct TuneOptions {
    TuneGoal goal;
    double seconds;   /* about as long it may take */
    const bool *rows; /* [TUNING_COUNT] parameters that may change */
    Tuning from;      /* where to begin */
} TuneOptions;

/* A change of one parameter. */
typedef struct TuneMove {
    int field, from, to;
} TuneMove;

/* A change that was faster. */
typedef struct TuneKept {
    TuneMove move;
    Trial trial;
} TuneKept;

typedef struct TuneResult {
    Tuning cost_model, best;
    TuneKept *kept;
    int nkept, kept_cap;
    int tried;     /* candidates that ran */
    int wrong;     /* and that were left out, since their results were */
    bool complete; /* the search came to its end before the time did */
    bool compared; /* total is there: the best parameters are not the cost model's */
    Trial total;   /* the cost model's parameters against the best */
} TuneResult;

/* Prints a line for every candidate, and a bar when stderr is a terminal. out->cost_model is given. */
bool tune_run(Tuner *w, const TuneOptions *o, TuneResult *out);

/* tune_text.c: what is printed. */
const char *tune_move_text(Arena *a, const TuneMove *m);
const char *tune_line(Arena *a, const TuneMove *m, const Trial *v);
const char *tune_total_text(Arena *a, const Tuner *w, const TuneResult *r);
cJSON *tune_measured_json(const Tuner *w, const TuneResult *r, const char *model);

#endif
