/* The runtime with a made-up model: every status, batches, cut prompts, threads. */
#include <pthread.h>
#include <stdlib.h>

#include "runtime/float_env.h"
#include "sequence.h"

static void check_query(void) {
    CHECK(btc_query(0) == NULL);
    CHECK(btc_query(1) == btc_query(2)); /* tables only grow */
    CHECK(btc_query(BTC_ABI_VERSION + 1) == NULL);
    const btc_api *api = btc_query(BTC_ABI_VERSION);
    CHECK(api && api->version == BTC_ABI_VERSION && api->size == sizeof *api);
    CHECK(btc_query(1) == api); /* hosts of the first version get the same table */
    CHECK(api->info->eos_count == 1 && api->info->eos_ids[0] == api->info->eos);
    CHECK(api->work_bytes(0) == 0 && api->work_bytes(BTC_MAX_THREADS + 1) == 0);
    CHECK(api->work_bytes(2) == api->work_bytes(1) + FAKE_WORK_THREAD);
    for (btc_status s = BTC_OK; s <= BTC_E_WHOLE; s++)
        CHECK(strcmp(api->status_text(s), "unknown status") != 0);
    CHECK_STR_CONTAINS(api->status_text(99), "unknown");
    btc_model m;
    CHECK(api->open(NULL, NULL, 0) == BTC_E_ARGUMENT);
    CHECK(api->open(&m, NULL, 0x80) == BTC_E_ARGUMENT);
    CHECK(api->open(&m, NULL, BTC_OPEN_POPULATE) == BTC_OK);
    api->close(&m);
    api->close(&m); /* a closed model is left alone */
    CHECK(api->init(&m, &m) == BTC_E_ARGUMENT);
}

static void check_formula(void) {
    Seq s = seq_new();
    int32_t ids[3] = {5, 250, 0};
    float out[W], h[W] = {0};
    CHECK(s.api->prefill(&s.model, s.state, s.work, 1, ids, 3, out) == BTC_OK);
    for (int t = 0; t < 3; t++)
        for (int i = 0; i < W; i++) h[i] = h[i] * 0.5f + fake_weight(ids[t] * W + i);
    bool same = true;
    for (int i = 0; i < W; i++) same = same && out[i] == h[i] + h[(i + 1) % W] * 0.25f + 2.0f;
    CHECK(same);
    CHECK(s.api->position(&s.model, s.state) == 3);
    const btc_slot *slot = &s.api->info->slots[0]; /* a slot is readable by its description */
    CHECK(memcmp((char *)s.state + slot->offset, h, sizeof h) == 0);
    seq_free(&s);
}

