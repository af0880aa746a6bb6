/* What runtime/btc.h promises, over all architectures of the conformance cases: the same bits for every
 * number of threads, alone or in a batch in any slot, for a prompt cut at multiples of the chunk, after save,
 * restore and fork, and from two host threads at once; and whatever lay in a state's memory before. Where
 * only closeness is promised (other cuts, steps against chunks, the states of both), TOLERANCE times the
 * largest value is allowed. All of it holds for states in 16 bits as well; only, steps and chunks round them
 * at other moments, so they are less close. */
#include <dirent.h>
#include <math.h>
#include <pthread.h>
#include <unistd.h>

#include "tools/check.h"
#include "tools/compiled.h"
#include "tools/described.h"

enum { TOKENS = 49, SEQUENCES = 8, THREADS = 3 };
static const double TOLERANCE = 1e-4;

typedef struct Bench {
    Arena *a;
    const char *name;
    const btc_api *api;
    const btc_model *m;
    const btc_info *info;
    Loaded loaded;
    double tolerance;
    int64_t T, width, row;   /* tokens, numbers of an output, bytes of an input row */
    char *x[SEQUENCES];      /* inputs */
    float *whole;            /* [T, width]: sequence 0 as one prompt */
    float *steps[SEQUENCES]; /* [T, width]: each sequence alone, step by step */
    void *whole_state, *step_state;
    void *work;
    char *saved[2]; /* for comparing states */
    bool clean;     /* a new state's memory holds zeros, not NaN all over */
    bool jumps; /* it chooses by rounded numbers: one more rounding may choose otherwise, and ends far away */
} Bench;

/* CHECK, and the model's name when it does not hold. */
#define HOLDS(b, cond)                                                                                       \
    do {                                                                                                     \
        if (!CHECK(cond))                                                                                    \
            fprintf(stderr, "    in %s, chunk %lld, states %s\n", (b)->name, (long long)(b)->info->chunk,    \
                    (b)->info->slots[0].dtype);                                                              \
    } while (0)

/* ---- inputs ---- */

static double next_random(uint64_t *s) {
    *s = *s * 6364136223846793005u + 1442695040888963407u;
    return (double)(*s >> 11) / 9007199254740992.0;
}

static char *draw_input(const Bench *b, int sequence) {
    uint64_t seed = (uint64_t)sequence + 1;
    char *x = arena_alloc(b->a, (size_t)(b->T * b->row));
    int32_t *ids = (int32_t *)(void *)x;
    float *features = (float *)(void *)x;
    for (int64_t i = 0; i < b->T * b->row / 4; i++) {
        if (b->info->kind == BTC_TOKENS)
            ids[i] = (int32_t)(next_random(&seed) * (double)b->info->vocab);
        else
            features[i] = (float)(2 * next_random(&seed) - 1);
    }
    return x;
}

/* ---- small helpers ---- */

static float *floats(const Bench *b, int64_t n) {
    return ARENA_ARRAY(b->a, float, n);
}
/* The start of a sequence, in memory where every number that nobody has written is a NaN. */
static void *fresh(Bench *b) {
    size_t bytes = (size_t)b->info->state_bytes;
    void *state = aligned_block(b->a, bytes);
    memset(state, b->clean ? 0 : 0xff, bytes);
    HOLDS(b, b->api->init(b->m, state) == BTC_OK);
    return state;
}

static bool same(const float *x, const float *y, int64_t n) {
    return !memcmp(x, y, sizeof *x * (size_t)n);
}

/* As they would be kept: what of them is in use. What a model of whole sequences leaves behind cannot be kept. */
static bool same_state(const Bench *b, const void *x, const void *y) {
    if (b->info->whole)
        return b->api->save(b->m, x, b->saved[0], (size_t)b->info->state_bytes) == BTC_E_WHOLE;
    size_t bytes = b->api->state_used(b->m, x);
    return bytes && bytes == b->api->state_used(b->m, y) && bytes <= (size_t)b->info->state_bytes &&
           b->api->save(b->m, x, b->saved[0], bytes) == BTC_OK &&
           b->api->save(b->m, y, b->saved[1], bytes) == BTC_OK && !memcmp(b->saved[0], b->saved[1], bytes);
}

