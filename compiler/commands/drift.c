/* btc drift MODEL: the error that states in 16 bits cause over many tokens. */
#include "run/compare.h"

#include <string.h>

#include "commands.h"
#include "desc/json.h"

static const char USAGE[] =
    "btc drift MODEL [options]: the error of states in 16 bits (--state=), relative to f32\n"
    "\n"
    "Runs the model with f32 states and with 16-bit states over the same tokens, one by one as in decoding,\n"
    "and prints the difference of the outputs after some lengths: means over the last tokens before each\n"
    "length.\n"
    "\n"
    "  error    of the outputs, relative, Euclidean\n"
    "  KL       divergence of the next token's distribution from that with f32 states, in bits\n"
    "  same     how often the likeliest next token is the same\n"
    "  bits     with --text: of the text's own next token, with f32 and with narrow states\n"
    "\n"
    "  btc drift examples/scripture/model.json --text=examples/scripture/heldout.txt\n"
    "  btc drift mamba/ --state=f16 --tokens=500,2000 --form=chunk\n";

typedef struct DriftOptions {
    const char *states[2]; /* to compare with f32 */
    int nstates;
    CompareOptions run;
} DriftOptions;

static void add_point(Text *t, const Comparison *f, const ComparePoint *p, int length, const char *state) {
    text_add(t, "  %8d  %-6s%10.2e", length, state, p->error);
    if (f->tokens) text_add(t, "%12.2e%9.1f %%", p->divergence, 100 * p->agreement);
    if (f->text) text_add(t, "   %.4f -> %.4f", p->bits[0], p->bits[1]);
    text_add(t, "\n");
}

static const char *drift_text(Arena *a, const Comparison *f, const DriftOptions *o) {
    Text t = text_new(a);
    text_add(&t, "%s, %s, %s; means over the last %d tokens\n", f->name,
             tokens_name(&o->run.source, f->tokens), o->run.steps ? "token by token" : "in chunks",
             o->run.window);
    text_add(&t, "state of one sequence: f32 %lld bytes", (long long)f->state_bytes[0]);
    for (int i = 0; i < o->nstates; i++)
        text_add(&t, ", %s %lld bytes", o->states[i], (long long)f->state_bytes[i + 1]);
    text_add(&t, "\n  %8s  %-6s%10s", "tokens", "state", "error");
    if (f->tokens) text_add(&t, "%12s%11s", "KL, bits", "same");
    if (f->text) text_add(&t, "   %s", "bits, f32 -> narrow");
    text_add(&t, "\n");
    for (int k = 0; k < f->nlengths; k++)
        for (int i = 0; i < o->nstates; i++) add_point(&t, f, &f->points[i][k], f->lengths[k], o->states[i]);
    for (int i = 0; i <= o->nstates; i++)
        if (f->not_finite[i] >= 0)
            text_add(&t, "with %s states the output of token %lld is not finite%s\n",
                     i ? o->states[i - 1] : "f32", (long long)f->not_finite[i],
                     i && f->not_finite[0] < 0 ? ": a number has left the range of its state" : "");
    return t.s;
}

static const char *drift_json(Arena *a, const Comparison *f, const DriftOptions *o) {
    cJSON *root = cJSON_CreateObject(), *points = cJSON_AddArrayToObject(root, "points");
    cJSON_AddStringToObject(root, "model", f->name);
    cJSON_AddStringToObject(root, "form", o->run.steps ? "step" : "chunk");
    if (f->text) cJSON_AddStringToObject(root, "text", tokens_name(&o->run.source, f->tokens));
    cJSON_AddNumberToObject(root, "mean_over", o->run.window);
    cJSON *bytes = cJSON_AddObjectToObject(root, "state_bytes");
    cJSON_AddNumberToObject(bytes, "f32", (double)f->state_bytes[0]);
    for (int i = 0; i < o->nstates; i++)
        cJSON_AddNumberToObject(bytes, o->states[i], (double)f->state_bytes[i + 1]);
    cJSON *bad = cJSON_AddObjectToObject(root, "not_finite_from");
    for (int i = 0; i <= o->nstates; i++)
        if (f->not_finite[i] >= 0)
            cJSON_AddNumberToObject(bad, i ? o->states[i - 1] : "f32", (double)f->not_finite[i]);
    for (int n = 0; n < f->nlengths * o->nstates; n++) {
        int k = n / o->nstates, i = n % o->nstates;
        const ComparePoint *p = &f->points[i][k];
        cJSON *x = cJSON_CreateObject();
        cJSON_AddItemToArray(points, x);
        cJSON_AddNumberToObject(x, "tokens", f->lengths[k]);
        cJSON_AddStringToObject(x, "state", o->states[i]);
        cJSON_AddNumberToObject(x, "error", p->error);
        if (f->tokens) cJSON_AddNumberToObject(x, "divergence_bits", p->divergence);
        if (f->tokens) cJSON_AddNumberToObject(x, "same", p->agreement);
        if (f->text) cJSON_AddNumberToObject(x, "bits_f32", p->bits[0]);
        if (f->text) cJSON_AddNumberToObject(x, "bits", p->bits[1]);
    }
    const char *text = json_print(a, root);
    cJSON_Delete(root);
    return text;
}