static void check_errors(void) {
    Seq s = seq_new();
    const btc_api *api = s.api;
    int32_t ids[200] = {1, 2, 3};
    float out[W];
    unsigned char before[FAKE_STATE_BYTES];
    CHECK(api->prefill(&s.model, s.state, s.work, 1, ids, 3, out) == BTC_OK);
    memcpy(before, s.state, sizeof before);
#define SAME CHECK(memcmp(before, s.state, sizeof before) == 0)
    ids[2] = W;
    CHECK(api->prefill(&s.model, s.state, s.work, 1, ids, 3, out) == BTC_E_RANGE), SAME;
    ids[2] = -1;
    CHECK(api->prefill(&s.model, s.state, s.work, 1, ids, 3, out) == BTC_E_RANGE), SAME;
    CHECK(api->step(&s.model, &s.state, 1, s.work, 1, &ids[2], out) == BTC_E_RANGE), SAME;
    ids[2] = 3;
    CHECK(api->prefill(&s.model, s.state, s.work, 1, ids, 98, out) == BTC_E_LENGTH), SAME;
    CHECK(api->prefill(&s.model, s.state, s.work, 1, ids, INT64_MAX, out) == BTC_E_LENGTH), SAME;
    CHECK(api->prefill(&s.model, s.state, s.work, 1, ids, 0, out) == BTC_E_ARGUMENT), SAME;
    CHECK(api->prefill(&s.model, s.state, s.work, 0, ids, 1, out) == BTC_E_ARGUMENT), SAME;
    CHECK(api->prefill(&s.model, s.state, s.work, BTC_MAX_THREADS + 1, ids, 1, out) == BTC_E_ARGUMENT), SAME;
    CHECK(api->prefill(&s.model, s.state, s.work, 1, NULL, 1, out) == BTC_E_ARGUMENT), SAME;
    CHECK(api->prefill(&s.model, s.state, NULL, 1, ids, 1, out) == BTC_E_ARGUMENT), SAME;
    CHECK(api->prefill(&s.model, NULL, s.work, 1, ids, 1, out) == BTC_E_ARGUMENT), SAME;
    CHECK(api->prefill(&s.model, (char *)s.state + 8, s.work, 1, ids, 1, out) == BTC_E_ARGUMENT), SAME;
    CHECK(api->prefill(NULL, s.state, s.work, 1, ids, 1, out) == BTC_E_ARGUMENT), SAME;
    CHECK(api->prefill_all(&s.model, s.state, s.work, 1, ids, 1, NULL) == BTC_E_ARGUMENT), SAME;
    CHECK(api->prefill_probes(&s.model, s.state, s.work, 1, ids, 1, out, NULL) == BTC_E_ARGUMENT), SAME;
    CHECK(api->step(&s.model, &s.state, 0, s.work, 1, ids, out) == BTC_E_ARGUMENT), SAME;
    CHECK(api->step(&s.model, &s.state, FAKE_BATCH + 1, s.work, 1, ids, out) == BTC_E_ARGUMENT), SAME;
    void *twice[2] = {s.state, s.state};
    CHECK(api->step(&s.model, twice, 2, s.work, 1, ids, out) == BTC_E_ARGUMENT), SAME;
    /* up to the context, and not one further */
    CHECK(api->prefill(&s.model, s.state, s.work, 1, ids, 97, out) == BTC_OK);
    CHECK(api->step(&s.model, &s.state, 1, s.work, 1, ids, out) == BTC_E_LENGTH);
    CHECK(api->position(&s.model, s.state) == 100);
    memset(s.state, 0, 64);
    CHECK(api->prefill(&s.model, s.state, s.work, 1, ids, 1, out) == BTC_E_STATE);
    CHECK(api->position(&s.model, s.state) == -1);
    seq_free(&s);
}

/* Code for another processor is refused before any of it runs, and the text names what is missing. */
static void check_processor(void) {
#if defined(__x86_64__)
    enum { HAS = BTC_CPU_XCR0 }; /* bit 0: x87, always */
#else
    enum { HAS = BTC_CPU_HWCAP }; /* bit 0: floating point */
#endif
    const btc_need needs[] = {{"lacks nothing", HAS, 1}, {"lacks the future", HAS, (uint64_t)1 << 62 | 1}};
    btc_artifact a = btc_artifact_data;
    a.needs = needs, a.need_count = 1;
    btc_model m;
    CHECK(btc_open_artifact(&a, &m, NULL, 0) == BTC_OK);
    a.need_count = 2;
    m = (btc_model){0};
    CHECK(btc_open_artifact(&a, &m, NULL, 0) == BTC_E_CPU);
    CHECK(strcmp(btc_status_text(&a, BTC_E_CPU), "lacks the future") == 0);
    char state[FAKE_STATE_BYTES] __attribute__((aligned(64)));
    CHECK(btc_init(&m, state) == BTC_E_ARGUMENT); /* not open */
}

