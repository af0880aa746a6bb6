/* Products that split by inputs (plan/bands.h): numbers of bands that are powers of two and others, panels
 * that are not full, a bias; in all storages, against the interpreter, and with the same bits for any number
 * of threads, alone and in a batch. What is rounded to bytes is exact in f32, as in wide.h. */
#ifndef BTC_TESTS_OPS_BANDED_H
#define BTC_TESTS_OPS_BANDED_H

#include "wide.h"

enum { BANDED_THREADS = 19, BANDED_STEPS = 3 };

/* What its threads have of x is multiplied at once; the sum and the norm behind it need all of it. */
static inline void banded_product(Kit *k, int64_t inputs, int64_t outputs, bool bias, const Variant *v) {
    static const Variant plain = {0};
    Type row = type_tensor(DT_F32, false, 1, (int64_t[]){outputs});
    Value *x = wide_choice(k, inputs), *add = bias ? kit_weight(k, row, LIVELY, 0) : NULL;
    Value *y = wide_product(k, x, outputs, add, v);
    Value *both[] = {y, wide_input(k, outputs)};
    Value *sum = kit_op(k, k->main, "add", both, 2, NULL)->out[0];
    Value *in[] = {sum, kit_weight(k, row, LIVELY, 0), NULL, NULL};
    Attr *eps = NULL;
    attr_set(k->a, &eps, (Attr){.name = "eps", .kind = AT_FLOAT, .f = 1e-5});
    Value *all = kit_op(k, k->main, "norm.rms", in, 4, eps)->out[0];
    ir_result_add(k->main, "linear#behind", wide_product(k, all, 24, NULL, &plain));
}

static inline bool has_bands(const Case *c, int64_t bands) {
    const ModulePlan *plans = &c->l.compiled.lowered.plans;
    for (int i = 0; i < plans->n; i++)
        for (int k = 0; k < plans->plans[i]->n; k++)
            if (plans->plans[i]->stages[k]->bands == bands) return true;
    fprintf(stderr, "    no product in %lld bands\n", (long long)bands);
    return false;
}

/* The first steps of `n` sequences; the results of the first one, step after step. */
static inline float *first_steps(Case *c, int n, int threads) {
    void *state[SEQUENCES], *work = new_work(c->k.a, &c->l, threads);
    int64_t width = c->l.api->info->output_width;
    float *out = ARENA_ARRAY(c->k.a, float, SEQUENCES *width),
          *all = ARENA_ARRAY(c->k.a, float, BANDED_STEPS *width);
    size_t row = (size_t)(input_at(c, 0, 1) - input_at(c, 0, 0));
    char *x = arena_alloc(c->k.a, row * SEQUENCES);
    for (int s = 0; s < n; s++) state[s] = new_state(c->k.a, &c->l);
    for (int64_t t = 0; t < BANDED_STEPS; t++) {
        for (int s = 0; s < n; s++) memcpy(x + (size_t)s * row, input_at(c, s, t), row);
        CHECK(c->l.api->step(&c->l.handle, state, n, work, threads, x, out) == BTC_OK);
        memcpy(all + t * width, out, sizeof(float) * (size_t)width);
    }
    return all;
}

static inline void threads_do_not_matter(Case *c) {
    size_t bytes = sizeof(float) * BANDED_STEPS * (size_t)c->l.api->info->output_width;
    const float *one = first_steps(c, 1, 1);
    for (int threads = 1; threads <= BANDED_THREADS; threads++)
        for (int n = 1; n <= SEQUENCES; n += SEQUENCES - 1)
            if (memcmp(one, first_steps(c, n, threads), bytes) && c->bad++ < 3)
                fprintf(stderr, "    other bits with %d threads, %d sequences\n", threads, n);
}

static void (*const banded_runs[])(Case *) = {run_chunks, run_steps, threads_do_not_matter, NULL};

static inline bool bands_agree(const Variant *v, int64_t inputs, int64_t outputs, int64_t bands) {
    Case c = {.k = kit_new(arena_new(), seed_of(v), v->storage, false), .slack = 1};
    Variant stored = *v;
    stored.quant = stored.math = NULL;
    banded_product(&c.k, inputs, outputs, bands % 2 == 0, v);
    return agrees(&c, &stored, banded_runs) && has_bands(&c, bands);
}

#endif
