/* btc verify: does the model give the numbers that it should, and if not, where does it go wrong? */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "../verify.h"
#include "commands.h"
#include "desc/json.h"

static const char USAGE[] =
    "btc verify MODEL [--input=IDS.safetensors] [--expect=EXPECTED.safetensors] [options]\n"
    "\n"
    "Runs a model over the ids (input_ids [batch, tokens]) or features (input [batch, tokens, width]) of a "
    "file, in\n"
    "one of its forms, and compares every tensor of the expectation by name: hidden.0 (what the first block "
    "gets),\n"
    "hidden.i (what block i gives), logits or output, state.i.NAME, greedy.ids. Without --expect it compares "
    "with\n"
    "the interpreter, which computes in double precision. Names the first block and op that is off.\n"
    "\n"
    "With --target= of another machine it makes a program for it and runs that by QEMU's user-mode emulator "
    "and the\n"
    "machine's libc under /usr/TARGET; QEMU_CPU=NAME in the environment chooses the emulated CPU.\n"
    "\n"
    "  btc verify mamba/ --input=ids.safetensors --expect=expected.safetensors --form=chunk --chunk=16\n"
    "  btc verify mamba/ --expect=expected.safetensors --target=aarch64-linux-gnu\n";

typedef struct Run {
    Diag *d;
    Arena *arena;
    VerifyOptions o;
    const char *path;
    double tolerance;  /* 0: by the size of the values */
    cJSON *tolerances; /* for each tensor, or NULL */
    double rounding;   /* what rounding inside adds to an error, as a part of the largest value */
    int bad;
} Run;

static double tolerance_of(const Run *r, const char *name, double max_value) {
    const cJSON *t = cJSON_GetObjectItemCaseSensitive(r->tolerances, name);
    if (cJSON_IsNumber(t)) return t->valuedouble;
    return r->tolerance > 0 ? r->tolerance : (1e-4 + r->rounding) * fmax(max_value, 1);
}

/* A number, or a JSON file. */
static bool read_tolerances(Run *r, const char *option) {
    char *end = NULL;
    r->tolerance = option ? strtod(option, &end) : 0;
    if (!option || (*option && !*end && r->tolerance > 0 && isfinite(r->tolerance))) return true;
    r->tolerance = 0;
    if (!file_exists(option))
        return diag_usage(r->d, (Loc){0}, "--tolerance=%s: must be a positive number or a JSON file", option);
    Json json;
    size_t size;
    const char *text = file_read_text(r->d, r->arena, option, &size);
    if (!text || !json_parse(r->d, r->arena, option, text, size, 0, &json)) return false;
    const cJSON *all = json_get(json.root, "tolerance");
    if (!cJSON_IsObject(all)) json_error(&json, json.root, "tolerance", "must be an object of numbers");
    r->tolerances = cJSON_Duplicate(all, true);
    json_free(&json);
    return r->tolerances != NULL;
}

/* Whether one tensor agrees; prints a line. */
static bool compare(Run *r, const RawTensor *got, const RawTensor *want) {
    Difference e = tensor_difference(got, want);
    double tol = tolerance_of(r, want->name, e.max_value);
    bool ok = e.max_error <= tol;
    printf("  %-4s %-24s max error %9.3g  tolerance %9.3g%s\n", ok ? "ok" : "OFF", want->name, e.max_error,
           tol,
           e.other_shape ? arena_printf(r->arena, "  (got %s, expected %s)", raw_tensor_type(r->arena, got),
                                        raw_tensor_type(r->arena, want))
                         : "");
    r->bad += !ok;
    return ok;
}

/* The interpreter beside a compiled form: where states are in 16 bits it rounds them when that does. */
static VerifyOptions interpreted(const VerifyOptions *compiled) {
    VerifyOptions o = *compiled;
    if (!strcmp(o.form, "step")) o.compile.chunk = 1;
    o.form = "interpret";
    return o;
}

/* The inputs of a product of pairs, or of bytes: a unit of theirs is the 127th part of a block's largest, so
 * small numbers lose more, and a layer hands it on to the next. */
static double rounding_of_inputs(const Module *m) {
    double most = 0;
    for (const Func *f = m->first; f; f = f->next)
        OPS_OF (f->body, op) {
            const char *math = attr_str(op, "math", "f32");
            if (strcmp(math, "f32")) most = fmax(most, strcmp(math, "int8") ? 0x1p-6 : 0x1p-5);
        }
    return most;
}

