/* Runs a drawn module in all forms and compares with the interpreter: one prompt, a prompt in pieces (one
 * token, less than a chunk, not a multiple), with one and with three threads, and steps of three sequences
 * together. What is compared: every result of main, and the final states of the first sequence. */
#ifndef BTC_TESTS_OPS_AGREE_H
#define BTC_TESTS_OPS_AGREE_H

#include <sys/wait.h>
#include <unistd.h>

#include "draw.h"
#include "formats/arithmetic.h"
#include "ops/attend.h"
#include "pack/storage.h"

enum { TOKENS = 61, SEQUENCES = 3, THREADS = 3 };

typedef struct Variant {
    const char *cpu;
    DType storage;
    int chunk, instances;
    uint64_t seed;
    const char *state;     /* how states lie in memory, or NULL */
    const char *quant;     /* storage of matrices, or NULL */
    const char *math;      /* of products whose weights allow it, or NULL for f32 */
    const char *algorithm; /* --algorithm, or NULL */
} Variant;

typedef struct Case {
    Kit k;
    Model model;
    Loaded l;
    void *work;
    int n; /* results of main */
    float *x[SEQUENCES];
    Tensor *want[SEQUENCES];
    InterpState *states[SEQUENCES];
    float **out, **first; /* [n] buffers of TOKENS rows */
    float **whole;        /* what one prompt gave, once run_chunks is done */
    const Tuning *tuning; /* its numbers; NULL: the cost model's */
    const char *what;     /* the run, for messages */
    double slack;         /* factor on the tolerances */
    int bad;
} Case;

static inline const OpDef *op_of(Case *c, int i) {
    const char *label = c->k.main->result_names[i];
    return op_find(arena_strndup(c->k.a, label, strcspn(label, "#")));
}

static inline int64_t count_of(const Case *c, int i) {
    return type_count(c->k.main->results[i]->type);
}

/* The function that the result comes from, for messages. */
static inline void show(Case *c, int i) {
    const Value *v = c->k.main->results[i];
    const Op *op = v->def;
    const Func *f = op && op->def == &op_call ? ir_func_find(c->k.m, attr_str(op, "func", "")) : NULL;
    if (f)
        fprintf(stderr, "%s", ir_print_func(c->k.a, f));
    else
        for (int k = 0; op && k < 3; k++, op = op->nin && op->in[0] ? op->in[0]->def : NULL)
            fprintf(stderr, "    %s", ir_print_op(c->k.a, op));
}

static inline double dtype_unit(DType dt) { /* the largest relative error of rounding */
    return dt == DT_BF16 ? 0x1p-8 : dt == DT_F16 ? 0x1p-11 : 0;
}

/* Half of the distance of two neighbours at x. */
static inline double half_step(DType dt, double x) {
    int exponent;
    frexp(x, &exponent); /* x = 0.1.. * 2^exponent */
    if (dt == DT_F16 && exponent < -13) exponent = -13;
    return ldexp(dtype_unit(dt), exponent - 1);
}

static inline double largest_of(const Tensor *w, int64_t count) {
    double largest = 0;
    for (int64_t e = 0; e < w->rows * count; e++)
        if (isfinite(w->data[e])) largest = fmax(largest, fabs(w->data[e]));
    return largest;
}

/* What result i may be off by because conv.long rounds while it goes (follow.h). The epilogue is a sigmoid of at
 * most 1.5 times the result before it, so it is off by less. */
static inline double rounded_sums(Case *c, int s, int i, bool epilogue) {
    enum { STORES = 8 }; /* one for each size of a tile, and the input */
    const OpDef *def = op_of(c, i);
    int from = epilogue ? i - 1 : i;
    if (def != &op_conv_long) return 0;
    double largest = largest_of(&c->want[s][from], count_of(c, from));
    return STORES * dtype_unit(c->l.compiled.lower.state_dt) * largest;
}

static inline bool has_pairs(const Op *op) {
    return op->def == &op_attend && attend_in_bf16(op);
}

/* What result i may be off by because attention rounds its weights to bf16: one that lies between two may
 * become either, which are 2^-7 apart. */
static inline double rounded_weights(Case *c, int s, int i) {
    const Op *op = c->k.main->results[i]->def;
    bool pairs = false;
    if (op->def == &op_call)
        OPS_OF (ir_func_find(c->k.m, attr_str(op, "func", ""))->body, inner) pairs |= has_pairs(inner);
    for (; op && !pairs; op = op->nin && op->in[0] ? op->in[0]->def : NULL) pairs = has_pairs(op);
    return pairs ? 0x1p-7 * largest_of(&c->want[s][i], count_of(c, i)) : 0;
}

