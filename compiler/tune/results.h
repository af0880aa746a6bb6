/* The results of a candidate, compared before it is timed: parameters within their ranges that give other results than
 * the cost model's are a bug in btc, and such a candidate must not win. */
#ifndef BTC_TUNE_RESULTS_H
#define BTC_TUNE_RESULTS_H

#include "tune/candidate.h"

/* Outputs behind prompts of several lengths and of the steps that follow the last of them. */
typedef struct Results {
    float *v; /* in the arena of the workshop */
    int64_t n;
} Results;
/* false: the message is filed. */
bool results_of(Tuner *w, Candidate *c, Results *out);

typedef struct ResultsVerdict {
    bool same_bits, right;
    double difference; /* the largest, as a part of the largest number of the first */
} ResultsVerdict;
/* Whether `b` is as good as `a`: the same bits, or where long sums may be cut elsewhere (cuts) no more than
 * rounding apart. exact: products multiply f32, nothing is rounded to fewer bits on the way. */
ResultsVerdict results_compare(const Results *a, const Results *b, bool cuts, bool exact);

#endif