static bool close_to(const Bench *b, const float *x, const float *y, int64_t n) {
    double largest = 0, worst = 0;
    for (int64_t i = 0; i < n; i++) {
        largest = fmax(largest, fabs((double)y[i]));
        double e = fabs((double)x[i] - (double)y[i]);
        if (!(e <= worst)) worst = e; /* a NaN stays */
    }
    bool ok = worst <= b->tolerance * largest;
    if (!ok) fprintf(stderr, "    off by %.3g of %.3g\n", worst, largest);
    return ok;
}

/* Rows [at, at+n) of sequence s, all outputs. */
static void prefill(Bench *b, void *state, int s, int64_t at, int64_t n, int threads, float *out) {
    btc_status st = b->api->prefill_all(b->m, state, b->work, threads, b->x[s] + at * b->row, n, out);
    HOLDS(b, st == BTC_OK);
}

/* Sequence 0 in pieces; sizes end with 0, the last piece takes the rest. */
static float *in_pieces(Bench *b, void *state, const int64_t *sizes, int threads) {
    float *out = floats(b, b->T * b->width);
    int64_t at = 0;
    for (; *sizes && at + *sizes < b->T; at += *sizes++)
        prefill(b, state, 0, at, *sizes, threads, out + at * b->width);
    prefill(b, state, 0, at, b->T - at, threads, out + at * b->width);
    return out;
}

static void step_alone(Bench *b, void *state, int s, int64_t t, int threads, float *out) {
    btc_status st = b->api->step(b->m, &state, 1, b->work, threads, b->x[s] + t * b->row, out);
    HOLDS(b, st == BTC_OK);
}

/* ---- the laws ---- */

static void threads_do_not_matter(Bench *b) {
    for (int n = 2; n <= THREADS; n++) {
        void *state = fresh(b);
        float *out = in_pieces(b, state, (int64_t[]){0}, n);
        HOLDS(b, same(out, b->whole, b->T * b->width));
        HOLDS(b, same_state(b, state, b->whole_state));
    }
}

static void cuts_at_chunks_do_not_matter(Bench *b) {
    int64_t c = b->info->chunk;
    const int64_t cuts[][4] = {{c, 0}, {2 * c, 0}, {c, c, 0}, {2 * c, c, 0}};
    for (int i = 0; i < 4; i++) {
        void *state = fresh(b);
        float *out = in_pieces(b, state, cuts[i], 1 + i % THREADS);
        HOLDS(b, same(out, b->whole, b->T * b->width));
        HOLDS(b, same_state(b, state, b->whole_state));
    }
}

static void other_cuts_are_close(Bench *b) {
    static const int64_t cuts[][6] = {{1, 0}, {7, 13, 1, 0}, {17, 16, 0}, {1, 1, 1, 30, 0}};
    for (int i = 0; i < 4; i++)
        HOLDS(b, close_to(b, in_pieces(b, fresh(b), cuts[i], 1), b->whole, b->T * b->width));
}

static void last_output_is_the_last_row(Bench *b) {
    for (int64_t n = 1; n <= b->T; n += n < 3 ? 1 : 11) {
        float *last = floats(b, b->width), *all = floats(b, n * b->width);
        void *x = fresh(b), *y = fresh(b), *z = fresh(b);
        HOLDS(b, b->api->prefill(b->m, x, b->work, 2, b->x[0], n, last) == BTC_OK);
        HOLDS(b, b->api->prefill(b->m, z, b->work, 1, b->x[0], n, NULL) == BTC_OK);
        prefill(b, y, 0, 0, n, 1, all);
        HOLDS(b, same(last, all + (n - 1) * b->width, b->width));
        HOLDS(b, same_state(b, x, y) && same_state(b, z, y));
    }
}