/* A work block says for how many threads and which model it is. */
static void check_work_blocks(void) {
    Seq s = seq_new();
    const btc_api *api = s.api;
    int32_t id = 3;
    float out[W];
    size_t two = api->work_bytes(2), most = api->work_bytes(4);
    char *work = block(most + 64);
    memset(work, 0, most + 64);
#define STEP(threads) api->step(&s.model, &s.state, 1, work, threads, &id, out)
    CHECK(STEP(3) == BTC_OK); /* as a host of version 1: nothing says that it is too small */
    CHECK(api->work_init(&s.model, work, two) == BTC_OK);
    CHECK(STEP(1) == BTC_OK && STEP(2) == BTC_OK);
    CHECK(STEP(3) == BTC_E_ARGUMENT && api->position(&s.model, s.state) == 3);
    CHECK(api->prefill(&s.model, s.state, work, 3, &id, 1, out) == BTC_E_ARGUMENT);
    CHECK(api->work_init(&s.model, work, most - 1) == BTC_OK && STEP(3) == BTC_OK &&
          STEP(4) == BTC_E_ARGUMENT);
    CHECK(api->work_init(&s.model, work, most) == BTC_OK && STEP(4) == BTC_OK);

    btc_artifact other = btc_artifact_data;
    other.info.fingerprint++;
    btc_model m, closed = {0};
    CHECK(btc_open_artifact(&other, &m, NULL, 0) == BTC_OK);
    CHECK(btc_init(&m, s.state) == BTC_OK);
    CHECK(btc_step(&m, &s.state, 1, work, 1, &id, out) == BTC_E_ARGUMENT);
    CHECK(btc_work_init(&m, work, two) == BTC_OK && btc_step(&m, &s.state, 1, work, 1, &id, out) == BTC_OK);
    CHECK(api->init(&s.model, s.state) == BTC_OK && STEP(1) == BTC_E_ARGUMENT);

    CHECK(api->work_init(&s.model, NULL, two) == BTC_E_ARGUMENT);
    CHECK(api->work_init(NULL, work, two) == BTC_E_ARGUMENT);
    CHECK(api->work_init(&closed, work, two) == BTC_E_ARGUMENT);
    CHECK(api->work_init(&s.model, work + 8, two) == BTC_E_ARGUMENT);
    CHECK(api->work_init(&s.model, work, api->work_bytes(1) - 1) == BTC_E_ARGUMENT);
    CHECK(api->work_init(&s.model, work, 0) == BTC_E_ARGUMENT);

    /* what a block has left behind is no label elsewhere, nor when its first words are written over */
    CHECK(api->work_init(&s.model, work, api->work_bytes(1)) == BTC_OK);
    memmove(work + 64, work, 64);
    CHECK(api->step(&s.model, &s.state, 1, work + 64, 2, &id, out) == BTC_OK);
    CHECK(api->work_init(&s.model, work, api->work_bytes(1)) == BTC_OK && STEP(2) == BTC_E_ARGUMENT);
    memset(work, 0, 8);
    CHECK(STEP(2) == BTC_OK);
#undef STEP
    free(work);
    seq_free(&s);
}

/* States, work, input and outputs that share a byte. */
static void check_memory_lies_apart(void) {
    Seq s = seq_new();
    const btc_api *api = s.api;
    size_t state = FAKE_STATE_BYTES, work = api->work_bytes(2);
    char *all = block(4 * state + work + 4096);
    int32_t ids[4] = {1, 2, 3, 4};
    float out[4 * W];
    char *w = all + 4 * state;
    for (int i = 0; i < 4; i++) api->init(&s.model, all + (size_t)i * state);
    void *two[2] = {all, all + state}, *overlap[2] = {all + state, all + 2 * state - 64};
#define STEP(states, work, in, out) api->step(&s.model, states, 2, work, 2, in, out)
    CHECK(STEP(two, w, ids, out) == BTC_OK);
    CHECK(STEP(overlap, w, ids, out) == BTC_E_ARGUMENT);
    CHECK(STEP(two, all + state - 64, ids, out) == BTC_E_ARGUMENT);
    CHECK(STEP(two, all + state + 64, ids, out) == BTC_E_ARGUMENT);
    CHECK(STEP(two, w, (int32_t *)(void *)(all + 64), out) == BTC_E_ARGUMENT);
    CHECK(STEP(two, w, ids, (float *)(void *)(all + 2 * state - 4)) == BTC_E_ARGUMENT);
    CHECK(STEP(two, w, ids, (float *)(void *)(w - W)) == BTC_E_ARGUMENT);
    CHECK(STEP(two, w, ids, (float *)(void *)(w + work - 4)) == BTC_E_ARGUMENT);
    CHECK(STEP(two, w, ids, (float *)(void *)ids) == BTC_E_ARGUMENT);
    CHECK(STEP(two, w, (int32_t *)(void *)out, out) == BTC_E_ARGUMENT);
    CHECK(STEP(two, w, ids, (float *)(void *)((char *)out + 2)) == BTC_E_ARGUMENT);
    CHECK(STEP(two, w, (int32_t *)(void *)((char *)ids + 1), out) == BTC_E_ARGUMENT);
    CHECK(api->position(&s.model, all) == 1 && api->position(&s.model, all + state) == 1);
    CHECK(STEP(two, w, ids, (float *)(void *)(w + work)) == BTC_OK); /* side by side is apart */
#undef STEP
    CHECK(api->prefill(&s.model, all, w, 2, ids, 4, (float *)(void *)(all + 64)) == BTC_E_ARGUMENT);
    CHECK(api->prefill(&s.model, all, all, 2, ids, 4, out) == BTC_E_ARGUMENT);
    CHECK(api->prefill_all(&s.model, all, w, 2, ids, 4, (float *)(void *)(w - 3 * sizeof out / 4)) ==
          BTC_E_ARGUMENT);
    CHECK(api->prefill(&s.model, all, w, 2, ids, 4, NULL) == BTC_OK);
    CHECK(api->position(&s.model, all) == 6);
    /* sizes that no memory has */
    btc_artifact endless = btc_artifact_data;
    endless.info.context = 0;
    btc_model m;
    CHECK(btc_open_artifact(&endless, &m, NULL, 0) == BTC_OK);
    static const int64_t huge[] = {(int64_t)1 << 61, ((int64_t)1 << 62) - 6, (int64_t)1 << 55};
    for (int i = 0; i < 3; i++) CHECK(btc_prefill_all(&m, all, w, 2, ids, huge[i], out) == BTC_E_ARGUMENT);
    free(all);
    seq_free(&s);
}

