#include "fake_model.h"

#include "runtime/barrier.h"

typedef struct Row {
    const float *x;
    int64_t nx; /* x repeats after so many values */
    float *h, *out, *probe;
    int64_t position;
} Row;

static void run_row(const btc_call *c, Row r, int64_t tid, int64_t nt) {
    int64_t begin = FAKE_WIDTH * tid / nt, end = FAKE_WIDTH * (tid + 1) / nt;
    int64_t *own = (int64_t *)((char *)c->work + FAKE_WORK_SHARED + tid * FAKE_WORK_THREAD);
    own[0] = tid, own[7] = nt; /* the whole private part is there */
    for (int64_t i = begin; i < end; i++) r.h[i] = r.h[i] * 0.5f + r.x[i % r.nx];
    btc_barrier_wait(c->barrier, nt);
    for (int64_t i = begin; i < end; i++) {
        if (r.probe) r.probe[i] = r.h[i];
        if (r.out) r.out[i] = r.h[i] + r.h[(i + 1) % FAKE_WIDTH] * 0.25f + (float)r.position;
    }
    btc_barrier_wait(c->barrier, nt);
}

static void run(const btc_call *c, int64_t tid, int64_t nt, int step, int features) {
    for (int64_t r = 0; r < c->rows; r++) {
        char *state = c->states[step ? r : 0];
        const btc_state_header *h = (const btc_state_header *)state;
        Row row = {.h = (float *)(state + BTC_STATE_HEADER), .position = h->position + (step ? 0 : r)};
        if (features) {
            row.x = (const float *)c->input + r * FAKE_FEATURES, row.nx = FAKE_FEATURES;
        } else {
            row.x = (const float *)c->weights + ((const int32_t *)c->input)[r] * FAKE_WIDTH;
            row.nx = FAKE_WIDTH;
        }
        if (r >= c->out_begin) row.out = c->output + (r - c->out_begin) * FAKE_WIDTH;
        if (c->probes) row.probe = c->probes[0] + r * FAKE_WIDTH;
        run_row(c, row, tid, nt);
    }
}

void btc_entry_step(const btc_call *c, int64_t tid, int64_t nt) {
    run(c, tid, nt, 1, 0);
}
void btc_entry_chunk(const btc_call *c, int64_t tid, int64_t nt) {
    run(c, tid, nt, 0, 0);
}
void fake_features_step(const btc_call *c, int64_t tid, int64_t nt) {
    run(c, tid, nt, 1, 1);
}
void fake_features_chunk(const btc_call *c, int64_t tid, int64_t nt) {
    run(c, tid, nt, 0, 1);
}