/* A number between two of a narrow type may be rounded up by one and down by the other, who computed it a
 * little differently; that is one unit of the last place, and two such may meet. */
static bool read_rounding(Run *r) {
    Compiled c;
    Model m;
    if (!compile_machine(r->d, NULL, &r->o.compile, &c)) return false;
    r->rounding = c.lower.state_dt == DT_BF16 ? 0x1p-6 : c.lower.state_dt == DT_F16 ? 0x1p-9 : 0;
    bool ok =
        model_open(r->d, r->arena, r->path, &r->o.model, &m) && compile_on_purpose(r->d, &m, &r->o.compile);
    if (ok) r->rounding = fmax(r->rounding, rounding_of_inputs(m.module));
    model_close(&m);
    return ok;
}

/* Block number k (from 1) gave wrong numbers: run it value by value beside the interpreter. */
static void blame_op(Run *r, const RawTensor *input, int k) {
    Model m;
    if (!model_open(r->d, r->arena, r->path, &r->o.model, &m)) return;
    const char *block = NULL;
    int call = 0;
    OPS_OF (ir_func_find(m.module, "main")->body, op) {
        if (op->def->pattern == PAT_CALL && ++call == k) block = attr_str(op, "func", "");
    }
    model_close(&m);
    if (!block) return;
    printf("the first block that is off is block %d (%s, layer %d)\n", k, block, k - 1);
    if (!strcmp(r->o.form, "interpret")) {
        printf("the interpreter itself disagrees with the expectation: look at the description of \"%s\"\n",
               block);
        return;
    }
    VerifyOptions o = r->o;
    o.values_of = block, o.values_call = k - 1;
    TensorList got = {0}, want = {0};
    if (!verify_run(r->d, r->arena, r->path, &o, input, &got)) return;
    o = interpreted(&o);
    if (!verify_run(r->d, r->arena, r->path, &o, input, &want)) return;
    for (int i = 0; i < want.n; i++) {
        const RawTensor *g = tensor_find(&got, want.items[i].name);
        if (strncmp(want.items[i].name, "op ", 3) || !g) continue;
        Difference e = tensor_difference(g, &want.items[i]);
        if (e.max_error <= (1e-4 + r->rounding) * fmax(e.max_value, 1)) continue;
        printf("the first op that is off is %s: max error %.3g of %.3g, compiled against interpreted\n",
               want.items[i].name, e.max_error, e.max_value);
        return;
    }
    printf("every op of it agrees with the interpreter on its own: look at the description of \"%s\"\n",
           block);
}

static bool compare_greedy(Run *r, const WeightSet *expect) {
    const RawTensor *prompt = weights_find(expect, "greedy.prompt"),
                    *want = weights_find(expect, "greedy.ids");
    if (!prompt || !want) return true;
    int64_t n = raw_tensor_count(want), *ids = ARENA_ARRAY(r->arena, int64_t, n), same = 0;
    if (!verify_greedy(r->d, r->arena, r->path, &r->o, prompt, n, ids)) return false;
    while (same < n && (double)ids[same] == dtype_load(want->dt, want->data, same)) same++;
    printf("  %-4s %-24s %lld of %lld tokens\n", same == n ? "ok" : "OFF", "greedy.ids", (long long)same,
           (long long)n);
    r->bad += same != n;
    return true;
}

static bool compare_all(Run *r, const TensorList *got, const WeightSet *expect, const TensorList *oracle,
                        const RawTensor *input) {
    int first = -1, n = expect ? expect->n : oracle->n;
    for (int i = 0; i < n; i++) {
        const RawTensor *want = expect ? &expect->tensors[i] : &oracle->items[i];
        int block;
        if (!strcmp(want->name, "input_ids") || !strcmp(want->name, "input") ||
            !strncmp(want->name, "greedy.", 7))
            continue;
        const RawTensor *g = tensor_find(got, want->name);
        if (!g) {
            /* a pass may cut a state in pieces or give it another owner; the interpreter knows the whole */
            bool moved = !expect && !strncmp(want->name, "state.", 6);
            printf("  %-4s %-24s %s\n", moved ? "--" : "OFF", want->name,
                   moved ? "compiled code keeps it in another form" : "the model gives no such tensor");
            r->bad += !moved;
        } else if (!compare(r, g, want) && sscanf(want->name, "hidden.%d", &block) == 1) {
            if (first < 0 || block < first) first = block;
        }
    }
    if (expect && !compare_greedy(r, expect)) return false;
    if (first == 0) printf("what the first block gets is already off: look at the embedding\n");
    if (first > 0) blame_op(r, input, first);
    return true;
}