/* All ways to run MAX_ROWS tokens give the bits of one prefill_all with one thread. */
static void check_cuts_and_threads(void) {
    static float want[MAX_ROWS][W], got[MAX_ROWS][W];
    int32_t ids[MAX_ROWS];
    some_ids(ids, MAX_ROWS);
    int n = 61;
    Seq s = seq_new();
    const btc_api *api = s.api;
    CHECK(api->prefill_all(&s.model, s.state, s.work, 1, ids, n, want[0]) == BTC_OK);
    for (int32_t threads = 1; threads <= 4; threads++) {
        for (int cut = 0; cut <= n; cut += FAKE_CHUNK) {
            api->init(&s.model, s.state);
            memset(got, 0, sizeof got);
            if (cut) CHECK(api->prefill_all(&s.model, s.state, s.work, threads, ids, cut, got[0]) == BTC_OK);
            CHECK(api->prefill_all(&s.model, s.state, s.work, threads, ids + cut, n - cut, got[cut]) ==
                  BTC_OK);
            CHECK(memcmp(want, got, (size_t)n * sizeof want[0]) == 0);
        }
        api->init(&s.model, s.state);
        CHECK(api->prefill(&s.model, s.state, s.work, threads, ids, n, got[0]) == BTC_OK);
        CHECK(memcmp(want[n - 1], got[0], sizeof want[0]) == 0);
        api->init(&s.model, s.state);
        CHECK(api->prefill(&s.model, s.state, s.work, threads, ids, n - 1, NULL) == BTC_OK);
        CHECK(api->step(&s.model, &s.state, 1, s.work, threads, ids + n - 1, got[0]) == BTC_OK);
        CHECK(memcmp(want[n - 1], got[0], sizeof want[0]) == 0);
    }
    seq_free(&s);
}

/* A model that exposes its state: same outputs, and the exposed rows, whatever the threads. */
static void check_probes(void) {
    static float want[MAX_ROWS][W], got[MAX_ROWS][W], probe[MAX_ROWS][W];
    static const btc_probe exposed[] = {{"h", W}};
    int n = 21;
    int32_t ids[MAX_ROWS];
    some_ids(ids, MAX_ROWS);
    Seq s = seq_new();
    CHECK(btc_prefill_all(&s.model, s.state, s.work, 1, ids, n + 1, want[0]) == BTC_OK);
    btc_artifact a = btc_artifact_data;
    a.info.probes = exposed, a.info.probe_count = 1;
    btc_model m;
    CHECK(btc_open_artifact(&a, &m, NULL, 0) == BTC_OK);
    void *work = block(btc_work_bytes(&a, 4));
    for (int32_t threads = 1; threads <= 3; threads++) {
        float *probes[1] = {probe[0]}, *step_probes[1] = {probe[n]};
        memset(got, 0, sizeof got), memset(probe, 0, sizeof probe);
        btc_init(&m, s.state);
        CHECK(btc_prefill(&m, s.state, work, threads, ids, n, got[0]) == BTC_E_ARGUMENT); /* wants probes */
        CHECK(btc_step(&m, &s.state, 1, work, threads, ids, got[0]) == BTC_E_ARGUMENT);
        CHECK(btc_prefill_probes(&m, s.state, work, threads, ids, n, got[0], probes) == BTC_OK);
        CHECK(probes[0] == probe[0]); /* the caller's table is not moved */
        CHECK(memcmp(probe[n - 1], (char *)s.state + BTC_STATE_HEADER, sizeof probe[0]) == 0);
        CHECK(btc_step_probes(&m, &s.state, 1, work, threads, ids + n, got[n], step_probes) == BTC_OK);
        CHECK(memcmp(want, got, (size_t)(n + 1) * sizeof want[0]) == 0);
        float h[W] = {0};
        bool same = true;
        for (int t = 0; t <= n; t++)
            for (int i = 0; i < W; i++) {
                h[i] = h[i] * 0.5f + fake_weight(ids[t] * W + i);
                same = same && probe[t][i] == h[i];
            }
        CHECK(same);
    }
    free(work);
    seq_free(&s);
}

