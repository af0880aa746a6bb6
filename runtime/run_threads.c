/* A parallel region for the rows of a call, on as many threads as serve (pace.h): every thread runs the emitted
 * code from its first row to its last. */
#include "run.h"

#include "float_env.h"
#include "parallel.h"

/* The rows of a call that the emitted code runs at once. */
typedef struct Rows {
    btc_entry *entry;
    const btc_call *call;
    bool gather;
    int64_t done; /* when thread 0 had nothing more to do, by btc_clock */
} Rows;

static void run_thread(void *ctx, int id, int threads) {
    Rows *r = ctx;
    int64_t mine = id, n = threads;
    if (r->gather && threads > 1 && !(n = btc_barrier_gather(r->call->barrier, threads, &mine))) return;
    uint64_t env = float_env_enter();
    r->entry(r->call, mine, n);
    float_env_leave(env);
    btc_barrier_wait(r->call->barrier, n); /* it knows better than OpenMP how to wait */
    if (id == 0) r->done = threads > 1 ? btc_clock() : 0;
}

/* Of prefill, of steps: their rows take different times. */
static btc_pace *pace_of(void *run, bool step) {
    return (btc_pace *)(void *)((char *)run + BTC_BARRIER_BYTES + (step ? BTC_PACE_BYTES : 0));
}

bool btc_run(const btc_artifact *a, btc_call *c, void *run, int32_t threads, bool step) {
    c->barrier = run;
    Rows r = {.entry = step ? a->step : a->chunk, .call = c};
    if (threads == 1) return btc_parallel(1, run_thread, &r);
    btc_pace *p = pace_of(run, step);
    btc_plan plan = btc_pace_begin(p, a->info.fingerprint, threads, btc_clock(), btc_processors);
    btc_barrier_init(c->barrier, plan.crowded);
    r.gather = plan.gather;
    if (!btc_parallel(plan.threads, run_thread, &r)) return false;
    int64_t end = btc_clock(), joining = r.done ? (end - r.done) * (plan.threads - 1) : 0;
    btc_outcome o = {c->rows, btc_barrier_stalled(c->barrier) + joining, btc_barrier_crowded(c->barrier)};
    btc_pace_end(p, &o, end, btc_processors);
    return true;
}
