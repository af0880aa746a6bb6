#include "tune/contest.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_PAIRS = 15, LEAST_PAIRS = 3, LEAST_TO_WIN = 5, THOROUGH_PAIRS = 9 };
/* Of logarithms of speed. What hardly can gain as much as is worth having loses early; winning takes longer.
 */
static const double WORTH_HAVING = 0.02, LEAST_GAIN = 0.005, SURE = 2.5, DOUBT = 1.5, LEAST_SPREAD = 0.005;

typedef struct Contest {
    const Workshop *w;
    Candidate *who[2];
    Verdict *v;
    double time[RUN_KINDS][2][MOST_PAIRS]; /* seconds for a token, or a step */
} Contest;

static double median(const double *v, int n) {
    Series s = {(double *)(uintptr_t)v, n};
    return series_spread(&s).median;
}

static bool time_run(const Contest *c, RunKind kind, int who, double *seconds) {
    Runner *r = &c->who[who]->runner;
    int64_t runs;
    if (kind == RUN_DECODE) return runner_steps(r, c->w->threads, r->batch, seconds, &runs);
    bool ok = runner_prefill(r, c->w->threads, r->prompt, seconds, &runs);
    *seconds /= (double)r->prompt;
    return ok;
}

/* Inputs are the same, so the outputs of the last run can be held against each other. */
static void compare_outputs(Contest *c) {
    const Runner *a = &c->who[0]->runner, *b = &c->who[1]->runner;
    int64_t n = c->who[0]->subject.api->info->output_width;
    double most = 0, off = 0;
    if (memcmp(a->output, b->output, (size_t)n * sizeof *a->output) == 0) return;
    for (int64_t i = 0; i < n; i++) {
        most = fmax(most, fabs((double)a->output[i]));
        off = fmax(off, fabs((double)a->output[i] - (double)b->output[i]));
    }
    c->v->same_bits = false;
    c->v->difference = fmax(c->v->difference, most > 0 ? off / most : off);
}

/* First and second change places, so that a machine that gets slower all the time harms neither. */
static bool run_pair(Contest *c) {
    int i = c->v->pairs++;
    for (RunKind k = 0; k < RUN_KINDS; k++) {
        if (!c->v->ran[k]) continue;
        for (int turn = 0; turn < 2; turn++)
            if (!time_run(c, k, (turn + i) % 2, &c->time[k][(turn + i) % 2][i])) return false;
        if (i == 0) compare_outputs(c);
    }
    return true;
}

/* The logarithm of how much faster the second is: its median over the pairs, and that median's error (from
 * the median deviation, which a few disturbed runs do not move). */
static void judge(Contest *c, double *gain, double *error) {
    int n = c->v->pairs;
    double all[MOST_PAIRS] = {0}, off[MOST_PAIRS], kinds = 0;
    for (RunKind k = 0; k < RUN_KINDS; k++) kinds += c->v->ran[k];
    for (RunKind k = 0; k < RUN_KINDS; k++)
        for (int i = 0; c->v->ran[k] && i < n; i++)
            all[i] += log(c->time[k][0][i] / c->time[k][1][i]) / kinds;
    *gain = median(all, n);
    for (int i = 0; i < n; i++) off[i] = fabs(all[i] - *gain);
    *error = 1.2533 * fmax(1.4826 * median(off, n), LEAST_SPREAD) / sqrt(n);
}

static void take_medians(Contest *c) {
    Verdict *v = c->v;
    for (RunKind k = 0; k < RUN_KINDS; k++) {
        double ratio[MOST_PAIRS];
        v->ratio[k] = 1;
        if (!v->ran[k]) continue;
        for (int i = 0; i < v->pairs; i++) ratio[i] = c->time[k][0][i] / c->time[k][1][i];
        v->ratio[k] = median(ratio, v->pairs);
        double tokens = k == RUN_DECODE ? c->w->batch : 1;
        for (int i = 0; i < 2; i++) v->rate[k][i] = tokens / median(c->time[k][i], v->pairs);
    }
}

bool contest_run(const Workshop *w, TuneGoal goal, Candidate *first, Candidate *second, bool thorough,
                 Verdict *out) {
    Contest *c = xmalloc(sizeof *c);
    *c = (Contest){.w = w, .who = {first, second}, .v = out};
    *out = (Verdict){.same_bits = true};
    out->ran[RUN_DECODE] =
        goal != TUNE_PREFILL && (thorough || first->look.code[RUN_DECODE] != second->look.code[RUN_DECODE]);
    out->ran[RUN_PREFILL] =
        goal != TUNE_DECODE && (thorough || first->look.code[RUN_PREFILL] != second->look.code[RUN_PREFILL]);
    bool ok = true, done = !out->ran[RUN_DECODE] && !out->ran[RUN_PREFILL];
    double gain = 0, error = 0;
    while (ok && !done && (ok = run_pair(c))) {
        judge(c, &gain, &error);
        bool loses = gain + DOUBT * error<WORTH_HAVING, wins = gain - SURE * error> LEAST_GAIN;
        int least = thorough ? THOROUGH_PAIRS : wins ? LEAST_TO_WIN : LEAST_PAIRS;
        done = out->pairs == MOST_PAIRS || (out->pairs >= least && (loses || wins));
    }
    out->faster = gain - SURE * error > LEAST_GAIN;
    out->slower = gain + SURE * error < 0;
    take_medians(c);
    free(c);
    return ok;
}
