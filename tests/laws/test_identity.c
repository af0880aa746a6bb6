/* The promise of compiler/pack/identity.h: what has the same identity is read alike. Models are lowered in many
 * ways; of any two ways with one identity of weights the packed bytes must be the same, of any two with one
 * fingerprint a state's numbers must lie at the same places. And what the versions stand for is on record: a
 * layout that changed although its version did not is found here.
 *     test_identity CONFORMANCE [BTC [all]]     all: of every model, every number of a tuning file thrice */
#include <dirent.h>
#include <math.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/hash.h"
#include "compile.h"
#include "pack/identity.h"
#include "pack/packer.h"
#include "quantize/matrices.h"
#include "tools/check.h"

/* When one of these differs, so do bytes that older artefacts have written: raise the version (in
 * runtime/artifact.h, runtime/btc_call.h) and write down what the test prints. */
static const struct Record {
    int version;
    uint64_t hash;
} WEIGHTS_ON_RECORD = {3, 0x131e2f1aefac1937}, STATES_ON_RECORD = {2, 0x7da26a30502e5e4b};

static Arena *arena;
static Diag diag;
static char folder[] = "/tmp/btc-test-identity-XXXXXX";
static bool all;

static char *in_folder(const char *name) {
    return arena_printf(arena, "%s/%s", folder, name);
}

/* ---- variants of lowering a model, and what comes out ---- */

typedef struct Variant {
    const char *label, *path;
    ModelOptions model;
    CompileOptions compile;
} Variant;

typedef struct Outcome {
    const char *label;
    Identity id;
    uint64_t weights, states; /* hashes of the bytes, and of the places */
} Outcome;

static uint64_t hash_packed(Model *m, const Compiled *c) {
    Packer p = {&diag, m, &c->lowered.schedule, &c->lower};
    OutFile o;
    FileMap map;
    const char *file = in_folder("packed");
    if (!CHECK(out_open(&diag, arena, file, &o)) || !CHECK(packer_write(&p, &o, 0, NULL)) ||
        !CHECK(out_commit(&o, false)) || !CHECK(file_map(&diag, file, &map)))
        return 0;
    uint64_t h = hash_bytes((uint64_t)map.size, map.data, map.size);
    file_unmap(&map);
    unlink(file);
    return h;
}

/* A block in which every element of a slot tells its place, seven bits at a time (all types hold those), is
 * read in logical order. */
static uint64_t hash_slot(uint64_t h, Arena *a, const BlockCall *call, int k, const LowerTarget *t) {
    const Func *f = call->plan->f;
    int64_t n = state_slot_elements(call->plan, k, t),
            at = BTC_STATE_HEADER + call->state + call->plan->state_offset[k];
    DType dt = state_slot_dtype(call->plan, k, t);
    char *block = arena_alloc(a, (size_t)at + (size_t)n * dtype_size(dt));
    double *out = ARENA_ARRAY(a, double, type_count(f->states[k].type));
    ((btc_state_header *)(void *)block)->position = INT32_MAX;
    h = hash_bytes(hash_text(h, dtype_name(dt)), &at, sizeof at);
    StateUse u;
    if (state_slot_use(call->plan, k, t, &u)) { /* what a saved block holds of it */
        int64_t use[] = {u.pieces, u.elements, u.tokens, u.most, u.ahead};
        h = hash_bytes(h, use, sizeof use);
    }
    for (int shift = 0; shift < 21; shift += 7) {
        for (int64_t i = 0; i < n; i++) dtype_store(dt, block + at, i, (double)(i >> shift & 127));
        state_slot_read(a, call, k, t, block, out);
        h = hash_bytes(h, out, sizeof *out * (size_t)type_count(f->states[k].type));
    }
    return h;
}

static uint64_t hash_places(const Compiled *c) {
    Arena *a = arena_new();
    const Schedule *l = &c->lowered.schedule;
    uint64_t h = (uint64_t)l->state_bytes;
    for (int i = 0; i < l->ncalls; i++) {
        const BlockCall *call = &l->calls[i];
        h = hash_bytes(h, &call->state, sizeof call->state);
        for (int k = 0; k < call->plan->f->nstates && call->layer <= 0; k++) /* layers have one layout */
            h = hash_slot(h, a, call, k, &c->lower);
    }
    arena_free(a);
    return h;
}

