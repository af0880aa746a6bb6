/* See profile.h. The records lie at the end of each thread's part of the work block; where that is follows
 * from what every artefact says of itself: work_bytes(n) = the runtime's own + work_shared + n * work_thread.
 */
#include "profile.h"

#include <stdlib.h>
#include <string.h>

#include "kernels/profile.h"
#include "limits.h"

static int64_t first_record(const Subject *s) {
    int64_t first = -1;
    const ModulePlan *m = &s->compiled->lowered.schedule.plans;
    for (int i = 0; i < m->n; i++)
        if (first < 0 || m->plans[i]->profile_offset < first) first = m->plans[i]->profile_offset;
    return first;
}

static int64_t count_records(const Subject *s) {
    int64_t n = 0;
    const ModulePlan *m = &s->compiled->lowered.schedule.plans;
    for (int i = 0; i < m->n; i++) n += m->plans[i]->n * PROFILE_FIELDS;
    return n;
}

static int64_t *records_of(const Subject *s, const void *work, int thread) {
    const btc_info *info = s->api->info;
    int64_t own = (int64_t)s->api->work_bytes(1) - info->work_shared - info->work_thread;
    int64_t at = own + info->work_shared + thread * info->work_thread + first_record(s);
    return (int64_t *)(uintptr_t)((const char *)work + at);
}

void profile_clear(const Subject *s, void *work, int threads) {
    size_t bytes = (size_t)count_records(s) * sizeof(int64_t);
    for (int i = 0; i < threads; i++) memset(records_of(s, work, i), 0, bytes);
}

void profile_add(const Subject *s, const void *work, int threads, int64_t runs, double wall,
                 ProfileSum *sum) {
    if (!sum->ticks) {
        sum->records = count_records(s);
        sum->ticks = ARENA_ARRAY(s->a, int64_t, sum->records * threads);
    }
    for (int i = 0; i < threads; i++) {
        const int64_t *from = records_of(s, work, i);
        for (int64_t k = 0; k < sum->records; k++) sum->ticks[i * sum->records + k] += from[k];
    }
    sum->wall += wall, sum->runs += runs;
}

/* ---- from ticks to a table ---- */

typedef struct Maker {
    const Subject *s;
    const ProfileSum *sum;
    int threads;
    double seconds; /* of a tick, in the mean run */
    const CallShape *calls;
    int ncalls;
} Maker;

static void fill_times(const Maker *m, const FuncPlan *p, int stage, ProfileStage *out) {
    int64_t at = (p->profile_offset - first_record(m->s)) / (int64_t)sizeof(int64_t) + stage * PROFILE_FIELDS;
    for (int i = 0; i < m->threads; i++) {
        const int64_t *r = m->sum->ticks + i * m->sum->records + at;
        double work = (double)r[PROFILE_WORK] * m->seconds;
        out->work += work / m->threads;
        out->wait += (double)r[PROFILE_WAIT] * m->seconds / m->threads;
        if (work > out->longest) out->longest = work;
    }
}

/* Calls of the block, and the work of the stage in all of them. */
static void fill_load(const Maker *m, FuncPlan *p, const Stage *stage, ProfileStage *out) {
    const Schedule *l = &m->s->compiled->lowered.schedule;
    for (int i = 0; i < l->ncalls; i++) {
        const BlockCall *call = &l->calls[i];
        if (report_plan(l, m->s->a, call, p->f->form) != p) continue;
        out->calls++;
        for (int c = 0; c < m->ncalls; c++) {
            Work w = report_stage_work(p, stage, call->packs, &m->calls[c]);
            work_add(&out->load, &w, 1);
        }
    }
}

static const char *profiled_ops(Arena *a, const Stage *s) {
    if (s->is_call) return "(before the call)";
    return s->deferred_store ? arena_printf(a, "%s: stores its state", s->anchor->def->name)
                             : stage_ops(a, s);
}

static int by_time(const void *x, const void *y) {
    const ProfileStage *a = x, *b = y;
    double d = b->work + b->wait - a->work - a->wait;
    return (d > 0) - (d < 0);
}

static void add_plan(const Maker *m, FuncPlan *p, Profile *out) {
    Arena *a = m->s->a;
    for (int k = 0; k < p->n; k++) {
        const Stage *s = p->stages[k];
        ProfileStage e = {.block = form_base_name(a, p->f), .value = s->name, .ops = profiled_ops(a, s)};
        if (s->anchor && !s->deferred_store) e.form = attr_str(s->anchor, "form", NULL);
        fill_times(m, p, k, &e);
        fill_load(m, p, s, &e);
        out->work += e.work, out->wait += e.wait;
        out->notes += e.calls * m->ncalls * ((s->barrier ? 1 : 0) + 1);
        if (s->is_call && e.wait == 0) continue;
        ARENA_PUSH(a, out->stages, out->n, out->cap, e);
    }
    out->notes += m->ncalls;
}

Profile profile_make(const Subject *s, Form form, int threads, const ProfileSum *sum, double ticks_per_second,
                     const CallShape *calls, int ncalls) {
    Profile out = {.wall = sum->wall / (double)sum->runs};
    Maker m = {s, sum, threads, 1 / ticks_per_second / (double)sum->runs, calls, ncalls};
    const ModulePlan *plans = &s->compiled->lowered.schedule.plans;
    for (int i = 0; i < plans->n; i++)
        if (plans->plans[i]->f->form == form) add_plan(&m, plans->plans[i], &out);
    if (out.n) qsort(out.stages, (size_t)out.n, sizeof *out.stages, by_time);
    return out;
}

/* ---- the clock ---- */

static int64_t read_ticks(void) {
    int64_t t;
#if defined(__x86_64__)
    t = (int64_t)__builtin_ia32_rdtsc();
#elif defined(__aarch64__)
    __asm__ volatile("mrs %0, cntvct_el0" : "=r"(t));
#elif defined(__riscv)
    __asm__ volatile("rdtime %0" : "=r"(t));
#else
#error "which clock does the loop op `clock` read here?"
#endif
    return t;
}

Ticks ticks_now(void) {
    return (Ticks){read_ticks(), limits_now()};
}

double ticks_cost(void) {
    enum { READINGS = 10000 };
    double start = limits_now();
    int64_t sum = 0;
    for (int i = 0; i < READINGS; i++) sum |= read_ticks();
    double spent = limits_now() - start;
    return sum ? spent / READINGS : 0; /* keeps the readings alive */
}

double ticks_rate(Ticks since) {
    Ticks now = ticks_now();
    return (double)(now.ticks - since.ticks) / (now.seconds - since.seconds);
}
