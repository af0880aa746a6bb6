/* btc quantize MODEL: what quantised weights cost, and calibrations that make them cost less. */
#include "../quantize/costs.h"

#include <string.h>

#include "commands.h"

static const char USAGE[] =
    "btc quantize MODEL --report [options]: the error of quantised weights\n"
    "btc quantize MODEL --calibrate -o FILE.safetensors [options]: scales with a smaller error\n"
    "\n"
    "The report lists every kind of matrix: the relative error of its numbers, and the relative error of\n"
    "its product over the tokens that are read. For the whole model, compared with unquantised weights in\n"
    "f32 arithmetic, it lists:\n"
    "\n"
    "  error    of the outputs, relative, Euclidean\n"
    "  KL       divergence of the next token's distribution, in bits\n"
    "  same     how often the likeliest next token is the same\n"
    "  bits     of the text's own next token\n"
    "\n"
    "A calibration holds the mean squares of every product's inputs over a text. compile, report, bench, "
    "verify,\n"
    "drift and the report here take it by --calibration=FILE; q6 and q4 then choose scales for the least "
    "error of\n"
    "the product instead of the least error of the weights. Give another text for measuring than for "
    "calibrating.\n"
    "\n"
    "  btc quantize mamba/ --report --quant=q8,q4 --tokens=100\n"
    "  btc quantize examples/scripture/model.json --calibrate --text=some.txt -o some.safetensors\n"
    "  btc quantize examples/scripture/model.json --report --text=other.txt --calibration=some.safetensors\n"
    "  btc examples/scripture/model.json -o model.so --quant=q4 --calibration=some.safetensors\n";

enum { TOKENS = 256 };

typedef struct Wishes {
    bool report, calibrate;
    const char *formats, *json, *output;
    int tokens; /* 0: not said */
    CostsOptions o;
} Wishes;

static bool parse_formats(Diag *d, Arena *a, const char *text, CostsOptions *o) {
    char *rest = NULL, *copy = arena_strdup(a, text);
    bool good = *text && text[strlen(text) - 1] != ',' && *text != ',' && !strstr(text, ",,");
    for (char *s = strtok_r(copy, ",", &rest); s && good; s = strtok_r(NULL, ",", &rest)) {
        good = o->nformats < COSTS_MOST && format_ask(s, FORMATS_QUANTIZED);
        for (int i = 0; i < o->nformats && good; i++) good = strcmp(o->formats[i], s) != 0;
        if (good) o->formats[o->nformats++] = s;
    }
    return good ||
           diag_usage(d, (Loc){0}, "--quant=%s: must be some of q8, q6 and q4, each once, as in q8,q4", text);
}

static bool check(Diag *d, Arena *a, const Args *args, Wishes *w) {
    if (!args->input)
        return diag_usage(d, (Loc){0}, "which model? give a description, a folder or a weights file");
    if (w->report == w->calibrate)
        return diag_usage(d, (Loc){0}, "what is to be done? give --report or --calibrate");
    if (args->compile.passes.stop_after)
        return diag_usage(d, (Loc){0}, "--stop-after: quantize needs all passes");
    if (w->o.source.text && w->o.source.input)
        return diag_usage(d, (Loc){0}, "--text and --input: give one of them");
    if (w->report && w->output)
        return diag_usage(d, (Loc){0}, "-o: is for --calibrate; --json=FILE writes the report for programs");
    if (w->report) return parse_formats(d, a, w->formats ? w->formats : "q8,q6,q4", &w->o);
    const char *other = w->formats                ? "--quant"
                        : w->json                 ? "--json"
                        : args->model.calibration ? "--calibration"
                                                  : NULL;
    if (other) return diag_usage(d, (Loc){0}, "%s: is for --report, not for --calibrate", other);
    if (!w->output) return diag_usage(d, (Loc){0}, "where to? add -o FILE.safetensors");
    if (!w->o.source.text && !w->o.source.input)
        return diag_usage(d, (Loc){0},
                          "what is to be read? give --text=FILE, or ids by --input=FILE.safetensors");
    return true;
}

static bool host_only(Diag *d, const Args *a) {
    Compiled c;
    if (!compile_machine(d, NULL, &a->compile, &c)) return false;
    return c.target.target == target_host() ||
           diag_usage(d, (Loc){0}, "--target=%s: quantize measures on this machine only",
                      c.target.target->name);
}

static bool report(Diag *d, Arena *a, const char *path, const Wishes *w) {
    Costs c;
    bool ok = costs_measure(d, a, path, &w->o, &c);
    if (ok) {
        const char *text = costs_text(a, &c);
        ok = write_text(d, a, NULL, text, strlen(text));
        if (ok && w->json) text = costs_json(a, &c), ok = write_text(d, a, w->json, text, strlen(text));
    }
    costs_close(&c);
    return ok;
}

static bool calibrate(Diag *d, Arena *a, const char *path, const Wishes *w) {
    CollectOptions o = {w->o.model, w->o.compile.passes, w->o.source, w->tokens ? w->tokens : 1, w->o.tokens};
    Collected c;
    bool ok = collect_inputs(d, a, path, &o, &c) && collected_write(d, a, &c, w->output);
    if (ok)
        printf("%s: what %d matrices are multiplied with, over %lld tokens of %s\n", w->output, c.matrices.n,
               (long long)c.tokens, tokens_name(&o.source, c.ids));
    collected_close(&c);
    return ok;
}

int command_quantize(int argc, char **argv) {
    Args a = {0};
    Wishes w = {.o = {.threads = 1}};
    Option options[MAX_OPTIONS];
    int n = drop_option(options, shared_options(&a, options), "batch");
    n = drop_option(options, n, "quant"); /* ours is a list */
    const Option own[] = {
        {"report", NULL, "the error of each format", &w.report, OPT_ON, 0},
        {"calibrate", NULL, "note what the products are multiplied with", &w.calibrate, OPT_ON, 0},
        {"quant", "q8,..", "formats to report (default q8,q6,q4)", &w.formats, OPT_STR, 0},
        {"text", "FILE", "bytes to read, for models of bytes (report: default random tokens)",
         &w.o.source.text, OPT_STR, 0},
        {"input", "IDS.safetensors", "ids or features to read, as btc verify takes them", &w.o.source.input,
         OPT_STR, 0},
        {"tokens", "N", "how many to read (default 256)", &w.tokens, OPT_INT, COUNTS_TOKENS},
        {"threads", "N", "threads that run the compiled models (default 1)", &w.o.threads, OPT_INT,
         COUNTS_THREADS},
        {"json", "FILE", "write the report for programs, every tensor by itself", &w.json, OPT_STR, 0},
        {"o", "FILE", "where the calibration goes", &w.output, OPT_STR, 0},
        {0},
    };
    Diag d;
    int status = command_begin(argc, argv, USAGE, options, n, own, &a.input, &d);
    if (status >= 0) return status;
    Arena *arena = d.arena;
    w.o.asked = w.tokens > 0, w.o.tokens = w.tokens ? w.tokens : TOKENS;
    w.o.compile = a.compile, w.o.model = a.model;
    bool ok = check(&d, arena, &a, &w) && host_only(&d, &a) && out_check(&d, w.json) &&
              out_check(&d, w.output) && compile_check(&d, &a.compile) &&
              (w.report ? report(&d, arena, a.input, &w) : calibrate(&d, arena, a.input, &w));
    return command_end(&d, ok);
}