static bool go(const Variant *w, Outcome *out) {
    Model m = {0};
    Compiled c;
    CompileOptions o = w->compile;
    o.quiet = true, o.passes.distill_quietly = true;
    bool ok = model_open(&diag, arena, w->path, &w->model, &m) && compile_lower(&diag, &m, &o, &c);
    *out = (Outcome){.label = w->label};
    if (CHECK(ok)) *out = (Outcome){w->label, identity_of(&m, &c), hash_packed(&m, &c), hash_places(&c)};
    if (!ok) fprintf(stderr, "    %s, %s\n", w->path, w->label);
    model_close(&m);
    return ok;
}

/* ---- many ways ---- */

typedef struct Variants {
    Variant *items;
    int n, cap;
    const char *path;
} Variants;

static void add(Variants *w, const char *label, ModelOptions m, CompileOptions c) {
    Variant one = {label, w->path, m, c};
    ARENA_PUSH(arena, w->items, w->n, w->cap, one);
}

/* Every number of a tuning file, at its ends and between. */
static void add_tunings(Variants *w, ModelOptions m, CompileOptions c) {
    Compiled here;
    if (!CHECK(compile_machine(&diag, NULL, &c, &here))) return;
    for (int i = 0; i < TUNING_COUNT; i++)
        for (int part = 0; part <= 2; part += all ? 1 : 2) {
            const TuningField *f = &TUNING_FIELDS[i];
            int64_t most = f->most < 512 ? f->most : 512; /* chunks beyond cost memory and say nothing new */
            Tuning *t = ARENA_NEW(arena, Tuning);
            *t = here.lower.tuning;
            *tuning_at(t, i) = (int)(f->least + (most - f->least) * part / 2);
            CompileOptions with = c;
            with.tuning = t;
            add(w, arena_printf(arena, "%s %d", f->name, *tuning_at(t, i)), m, with);
        }
}

/* Two calibrations that weigh errors differently. */
static const char *calibration(const char *path, int seed) {
    Model m;
    ModelOptions o = {0};
    RawTensor *tensors = NULL;
    int n = 0, cap = 0;
    const char *file = in_folder(arena_printf(arena, "calibration%d.safetensors", seed));
    if (!CHECK(model_open(&diag, arena, path, &o, &m))) return file;
    MatrixList matrices = matrices_of_model(&m);
    for (int i = 0; i < matrices.n; i++) {
        const Matrix *x = &matrices.items[i];
        if (!x->product) continue;
        RawTensor t = {.name = arena_printf(arena, "input_squares.%s", x->name), .dt = DT_F32};
        if (x->type.rank > 2) t.dim[t.rank++] = x->count;
        t.dim[t.rank++] = x->inputs;
        t.bytes = sizeof(float) * (size_t)(x->count * x->inputs);
        float *data = arena_alloc(arena, t.bytes);
        for (int64_t k = 0; k < x->count * x->inputs; k++) data[k] = (float)(1 + k * (seed + 3) % 17);
        t.data = (const uint8_t *)data;
        ARENA_PUSH(arena, tensors, n, cap, t);
    }
    uint64_t *source = ARENA_NEW(arena, uint64_t);
    *source = weights_hash(&m.weights);
    RawTensor t = {.name = "source", .dt = DT_I64, .rank = 1, .dim = {1}, .bytes = sizeof *source};
    t.data = (const uint8_t *)source;
    ARENA_PUSH(arena, tensors, n, cap, t);
    CHECK(safetensors_write(&diag, arena, file, tensors, n));
    model_close(&m);
    return file;
}

static const struct Cpu {
    const char *target, *cpu;
} CPUS[] = {{"x86_64-linux-gnu", "x86-64-v2"},
            {"x86_64-linux-gnu", "x86-64-v3"},
            {"x86_64-linux-gnu", "znver4"},
            {"aarch64-linux-gnu", "generic"}};
enum { NCPUS = sizeof CPUS / sizeof *CPUS, WIDE = 2 };

