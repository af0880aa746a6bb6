/* Every op of the table, compiled, against the interpreter: random shapes with remainders of the vector
 * width, in main and in blocks, fused and alone, for several vector widths and storage types. A case is one
 * module with many instances of an op (or of all elementwise ops). It is run as one prompt, as a prompt in
 * pieces (one token, less than a chunk, not a multiple), and as steps of three sequences together.
 *
 * BTC_OPS=NAME runs one case only; BTC_SEED=N draws others. */
#include <sys/wait.h>
#include <unistd.h>

#include "kit.h"

enum { TOKENS = 61, SEQUENCES = 3, THREADS = 3 };

typedef struct Variant {
    const char *cpu;
    DType storage;
    int chunk, instances;
    uint64_t seed;
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
    const char *what;     /* the run, for messages */
    int bad;
} Case;

static const OpDef *op_of(Case *c, int i) {
    const char *label = c->k.main->result_names[i];
    return op_find(arena_strndup(c->k.a, label, strcspn(label, "#")));
}

static int64_t count_of(const Case *c, int i) {
    return type_count(c->k.main->results[i]->type);
}

/* The function that the result comes from, for messages. */
static void show(Case *c, int i) {
    const Value *v = c->k.main->results[i];
    const Op *op = v->def;
    const Func *f = op && op->def == &op_call ? ir_func_find(c->k.m, attr_str(op, "func", "")) : NULL;
    if (f)
        fprintf(stderr, "%s", ir_print_func(c->k.a, f));
    else
        for (int k = 0; op && k < 3; k++, op = op->nin && op->in[0] ? op->in[0]->def : NULL)
            fprintf(stderr, "    %s", ir_print_op(c->k.a, op));
}

/* The tolerance of op.h is relative to the largest output; elementwise results are held to it one by one,
 * unless something hangs on them, which may enlarge the error. Below the least normal number compiled code
 * may flush to zero. */
static bool close_enough(const OpDef *def, bool post, double got, double want, double largest) {
    double tolerance = (post ? 4 : 1) * (def->tolerance > 0 ? def->tolerance : 1e-5);
    if (isnan(want)) return isnan(got);
    if (fabs(want) > 3.4028235e38) return isinf(got) && (got > 0) == (want > 0);
    double scale = def->pattern == PAT_ELEMENTWISE && !post ? fmax(fabs(want), 0.05) : largest;
    return fabs(got - want) <= tolerance * scale + 1.2e-38;
}