static void steps_are_close_to_chunks(Bench *b) {
    HOLDS(b, close_to(b, b->steps[0], b->whole, b->T * b->width));
    for (int64_t n = 1; n < b->T; n += 23) { /* a prompt, then steps */
        void *state = fresh(b);
        float *out = floats(b, b->T * b->width);
        prefill(b, state, 0, 0, n, 1, out);
        for (int64_t t = n; t < b->T; t++) step_alone(b, state, 0, t, 1, out + t * b->width);
        HOLDS(b, close_to(b, out, b->whole, b->T * b->width));
    }
}

/* Slot by slot in the logical order. Of the inputs of a long convolution those up to the position. */
static void states_are_close(Bench *b) {
    const Schedule *o = &b->loaded.compiled.lowered.schedule;
    for (int i = 0; i < o->ncalls; i++) {
        const Func *f = o->calls[i].plan->f;
        for (int k = 0; k < f->nstates; k++) {
            const double *x = read_slot(b->a, &b->loaded, &o->calls[i], k, b->whole_state);
            const double *y = read_slot(b->a, &b->loaded, &o->calls[i], k, b->step_state);
            int slot;
            int64_t n = type_count(f->states[k].type);
            if (state_slot_owner(f, k, &slot)->def == &op_conv_long) n = b->T * f->states[k].type.dim[1];
            float *p = floats(b, n), *q = floats(b, n);
            for (int64_t e = 0; e < n; e++) p[e] = (float)x[e], q[e] = (float)y[e];
            HOLDS(b, close_to(b, p, q, n));
        }
    }
}

/* Sequence s enters at time 2 s and takes another slot each time, so all stand at different positions. */
static void batches_do_not_matter(Bench *b) {
    void *state[SEQUENCES];
    for (int s = 0; s < SEQUENCES; s++) state[s] = fresh(b);
    int64_t done[SEQUENCES] = {0};
    float *out = floats(b, SEQUENCES * b->width);
    char *x = arena_alloc(b->a, (size_t)(SEQUENCES * b->row));
    bool equal = true;
    for (int64_t time = 0; time < b->T + 2 * SEQUENCES; time++) {
        void *states[SEQUENCES];
        int who[SEQUENCES], n = 0;
        for (int k = 0; k < SEQUENCES; k++) {
            int s = (k * 3 + (int)time * 5) % SEQUENCES;
            if (time < 2 * s || done[s] >= b->T) continue;
            memcpy(x + n * b->row, b->x[s] + done[s] * b->row, (size_t)b->row);
            states[n] = state[s], who[n++] = s;
        }
        if (!n) continue;
        int threads = 1 + (int)(time % THREADS);
        HOLDS(b, b->api->step(b->m, states, n, b->work, threads, x, out) == BTC_OK);
        for (int i = 0; i < n; i++, done[who[i - 1]]++)
            equal &= same(out + i * b->width, b->steps[who[i]] + done[who[i]] * b->width, b->width);
    }
    HOLDS(b, equal);
    HOLDS(b, same_state(b, state[0], b->step_state));
}