static void check_batch(void) {
    Seq s[FAKE_BATCH];
    void *states[FAKE_BATCH], *alone[FAKE_BATCH];
    int32_t ids[FAKE_BATCH];
    float out[FAKE_BATCH][W], one[W];
    some_ids(ids, FAKE_BATCH);
    for (int i = 0; i < FAKE_BATCH; i++) {
        s[i] = seq_new();
        if (i)
            s[i].api->prefill(&s[i].model, s[i].state, s[i].work, 1, ids, i, NULL); /* all positions differ */
        states[i] = s[i].state;
        alone[i] = block(FAKE_STATE_BYTES);
        CHECK(s[i].api->fork(&s[i].model, alone[i], s[i].state) == BTC_OK);
    }
    const btc_api *api = s[0].api;
    CHECK(api->step(&s[0].model, states, FAKE_BATCH, s[0].work, 2, ids, out[0]) == BTC_OK);
    for (int i = 0; i < FAKE_BATCH; i++) {
        CHECK(api->step(&s[0].model, &alone[i], 1, s[0].work, 1, &ids[i], one) == BTC_OK);
        CHECK(memcmp(one, out[i], sizeof one) == 0);
        CHECK(memcmp(alone[i], states[i], FAKE_STATE_BYTES) == 0);
        CHECK(api->position(&s[0].model, states[i]) == i + 1);
    }
    /* one bad sequence stops all */
    memset(states[3], 0, 8);
    CHECK(api->step(&s[0].model, states, FAKE_BATCH, s[0].work, 2, ids, out[0]) == BTC_E_STATE);
    CHECK(api->position(&s[0].model, states[0]) == 1);
    for (int i = 0; i < FAKE_BATCH; i++) seq_free(&s[i]), free(alone[i]);
}

static void check_features_and_fills(void) {
    static const btc_fill fills[] = {
        {BTC_STATE_HEADER + 8, 16, 0xff800000}, /* -inf */
        {BTC_STATE_HEADER + 64, 32, 0x3f800000},
    };
    btc_artifact a = btc_artifact_data;
    a.info.kind = BTC_FEATURES, a.info.vocab = 0, a.info.input_width = FAKE_FEATURES, a.info.context = 0;
    a.step = fake_features_step, a.chunk = fake_features_chunk;
    btc_model m;
    CHECK(btc_open_artifact(&a, &m, NULL, 0) == BTC_OK);
    Seq s = seq_new();
    float x[20][FAKE_FEATURES], all[20][W], out[W], *h = (float *)((char *)s.state + BTC_STATE_HEADER);
    for (int i = 0; i < 20 * FAKE_FEATURES; i++) x[i / FAKE_FEATURES][i % FAKE_FEATURES] = (float)(i % 13);
    CHECK(btc_init(&m, s.state) == BTC_OK);
    CHECK(btc_prefill_all(&m, s.state, s.work, 2, x, 20, all[0]) == BTC_OK);
    CHECK(btc_init(&m, s.state) == BTC_OK);
    CHECK(btc_prefill(&m, s.state, s.work, 1, x, 16, NULL) == BTC_OK);
    for (int i = 16; i < 20; i++) {
        CHECK(btc_step(&m, &s.state, 1, s.work, 1, x[i], out) == BTC_OK);
        CHECK(memcmp(out, all[i], sizeof out) == 0);
    }
    a.fills = fills, a.fill_count = 2;
    CHECK(btc_init(&m, s.state) == BTC_OK);
    CHECK(h[1] == 0 && h[2] == -__builtin_inff() && h[5] == -__builtin_inff() && h[6] == 0);
    CHECK(h[15] == 0 && h[16] == 1 && h[23] == 1 && h[24] == 0);
    seq_free(&s);
}

