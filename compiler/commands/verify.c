/* btc verify MODEL: compares a compiled model with the interpreter or with expected tensors, and locates the first
 * op that is wrong. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "commands.h"
#include "desc/json.h"
#include "run/verify_expect.h"

static const char USAGE[] =
    "btc verify MODEL [--input=IDS.safetensors] [--expect=EXPECTED.safetensors] [options]\n"
    "\n"
    "Runs a compiled model over the ids (input_ids [batch, tokens]) or features (input [batch, tokens,\n"
    "width]) of a file, and compares every value of every block with the interpreter, which computes in "
    "double\n"
    "precision with the weights as they are stored. The tolerance of each op is the error that its rounding\n"
    "explains. Names the first block and op that is wrong.\n"
    "\n"
    "With --expect it also compares results with the tensors of a file, by name: hidden.0 (the input of the\n"
    "first block), hidden.i (the output of block i), logits or output, state.i.NAME, greedy.ids (the tokens\n"
    "after greedy.prompt).\n"
    "\n"
    "With --target= of another machine it compiles a program and runs it with QEMU's user-mode emulator "
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
    double tolerance;  /* the user's, 0: by roundings */
    cJSON *tolerances; /* for each tensor, or NULL */
    int tensors, off;
    int64_t numbers;
} Run;

/* The user's, or 0. */
static double tolerance_of(const Run *r, const char *name) {
    const cJSON *t = cJSON_GetObjectItemCaseSensitive(r->tolerances, name);
    return cJSON_IsNumber(t) ? t->valuedouble : r->tolerance;
}

