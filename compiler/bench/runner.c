#include "runner.h"

#include <stdlib.h>
#include <string.h>

#include "limits.h"

static Loc here(const Runner *r) {
    return (Loc){.file = r->s->path};
}

static void *memory(int64_t bytes) {
    size_t n = ((size_t)bytes + 63) / 64 * 64;
    void *p = aligned_alloc(64, n ? n : 64);
    if (p) memset(p, 0, n);
    return p;
}

static uint32_t next_random(uint32_t *x) {
    return *x = *x * 1664525 + 1013904223;
}

/* Any input does: compiled code looks at values only to choose rows of the embedding, and experts. */
static void fill_input(Runner *r, int64_t rows) {
    const btc_info *info = r->s->api->info;
    uint32_t x = 12345;
    for (int64_t i = 0; i < rows; i++) {
        if (info->kind == BTC_TOKENS)
            ((int32_t *)r->input)[i] = (int32_t)((int64_t)(next_random(&x) >> 8) % info->vocab);
        else
            for (int64_t k = 0; k < info->input_width; k++)
                ((float *)r->input)[i * info->input_width + k] = (float)(next_random(&x) >> 8) * 0x1p-23f - 1;
    }
}

static bool status_ok(const Runner *r, btc_status status, const char *call) {
    return status == BTC_OK || diag_error(r->s->d, here(r), "%s: %s", call, r->s->api->status_text(status));
}

static bool prefill(Runner *r, char *state, int threads, int64_t tokens) {
    const btc_api *api = r->s->api;
    return status_ok(r, api->init(r->s->model, state), "init") &&
           status_ok(r, api->prefill(r->s->model, state, r->work, threads, r->input, tokens, r->output),
                     "prefill");
}

bool runner_open(Runner *r, Subject *s, int64_t prompt, int64_t longest, int64_t tokens, int batch,
                 int threads) {
    const btc_info *info = s->api->info;
    *r = (Runner){.s = s, .prompt = prompt, .tokens = tokens, .batch = batch, .least_seconds = 0.2};
    int64_t most = longest > prompt + tokens ? longest : prompt + tokens;
    if (!subject_takes(s, info->context, most)) return false;
    if (batch > info->max_batch)
        return diag_error(s->d, here(r), "was compiled for %lld sequences in a step, and %d were asked for",
                          (long long)info->max_batch, batch);
    int64_t rows = longest > tokens * batch ? longest : tokens * batch;
    r->row = info->kind == BTC_TOKENS ? 4 : info->input_width * 4;
    r->states = ARENA_ARRAY(s->a, char *, batch + 1);
    r->work = memory((int64_t)s->api->work_bytes(threads));
    r->input = memory(rows * r->row);
    r->output = memory(batch * info->output_width * 4);
    bool ok = r->work && r->input && r->output;
    for (int i = 0; i <= batch; i++) ok = (r->states[i] = memory(info->state_bytes)) && ok;
    if (!ok) return diag_error(s->d, here(r), "no memory to run it");
    s->api->work_init(s->model, r->work, s->api->work_bytes(threads));
    fill_input(r, rows);
    return prefill(r, r->states[batch], threads, prompt);
}

void runner_close(Runner *r) {
    for (int i = 0; r->states && i <= r->batch; i++) free(r->states[i]);
    free(r->work), free(r->input), free(r->output);
}

bool runner_prefill(Runner *r, int threads, int64_t tokens, double *seconds, int64_t *runs) {
    double start = limits_now(), spent = 0;
    for (*runs = 0; *runs == 0 || spent < r->least_seconds; ++*runs) {
        if (!prefill(r, r->states[0], threads, tokens)) return false;
        spent = limits_now() - start;
    }
    *seconds = spent / (double)*runs;
    return true;
}

bool runner_once(Runner *r, int threads, int64_t tokens) {
    return prefill(r, r->states[0], threads, tokens);
}

/* All sequences begin behind the prompt. */
static bool begin_steps(Runner *r, int batch) {
    const btc_api *api = r->s->api;
    for (int i = 0; i < batch; i++)
        if (!status_ok(r, api->fork(r->s->model, r->states[i], r->states[r->batch]), "fork")) return false;
    return true;
}

static bool take_step(Runner *r, int threads, int batch, int64_t step) {
    const char *in = (const char *)r->input + step * batch * r->row;
    return status_ok(
        r, r->s->api->step(r->s->model, (void *const *)r->states, batch, r->work, threads, in, r->output),
        "step");
}

bool runner_step(Runner *r, int threads, int batch, int64_t step) {
    return (step || begin_steps(r, batch)) && take_step(r, threads, batch, step);
}

bool runner_steps(Runner *r, int threads, int batch, double *seconds, int64_t *runs) {
    double spent = 0;
    for (*runs = 0; spent < r->least_seconds || *runs == 0; *runs += r->tokens) {
        if (!begin_steps(r, batch)) return false;
        double start = limits_now();
        for (int64_t t = 0; t < r->tokens; t++)
            if (!take_step(r, threads, batch, t)) return false;
        spent += limits_now() - start;
    }
    *seconds = spent / (double)*runs;
    return true;
}