/* A model that reads whole sequences takes one from its beginning to its end, and nothing else. */
static void check_whole(void) {
    btc_artifact a = btc_artifact_data;
    a.info.whole = 1, a.info.chunk = a.info.context = 20, a.step = NULL;
    btc_model m;
    CHECK(btc_open_artifact(&a, &m, NULL, 0) == BTC_OK);
    Seq s = seq_new();
    int32_t ids[21] = {1, 2, 3};
    float all[20 * W], out[W];
    char block[FAKE_STATE_BYTES], *other = aligned_alloc(64, FAKE_STATE_BYTES);
    CHECK(btc_init(&m, s.state) == BTC_OK);
    CHECK(btc_step(&m, &s.state, 1, s.work, 1, ids, out) == BTC_E_WHOLE);
    CHECK(btc_prefill_all(&m, s.state, s.work, 1, ids, 21, all) == BTC_E_LENGTH);
    CHECK(btc_prefill_all(&m, s.state, s.work, 2, ids, 20, all) == BTC_OK);
    CHECK(btc_prefill(&m, s.state, s.work, 1, ids, 1, out) == BTC_E_WHOLE);
    CHECK(btc_save(&m, s.state, block, sizeof block) == BTC_E_WHOLE);
    CHECK(btc_restore(&m, s.state, block, sizeof block) == BTC_E_WHOLE);
    CHECK(btc_init(&m, other) == BTC_OK && btc_fork(&m, other, s.state) == BTC_E_WHOLE);
    CHECK(strstr(btc_status_text(&a, BTC_E_WHOLE), "whole sequences") != NULL);
    CHECK(btc_init(&m, s.state) == BTC_OK);
    CHECK(btc_prefill(&m, s.state, s.work, 1, ids, 20, out) == BTC_OK);
    CHECK(memcmp(out, all + 19 * W, sizeof out) == 0);
    free(other);
    seq_free(&s);
}

/* ---- threads ---- */

typedef struct Stream {
    const btc_model *model;
    float out[W];
} Stream;

static void *run_stream(void *p) {
    Stream *t = p;
    Seq s = seq_new();
    int32_t ids[40];
    some_ids(ids, 40);
    for (int round = 0; round < 20; round++) {
        s.api->init(t->model, s.state);
        s.api->prefill(t->model, s.state, s.work, 2, ids, 40, t->out);
    }
    seq_free(&s);
    return NULL;
}

static void check_two_streams_at_once(void) {
    Seq s = seq_new();
    Stream a = {.model = &s.model}, b = {.model = &s.model};
    pthread_t t;
    CHECK(pthread_create(&t, NULL, run_stream, &a) == 0);
    run_stream(&b);
    pthread_join(t, NULL);
    CHECK(memcmp(a.out, b.out, sizeof a.out) == 0);
    seq_free(&s);
}

/* ---- floating-point settings ---- */

static const volatile float least_normal = 0x1p-126f;
static float halves[3]; /* of it, as each thread of a call computes them */

static void halve(const btc_call *c, int64_t tid, int64_t nt) {
    (void)c, (void)nt;
    halves[tid] = least_normal * 0.5f;
}