static void add_storages(Variants *w, CompileOptions c) {
    static const char *const states[] = {"f32", "bf16", "f16"}, *const maths[] = {"f32", "bf16", "int8"};
    static const char *const dtypes[] = {"f32", "bf16", "f16"}, *const quants[] = {"q8", "q6", "q4"};
    for (int i = 0; i < 3; i++) {
        CompileOptions with = c;
        with.state = states[i];
        add(w, arena_printf(arena, "state %s", states[i]), (ModelOptions){0}, with);
        with.math = "f32";
        add(w, arena_printf(arena, "state %s math f32", states[i]), (ModelOptions){0}, with);
        with.math = "bf16";
        if (!strcmp(c.cpu, CPUS[WIDE].cpu)) /* pairs lie as bf16, too, elsewhere */
            add(w, arena_printf(arena, "state %s math bf16", states[i]), (ModelOptions){0}, with);
        for (int k = 0; k < 3; k++) {
            with = c, with.math = maths[k];
            if (k == 1 && strcmp(c.cpu, CPUS[WIDE].cpu)) continue;
            const char *label = arena_printf(arena, "%s math %s", dtypes[i], maths[k]);
            add(w, label, (ModelOptions){.dtype = dtypes[i]}, with);
            label = arena_printf(arena, "%s math %s", quants[i], maths[k]);
            add(w, label, (ModelOptions){.quant = quants[i]}, with);
        }
        with = c, with.compress = "no";
        add(w, arena_printf(arena, "%s loose", dtypes[i]), (ModelOptions){.dtype = dtypes[i]}, with);
        for (int seed = 0; seed < 2; seed++)
            add(w, arena_printf(arena, "%s calibration %d", quants[i], seed),
                (ModelOptions){.quant = quants[i], .calibration = calibration(w->path, seed)}, c);
    }
    for (int i = 0; i < 2; i++) {
        CompileOptions with = c;
        with.chunk = i ? 1 : 48;
        add(w, arena_printf(arena, "chunk %d", with.chunk), (ModelOptions){0}, with);
        with = c, with.max_batch = i ? 1 : 64;
        add(w, arena_printf(arena, "batch %d", with.max_batch), (ModelOptions){0}, with);
    }
}

static Variants variants_of(const char *path) {
    Variants w = {.path = path};
    for (int i = 0; i < NCPUS; i++) {
        CompileOptions c = {.target = CPUS[i].target, .cpu = CPUS[i].cpu};
        add(&w, arena_printf(arena, "%s", CPUS[i].cpu), (ModelOptions){0}, c);
        if (i == WIDE) {
            add_storages(&w, c);
            add_tunings(&w, (ModelOptions){0}, c);
            add_tunings(&w, (ModelOptions){.quant = "q4"}, c);
        }
    }
    return w;
}

static int distinct(const Outcome *o, int n, bool states) {
    int count = 0;
    for (int i = 0; i < n; i++) {
        bool seen = false;
        for (int k = 0; k < i; k++)
            seen |= states ? o[k].id.states == o[i].id.states : o[k].id.weights == o[i].id.weights;
        count += !seen;
    }
    return count;
}

static void check_outcomes(const char *path, const Outcome *o, int n) {
    int wrong = 0;
    for (int i = 0; i < n; i++)
        for (int k = 0; k < i; k++) {
            bool weights = o[i].id.weights != o[k].id.weights || o[i].weights == o[k].weights;
            bool states = o[i].id.states != o[k].id.states ||
                          (o[i].states == o[k].states && o[i].id.weights == o[k].id.weights);
            if (weights && states) continue;
            if (!wrong++)
                fprintf(stderr, "    %s: %s and %s have one identity of %s\n", path, o[i].label, o[k].label,
                        weights ? "states" : "weights");
        }
    CHECK(wrong == 0);
}

static const Outcome *named(const Outcome *o, int n, const char *label) {
    for (int i = 0; i < n; i++)
        if (!strcmp(o[i].label, label)) return &o[i];
    return o;
}

static void check_model(const char *path) {
    Variants w = variants_of(path);
    Outcome *o = ARENA_ARRAY(arena, Outcome, w.n);
    int n = 0;
    for (int i = 0; i < w.n; i++) n += go(&w.items[i], &o[n]);
    check_outcomes(path, o, n);
    /* It tells apart, and not more than it must: these change no layout. */
    CHECK(distinct(o, n, false) >= 12 && distinct(o, n, true) >= 14);
    const Outcome *usual = named(o, n, CPUS[WIDE].cpu);
    static const char *const same[] = {"batch 1", "streams 1", "prefetch_bytes 0"};
    for (size_t i = 0; i < sizeof same / sizeof *same; i++)
        if (!CHECK(named(o, n, same[i])->id.states == usual->id.states))
            fprintf(stderr, "    %s: %s\n", path, same[i]);
}

