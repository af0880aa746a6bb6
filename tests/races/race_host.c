/* Runs emitted code and the runtime, both instrumented by ThreadSanitizer, with several threads, and compares
 * every output with the artefact's own on one thread, bit by bit.
 *     race_host MODEL.so WEIGHTS THREADS
 * The artefact gives the facts about the model; the code that runs is linked in. */
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/core.h"

enum { BATCH = 3, STEPS = 2 };

btc_entry btc_entry_step, btc_entry_chunk;

static void *block(size_t n) {
    void *p = aligned_alloc(64, (n + 63) / 64 * 64);
    if (!p) abort();
    memset(p, 0, n);
    return p;
}

/* Rows for every kind of model: small ids, or small numbers. */
static void *make_input(const btc_info *info, int64_t n) {
    int32_t *ids = block((size_t)(n * info->input_width) * 4);
    float *x = (float *)ids;
    for (int64_t i = 0; i < n * info->input_width; i++)
        if (info->kind == BTC_TOKENS)
            ids[i] = (int32_t)((i * 7 + 3) % info->vocab);
        else
            x[i] = (float)((i * 37 + 11) % 64) / 32 - 1;
    return ids;
}

typedef struct Calls {
    btc_status (*prefill_all)(const btc_model *m, void *state, void *work, int32_t threads, const void *input,
                              int64_t n, float *out);
    btc_status (*step)(const btc_model *m, void *const *states, int64_t n, void *work, int32_t threads,
                       const void *input, float *out);
} Calls;

/* A prompt of n rows, then STEPS steps of a batch of it and of shorter ones. out: [n + STEPS * BATCH, width]
 */
static bool run(const btc_api *api, const btc_model *start, const btc_model *m, const Calls *c,
                int32_t threads, int64_t n, float *out) {
    const btc_info *info = api->info;
    void *work = block(api->work_bytes(threads)), *states[BATCH];
    char *input = make_input(info, n + STEPS * BATCH);
    size_t row = (size_t)info->input_width * 4;
    int64_t batch = info->max_batch < BATCH ? info->max_batch : BATCH;
    bool ok = true;
    for (int64_t i = BATCH - 1; i >= 0; i--) { /* the whole prompt last: its outputs stay */
        states[i] = block((size_t)info->state_bytes);
        ok = ok && api->init(start, states[i]) == BTC_OK;
        ok = ok && c->prefill_all(m, states[i], work, threads, input, n - i, out) == BTC_OK;
    }
    for (int t = 0; t < STEPS; t++)
        ok = ok && c->step(m, states, batch, work, threads, input + row * (size_t)(n + t * BATCH),
                           out + (n + t * BATCH) * info->output_width) == BTC_OK;
    for (int i = 0; i < BATCH; i++) free(states[i]);
    free(work);
    free(input);
    return ok;
}

int main(int argc, char **argv) {
    void *library = argc == 4 ? dlopen(argv[1], RTLD_NOW | RTLD_LOCAL) : NULL;
    if (!library)
        return fprintf(stderr, "race_host: %s\n", argc == 4 ? dlerror() : "MODEL.so WEIGHTS THREADS"), 2;
    btc_query_fn *query = (btc_query_fn *)dlsym(library, "btc_query");
    const btc_api *api = query(BTC_ABI_VERSION);
    const btc_info *info = api->info;
    btc_model theirs_open, mine_open;
    btc_status opened = api->open(&theirs_open, argv[2], 0);
    btc_artifact mine = {0};
    if (opened == BTC_OK) mine = *(const btc_artifact *)theirs_open.artifact; /* made by the same btc */
    mine.step = btc_entry_step, mine.chunk = btc_entry_chunk;
    if (opened != BTC_OK || btc_open_artifact(&mine, &mine_open, argv[2], 0))
        return fprintf(stderr, "race_host: %s cannot be opened\n", argv[2]), 2;
    int64_t n = info->chunk + info->chunk / 2 + 5;
    if (info->context && n > info->context - STEPS) n = info->context - STEPS;
    size_t bytes = (size_t)((n + STEPS * BATCH) * info->output_width) * sizeof(float);
    float *want = block(bytes), *got = block(bytes);
    Calls theirs = {api->prefill_all, api->step}, here = {btc_prefill_all, btc_step};
    if (!run(api, &theirs_open, &theirs_open, &theirs, 1, n, want) ||
        !run(api, &theirs_open, &mine_open, &here, atoi(argv[3]), n, got))
        return fprintf(stderr, "race_host: a call failed\n"), 2;
    if (memcmp(want, got, bytes) != 0) return fprintf(stderr, "race_host: other bits\n"), 1;
    btc_close(&mine_open);
    api->close(&theirs_open);
    free(want);
    free(got);
    return 0;
}
