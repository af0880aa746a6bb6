/* A session's compiled library, loaded into this process and called through btc.h. In step form all sequences of the
 * batch run together, token by token; in chunk form one after the other. */
#include <dlfcn.h>
#include <stdlib.h>
#include <string.h>

#include "session.h"

static Loc here(const Session *s) {
    return (Loc){.file = s->model.path};
}

static bool status_ok(Session *s, btc_status status, const char *call) {
    return status == BTC_OK || diag_error(s->d, here(s), "%s: %s", call, s->api->status_text(status));
}

bool native_load(Session *s, const char *path) {
    s->library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (!s->library) return diag_error(s->d, here(s), "the compiled model cannot be loaded: %s", dlerror());
    btc_query_fn *query;
    *(void **)&query = dlsym(s->library, "btc_query");
    s->api = query ? query(BTC_ABI_VERSION) : NULL;
    if (!s->api) return diag_error(s->d, here(s), "the compiled model has no interface of this version");
    return status_ok(s, s->api->open(&s->handle, s->o.compile.weights_file, 0), "open");
}

static bool need_work(Session *s, int threads) {
    if (s->work_threads >= threads) return true;
    free(s->work);
    size_t n = s->api->work_bytes(threads);
    s->work = n ? aligned_alloc(64, (n + 63) / 64 * 64) : NULL;
    s->work_threads = s->work && s->api->work_init(&s->handle, s->work, n) == BTC_OK ? threads : 0;
    return s->work_threads || diag_error(s->d, here(s), "no memory for %d threads", threads);
}

/* Float buffers [rows, width] for the output and the probes. */
static float **float_buffers(Session *s, const Outputs *out, int64_t rows) {
    float **f = ARENA_ARRAY(s->a, float *, out->n + 1);
    for (int i = 0; i < out->n; i++) f[i] = ARENA_ARRAY(s->a, float, rows * out->width[i]);
    return f;
}

static char *new_state(Session *s) {
    size_t n = (size_t)s->api->info->state_bytes;
    char *p = arena_alloc(s->a, n + 64);
    p += (64 - (uintptr_t)p % 64) % 64;
    return status_ok(s, s->api->init(&s->handle, p), "init") ? p : NULL;
}

static bool run_chunks(Session *s, int threads, const Batch *b, TensorList *list) {
    Outputs out = session_outputs(s, b, list);
    float **f = float_buffers(s, &out, b->T);
    for (int64_t row = 0; row < b->B; row++) {
        char *state = new_state(s);
        if (!state) return false;
        int64_t cut = s->cut > 0 && s->cut < b->T ? s->cut : b->T;
        for (int64_t at = 0, n = cut; at < b->T; at += n, n = b->T - at) {
            const void *in = session_rows(s, b, row, at, n);
            btc_status st = s->api->prefill_probes(&s->handle, state, s->work, threads, in, n, f[0], f + 1);
            if (!status_ok(s, st, "prefill")) return false;
            for (int i = 0; i < out.n; i++)
                session_take(s, i, out.data[i] + (row * b->T + at) * out.width[i], f[i], n * out.width[i]);
        }
        session_states(s, state, b->B, row, list);
    }
    return true;
}

static bool run_steps(Session *s, int threads, const Batch *b, TensorList *list) {
    Outputs out = session_outputs(s, b, list);
    float **f = float_buffers(s, &out, b->B);
    int64_t w = b->width ? b->width : 1;
    char **states = ARENA_ARRAY(s->a, char *, b->B);
    for (int64_t row = 0; row < b->B; row++)
        if (!(states[row] = new_state(s))) return false;
    char *in = arena_alloc(s->a, (size_t)(b->B * w * 4));
    for (int64_t t = 0; t < b->T; t++) {
        for (int64_t row = 0; row < b->B; row++)
            memcpy(in + row * w * 4, session_rows(s, b, row, t, 1), (size_t)(w * 4));
        btc_status st =
            s->api->step_probes(&s->handle, (void *const *)states, b->B, s->work, threads, in, f[0], f + 1);
        if (!status_ok(s, st, "step")) return false;
        for (int i = 0; i < out.n; i++)
            for (int64_t row = 0; row < b->B; row++)
                session_take(s, i, out.data[i] + (row * b->T + t) * out.width[i], f[i] + row * out.width[i],
                             out.width[i]);
    }
    for (int64_t row = 0; row < b->B; row++) session_states(s, states[row], b->B, row, list);
    return true;
}

bool native_run(Session *s, bool step, int threads, const Batch *b, TensorList *out) {
    if (!need_work(s, threads)) return false;
    return step ? run_steps(s, threads, b, out) : run_chunks(s, threads, b, out);
}

/* ---- greedy decoding ---- */

/* Buffers for whatever probes there are; nobody looks at them. */
static float **probe_buffers(Session *s, int64_t rows) {
    const btc_info *info = s->api->info;
    float **probes = ARENA_ARRAY(s->a, float *, info->probe_count + 1);
    for (int64_t i = 0; i < info->probe_count; i++)
        probes[i] = ARENA_ARRAY(s->a, float, rows * info->probes[i].width);
    return probes;
}

bool native_greedy(Session *s, bool step, int threads, const int32_t *prompt, int64_t np, int64_t n,
                   int64_t *ids) {
    if (!need_work(s, threads)) return false;
    const btc_api *api = s->api;
    int64_t V = api->info->output_width;
    bool probed = api->info->probe_count > 0;
    double *wide = ARENA_ARRAY(s->a, double, V);
    float *all = ARENA_ARRAY(s->a, float, V *np), *logits = all, **probes = probe_buffers(s, np);
    void *state = new_state(s);
    if (!state) return false;
    btc_status st = BTC_OK;
    for (int64_t i = 0; step && i < np && st == BTC_OK; i++)
        st = api->step_probes(&s->handle, &state, 1, s->work, threads, prompt + i, logits, probes);
    if (!step && probed) {
        st = api->prefill_probes(&s->handle, state, s->work, threads, prompt, np, all, probes);
        logits = all + (np - 1) * V;
    } else if (!step) {
        st = api->prefill(&s->handle, state, s->work, threads, prompt, np, logits);
    }
    if (!status_ok(s, st, "prompt")) return false;
    for (int64_t g = 0; g < n; g++) {
        session_take(s, 0, wide, logits, V);
        if (!session_likeliest(s, wide, V, np + g, &ids[g])) return false;
        int32_t id = (int32_t)ids[g];
        st = probed ? api->step_probes(&s->handle, &state, 1, s->work, threads, &id, logits, probes)
                    : api->step(&s->handle, &state, 1, s->work, threads, &id, logits);
        if (!status_ok(s, st, "step")) return false;
    }
    return true;
}
