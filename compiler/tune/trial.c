#include "tune/trial.h"

#include <math.h>
#include <string.h>

enum { PAIRS = 7 };
static const double WORTH = 0.02; /* a gain as large as this is worth having */

static double median(double *v, int n) {
    return series_spread(&(Series){v, n}).median;
}

/* Seconds for a token, or for a step. */
static bool time_run(const Tuner *t, Candidate *c, RunKind kind, double *seconds) {
    Runner *r = &c->runner;
    int64_t runs;
    if (kind == RUN_DECODE) return runner_steps(r, t->threads, r->batch, seconds, &runs);
    bool ok = runner_prefill(r, t->threads, r->prompt, seconds, &runs);
    *seconds /= (double)r->prompt;
    return ok;
}

/* Inputs are the same, so the outputs of the last run can be compared. */
static void compare_outputs(const Candidate *a, const Candidate *b, Trial *out) {
    const float *x = a->runner.output, *y = b->runner.output;
    int64_t n = a->subject.api->info->output_width;
    double most = 0, off = 0;
    if (memcmp(x, y, (size_t)n * sizeof *x) == 0) return;
    for (int64_t i = 0; i < n; i++) {
        most = fmax(most, fabs((double)x[i]));
        off = fmax(off, fabs((double)x[i] - (double)y[i]));
    }
    out->same_bits = false;
    out->difference = fmax(out->difference, most > 0 ? off / most : off);
}

/* A and B change places from pair to pair: a machine that gets slower all the time harms neither. */
static bool run_kind(const Tuner *t, Candidate *const *two, RunKind k, double *gains, Trial *out) {
    double seconds[2][PAIRS], ratio[PAIRS];
    for (int i = 0; i < PAIRS; i++) {
        for (int turn = 0; turn < 2; turn++) {
            int which = (turn + i) % 2;
            if (!time_run(t, two[which], k, &seconds[which][i])) return false;
        }
        if (i == 0) compare_outputs(two[0], two[1], out);
        ratio[i] = seconds[0][i] / seconds[1][i];
        gains[i] *= ratio[i];
    }
    out->ratio[k] = median(ratio, PAIRS);
    for (int i = 0; i < 2; i++)
        out->rate[k][i] = (k == RUN_DECODE ? t->batch : 1) / median(seconds[i], PAIRS);
    return true;
}

bool trial_run(const Tuner *t, TuneGoal goal, Candidate *a, Candidate *b, bool both, Trial *out) {
    Candidate *const two[] = {a, b};
    double gains[PAIRS]; /* of each pair; of decode times prefill where both run */
    int up = 0, down = 0, kinds = 0;
    *out = (Trial){.same_bits = true, .ratio = {1, 1}};
    for (int i = 0; i < PAIRS; i++) gains[i] = 1;
    for (RunKind k = 0; k < RUN_KINDS; k++) {
        bool wanted = goal == TUNE_BOTH || goal == (k == RUN_DECODE ? TUNE_DECODE : TUNE_PREFILL);
        out->ran[k] = wanted && (both || a->key.code[k] != b->key.code[k]);
        kinds += out->ran[k];
        if (out->ran[k] && !run_kind(t, two, k, gains, out)) return false;
    }
    for (int i = 0; i < PAIRS; i++) up += gains[i] > 1, down += gains[i] < 1;
    double gain = kinds ? pow(median(gains, PAIRS), 1.0 / kinds) : 1;
    out->faster = up >= PAIRS - 1 && gain >= 1 + WORTH;
    out->slower = down >= PAIRS - 1 && gain <= 1 - WORTH;
    return true;
}
