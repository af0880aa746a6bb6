/* Which of two candidates is faster, on a machine that others use, too: both run in turn, and what counts is
 * the median of the ratios of neighbouring runs. */
#ifndef BTC_TUNE_CONTEST_H
#define BTC_TUNE_CONTEST_H

#include "bench/measure.h"
#include "tune/candidate.h"

/* What is wanted to be fast. */
typedef enum TuneGoal { TUNE_BOTH, TUNE_DECODE, TUNE_PREFILL } TuneGoal;

typedef struct Verdict {
    bool ran[RUN_KINDS]; /* their code differs, and the goal asks for it */
    double
        ratio[RUN_KINDS]; /* speed of the second as a multiple of the first's: the median; 1: did not run */
    double rate[RUN_KINDS][2]; /* tokens/s: medians */
    bool faster, slower;       /* clearly; by the mean over what ran (of logarithms) */
    bool same_bits;            /* of the outputs of what ran */
    double difference;         /* the largest of the outputs, as a part of the largest output */
    int pairs;
} Verdict;

/* Runs until it is clear, 3 to 15 times; thorough: 9 to 15 times. Clearly faster is what the
 * spread of the measurements does not explain; what cannot be 2 % faster is given up. */
bool contest_run(const Workshop *w, TuneGoal goal, Candidate *first, Candidate *second, bool thorough,
                 Verdict *out);

#endif