static void saved_and_forked_go_on_exactly(Bench *b) {
    int64_t c = b->info->chunk, rest = b->T - c;
    size_t bytes = (size_t)b->info->state_bytes;
    char *block = (char *)aligned_block(b->a, bytes + 1) + 1; /* any alignment */
    void *origin = fresh(b), *restored = fresh(b), *forked = fresh(b);
    float *out = floats(b, b->T * b->width), *x = floats(b, rest * b->width), *y = floats(b, rest * b->width);
    prefill(b, origin, 0, 0, c, 1, out);
    HOLDS(b, b->api->save(b->m, origin, block, bytes) == BTC_OK);
    HOLDS(b, b->api->fork(b->m, forked, origin) == BTC_OK);
    prefill(b, origin, 0, c, rest, 1, out + c * b->width);
    HOLDS(b, same(out, b->whole, b->T * b->width));
    HOLDS(b, b->api->restore(b->m, restored, block, bytes) == BTC_OK);
    HOLDS(b, b->api->position(b->m, restored) == c && b->api->position(b->m, forked) == c);
    prefill(b, restored, 0, c, rest, 1, x);
    prefill(b, forked, 0, c, rest, 2, y);
    HOLDS(b, same(x, out + c * b->width, rest * b->width) && same(y, x, rest * b->width));
    HOLDS(b, same_state(b, restored, b->whole_state) && same_state(b, forked, b->whole_state));
    /* again and again while decoding, over a state that was used for something else, and in exactly the bytes
     * that are needed */
    origin = fresh(b);
    for (int64_t t = 0; t < b->T; t++) {
        if (t == b->T / 2 || t % 5 == 1 || t % 32 == 0) {
            void *old = t % 2 ? fresh(b) : forked;
            size_t used = b->api->state_used(b->m, origin);
            HOLDS(b, b->api->save(b->m, origin, block, used - 1) == BTC_E_ARGUMENT);
            HOLDS(b, b->api->save(b->m, origin, block, used) == BTC_OK);
            HOLDS(b, b->api->restore(b->m, old, block, used - 1) == BTC_E_STATE);
            HOLDS(b, b->api->restore(b->m, old, block, used) == BTC_OK);
            HOLDS(b, same_state(b, old, origin));
            if (t % 2)
                origin = old;
            else
                HOLDS(b, b->api->fork(b->m, origin = fresh(b), old) == BTC_OK);
        }
        step_alone(b, origin, 0, t, 1, out);
    }
    HOLDS(b, same(out, b->steps[0] + (b->T - 1) * b->width, b->width));
    HOLDS(b, same_state(b, origin, b->step_state));
}

typedef struct Host {
    Bench *b;
    int sequence;
    void *state, *work;
    float *out;
    bool equal;
} Host;

/* Prompts and decodes several times over; no CHECK here, the counters belong to the main thread. */
static void *host_thread(void *arg) {
    Host *h = arg;
    Bench *b = h->b;
    h->equal = true;
    for (int turn = 0; turn < 3; turn++) {
        h->equal &= b->api->init(b->m, h->state) == BTC_OK;
        for (int64_t t = 0; t < b->T; t++) {
            h->equal &= b->api->step(b->m, &h->state, 1, h->work, 1, b->x[h->sequence] + t * b->row,
                                     h->out) == BTC_OK;
            h->equal &= same(h->out, b->steps[h->sequence] + t * b->width, b->width);
        }
        h->equal &= b->api->init(b->m, h->state) == BTC_OK;
        h->equal &=
            b->api->prefill_all(b->m, h->state, h->work, 1 + turn % 2, b->x[0], b->T, h->out) == BTC_OK;
        h->equal &= same(h->out, b->whole, b->T * b->width);
    }
    return NULL;
}

static void two_hosts_do_not_meet(Bench *b) {
    Host h[2];
    pthread_t thread[2];
    for (int i = 0; i < 2; i++) {
        h[i] = (Host){b, i, fresh(b), new_work(b->a, &b->loaded, 2), floats(b, b->T * b->width), false};
        HOLDS(b, pthread_create(&thread[i], NULL, host_thread, &h[i]) == 0);
    }
    for (int i = 0; i < 2; i++) pthread_join(thread[i], NULL);
    HOLDS(b, h[0].equal && h[1].equal);
}

/* ---- a model ---- */

static void make_references(Bench *b) {
    b->clean = true;
    b->whole_state = fresh(b);
    b->whole = in_pieces(b, b->whole_state, (int64_t[]){0}, 1);
    for (int s = 0; s < SEQUENCES && !b->info->whole; s++) {
        void *state = fresh(b);
        b->steps[s] = floats(b, b->T * b->width);
        for (int64_t t = 0; t < b->T; t++) step_alone(b, state, s, t, 1, b->steps[s] + t * b->width);
        if (s == 0) b->step_state = state;
    }
    b->clean = false;
}