static bool check_tolerances(Run *r, const char *file) {
    int n = cJSON_GetArraySize(r->tolerances), i = 0;
    const char **names = ARENA_ARRAY(r->arena, const char *, n);
    for (const cJSON *t = r->tolerances->child; t; t = t->next) {
        names[i++] = t->string;
        if (!cJSON_IsNumber(t) || !(t->valuedouble > 0))
            return diag_error(r->d,
                              (Loc){.file = file, .path = arena_printf(r->arena, "tolerance.%s", t->string)},
                              "must be a positive number");
    }
    return expect_names(r->d, r->arena, r->path, &r->o, file, names, n);
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
    return r->tolerances != NULL && check_tolerances(r, option);
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

/* ---- what it says ---- */

static void print_line(bool ok, const char *name, double error, double tolerance, const char *note) {
    printf("  %-4s %-24s max error %9.3g  tolerance %9.3g%s\n", ok ? "ok" : "OFF", name, error, tolerance,
           note);
}

static void print_code(Run *r, const CodeReport *c) {
    r->tensors += c->tensors, r->numbers += c->numbers, r->off += c->off;
    for (int i = 0; i < c->nlines; i++) {
        const CodeLine *l = &c->lines[i];
        double tolerance = tolerance_of(r, l->name);
        bool ok = l->g.ratio <= 1, asked = tolerance > 0 && !*l->note;
        if (asked) {
            r->off -= !ok;
            ok = l->g.most <= tolerance;
            r->off += !ok;
        }
        print_line(ok, l->name, asked ? l->g.most : l->g.error, asked ? tolerance : l->g.allowed, l->note);
    }
    if (c->where) printf("the first that is off is %s\n", c->where);
    if (c->off && !c->where) printf("no op can be named\n");
}

static void print_expected(Run *r, const Expectation *e, const ExpectReport *x, bool code_is_off) {
    r->tensors += x->n, r->numbers += x->numbers, r->off += x->off;
    for (int i = 0; i < x->n; i++) {
        const ExpectLine *l = &x->lines[i];
        print_line(l->g.ratio <= 1, l->name, l->g.error, l->g.allowed, l->note);
    }
    if (x->has_greedy) {
        printf("  %-4s %-24s %lld of %lld tokens\n", x->greedy_ok ? "ok" : "OFF", "greedy.ids",
               (long long)x->same, (long long)raw_tensor_count(e->ids));
        r->tensors++, r->numbers += raw_tensor_count(e->ids), r->off += !x->greedy_ok;
    }
    if (x->first_block == 0) printf("what the first block gets is already off: look at the embedding\n");
    if (x->first_block <= 0 || !x->first_name) return;
    printf("the first block that is off is block %d (%s, layer %d)\n", x->first_block, x->first_name,
           x->first_block - 1);
    if (!strcmp(r->o.form, "interpret"))
        printf("the interpreter itself disagrees with the expectation: look at the description of \"%s\"\n",
               x->first_name);
    else if (!code_is_off)
        printf("every op of it agrees with the interpreter on its own: look at the description of \"%s\"\n",
               x->first_name);
}

/* ---- the whole ---- */

/* The form's results, and greedy ids where they are expected. */
static bool run_form(Run *r, const RawTensor *input, const Expectation *e, CodeReport *code, int64_t **ids) {
    Greedy greedy = {e->prompt, e->ids ? raw_tensor_count(e->ids) : 0, NULL};
    *ids = greedy.ids = ARENA_ARRAY(r->arena, int64_t, greedy.n);
    if (strcmp(r->o.form, "interpret"))
        return verify_code(r->d, r->arena, r->path, &r->o, input, greedy.n ? &greedy : NULL, code);
    *code = (CodeReport){0};
    return verify_run(r->d, r->arena, r->path, &r->o, input, &code->got) &&
           (!greedy.n || verify_greedy(r->d, r->arena, r->path, &r->o, e->prompt, greedy.n, greedy.ids));
}

static bool compare(Run *r, const RawTensor *input, Expectation *e, const char *write_file) {
    CodeReport code;
    ExpectReport x;
    int64_t *ids;
    bool compiled = strcmp(r->o.form, "interpret") != 0, expected = e->file.n > 0;
    if (!run_form(r, input, e, &code, &ids)) return false;
    if (write_file && !write_results(r, write_file, &code.got)) return false;
    if (compiled && expected)
        printf("compiled code, by the interpreter with the weights as they are stored:\n");
    if (compiled) print_code(r, &code);
    if (!expected) return true;
    double *tolerance = ARENA_ARRAY(r->arena, double, e->file.n);
    for (int i = 0; i < e->file.n; i++) tolerance[i] = tolerance_of(r, e->file.tensors[i].name);
    e->tolerance = tolerance;
    if (!expect_compare(r->d, r->arena, r->path, &r->o, input, e, &code.got, ids, &x)) return false;
    printf(x.rounded ? "the description, by the expectation (in the checkpoint's own numbers):\n"
                     : "%s, by the expectation:\n",
           compiled ? "compiled code" : "the interpreter");
    print_expected(r, e, &x, code.off > 0);
    return true;
}

static bool verify(Run *r, const char *input_file, const char *expect_file, const char *write_file,
                   const char *tolerance) {
    WeightSet in = {0};
    Expectation e = {0};
    const char *file = input_file ? input_file : expect_file;
    bool compiled = strcmp(r->o.form, "interpret") != 0;
    bool ok = file != NULL || diag_usage(r->d, (Loc){0}, "on what? add --input=IDS.safetensors");
    ok = ok && read_tolerances(r, tolerance) && weights_open(r->d, r->arena, file, &in);
    const RawTensor *input = ok ? weights_find(&in, "input_ids") : NULL;
    if (ok && !input) input = weights_find(&in, "input");
    if (ok && !input) ok = diag_error(r->d, (Loc){.file = file}, "holds neither input_ids nor input");
    ok = ok && expect_open(r->d, r->arena, expect_file, r->path, &r->o, input, &e);
    if (ok && !compiled && !expect_file && !write_file)
        ok = diag_usage(
            r->d, (Loc){0},
            "--form=interpret: there is nothing to compare the interpreter with; add --expect=FILE, "
            "or --write=FILE");
    ok = ok && compare(r, input, &e, write_file);
    if (ok && !r->tensors)
        printf("%s: written; nothing was compared\n", write_file);
    else if (ok && r->off)
        printf("%d of %d tensors are off; %lld numbers were compared\n", r->off, r->tensors,
               (long long)r->numbers);
    else if (ok)
        printf("all agree: %d tensors, %lld numbers\n", r->tensors, (long long)r->numbers);
    weights_close(&in);
    weights_close(&e.file);
    return ok && !r->off;
}

int command_verify(int argc, char **argv) {
    Args a = {0};
    Run r = {.o = {.form = "chunk", .threads = 1}};
    const char *input = NULL, *expect = NULL, *write = NULL, *tolerance = NULL;
    Option options[MAX_OPTIONS];
    int n = shared_options(&a, options);
    options[n++] = (Option){"input", "FILE", "safetensors with input_ids or input", &input, OPT_STR, 0};
    options[n++] = (Option){"expect", "FILE", "safetensors with expected results", &expect, OPT_STR, 0};
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
    d.progress = progress_new(false);
    r.d = &d, r.arena = arena, r.o.compile = a.compile, r.o.model = a.model;
    bool ok =
        r.path || diag_usage(&d, (Loc){0}, "which model? give a description, a folder or a weights file");
    if (ok && strcmp(r.o.form, "interpret") && strcmp(r.o.form, "step") && strcmp(r.o.form, "chunk"))
        ok = diag_usage(&d, (Loc){0}, "--form=%s: must be interpret, step or chunk", r.o.form);
    if (ok && a.compile.passes.stop_after)
        ok = diag_usage(&d, (Loc){0}, "--stop-after: verifying needs all passes");
    ok = ok && out_check(&d, write) && compile_check(&d, &a.compile);
    ok = ok && verify(&r, input, expect, write, tolerance);
    cJSON_Delete(r.tolerances);
    progress_free(d.progress);
    arena_free(arena);
    return diag_status(&d, ok);
}