/* Results as f32 in a safetensors file. */
static bool write_results(Run *r, const char *file, const TensorList *l) {
    RawTensor *t = ARENA_ARRAY(r->arena, RawTensor, l->n);
    for (int i = 0; i < l->n; i++) {
        t[i] = l->items[i];
        int64_t n = raw_tensor_count(&t[i]);
        float *f = ARENA_ARRAY(r->arena, float, n);
        for (int64_t k = 0; k < n; k++) f[k] = (float)dtype_load(t[i].dt, t[i].data, k);
        t[i].dt = DT_F32, t[i].data = (const uint8_t *)f, t[i].bytes = sizeof *f * (size_t)n;
    }
    return safetensors_write(r->d, r->arena, file, t, l->n);
}

static bool verify(Run *r, const char *input_file, const char *expect_file, const char *write_file,
                   const char *tolerance) {
    WeightSet in = {0}, expect = {0};
    TensorList got = {0}, oracle = {0};
    const char *file = input_file ? input_file : expect_file;
    bool ok = file != NULL || diag_usage(r->d, (Loc){0}, "on what? add --input=IDS.safetensors");
    ok = ok && read_tolerances(r, tolerance) && read_rounding(r) && weights_open(r->d, r->arena, file, &in);
    ok = ok && (!expect_file || weights_open(r->d, r->arena, expect_file, &expect));
    const RawTensor *input = ok ? weights_find(&in, "input_ids") : NULL;
    if (ok && !input) input = weights_find(&in, "input");
    if (ok && !input) ok = diag_error(r->d, (Loc){.file = file}, "holds neither input_ids nor input");
    ok = ok && verify_run(r->d, r->arena, r->path, &r->o, input, &got);
    if (ok && write_file) ok = write_results(r, write_file, &got);
    if (ok && !expect_file) {
        VerifyOptions o = interpreted(&r->o);
        ok = verify_run(r->d, r->arena, r->path, &o, input, &oracle);
    }
    ok = ok && compare_all(r, &got, expect_file ? &expect : NULL, &oracle, input);
    if (ok) printf(r->bad ? "%d tensors are off\n" : "all agree\n", r->bad);
    weights_close(&in);
    weights_close(&expect);
    return ok && !r->bad;
}

static int run(int argc, char **argv) {
    Args a = {0};
    Run r = {.o = {.form = "chunk", .threads = 1}};
    const char *input = NULL, *expect = NULL, *write = NULL, *tolerance = NULL;
    Option options[MAX_OPTIONS];
    int n = shared_options(&a, options);
    options[n++] = (Option){"input", "FILE", "safetensors with input_ids or input", &input, OPT_STR, 0};
    options[n++] = (Option){"expect", "FILE", "safetensors with what should come out", &expect, OPT_STR, 0};
    options[n++] = (Option){"form", "FORM", "interpret, step or chunk (default)", &r.o.form, OPT_STR, 0};
    options[n++] =
        (Option){"tolerance", "X",     "largest error allowed: a number, or a JSON file with \"tolerance\"",
                 &tolerance,  OPT_STR, 0};
    options[n++] = (Option){"write", "FILE", "write all tensors to a safetensors file", &write, OPT_STR, 0};
    options[n++] = (Option){"threads",    "N",     "threads of the compiled forms (default 1)",
                            &r.o.threads, OPT_INT, COUNTS_THREADS};
    options[n] = (Option){0};
    int status = parse_options(argc, argv, USAGE, options, &r.path);
    if (status >= 0) return status;
    Arena *arena = arena_new();
    Diag d = diag_new(arena, stderr);
    r.d = &d, r.arena = arena, r.o.compile = a.compile, r.o.model = a.model;
    bool ok =
        r.path || diag_usage(&d, (Loc){0}, "which model? give a description, a folder or a weights file");
    if (ok && strcmp(r.o.form, "interpret") && strcmp(r.o.form, "step") && strcmp(r.o.form, "chunk"))
        ok = diag_usage(&d, (Loc){0}, "--form=%s: must be interpret, step or chunk", r.o.form);
    if (ok && a.compile.passes.stop_after)
        ok = diag_usage(&d, (Loc){0}, "--stop-after: verifying needs all passes");
    ok = ok && verify(&r, input, expect, write, tolerance);
    cJSON_Delete(r.tolerances);
    arena_free(arena);
    return diag_status(&d, ok);
}

const Command command_verify = {
    "verify", "runs a model and compares it, tensor by tensor, with what it should give", run};