static void run_laws(Bench *b) {
    threads_do_not_matter(b);
    last_output_is_the_last_row(b);
    if (b->info->whole) return; /* there are no steps, and nothing goes on */
    cuts_at_chunks_do_not_matter(b);
    if (!b->jumps) {
        states_are_close(b);
        steps_are_close_to_chunks(b);
        other_cuts_are_close(b);
    }
    batches_do_not_matter(b);
    saved_and_forked_go_on_exactly(b);
    two_hosts_do_not_meet(b);
}

/* How a model is compiled; NULL: as the checkpoint has it. */
typedef struct Variant {
    int chunk;
    const char *dtype, *state, *quant, *math, *compress;
    int distilled; /* order of distilled filters, or 0 */
} Variant;

/* A number of a state is rounded once a token at most, by half of the last place; were it never to decay and
 * all errors of one sign, so many would be left in the end. An input of a product that lies on the border of
 * two steps of its arithmetic may fall to either side: one step of the largest, in every layer. */
static double tolerance_of(const Bench *b, Variant w) {
    const char *dtype = b->info->slot_count ? b->info->slots[0].dtype : "f32",
               *math = w.math ? w.math : "f32";
    double half = !strcmp(dtype, "bf16") ? 0x1p-8 : !strcmp(dtype, "f16") ? 0x1p-11 : 0;
    double step = !strcmp(math, "int8") ? 1.0 / 127 : !strcmp(math, "bf16") ? 0x1p-8 : 0;
    return TOLERANCE + (double)b->T * half + (double)b->info->layers * step;
}

static bool chooses(const Module *m) {
    for (const Func *f = m->first; f; f = f->next)
        OPS_OF (f->body, op)
            if (op->def == OP_TABLE[OP_topk] || op->def == OP_TABLE[OP_largest]) return true;
    return false;
}

/* false: it does not compile. To be closed in any case. */
static bool bench_open(Bench *b, Model *m, const char *path, const char *name, Variant w) {
    *b = (Bench){.a = arena_new(), .name = name};
    Diag d = diag_new(b->a, stderr);
    ModelOptions mo = {.dtype = w.dtype, .quant = w.quant};
    CompileOptions o = {.chunk = w.chunk, .max_batch = SEQUENCES, .state = w.state, .math = w.math};
    o.compress = w.compress;
    o.passes.distill_filters = w.distilled, o.passes.distill_quietly = true;
    bool open = model_open(&d, b->a, path, &mo, m) && loaded_open(&d, b->a, m, o, &b->loaded);
    if (!CHECK(open)) fprintf(stderr, "    %s\n", path);
    if (!open) return false;
    b->api = b->loaded.api, b->m = &b->loaded.handle, b->info = b->api->info;
    b->T = b->info->context && b->info->context < TOKENS ? b->info->context : TOKENS;
    b->width = b->info->output_width;
    b->tolerance = tolerance_of(b, w);
    b->jumps = b->tolerance > TOLERANCE && chooses(m->module);
    b->row = b->info->kind == BTC_TOKENS ? 4 : 4 * b->info->input_width;
    b->work = new_work(b->a, &b->loaded, THREADS);
    for (int i = 0; i < 2; i++) b->saved[i] = arena_alloc(b->a, (size_t)b->info->state_bytes);
    for (int s = 0; s < SEQUENCES; s++) b->x[s] = draw_input(b, s);
    return true;
}

static void bench_close(Bench *b, Model *m) {
    loaded_close(&b->loaded);
    model_close(m);
    arena_free(b->a);
}

static void test_model(const char *path, const char *name, Variant w) {
    Bench b;
    Model m;
    if (bench_open(&b, &m, path, name, w)) {
        make_references(&b);
        run_laws(&b);
    }
    bench_close(&b, &m);
}

/* bf16 in 12 bits is the same numbers: chunks, where it is dequantised, have the bits of bf16 as it is, and
 * steps come as close as the same sum in another order. Whether there was anything to compress. */
