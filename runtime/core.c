/* prefill and step: checks first, then the emitted code runs.
 *
 * prefill cuts the rows of a call into blocks of exactly info->chunk, counted from the start of the call, the
 * last one shorter. So the blocks of a prompt that was cut at multiples of the chunk are those of the whole
 * prompt, and so are the bits. An artefact without code for blocks has blocks of one row, which
 * are steps. */
#include "core.h"

#include "bytes.h"
#include "run.h"

typedef enum Want { WANT_NONE, WANT_LAST, WANT_ALL } Want;

static int64_t row_bytes(const btc_info *info) {
    return info->kind == BTC_TOKENS ? (int64_t)sizeof(int32_t) : info->input_width * (int64_t)sizeof(float);
}

/* ---- what a host can get wrong; before anything runs, so that an error leaves the state as it was ---- */

/* Memory that a call reads or writes. */
typedef struct Span {
    uintptr_t begin, end;
} Span;

/* n rows of `row` bytes, of numbers of four bytes. false: no memory can be that. */
static bool make_span(const void *p, int64_t n, int64_t row, Span *s) {
    uint64_t bytes;
    s->begin = (uintptr_t)p;
    return p && s->begin % 4 == 0 && !__builtin_mul_overflow((uint64_t)n, (uint64_t)row, &bytes) &&
           !__builtin_add_overflow(s->begin, bytes, &s->end);
}

static bool lie_apart(Span a, Span b) {
    return a.end <= b.begin || b.end <= a.begin;
}

/* The blocks of a call, each of which is written, and its rows; out may be NULL where no rows are wanted. */
static bool all_apart(const btc_artifact *a, void *const *states, int64_t sequences, const void *work,
                      int32_t threads, const void *input, const float *out, int64_t rows_in,
                      int64_t rows_out) {
    const btc_info *info = &a->info;
    Span in, to = {0, 0}, w, s, t;
    if (!make_span(input, rows_in, row_bytes(info), &in) ||
        !make_span(work, 1, (int64_t)btc_work_bytes(a, threads), &w) || !lie_apart(in, w))
        return false;
    if (out && (!make_span(out, rows_out, info->output_width * (int64_t)sizeof(float), &to) ||
                !lie_apart(to, in) || !lie_apart(to, w)))
        return false;
    for (int64_t i = 0; i < sequences; i++) {
        if (!make_span(states[i], 1, info->state_bytes, &s) || !lie_apart(s, w) || !lie_apart(s, in) ||
            (out && !lie_apart(s, to)))
            return false;
        for (int64_t k = 0; k < i; k++) /* two rows would write it */
            if (!make_span(states[k], 1, info->state_bytes, &t) || !lie_apart(s, t)) return false;
    }
    return true;
}

static bool can_call(const btc_artifact *a, const void *work, int32_t threads, const void *input, int64_t n) {
    return a && btc_aligned(work) && input && n >= 1 && threads >= 1 && threads <= BTC_MAX_THREADS &&
           btc_work_serves(a, work, threads);
}

/* A model that exposes values runs only where there is a place for each. */
static bool probes_fit(const btc_artifact *a, float *const *probes) {
    for (int64_t i = 0; i < a->info.probe_count; i++)
        if (!probes || !probes[i] || (uintptr_t)probes[i] % sizeof(float)) return false;
    return true;
}

static btc_status check_ids(const btc_info *info, const void *input, int64_t n) {
    if (info->kind != BTC_TOKENS) return BTC_OK;
    const int32_t *ids = input; /* [n] */
    for (int64_t i = 0; i < n; i++)
        if (ids[i] < 0 || ids[i] >= info->vocab) return BTC_E_RANGE;
    return BTC_OK;
}

/* The state can take n more rows. */
static btc_status check_room(const btc_artifact *a, const void *state, int64_t n) {
    btc_status s = btc_state_check(a, state);
    if (s != BTC_OK) return s;
    const btc_state_header *h = state;
    if (a->info.whole && h->position > 0) return BTC_E_WHOLE;
    return n > btc_longest(a) - h->position ? BTC_E_LENGTH : BTC_OK;
}

static btc_call make_call(const btc_artifact *a, const btc_model *m, void *const *states, void *work,
                          const void *input, float *out) {
    return (btc_call){
        .weights = m->weights,
        .states = states,
        .work = (char *)work + btc_work_own(a),
        .input = input,
        .output = out,
        .shared_bytes = a->info.work_shared,
        .private_bytes = a->info.work_thread,
    };
}

static void give_back(void *work, void *const *states, int64_t n) {
    for (int64_t i = 0; i < n; i++) btc_state_give_back(states[i]);
    btc_work_give_back(work);
}

