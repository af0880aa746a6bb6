#include "measure.h"

#include <stdlib.h>
#include <string.h>

#include "limits.h"
#include "machine.h"
#include "runner.h"

/* ---- series ---- */

static void series_add(Series *s, double x) {
    s->v[s->n++] = x;
}

static int by_value(const void *x, const void *y) {
    double a = *(const double *)x, b = *(const double *)y;
    return (a > b) - (a < b);
}

Spread series_spread(const Series *s) {
    double sorted[BENCH_MAX_REPEAT];
    if (!s->n) return (Spread){0};
    memcpy(sorted, s->v, (size_t)s->n * sizeof *sorted);
    qsort(sorted, (size_t)s->n, sizeof *sorted, by_value);
    double median = s->n % 2 ? sorted[s->n / 2] : (sorted[s->n / 2 - 1] + sorted[s->n / 2]) / 2;
    return (Spread){median, sorted[0], sorted[s->n - 1]};
}

const LimitSeries *bench_limits(const Bench *b, const Measured *m) {
    int i = 0;
    while (b->limits[i].threads != m->threads) i++;
    return &b->limits[i];
}

/* ---- the plan of a benchmark ---- */

/* The calls of the model that a run consists of; a run of steps stands for one in its middle. */
static CallShape *calls_of(Arena *a, const Bench *b, const Measured *m, int *n) {
    CallShape *calls = NULL;
    int cap = 0;
    *n = 0;
    if (m->form == FORM_STEP) {
        CallShape c = {m->batch, m->batch, b->o.prompts.v[0] + 0.5 * b->o.tokens};
        ARENA_PUSH(a, calls, *n, cap, c);
        return calls;
    }
    int64_t chunk = b->subject->api->info->chunk;
    for (int64_t at = 0; at < m->tokens; at += chunk) {
        int64_t rows = m->tokens - at < chunk ? m->tokens - at : chunk;
        CallShape c = {rows, at + rows == m->tokens, (double)at + 0.5 * (double)rows};
        ARENA_PUSH(a, calls, *n, cap, c);
    }
    return calls;
}

static Series series_new(Arena *a, const Bench *b) {
    return (Series){ARENA_ARRAY(a, double, b->o.repeat), 0};
}

static void add_run(Arena *a, Bench *b, Form form, int threads, int batch, int tokens) {
    Measured *m = &b->runs[b->nruns++];
    *m = (Measured){.form = form, .threads = threads, .batch = batch, .tokens = tokens};
    m->seconds = series_new(a, b), m->rate = series_new(a, b);
    m->of_bandwidth = series_new(a, b), m->of_peak = series_new(a, b);
    m->has_work = b->subject->compiled != NULL;
    int n;
    CallShape *calls = calls_of(a, b, m, &n);
    for (int i = 0; m->has_work && i < n; i++) {
        Work w = report_call_work(a, &b->subject->compiled->lowered.schedule, form, &calls[i]);
        work_add(&m->work, &w, 1);
    }
}

static void plan_runs(Arena *a, Bench *b) {
    const BenchOptions *o = &b->o;
    b->limits = ARENA_ARRAY(a, LimitSeries, o->threads.n);
    b->runs = ARENA_ARRAY(a, Measured, o->threads.n * (o->prompts.n + o->batches.n));
    for (int t = 0; t < o->threads.n; t++) {
        b->limits[t] = (LimitSeries){o->threads.v[t], series_new(a, b), series_new(a, b)};
        for (int i = 0; i < o->prompts.n; i++) add_run(a, b, FORM_CHUNK, o->threads.v[t], 1, o->prompts.v[i]);
        for (int i = 0; i < o->batches.n; i++)
            add_run(a, b, FORM_STEP, o->threads.v[t], o->batches.v[i], o->tokens);
    }
}

/* ---- running ---- */

static int largest(const Ints *l) {
    int m = 0;
    for (int i = 0; i < l->n; i++)
        if (l->v[i] > m) m = l->v[i];
    return m;
}

/* One repetition of one kind of run, beside limits taken just before. */
static bool measure(Runner *r, const Bench *b, Measured *m, ProfileSum *sum, double bandwidth, double peak) {
    double seconds;
    int64_t runs;
    if (b->o.profile) profile_clear(r->s, r->work, m->threads);
    bool step = m->form == FORM_STEP;
    if (!(step ? runner_steps(r, m->threads, m->batch, &seconds, &runs)
               : runner_prefill(r, m->threads, m->tokens, &seconds, &runs)))
        return false;
    if (b->o.profile) profile_add(r->s, r->work, m->threads, runs, seconds * (double)runs, sum);
    series_add(&m->seconds, seconds);
    series_add(&m->rate, (step ? m->batch : m->tokens) / seconds);
    if (!m->has_work) return true;
    series_add(&m->of_bandwidth, (m->work.weights + m->work.states) / seconds / bandwidth);
    series_add(&m->of_peak, m->work.flops / seconds / peak);
    return true;
}

static bool run_all(Runner *r, const Limits *limits, Bench *b, ProfileSum *sums) {
    int each = b->nruns / b->o.threads.n;
    Progress *p = r->s->d->progress;
    progress_phase(p, "measuring", b->o.repeat * b->nruns);
    bool ok = true;
    for (int rep = 0; ok && rep < b->o.repeat; rep++)
        for (int i = 0; ok && i < b->nruns; i++) {
            LimitSeries *l = &b->limits[i / each];
            if (i % each == 0) {
                series_add(&l->bandwidth, limits_bandwidth(limits, l->threads));
                series_add(&l->peak, limits_peak(limits, l->threads));
            }
            ok = measure(r, b, &b->runs[i], &sums[i], l->bandwidth.v[rep], l->peak.v[rep]);
            progress_step(p);
        }
    progress_done(p);
    return ok;
}

bool bench_run(Subject *s, const BenchOptions *o, Bench *b) {
    *b = (Bench){.subject = s, .o = *o};
    Runner r = {0};
    Limits limits = {0};
    Ticks begin = ticks_now();
    bool ok = limits_open(&limits, 0) || diag_error(s->d, (Loc){0}, "no memory to measure bandwidth with");
    ok = ok && runner_open(&r, s, o->prompts.v[0], largest(&o->prompts), o->tokens, largest(&o->batches),
                           largest(&o->threads));
    if (ok) {
        b->machine = machine_name(s->a), b->vectors = limits_vectors(&limits);
        b->note_seconds = ticks_cost();
        plan_runs(s->a, b);
        ProfileSum *sums = ARENA_ARRAY(s->a, ProfileSum, b->nruns);
        ok = run_all(&r, &limits, b, sums);
        for (int i = 0; ok && o->profile && i < b->nruns; i++) {
            Measured *m = &b->runs[i];
            int n;
            CallShape *calls = calls_of(s->a, b, m, &n);
            m->profile = profile_make(s, m->form, m->threads, &sums[i], ticks_rate(begin), calls, n);
        }
    }
    runner_close(&r);
    limits_close(&limits);
    return ok;
}