/* Denormals are zeros inside a call, in every thread and whatever the host has set, and only there. */
static void check_denormals(void) {
#if defined(__x86_64__) || defined(__aarch64__)
    btc_artifact a = btc_artifact_data;
    a.step = a.chunk = halve;
    btc_model m;
    CHECK(btc_open_artifact(&a, &m, NULL, 0) == BTC_OK);
    Seq s = seq_new();
    int32_t id = 1;
    float out[W];
    for (int flushing = 0; flushing < 2; flushing++) {
        uint64_t plain = flushing ? float_env_enter() : 0;
        for (int i = 0; i < 3; i++) halves[i] = 1;
        CHECK(btc_prefill(&m, s.state, s.work, 3, &id, 1, NULL) == BTC_OK);
        for (int i = 0; i < 3; i++) CHECK(halves[i] == 0 || halves[i] == 1); /* 1: fewer threads served */
        CHECK(halves[0] == 0);
        halves[0] = 1;
        CHECK(btc_step(&m, &s.state, 1, s.work, 1, &id, out) == BTC_OK && halves[0] == 0);
        volatile float here = least_normal * 0.5f;
        if (flushing) float_env_leave(plain);
        uint32_t bits;
        memcpy(&bits, (const void *)(uintptr_t)&here, sizeof bits);
        CHECK((bits == 0) == (flushing == 1));
    }
    seq_free(&s);
#else
    printf("runtime: this machine keeps denormals: skipped\n");
#endif
}

/* Two calls at one state or one work block: one of them is refused, and none waits for ever. */
typedef struct Rival {
    Seq *s;
    void *state, *work;
    int done, refused, other;
    pthread_barrier_t *start;
} Rival;

static void *compete(void *p) {
    Rival *r = p;
    float out[W];
    int32_t id = 7;
    pthread_barrier_wait(r->start);
    for (int i = 0; i < 40; i++) {
        btc_status s = r->s->api->step(&r->s->model, &r->state, 1, r->work, 2, &id, out);
        r->done += s == BTC_OK, r->refused += s == BTC_E_ARGUMENT;
        r->other += s != BTC_OK && s != BTC_E_ARGUMENT;
    }
    return NULL;
}

static void check_rivals(void) {
    Seq a = seq_new(), b = seq_new();
    const btc_api *api = a.api;
    for (int same_state = 0; same_state < 2; same_state++) {
        pthread_barrier_t start;
        pthread_barrier_init(&start, NULL, 2);
        api->init(&a.model, a.state), api->init(&b.model, b.state);
        Rival r = {.s = &a, .state = a.state, .work = a.work, .start = &start}, q = r;
        if (same_state)
            q.work = b.work;
        else
            q.state = b.state;
        pthread_t t;
        CHECK(pthread_create(&t, NULL, compete, &q) == 0);
        compete(&r);
        pthread_join(t, NULL);
        pthread_barrier_destroy(&start);
        CHECK(r.other + q.other == 0 && r.done + q.done > 0);
        int64_t moved =
            api->position(&a.model, r.state) + (same_state ? 0 : api->position(&b.model, q.state));
        CHECK(moved == r.done + q.done);
    }
    /* what a call has left in the middle, as a process that was killed, is refused until it is made anew */
    float out[W];
    int32_t id = 7;
    unsigned char saved[FAKE_STATE_BYTES];
    CHECK(api->init(&a.model, a.state) == BTC_OK && btc_state_take(a.state));
    CHECK(api->step(&a.model, &a.state, 1, a.work, 1, &id, out) == BTC_E_ARGUMENT);
    CHECK(api->prefill(&a.model, a.state, a.work, 1, &id, 1, out) == BTC_E_ARGUMENT);
    CHECK(api->save(&a.model, a.state, saved, sizeof saved) == BTC_E_ARGUMENT);
    CHECK(api->fork(&a.model, b.state, a.state) == BTC_E_ARGUMENT);
    CHECK(api->position(&a.model, a.state) == 0);
    CHECK(api->init(&a.model, a.state) == BTC_OK);
    CHECK(api->step(&a.model, &a.state, 1, a.work, 1, &id, out) == BTC_OK && btc_work_take(a.work));
    CHECK(api->step(&a.model, &a.state, 1, a.work, 1, &id, out) == BTC_E_ARGUMENT);
    CHECK(api->work_init(&a.model, a.work, api->work_bytes(4)) == BTC_OK);
    CHECK(api->step(&a.model, &a.state, 1, a.work, 1, &id, out) == BTC_OK);
    seq_free(&a);
    seq_free(&b);
}

int main(void) {
    fake_fill_weights();
    check_query();
    check_formula();
    check_errors();
    check_processor();
    check_work_blocks();
    check_memory_lies_apart();
    check_cuts_and_threads();
    check_probes();
    check_batch();
    check_features_and_fills();
    check_whole();
    check_denormals();
    check_two_streams_at_once();
    check_rivals();
    return check_report("runtime");
}