/* Two calls at one block at the same time would wait for each other's threads, or mix their numbers. */
static bool take(const btc_artifact *a, void *work, void *const *states, int64_t n, int64_t rows) {
    if (!btc_work_take(work)) return false;
    for (int64_t i = 0; i < n; i++) {
        bool taken = btc_state_take(states[i]);
        if (taken && check_room(a, states[i], rows) == BTC_OK) continue; /* nor has one moved it meanwhile */
        give_back(work, states, taken ? i + 1 : i);
        return false;
    }
    return true;
}

static btc_status prefill(const btc_model *m, void *state, void *work, int32_t threads, const void *input,
                          int64_t n, float *out, float *const *probes, Want want) {
    const btc_artifact *a = btc_artifact_of(m);
    if (!can_call(a, work, threads, input, n) || !btc_aligned(state) || !probes_fit(a, probes))
        return BTC_E_ARGUMENT;
    btc_status s = check_room(a, state, n);
    if (s != BTC_OK) return s;
    void *const states[1] = {state};
    if (!all_apart(a, states, 1, work, threads, input, out, n, want == WANT_ALL ? n : 1))
        return BTC_E_ARGUMENT;
    s = check_ids(&a->info, input, n);
    if (s != BTC_OK) return s;
    if (!take(a, work, states, 1, n)) return BTC_E_ARGUMENT;

    const btc_info *info = &a->info;
    btc_call c = make_call(a, m, states, work, input, out);
    float **moving = NULL;
    if (probes && info->probe_count) {
        moving = btc_work_probes(work);
        memcpy(moving, probes, (size_t)info->probe_count * sizeof *probes);
        c.probes = moving;
    }
    for (int64_t at = 0; at < n; at += info->chunk) {
        bool last = n - at <= info->chunk;
        c.rows = last ? n - at : info->chunk;
        c.out_begin = want == WANT_ALL ? 0 : want == WANT_LAST && last ? c.rows - 1 : c.rows;
        if (!btc_run(a, &c, btc_work_run(work), threads, !a->chunk)) {
            if (at == 0) return give_back(work, states, 1), BTC_E_THREADS;
            btc_run(a, &c, btc_work_run(work), threads = 1,
                    !a->chunk); /* too late for an error: the state has moved */
        }
        c.input = (const char *)c.input + c.rows * row_bytes(info);
        if (want == WANT_ALL) c.output += c.rows * info->output_width;
        for (int64_t i = 0; moving && i < info->probe_count; i++) moving[i] += c.rows * info->probes[i].width;
        ((btc_state_header *)state)->position += c.rows;
    }
    give_back(work, states, 1);
    return BTC_OK;
}

btc_status btc_prefill(const btc_model *m, void *state, void *work, int32_t threads, const void *input,
                       int64_t n, float *out_last) {
    return prefill(m, state, work, threads, input, n, out_last, NULL, out_last ? WANT_LAST : WANT_NONE);
}

btc_status btc_prefill_all(const btc_model *m, void *state, void *work, int32_t threads, const void *input,
                           int64_t n, float *out) {
    return out ? prefill(m, state, work, threads, input, n, out, NULL, WANT_ALL) : BTC_E_ARGUMENT;
}

btc_status btc_prefill_probes(const btc_model *m, void *state, void *work, int32_t threads, const void *input,
                              int64_t n, float *out, float *const *probes) {
    return out && probes ? prefill(m, state, work, threads, input, n, out, probes, WANT_ALL) : BTC_E_ARGUMENT;
}

btc_status btc_step_probes(const btc_model *m, void *const *states, int64_t n, void *work, int32_t threads,
                           const void *input, float *out, float *const *probes) {
    const btc_artifact *a = btc_artifact_of(m);
    if (!can_call(a, work, threads, input, n) || !states || n > a->info.max_batch || !out ||
        !probes_fit(a, probes))
        return BTC_E_ARGUMENT;
    if (a->info.whole) return BTC_E_WHOLE;
    for (int64_t i = 0; i < n; i++)
        if (!btc_aligned(states[i])) return BTC_E_ARGUMENT;
    if (!all_apart(a, states, n, work, threads, input, out, n, n)) return BTC_E_ARGUMENT;
    btc_status s = BTC_OK;
    for (int64_t i = 0; i < n && s == BTC_OK; i++) s = check_room(a, states[i], 1);
    if (s == BTC_OK) s = check_ids(&a->info, input, n);
    if (s != BTC_OK) return s;
    if (!take(a, work, states, n, 1)) return BTC_E_ARGUMENT;

    btc_call c = make_call(a, m, states, work, input, out);
    c.rows = n;
    c.probes = probes;
    bool ran = btc_run(a, &c, btc_work_run(work), threads, true);
    for (int64_t i = 0; ran && i < n; i++) ((btc_state_header *)states[i])->position++;
    give_back(work, states, n);
    return ran ? BTC_OK : BTC_E_THREADS;
}

btc_status btc_step(const btc_model *m, void *const *states, int64_t n, void *work, int32_t threads,
                    const void *input, float *out) {
    return btc_step_probes(m, states, n, work, threads, input, out, NULL);
}