static bool compression_does_not_matter(const char *path, const char *name) {
    float *out[2] = {NULL}, *steps[2] = {NULL};
    int64_t bytes[2] = {0};
    Bench b[2];
    Model m[2];
    for (int i = 0; i < 2; i++) {
        Variant w = {.chunk = 16, .dtype = "bf16", .math = "f32", .compress = i ? "yes" : "no"};
        if (!bench_open(&b[i], &m[i], path, name, w)) continue;
        out[i] = in_pieces(&b[i], fresh(&b[i]), (int64_t[]){0}, 1),
        steps[i] = floats(&b[i], b[i].T * b[i].width);
        bytes[i] = b[i].info->weights_bytes;
        void *state = fresh(&b[i]);
        for (int64_t t = 0; t < b[i].T && !b[i].info->whole; t++)
            step_alone(&b[i], state, 0, t, 1, steps[i] + t * b[i].width);
    }
    if (out[0] && out[1]) {
        HOLDS(&b[1], bytes[1] <= bytes[0]);
        HOLDS(&b[1], same(out[0], out[1], b[1].T * b[1].width));
        HOLDS(&b[1], b[1].info->whole || close_to(&b[1], steps[1], steps[0], b[1].T * b[1].width));
    }
    for (int i = 0; i < 2; i++) bench_close(&b[i], &m[i]);
    return bytes[1] < bytes[0];
}

static int by_name(const struct dirent **x, const struct dirent **y) {
    return strcmp((*x)->d_name, (*y)->d_name);
}

static TargetInfo this_cpu(void) {
    Arena *a = arena_new();
    Diag d = diag_new(a, NULL);
    TargetInfo t = {0};
    target_select(&d, NULL, "native", &t);
    arena_free(a);
    return t;
}

static bool has_bf16_dots(void) {
    return this_cpu().bf16_dots;
}

static bool has_byte_tables(void) {
    return this_cpu().byte_tables;
}

int main(int argc, char **argv) {
    const char *folder = argc > 1 ? argv[1] : "tests/conformance", *only = getenv("BTC_CASE");
    struct dirent **entry;
    Arena *a = arena_new();
    int n = scandir(folder, &entry, NULL, by_name), cases = 0, compressed = 0, compressible = 0;
    static const Variant few[] = {{.chunk = 8, .quant = "q8", .math = "int8"},
                                  {.chunk = 8, .quant = "q4", .math = "int8"},
                                  {.chunk = 8, .dtype = "bf16", .quant = "q6", .math = "f32"}};
    for (int i = 0; i < n; i++) {
        const char *name = entry[i]->d_name;
        char path[4096];
        snprintf(path, sizeof path, "%s/%s/model.safetensors", folder, name);
        if (*name == '.' || access(path, R_OK) || (only && strcmp(only, name))) continue;
        snprintf(path, sizeof path, "%s/%s", folder, name);
        char file[4200];
        snprintf(file, sizeof file, "%s/config.json", path);
        bool config = access(file, R_OK) == 0;
        const char *description = described(a, name);
        snprintf(file, sizeof file, "%s%s", description ? description : path,
                 description || config ? "" : "/model.safetensors");
        /* what a case is compiled to takes turns; with --thorough each case meets all */
        const Variant turns[] = {
            {.chunk = 16},
            {.chunk = 8, .dtype = "bf16", .state = "f16", .math = has_bf16_dots() ? "bf16" : "f32"},
            {.chunk = 8, .dtype = "f16", .state = "bf16"},
            few[cases / 4 % 3],
        };
        for (int k = 0; k < 4; k++)
            if (check_meets(cases + k, 4, 4)) test_model(file, name, turns[k]);
        if (has_byte_tables() && check_meets(cases, 3, 3))
            compressed += compression_does_not_matter(file, name), compressible++;
        if (!strcmp(name, "hyena-lm") || !strcmp(name, "hyena-order3"))
            test_model(file, name, (Variant){.chunk = 16, .distilled = 12});
        cases++;
    }
    arena_free(a);
    CHECK(cases > 0);
    CHECK(only || !has_byte_tables() || compressed > compressible / 2);
    return check_report("bits");
}