/* The tolerance of op.h is relative to the largest output; elementwise results are held to it one by one,
 * unless an epilogue uses them, which may enlarge the error. Below the least normal number compiled code
 * may flush to zero. */
static inline bool close_enough(const Case *c, const OpDef *def, bool epilogue, double got, double want,
                                double largest, double more) {
    double tolerance = c->slack * (epilogue ? 4 : 1) * (def->tolerance > 0 ? def->tolerance : 1e-5);
    if (c->k.spoilt && !(fabs(want) <= 3.4028235e38)) return !isfinite(got);
    if (isnan(want)) return isnan(got);
    if (fabs(want) > 3.4028235e38) return isinf(got) && (got > 0) == (want > 0);
    double scale = def->pattern == PAT_ELEMENTWISE && !epilogue ? fmax(fabs(want), 0.05) : largest;
    return fabs(got - want) <= tolerance * scale + more + 1.2e-38;
}

/* Whether result i is made of result i - 1 by an elementwise op of its epilogue. */
static inline bool is_epilogue(Case *c, int i) {
    const Value *v = c->k.main->results[i];
    const char *name = c->k.main->result_names[i];
    const Func *f = v->def->def == &op_call ? ir_func_find(c->k.m, attr_str(v->def, "func", "")) : NULL;
    for (int k = 0; f && k < v->def->nout; k++)
        if (v->def->out[k] == v) name = f->result_names[k];
    return strstr(name, "epilogue") != NULL;
}

/* Infinity where the interpreter has NaN, or the other way round, which is all one: but a sigmoid tells them
 * apart.
 */
static inline bool ambiguous(double got, double want) {
    return !isfinite(got) && !isfinite(want) && (isnan(got) || isnan(want) || got != want);
}

/* Rows [at, at+n) of sequence s are in c->out; row `step` apart from the next. */
static inline void compare(Case *c, int s, int64_t at, int64_t n, int64_t from) {
    for (int i = 0; i < c->n; i++) {
        const Tensor *w = &c->want[s][i];
        const OpDef *def = op_of(c, i);
        int64_t count = count_of(c, i);
        const char *name = c->k.main->result_names[i];
        bool spoilt_epilogue = c->k.spoilt && i && is_epilogue(c, i);
        bool epilogue = strstr(name, "epilogue") || strstr(name, "result 1");
        double largest = largest_of(w, count),
               more = rounded_sums(c, s, i, epilogue) + rounded_weights(c, s, i);
        for (int64_t e = 0; e < n * count; e++) {
            double got = c->out[i][from * count + e], want = w->data[at * count + e];
            if (spoilt_epilogue &&
                ambiguous((double)c->out[i - 1][from * count + e], c->want[s][i - 1].data[at * count + e]))
                continue;
            if (close_enough(c, def, epilogue, got, want, largest, more)) continue;
            if (c->bad++ < 3) {
                fprintf(stderr, "    %s, %s, %s: token %lld element %lld is %.9g, not %.9g (largest %.3g)\n",
                        name, c->l.compiled.target.cpu, c->what, (long long)(at + e / count),
                        (long long)(e % count), got, want, largest);
                show(c, i);
            }
            break;
        }
    }
}

/* ---- runs ---- */

static inline const char *input_at(const Case *c, int s, int64_t t) {
    int64_t width = c->l.api->info->kind == BTC_TOKENS ? 1 : c->l.api->info->input_width;
    return (const char *)c->x[s] + t * width * 4;
}

static inline bool prefill(Case *c, void *state, int threads, int64_t at, int64_t n) {
    btc_status st = c->l.api->prefill_probes(&c->l.handle, state, c->work, threads, input_at(c, 0, at), n,
                                             c->out[0], c->out + 1);
    return CHECK(st == BTC_OK);
}

