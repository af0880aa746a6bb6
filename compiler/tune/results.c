#include "tune/results.h"

#include <math.h>
#include <string.h>

/* The allowed difference, relative to the largest output, if parameters change the order of sums. If inputs of
 * products are rounded to bf16 or int8, a difference in a last bit can change a rounding, and so on. */
static const double EXACT_MOST = 1e-3, ROUNDED_MOST = 0.1;

/* The last tokens of these prompts lie in different rows of tiles. 0: the whole prompt. */
static const int64_t LENGTHS[] = {1, 2, 3, 5, 8, 13, 0};
enum { LENGTHS_COUNT = sizeof LENGTHS / sizeof *LENGTHS, MOST_STEPS = 4 };

bool results_of(Tuner *w, Candidate *c, Results *out) {
    Runner *r = &c->runner;
    int64_t width = c->subject.api->info->output_width, one = r->batch * width;
    int64_t steps = r->tokens < MOST_STEPS ? r->tokens : MOST_STEPS;
    out->v = ARENA_ARRAY(w->a, float, LENGTHS_COUNT *width + steps * one), out->n = 0;
    for (int i = 0; i < LENGTHS_COUNT; i++) {
        int64_t tokens = LENGTHS[i] ? LENGTHS[i] : r->prompt;
        if (tokens > r->prompt) continue;
        if (!runner_once(r, w->threads, tokens)) return false;
        memcpy(out->v + out->n, r->output, sizeof *out->v * (size_t)width);
        out->n += width;
    }
    for (int64_t t = 0; t < steps; t++) {
        if (!runner_step(r, w->threads, r->batch, t)) return false;
        memcpy(out->v + out->n, r->output, sizeof *out->v * (size_t)one);
        out->n += one;
    }
    return true;
}

ResultsVerdict results_compare(const Results *a, const Results *b, bool cuts, bool exact) {
    double most = 0, off = 0;
    if (a->n == b->n && !memcmp(a->v, b->v, sizeof *a->v * (size_t)a->n))
        return (ResultsVerdict){true, true, 0};
    for (int64_t i = 0; i < a->n && i < b->n; i++) {
        double x = (double)a->v[i], y = (double)b->v[i];
        bool alike = x == y || (isnan(x) && isnan(y));
        if (isfinite(x)) most = fmax(most, fabs(x));
        if (!alike) off = isfinite(x) && isfinite(y) ? fmax(off, fabs(x - y)) : INFINITY;
    }
    if (a->n != b->n) off = INFINITY;
    ResultsVerdict v = {.difference = most > 0 ? off / most : off};
    v.right = cuts && v.difference <= (exact ? EXACT_MOST : ROUNDED_MOST);
    return v;
}
