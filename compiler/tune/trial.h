/* An A/B trial: two candidates run in turn on the same inputs, so that a machine which other processes use, too,
 * slows both. */
#ifndef BTC_TUNE_TRIAL_H
#define BTC_TUNE_TRIAL_H

#include "bench/measure.h"
#include "tune/candidate.h"

/* What is wanted to be fast. */
typedef enum TuneGoal { TUNE_BOTH, TUNE_DECODE, TUNE_PREFILL } TuneGoal;

typedef struct Trial {
    bool ran[RUN_KINDS];     /* their code differs, and the goal asks for it */
    double ratio[RUN_KINDS]; /* speed of B as a multiple of A's: the median over the pairs; 1: did not run */
    double rate[RUN_KINDS][2]; /* tokens/s of A and B: medians */
    bool faster, slower;       /* B, by 2 % or more, and in all pairs but one */
    bool same_bits;            /* of the outputs of what ran */
    double difference;         /* the largest of the outputs, as a part of the largest output */
} Trial;

/* both: runs decode and prefill even where only one of them differs. */
bool trial_run(const Tuner *t, TuneGoal goal, Candidate *a, Candidate *b, bool both, Trial *out);

#endif