/* The final states of sequence 0 in the logical order, call by call. */
static inline void compare_states(Case *c, const void *block) {
    const Schedule *o = &c->l.compiled.lowered.schedule;
    for (int i = 0; i < o->ncalls; i++) {
        const BlockCall *call = &o->calls[i];
        const Func *f = call->plan->f;
        const char *path = call->layer < 0 ? "" : arena_printf(c->k.a, "%lld", (long long)call->layer);
        for (int k = 0; k < f->nstates; k++) {
            const Tensor *want = interp_state_slot(c->states[0], path, f->states[k].name);
            const double *got = read_slot(c->k.a, &c->l, call, k, block);
            double largest = 0, worst = 0;
            DType dt = state_slot_dtype(call->plan, k, &c->l.compiled.lower);
            int64_t n = type_count(want->type);
            for (int64_t e = 0; e < n; e++) {
                if (!(fabs(want->data[e]) <= 3.4028235e38)) {
                    if (isfinite(got[e])) worst = INFINITY;
                    continue;
                }
                if (!isfinite(got[e])) worst = INFINITY;
                largest = fmax(largest, fabs(want->data[e]));
                double off = fabs(got[e] - want->data[e]) - half_step(dt, want->data[e]);
                if (isnan(got[e]) && isnan(want->data[e])) off = 0;
                if (!(off <= worst)) worst = off; /* a NaN stays */
            }
            if (worst <= c->slack * 1e-4 * largest + 1e-30) continue;
            if (c->bad++ < 3)
                fprintf(stderr, "    %s: state %s.%s is off by %.3g of %.3g\n%s", c->what, path,
                        f->states[k].name, worst, largest, ir_print_func(c->k.a, f));
        }
    }
}

static inline void run_chunks(Case *c) {
    static const int64_t pieces[] = {1, 12, 3, 33, 12};
    void *state = new_state(c->k.a, &c->l);
    c->what = "one prompt";
    if (!prefill(c, state, 1, 0, TOKENS)) return;
    compare(c, 0, 0, TOKENS, 0);
    compare_states(c, state);
    float **whole = c->whole = c->out;
    c->out = c->first;
    c->what = "three threads";
    if (!prefill(c, new_state(c->k.a, &c->l), THREADS, 0, TOKENS)) return;
    for (int i = 0; i < c->n; i++)
        if (memcmp(c->out[i], whole[i], sizeof(float) * (size_t)(TOKENS * count_of(c, i))) && c->bad++ < 3) {
            fprintf(stderr, "    %s: other bits with three threads\n", c->k.main->result_names[i]);
            show(c, i);
        }
    if (c->l.api->info->whole) {
        const btc_api *api = c->l.api;
        char *to = arena_alloc(c->k.a, (size_t)api->info->state_bytes);
        CHECK(api->prefill_probes(&c->l.handle, state, c->work, 1, input_at(c, 0, 0), 1, c->out[0],
                                  c->out + 1) == BTC_E_WHOLE);
        CHECK(api->save(&c->l.handle, state, to, (size_t)api->info->state_bytes) == BTC_E_WHOLE);
        CHECK(api->fork(&c->l.handle, new_state(c->k.a, &c->l), state) == BTC_E_WHOLE);
        return;
    }
    c->what = "prompt in pieces";
    state = new_state(c->k.a, &c->l);
    for (int64_t at = 0, k = 0; at < TOKENS; at += pieces[k++]) {
        if (!prefill(c, state, 1, at, pieces[k])) return;
        compare(c, 0, at, pieces[k], 0);
    }
    compare_states(c, state);
}

static inline void run_steps(Case *c) {
    void *state[SEQUENCES];
    size_t row = (size_t)(input_at(c, 0, 1) - input_at(c, 0, 0));
    char *x = arena_alloc(c->k.a, row * SEQUENCES);
    for (int s = 0; s < SEQUENCES; s++) state[s] = new_state(c->k.a, &c->l);
    if (c->l.api->info->whole) {
        CHECK(c->l.api->step_probes(&c->l.handle, state, 1, c->work, 1, input_at(c, 0, 0), c->out[0],
                                    c->out + 1) == BTC_E_WHOLE);
        return;
    }
    c->what = "steps";
    for (int64_t t = 0; t < TOKENS; t++) {
        for (int s = 0; s < SEQUENCES; s++) memcpy(x + (size_t)s * row, input_at(c, s, t), row);
        int threads = t % 8 == 5 ? THREADS : 1;
        btc_status st =
            c->l.api->step_probes(&c->l.handle, state, SEQUENCES, c->work, threads, x, c->out[0], c->out + 1);
        if (!CHECK(st == BTC_OK)) return;
        for (int s = 0; s < SEQUENCES; s++) compare(c, s, t, 1, s);
    }
    compare_states(c, state[0]);
}