/* Rows [at, at+n) of sequence s are in c->out; row `step` apart from the next. */
static void compare(Case *c, int s, int64_t at, int64_t n, int64_t from) {
    for (int i = 0; i < c->n; i++) {
        const Tensor *w = &c->want[s][i];
        const OpDef *def = op_of(c, i);
        int64_t count = count_of(c, i);
        const char *name = c->k.main->result_names[i];
        bool post = strstr(name, "post") || strstr(name, "result 1");
        double largest = 0;
        for (int64_t e = 0; e < w->rows * count; e++) largest = fmax(largest, fabs(w->data[e]));
        for (int64_t e = 0; e < n * count; e++) {
            double got = c->out[i][from * count + e], want = w->data[at * count + e];
            if (close_enough(def, post, got, want, largest)) continue;
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

static const char *input_at(const Case *c, int s, int64_t t) {
    int64_t width = c->l.api->info->kind == BTC_TOKENS ? 1 : c->l.api->info->input_width;
    return (const char *)c->x[s] + t * width * 4;
}

static bool prefill(Case *c, void *state, int threads, int64_t at, int64_t n) {
    btc_status st = c->l.api->prefill_taps(&c->l.handle, state, c->work, threads, input_at(c, 0, at), n,
                                           c->out[0], c->out + 1);
    return CHECK(st == BTC_OK);
}

/* The final states of sequence 0 in the logical order, call by call. */
static void compare_states(Case *c, const void *block) {
    const Lowered *o = &c->l.compiled.lowered;
    for (int i = 0; i < o->ninstances; i++) {
        const LoweredInstance *inst = &o->instances[i];
        const Func *f = inst->plan->f;
        const char *path = inst->index < 0 ? "" : arena_printf(c->k.a, "%lld", (long long)inst->index);
        for (int k = 0; k < f->nstates; k++) {
            const Tensor *want = interp_state_slot(c->states[0], path, f->states[k].name);
            const double *got = read_slot(c->k.a, &c->l, inst, k, block);
            double largest = 0, worst = 0;
            int64_t n = type_count(want->type);
            int slot;
            if (slot_op(f, k, &slot)->def == &op_conv_long) n = TOKENS * want->type.dim[1]; /* docs/ops.md */
            for (int64_t e = 0; e < n; e++) {
                largest = fmax(largest, fabs(want->data[e]));
                worst = fmax(worst, fabs(got[e] - want->data[e]));
            }
            if (worst <= 1e-4 * largest + 1e-30) continue;
            if (c->bad++ < 3)
                fprintf(stderr, "    %s: state %s.%s is off by %.3g of %.3g\n%s", c->what, path,
                        f->states[k].name, worst, largest, ir_print_func(c->k.a, f));
        }
    }
}

static void run_chunks(Case *c) {
    static const int64_t pieces[] = {1, 12, 3, 33, 12};
    void *state = new_state(c->k.a, &c->l);
    c->what = "one prompt";
    if (!prefill(c, state, 1, 0, TOKENS)) return;
    compare(c, 0, 0, TOKENS, 0);
    compare_states(c, state);
    float **whole = c->out;
    c->out = c->first;
    c->what = "three threads";
    if (!prefill(c, new_state(c->k.a, &c->l), THREADS, 0, TOKENS)) return;
    for (int i = 0; i < c->n; i++)
        if (memcmp(c->out[i], whole[i], sizeof(float) * (size_t)(TOKENS * count_of(c, i))) && c->bad++ < 3) {
            fprintf(stderr, "    %s: other bits with three threads\n", c->k.main->result_names[i]);
            show(c, i);
        }
    c->what = "prompt in pieces";
    state = new_state(c->k.a, &c->l);
    for (int64_t at = 0, k = 0; at < TOKENS; at += pieces[k++]) {
        if (!prefill(c, state, 1, at, pieces[k])) return;
        compare(c, 0, at, pieces[k], 0);
    }
    compare_states(c, state);
}

static void run_steps(Case *c) {
    void *state[SEQUENCES];
    size_t row = (size_t)(input_at(c, 0, 1) - input_at(c, 0, 0));
    char *x = arena_alloc(c->k.a, row * SEQUENCES);
    for (int s = 0; s < SEQUENCES; s++) state[s] = new_state(c->k.a, &c->l);
    c->what = "steps";
    for (int64_t t = 0; t < TOKENS; t++) {
        for (int s = 0; s < SEQUENCES; s++) memcpy(x + (size_t)s * row, input_at(c, s, t), row);
        int threads = t % 8 == 5 ? THREADS : 1;
        btc_status st =
            c->l.api->step_taps(&c->l.handle, state, SEQUENCES, c->work, threads, x, c->out[0], c->out + 1);
        if (!CHECK(st == BTC_OK)) return;
        for (int s = 0; s < SEQUENCES; s++) compare(c, s, t, 1, s);
    }
    compare_states(c, state[0]);
}

static bool interpret(Case *c) {
    Env env = model_env(&c->model);
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

static bool prepare(Case *c, const Variant *v) {
    if (!kit_model(&c->k, &c->model)) return false;
    c->n = c->k.main->nresults;
    c->out = ARENA_ARRAY(c->k.a, float *, c->n), c->first = ARENA_ARRAY(c->k.a, float *, c->n);
    for (int i = 0; i < c->n; i++) {
        c->out[i] = ARENA_ARRAY(c->k.a, float, TOKENS *count_of(c, i));
        c->first[i] = ARENA_ARRAY(c->k.a, float, TOKENS *count_of(c, i));
    }
    if (!interpret(c)) return false;
    CompileOptions o = {.cpu = v->cpu, .chunk = v->chunk, .max_batch = SEQUENCES, .passes.verify = true};
    if (!loaded_open(&c->k.d, c->k.a, &c->model, o, &c->l)) return false;
    c->work = new_work(c->k.a, &c->l, THREADS);
    return true;
}

/* ---- cases ---- */

/* The chunked forms of scan.matrix are for large states only. */
static int64_t draw_large(Rng *r, const char *name) {
    static const int64_t widths[] = {64, 72, 100, 128};
    if (one_of(name, " h g ")) return rng_int(r, 1, 2);
    return widths[rng_int(r, 0, 3)];
}

static void draw_case(Case *c, const OpDef *def, int instances) {
    bool large = def == &op_scan_matrix;
    for (int got = 0, draw = 0; got < instances && draw < 100 * instances; draw++)
        got += kit_draw(&c->k, def, large && got % 2 ? draw_large : draw_size);
}

static bool case_agrees(const OpDef *const *defs, int n, const Variant *v) {
    Arena *a = arena_new();
    uint64_t other = getenv("BTC_SEED") ? strtoull(getenv("BTC_SEED"), NULL, 10) : 0;
    Case c = {.k = kit_new(a, v->seed + 1000 * other, v->storage, defs[0] == &op_embed)};
    for (int i = 0; i < n; i++) draw_case(&c, defs[i], v->instances);
    bool ready = prepare(&c, v);
    if (ready) {
        run_chunks(&c);
        run_steps(&c);
    }
    loaded_close(&c.l);
    arena_free(a);
    return ready && !c.bad && !check_failed;
}

/* In a process of its own: a case that breaks the compiler is one failure. */
static void run_case(const char *name, const OpDef *const *defs, int n, const Variant *v) {
    if (getenv("BTC_OPS") && strcmp(getenv("BTC_OPS"), name)) return;
    fflush(NULL);
    pid_t child = fork();
    if (child == 0) check_failed = 0;
    if (child == 0) _exit(case_agrees(defs, n, v) ? 0 : 1);
    int status = -1;
    waitpid(child, &status, 0);
    if (!CHECK(status == 0))
        fprintf(stderr, "    %s, cpu %s, weights %s, chunk %d\n", name, v->cpu ? v->cpu : "native",
                dtype_name(v->storage), v->chunk);
}

static bool is_drawn(const OpDef *def) {
    return def->level == LEVEL_MODEL && def->sig && def != &op_derived;
}

int main(void) {
    static const Variant variants[] = {
        {NULL, DT_F32, 16, 6, 1},
        {"x86-64-v3", DT_BF16, 24, 2, 2},
        {"x86-64-v2", DT_F16, 5, 2, 3},
        {NULL, DT_BF16, 1, 2, 4},
    };
    for (size_t k = 0; k < sizeof variants / sizeof *variants; k++) {
        const OpDef *elementwise[OP_COUNT];
        int n = 0;
        for (int i = 0; i < OP_COUNT; i++)
            if (is_drawn(OP_TABLE[i]) && OP_TABLE[i]->pattern == PAT_ELEMENTWISE)
                elementwise[n++] = OP_TABLE[i];
        run_case("elementwise", elementwise, n, &variants[k]);
        for (int i = 0; i < OP_COUNT; i++)
            if (is_drawn(OP_TABLE[i]) && OP_TABLE[i]->pattern != PAT_ELEMENTWISE)
                run_case(OP_TABLE[i]->name, &OP_TABLE[i], 1, &variants[k]);
    }
    return check_report("ops");
}