/* ---- the same weights under another description; the same model elsewhere ---- */

static uint64_t contents(const char *path) {
    Model m;
    ModelOptions o = {0};
    uint64_t h = 0;
    if (CHECK(model_open(&diag, arena, path, &o, &m))) h = model_contents(&m);
    model_close(&m);
    return h;
}

static const char *description(const char *model, const char *name, const char *from, const char *to) {
    Model m;
    ModelOptions o = {0};
    char real[4096];
    if (!CHECK(realpath(model, real) && model_open(&diag, arena, real, &o, &m))) return model;
    const char *text = m.description, *at = strstr(text, from), *file = in_folder(name);
    if (CHECK(at)) {
        text = arena_printf(arena, "%.*s%s%s", (int)(at - text), text, to, at + strlen(from));
        CHECK(write_text(&diag, arena, file, text, strlen(text)));
    }
    model_close(&m);
    return file;
}

static void check_contents(const char *model) {
    uint64_t usual = contents(model);
    CHECK(usual == contents(description(model, "a.json", "", "")));
    CHECK(usual == contents(description(model, "b.json", "\"eos\": 2", "\"eos\": 3"))); /* of no weight */
    CHECK(usual != contents(description(model, "c.json", "\"eps\": 1e-05", "\"eps\": 1e-06")));
    CHECK(usual != contents(description(model, "d.json", "\"context\": 2048", "\"context\": 2047")));
}

/* ---- what is on record ---- */

static uint64_t pack_one(uint64_t h, PackKind kind, const NumberFormat *f, Type type, const float *data,
                         const LowerTarget *t) {
    PackSource src = {type, {.dt = DT_F32, .data = data}};
    int64_t n = pack_bytes(kind, type, f, t);
    char *out = arena_alloc(arena, (size_t)n);
    pack_write(kind, &src, f, t, 0, pack_slices(kind, type, t), out);
    h = hash_bytes(h, &n, sizeof n);
    if (kind != PACK_FFT) return hash_bytes(h, out, (size_t)n);
    for (int64_t i = 0; i < n / 4; i++) { /* sines are the C library's: the last bits are not ours */
        int64_t rounded = lround(dtype_load(DT_F32, out, i) * 64);
        h = hash_bytes(h, &rounded, sizeof rounded);
    }
    return h;
}

/* Blocks that a checkpoint holds. */
static uint64_t pack_blocks(uint64_t h, const LowerTarget *t) {
    enum { O = 19, I = 512 };
    static uint8_t bytes[O * I * 2];
    Type type = type_tensor(DT_F32, 0, 2, (int64_t[]){O, I});
    for (size_t i = 0; i < sizeof bytes; i++) bytes[i] = (uint8_t)(i * i % 251 % 60);
    for (const NumberFormat *const *f = FORMATS; *f; f++) {
        if (!(*f)->bytes) continue;
        PackSource src = {type, {.blocks = *f, .data = bytes}};
        int64_t n = pack_bytes(PACK_PANELS, type, *f, t);
        char *out = arena_alloc(arena, (size_t)n);
        pack_write(PACK_PANELS, &src, *f, t, 0, pack_slices(PACK_PANELS, type, t), out);
        h = hash_bytes(hash_text(h, (*f)->name), out, (size_t)n);
    }
    return h;
}