static inline bool interpret(Case *c) {
    Env env = model_env(&c->model);
    env.stored = true;
    for (int s = 0; s < SEQUENCES; s++) {
        Type t = c->k.input->type;
        int64_t n = TOKENS * type_count(t);
        c->x[s] = draw_input(&c->k, TOKENS);
        Tensor in = {t, TOKENS, ARENA_ARRAY(c->k.a, double, n)};
        for (int64_t i = 0; i < n; i++) in.data[i] = dtype_load(t.dt, c->x[s], i);
        c->want[s] = ARENA_ARRAY(c->k.a, Tensor, c->n);
        c->states[s] = interp_state_new(c->k.a, c->k.m);
        if (!interp_run(&c->k.d, c->k.a, c->k.m, &env, c->states[s], &in, TOKENS, c->want[s], NULL, NULL))
            return false;
    }
    return true;
}

/* Some numbers of every matrix that codes of few exponents cannot say: what compressed panels keep in lists,
 * which have room for one in 1024 and some more, and some take two places. */
static inline void draw_outliers(Case *c) {
    static const double out[] = {0, 0x1p-100, -0x1p-40, 0x1.5p9, -0x1.1p-13};
    for (int i = 0; i < c->k.nweights; i++) {
        RawTensor *w = &c->k.weights[i];
        int64_t n = w->rank >= 2 ? raw_tensor_count(w) : 0;
        for (int64_t at = (i * 37) % 300, k = 0; at < n; at += 701, k++)
            dtype_store(w->dt, (void *)(uintptr_t)w->data, at, out[k % 5]);
    }
}

/* As compiler/pack/storage.c and compiler/pack/compress.c do it. */
static inline void quantise(Case *c, const char *quant, const char *math) {
    for (Func *f = c->k.m->first; f; f = f->next)
        OPS_OF (f->body, op) {
            const Value *w = storage_matrix(op);
            if (!w) continue;
            op_set_format(f, w->def, "storage", format_find(quant));
            if (math && !attr_find(op->attrs, "math"))
                op_set_arithmetic(f, op, "math", arithmetic_find(math));
            if (op->def == &op_linear_blocks) op_set_int(f, w->def, "inputs", -2);
        }
}

static inline bool prepare(Case *c, const Variant *v) {
    if (v->quant) quantise(c, v->quant, v->math);
    if (v->quant && !strcmp(v->quant, "bf16_12")) draw_outliers(c);
    if (!kit_model(&c->k, &c->model)) return false;
    c->n = c->k.main->nresults;
    c->out = ARENA_ARRAY(c->k.a, float *, c->n), c->first = ARENA_ARRAY(c->k.a, float *, c->n);
    for (int i = 0; i < c->n; i++) {
        c->out[i] = ARENA_ARRAY(c->k.a, float, TOKENS *count_of(c, i));
        c->first[i] = ARENA_ARRAY(c->k.a, float, TOKENS *count_of(c, i));
    }
    if (!interpret(c)) return false;
    CompileOptions o = {
        .cpu = v->cpu, .math = "f32", .chunk = v->chunk, .max_batch = SEQUENCES, .passes.verify = true};
    o.state = v->state, o.tuning = c->tuning, o.passes.algorithm = v->algorithm;
    if (!loaded_open(&c->k.d, c->k.a, &c->model, o, &c->l)) return false;
    c->work = new_work(c->k.a, &c->l, THREADS);
    return true;
}

/* BTC_PLAN=1: how the functions were cut into stages. */
static inline void show_plans(const Case *c) {
    const ModulePlan *plans = &c->l.compiled.lowered.schedule.plans;
    for (int i = 0; i < plans->n && getenv("BTC_PLAN"); i++)
        fprintf(stderr, "%s", plan_print(c->k.a, plans->plans[i]));
}

static void (*const compared[])(Case *) = {run_chunks, run_steps, NULL};

/* Compiles the module and does `runs`; false: something is off, which was said. */
static inline bool agrees(Case *c, const Variant *v, void (*const *runs)(Case *)) {
    bool ready = prepare(c, v);
    for (; ready && *runs; runs++) (*runs)(c);
    if (c->bad) show_plans(c);
    loaded_close(&c->l);
    return ready && !c->bad && !check_failed;
}

/* Begins a process of its own, so that a case that breaks the compiler is one failure: true in the child,
 * which must end with _exit(0 or 1). In the parent *ok says how the child ended. */
static inline bool in_child(bool *ok) {
    fflush(NULL);
    pid_t child = fork();
    if (child == 0) return check_failed = 0, true;
    int status = -1;
    waitpid(child, &status, 0);
    return *ok = status == 0, false;
}

static inline uint64_t seed_of(const Variant *v) {
    const char *other = getenv("BTC_SEED");
    return v->seed + 1000 * (other ? strtoull(other, NULL, 10) : 0);
}

#endif
