/* Runs a drawn module whose states lie in 16 bits and holds every single call against the interpreter: before
 * a call the interpreter gets the numbers of the compiled state, so both begin alike and no rounding of an
 * earlier call can excuse an error. The results must then agree as they do with f32 states, and each number
 * of the new state must be the nearest one of its type to what the interpreter has (give or take that
 * tolerance where it lies between two).
 *
 * One op rounds within a call, too: conv.long stores its inputs and its sums for the future as it goes. A
 * result of it may be off by one rounding for each sum that went into it. */
#ifndef BTC_TESTS_OPS_FOLLOW_H
#define BTC_TESTS_OPS_FOLLOW_H

#include "agree.h"

/* Every slot of an instance, one after the other. */
typedef void EachSlot(Case *c, const BlockCall *call, int k, Tensor *t, const double *compiled,
                      int64_t tokens);

static inline void each_slot(Case *c, int s, const void *block, int64_t tokens, EachSlot *f) {
    const Schedule *o = &c->l.compiled.lowered.schedule;
    for (int i = 0; i < o->ncalls; i++) {
        const BlockCall *call = &o->calls[i];
        const char *path = call->layer < 0 ? "" : arena_printf(c->k.a, "%lld", (long long)call->layer);
        for (int k = 0; k < call->plan->f->nstates; k++)
            f(c, call, k, interp_state_slot(c->states[s], path, call->plan->f->states[k].name),
              read_slot(c->k.a, &c->l, call, k, block), tokens);
    }
}

static inline void take_slot(Case *c, const BlockCall *call, int k, Tensor *t, const double *compiled,
                             int64_t tokens) {
    (void)c, (void)call, (void)k, (void)tokens;
    memcpy(t->data, compiled, sizeof(double) * (size_t)type_count(t->type));
}

/* Whether compiled is want as dt keeps it. What f16 cannot hold is infinite; what is not finite may be
 * either. */
static inline bool slot_holds(DType dt, double compiled, double want, double allowed) {
    const double most = 65504, next = 65536;
    if (!isfinite(want)) return !isfinite(compiled);
    if (dtype_round(dt, compiled) != compiled) return false;
    if (dt == DT_F16 && fabs(want) + allowed >= (most + next) / 2 && compiled == copysign(INFINITY, want))
        return true;
    return fabs(compiled - want) <= allowed;
}

static inline void compare_slot(Case *c, const BlockCall *call, int k, Tensor *t, const double *compiled,
                                int64_t tokens) {
    const Func *f = call->plan->f;
    DType dt = state_slot_dtype(call->plan, k, &c->l.compiled.lower);
    int slot;
    int64_t n = type_count(t->type);
    if (state_slot_owner(f, k, &slot)->def == &op_conv_long) n = tokens * t->type.dim[1]; /* docs/ops.md */
    double largest = 0;
    for (int64_t e = 0; e < n; e++)
        if (isfinite(t->data[e])) largest = fmax(largest, fabs(t->data[e]));
    for (int64_t e = 0; e < n; e++) {
        double want = t->data[e];
        double allowed = half_step(dt, want) + c->slack * 1e-4 * largest + 1e-30;
        if (slot_holds(dt, compiled[e], want, allowed)) continue;
        if (c->bad++ < 3)
            fprintf(stderr, "    %s: state %s element %lld is %.9g, nearest to %.9g\n%s", c->what,
                    f->states[k].name, (long long)e, compiled[e], want, ir_print_func(c->k.a, f));
        break;
    }
}

/* The interpreter over rows [at, at+n) of sequence s; what it gives becomes what is wanted of them. */
static inline bool interpret_rows(Case *c, int s, int64_t at, int64_t n) {
    Env env = model_env(&c->model);
    Type t = c->k.input->type;
    int64_t width = type_count(t);
    Tensor in = {t, n, ARENA_ARRAY(c->k.a, double, n *width)}, *out = ARENA_ARRAY(c->k.a, Tensor, c->n);
    for (int64_t i = 0; i < n * width; i++) in.data[i] = dtype_load(t.dt, c->x[s], at * width + i);
    if (!interp_run(&c->k.d, c->k.a, c->k.m, &env, c->states[s], &in, n, out, NULL, NULL)) return false;
    for (int i = 0; i < c->n; i++)
        memcpy(c->want[s][i].data + at * count_of(c, i), out[i].data,
               sizeof(double) * (size_t)(n * count_of(c, i)));
    return true;
}

static inline void follow_from_start(Case *c) {
    for (int s = 0; s < SEQUENCES; s++) c->states[s] = interp_state_new(c->k.a, c->k.m);
}

static inline void follow_chunks(Case *c) {
    int64_t chunk = c->l.api->info->chunk;
    const int64_t sizes[] = {chunk, 1, (chunk + 1) / 2, chunk, chunk - 1 > 0 ? chunk - 1 : 1};
    void *state = new_state(c->k.a, &c->l);
    follow_from_start(c);
    c->what = "chunks";
    for (int64_t at = 0, k = 0; at < TOKENS; k++) {
        int64_t n = sizes[k % 5] < TOKENS - at ? sizes[k % 5] : TOKENS - at;
        each_slot(c, 0, state, at, take_slot);
        if (!prefill(c, state, k % 2 ? THREADS : 1, at, n) || !CHECK(interpret_rows(c, 0, at, n))) return;
        compare(c, 0, at, n, 0);
        each_slot(c, 0, state, at += n, compare_slot);
    }
}

static inline void follow_steps(Case *c) {
    void *state[SEQUENCES];
    size_t row = (size_t)(input_at(c, 0, 1) - input_at(c, 0, 0));
    char *x = arena_alloc(c->k.a, row * SEQUENCES);
    for (int s = 0; s < SEQUENCES; s++) state[s] = new_state(c->k.a, &c->l);
    follow_from_start(c);
    c->what = "steps";
    for (int64_t t = 0; t < TOKENS; t++) {
        for (int s = 0; s < SEQUENCES; s++) {
            memcpy(x + (size_t)s * row, input_at(c, s, t), row);
            each_slot(c, s, state[s], t, take_slot);
        }
        int threads = t % 8 == 5 ? THREADS : 1;
        btc_status st =
            c->l.api->step_probes(&c->l.handle, state, SEQUENCES, c->work, threads, x, c->out[0], c->out + 1);
        if (!CHECK(st == BTC_OK)) return;
        for (int s = 0; s < SEQUENCES; s++) {
            if (!CHECK(interpret_rows(c, s, t, 1))) return;
            compare(c, s, t, 1, s);
            each_slot(c, s, state[s], t + 1, compare_slot);
        }
    }
}

#endif
