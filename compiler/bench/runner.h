/* The runs of a benchmark: memory for them, and timed prefills and steps. */
#ifndef BTC_BENCH_RUNNER_H
#define BTC_BENCH_RUNNER_H

#include "subject.h"

typedef struct Runner {
    Subject *s;
    int64_t prompt; /* behind which steps begin */
    int64_t tokens; /* of each sequence in a run of steps */
    void *work;
    char **states; /* [batch], and the one behind the prompt, which steps begin with */
    int batch;
    void *input; /* rows: the longest prompt, or all steps of the largest batch */
    float *output;
    int64_t row;          /* bytes of a row of input */
    double least_seconds; /* of a timed run; a fifth of a second, unless the caller changes it */
} Runner;

/* longest: tokens of the longest prefill. Runs everything once, so that weights are in memory. */
bool runner_open(Runner *r, Subject *s, int64_t prompt, int64_t longest, int64_t tokens, int batch,
                 int threads);
void runner_close(Runner *r); /* also after a failed open */

/* One prefill, and step number `step` (from 0) behind the whole prompt: r->output has what came out. */
bool runner_once(Runner *r, int threads, int64_t tokens);
bool runner_step(Runner *r, int threads, int batch, int64_t step);

/* Seconds of one prefill, and of one step of the batch: the mean of as many as fill least_seconds.
 * *runs: how many there were. false: the message is filed. */
bool runner_prefill(Runner *r, int threads, int64_t tokens, double *seconds, int64_t *runs);
bool runner_steps(Runner *r, int threads, int batch, double *seconds, int64_t *runs);

#endif