static bool check(Diag *d, const Args *a, const char *tokens, const char *form, DriftOptions *o) {
    if (!a->input)
        return diag_usage(d, (Loc){0}, "which model? give a description, a folder or a weights file");
    if (a->compile.passes.stop_after) return diag_usage(d, (Loc){0}, "--stop-after: drift needs all passes");
    Compiled c;
    if (!compile_machine(d, NULL, &a->compile, &c)) return false;
    if (c.target.target != target_host())
        return diag_usage(d, (Loc){0}, "--target=%s: drift is measured on this machine only",
                          c.target.target->name);
    if (a->compile.state && c.lower.state_dt == DT_F32)
        return diag_usage(d, (Loc){0}, "--state=f32: is what the others are compared with; give bf16 or f16");
    if (a->compile.state) o->states[0] = a->compile.state, o->nstates = 1;
    if (strcmp(form, "step") && strcmp(form, "chunk"))
        return diag_usage(d, (Loc){0}, "--form=%s: must be step or chunk", form);
    o->run.steps = !strcmp(form, "step");
    return parse_ints(d, "tokens", COUNTS_TOKENS, tokens, COMPARE_LENGTHS, o->run.lengths, &o->run.nlengths);
}

/* f32 states, then the narrow ones. */
static void choose_variants(const Args *a, DriftOptions *o) {
    for (int i = 0; i <= o->nstates; i++) {
        Variant *v = &o->run.variants[o->run.nvariants++];
        *v = (Variant){a->compile, a->model};
        v->compile.state = i ? o->states[i - 1] : "f32";
    }
}

int command_drift(int argc, char **argv) {
    Args a = {0};
    DriftOptions o = {
        .states = {"bf16", "f16"}, .nstates = 2, .run = {.what = "drift", .window = 512, .threads = 1}};
    const char *tokens = NULL, *form = "step", *json = NULL;
    Option options[MAX_OPTIONS];
    int n = drop_option(options, shared_options(&a, options), "batch");
    const Option own[] = {
        {"tokens", "N,..", "lengths after which to compare (default 1000,8000,32000)", &tokens, OPT_STR, 0},
        {"text", "FILE", "bytes to read, for models of bytes (default: random tokens)", &o.run.source.text,
         OPT_STR, 0},
        {"input", "IDS.safetensors", "ids or features to read, as btc verify takes them", &o.run.source.input,
         OPT_STR, 0},
        {"last", "N", "tokens before a length over which the means are taken (default 512)", &o.run.window,
         OPT_INT, COUNTS_TOKENS},
        {"form", "FORM", "step (default): token by token; chunk: as a prompt", &form, OPT_STR, 0},
        {"threads", "N", "threads (default 1)", &o.run.threads, OPT_INT, COUNTS_THREADS},
        {"json", "FILE", "write the figures, for programs", &json, OPT_STR, 0},
        {0},
    };
    Diag d;
    int status = command_begin(argc, argv, USAGE, options, n, own, &a.input, &d);
    if (status >= 0) return status;
    Arena *arena = d.arena;
    Comparison f;
    o.run.asked = tokens != NULL;
    bool ok = check(&d, &a, tokens ? tokens : "1000,8000,32000", form, &o) && out_check(&d, json) &&
              compile_check(&d, &a.compile);
    choose_variants(&a, &o);
    ok = ok && compare_run(&d, arena, a.input, &o.run, &f);
    if (ok) {
        const char *text = drift_text(arena, &f, &o);
        ok = write_text(&d, arena, NULL, text, strlen(text));
        if (ok && json)
            text = drift_json(arena, &f, &o), ok = write_text(&d, arena, json, text, strlen(text));
    }
    return command_end(&d, ok);
}