static uint64_t packed_layouts(void) {
    enum { O = 37, I = 160, LEAD = 2 };
    static const NumberFormat *const formats[] = {&format_f32, &format_bf16, &format_f16, &format_bf16_12,
                                                  &format_q8,  &format_q6,   &format_q4};
    static const int lanes[] = {4, 8, 16, 32};
    static float data[LEAD * O * I];
    for (int i = 0; i < LEAD * O * I; i++) data[i] = (float)((i * 37 % 128 - 64) | 1) / 64;
    uint64_t h = hash_bytes(HASH_START, &(int64_t){sizeof(btc_weights_header)}, 8);
    for (int l = 0; l < 4; l++) {
        LowerTarget t = {.lanes = lanes[l], .panel = lanes[l] > 16 ? lanes[l] : 16, .f16_loads = true};
        Type stack = type_tensor(DT_F32, 0, 3, (int64_t[]){LEAD, O, I});
        Type one = type_tensor(DT_F32, 0, 2, (int64_t[]){O, I});
        for (PackKind kind = PACK_ROWS; kind <= PACK_FFT; kind++)
            for (int s = 0; s < 7; s++) {
                const NumberFormat *f = formats[s];
                bool panels = kind == PACK_PANELS || kind == PACK_PANELS_IO;
                if (kind == PACK_TABLE ? f->block || f->panels : !panels && s > 0) continue;
                h = pack_one(h, kind, f, kind == PACK_FFT ? one : stack, data, &t);
            }
        h = pack_blocks(h, &t);
    }
    return h;
}

static uint64_t state_layouts(const char *cases) {
    static const char *const models[] = {
        "hf-llama", "hf-qwen3", "hf-mamba", "hf-mamba2", "rwkv7", "hyena-lm", "hf-recurrent-gemma-window"};
    enum { SUM = offsetof(btc_state_header, sum), SUMS = offsetof(btc_state_header, sums) };
    static const size_t header[] = {sizeof(btc_state_header),
                                    offsetof(btc_state_header, magic),
                                    offsetof(btc_state_header, model),
                                    offsetof(btc_state_header, position),
                                    offsetof(btc_state_header, bytes),
                                    offsetof(btc_state_header, saved),
                                    offsetof(btc_state_header, version),
                                    SUM,
                                    SUMS};
    uint64_t h = hash_bytes(HASH_START, header, sizeof header);
    for (size_t i = 0; i < sizeof models / sizeof *models; i++)
        for (int k = 0; k < NCPUS; k++) {
            CompileOptions c = {.target = CPUS[k].target, .cpu = CPUS[k].cpu};
            Variant w = {models[i], arena_printf(arena, "%s/%s", cases, models[i]), {.dtype = "bf16"}, c};
            Outcome o;
            if (go(&w, &o)) h = hash_bytes(h, &o.states, sizeof o.states);
        }
    return h;
}

static void check_record(const char *what, struct Record r, int version, uint64_t hash) {
    if (CHECK(r.version == version && r.hash == hash)) return;
    fprintf(stderr, "    the layout of %s, version %d, is %#llx; on record: version %d, %#llx\n", what,
            version, (unsigned long long)hash, r.version, (unsigned long long)r.hash);
}

static bool is_folder_of_case(const char *path) {
    return file_exists(arena_printf(arena, "%s/config.json", path)) ||
           file_exists(arena_printf(arena, "%s/model.pth", path));
}

int main(int argc, char **argv) {
    static const char *const few[] = {"hf-llama", "hf-mamba2", "hf-mixtral", "hf-recurrent-gemma"};
    const char *cases = argc > 1 ? argv[1] : "tests/conformance", *only = getenv("BTC_CASE");
    all = argc > 3 && !strcmp(argv[3], "all");
    arena = arena_new();
    diag = diag_new(arena, stderr);
    if (!mkdtemp(folder)) return perror(folder), 1;
    DIR *dir = all ? opendir(cases) : NULL;
    for (struct dirent *e; dir && (e = readdir(dir));) {
        const char *path = arena_printf(arena, "%s/%s", cases, e->d_name);
        if (is_folder_of_case(path)) check_model(path);
    }
    if (dir) closedir(dir);
    for (size_t i = 0; i < sizeof few / sizeof *few && !all; i++)
        if (!only || !strcmp(only, few[i])) check_model(arena_printf(arena, "%s/%s", cases, few[i]));
    if (!only) {
        check_contents(arena_printf(arena, "%s/hf-llama", cases));
        check_record("packed weights", WEIGHTS_ON_RECORD, BTC_WEIGHTS_VERSION, packed_layouts());
        check_record("states", STATES_ON_RECORD, BTC_STATE_VERSION, state_layouts(cases));
    }
    if (system(arena_printf(arena, "rm -rf '%s'", folder)) != 0) perror(folder);
    arena_free(arena);
    return check_report("identity");
}
