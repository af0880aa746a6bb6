/* btc bench for people: 100 columns. */
#include <string.h>

#include "base/units.h"
#include "measure.h"

static const char *fraction(Arena *a, bool known, double x) {
    return !known ? "-" : x > 0 && x < 0.005 ? "<0.01" : arena_printf(a, "%.2f", x);
}

static const char *rate(Arena *a, double x) {
    return x < 99.95 ? arena_printf(a, "%.1f", x) : units_count(a, x);
}

/* "612 [605-618]" */
static const char *spread(Arena *a, const Series *s, double scale) {
    Spread x = series_spread(s);
    return arena_printf(a, "%s [%s-%s]", rate(a, x.median * scale), rate(a, x.least * scale),
                        rate(a, x.most * scale));
}

static const char *fraction_spread(Arena *a, bool known, const Series *s) {
    Spread x = series_spread(s);
    if (!known) return "-";
    return arena_printf(a, "%.2f [%.2f-%.2f]", x.median, x.least, x.most);
}

const char *bench_run_name(Arena *a, const Measured *m) {
    if (m->form == FORM_CHUNK) return arena_printf(a, "prefill of %d", m->tokens);
    return m->batch == 1 ? "decode" : arena_printf(a, "decode, batch of %d", m->batch);
}

/* ---- one table for a number of threads ---- */

static void add_runs(Text *t, Arena *a, const Bench *b, const LimitSeries *l) {
    text_add(t, "\n%d thread%s: memory reads %s GB/s, arithmetic %s GFLOP/s\n", l->threads,
             l->threads > 1 ? "s" : "", spread(a, &l->bandwidth, 1e-9), spread(a, &l->peak, 1e-9));
    text_add(t, "  %-22s%26s%10s%20s%20s\n", "", "tokens/s", "a call", "of bandwidth", "of peak");
    for (int i = 0; i < b->nruns; i++) {
        const Measured *m = &b->runs[i];
        if (m->threads != l->threads) continue;
        text_add(t, "  %-22s%26s%10s%20s%20s\n", bench_run_name(a, m), spread(a, &m->rate, 1),
                 units_time(a, series_spread(&m->seconds).median),
                 fraction_spread(a, m->has_work, &m->of_bandwidth),
                 fraction_spread(a, m->has_work, &m->of_peak));
    }
}

/* ---- profile ---- */

static void add_stage(Text *t, Arena *a, const Profile *p, const ProfileStage *s, const LimitSeries *l) {
    double bytes = s->load.weights + s->load.states, bandwidth = series_spread(&l->bandwidth).median,
           peak = series_spread(&l->peak).median;
    const char *name = arena_printf(a, "%s.%s", s->block, s->value);
    const char *ops = s->form ? arena_printf(a, "%s (%s)", s->ops, s->form) : s->ops;
    text_add(t, "  %-20s%-27s%9s%6.1f%%%6.1f%%", units_clip(a, name, 19), units_clip(a, ops, 26),
             units_time(a, s->work), 100 * s->work / p->wall, 100 * s->wait / p->wall);
    bool timed = s->work > 0;
    text_add(t, "%7s%6s", timed && bytes > 0 ? arena_printf(a, "%.1f", bytes / s->work * 1e-9) : "-",
             fraction(a, timed && bytes > 0, bytes / s->work / bandwidth));
    text_add(t, "%8s%7s\n",
             timed && s->load.flops > 0 ? arena_printf(a, "%.1f", s->load.flops / s->work * 1e-9) : "-",
             fraction(a, timed && s->load.flops > 0, s->load.flops / s->work / peak));
}

static void add_profile(Text *t, Arena *a, const Measured *m, const LimitSeries *l) {
    const Profile *p = &m->profile;
    text_add(t, "\n%s, %d thread%s: %s a call; stages %.1f %%, waiting %.1f %%, outside of stages %.1f %%\n",
             bench_run_name(a, m), m->threads, m->threads > 1 ? "s" : "", units_time(a, p->wall),
             100 * p->work / p->wall, 100 * p->wait / p->wall, 100 * (1 - (p->work + p->wait) / p->wall));
    text_add(t, "  %-20s%-27s%9s%7s%7s%7s%6s%8s%7s\n", "stage", "ops", "time", "share", "wait", "GB/s",
             "of bw", "GFLOP/s", "of pk");
    for (int i = 0; i < p->n; i++) add_stage(t, a, p, &p->stages[i], l);
}

char *bench_text(Arena *a, const Bench *b) {
    Text t = text_new(a);
    const btc_info *info = b->subject->api->info;
    text_add(&t, "%s: %lld layer%s, %s parameters, %s of weights\n", info->name, (long long)info->layers,
             info->layers == 1 ? "" : "s", units_count(a, (double)info->parameters),
             units_bytes(a, (double)info->weights_bytes));
    text_add(&t, "for %s, %s; chunks of %lld tokens\n", info->target, info->cpu, (long long)info->chunk);
    if (b->subject->compiled && b->subject->compiled->tuning_from)
        text_add(&t, "tuned by %s\n", b->subject->compiled->tuning_from);
    text_add(&t, "on %s; %s\n", b->machine, b->vectors);
    text_add(&t, "Medians of %d repetitions [least-most]. Decoding: %d tokens behind the prompt of %d.\n",
             b->o.repeat, b->o.tokens, b->o.prompts.v[0]);
    if (!b->subject->compiled)
        text_add(&t, "A compiled library does not tell its work: give the model itself for fractions.\n");
    for (int i = 0; i < b->o.threads.n; i++) add_runs(&t, a, b, &b->limits[i]);
    if (!b->o.profile) return t.s;
    text_add(&t,
             "\nThe model notes the time at every stage and barrier, which costs it some %.0f ns a note.\n"
             "Times are means over the threads, all layers together; share and wait are parts of the "
             "call.\n",
             1e9 * b->note_seconds);
    for (int i = 0; i < b->nruns; i++) add_profile(&t, a, &b->runs[i], bench_limits(b, &b->runs[i]));
    return t.s;
}
