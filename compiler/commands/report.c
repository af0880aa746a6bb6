/* btc report MODEL: the cost of a model, layer by layer, without compiling it to machine code. */
#include "report/report.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "commands.h"

static const char USAGE[] =
    "btc report MODEL [options]: parameters, work, bytes, forms and barriers of every kind of layer\n"
    "\n"
    "  MODEL   a description (.json), a Hugging Face folder, or a weights file (.safetensors, .pth)\n"
    "\n"
    "  Speed is estimated as the smaller of bandwidth / bytes and peak / flops. Without --bandwidth and\n"
    "  --peak, 20 GB/s and 64 GFLOP/s for each thread are assumed.\n"
    "\n"
    "  btc report mamba/ --threads=4 --bandwidth=60 --peak=800\n"
    "  btc report mamba/ --cpu=x86-64-v3 --past=1000 --json -o mamba-report.json\n";

static const double BANDWIDTH_PER_THREAD = 20e9, PEAK_PER_THREAD = 64e9;

/* A positive number times 1e9; NULL: otherwise. */
static bool giga(Diag *d, const char *option, const char *text, double otherwise, double *out) {
    *out = otherwise;
    if (!text) return true;
    char *end;
    double v = strtod(text, &end);
    if (end == text || *end || !isfinite(v) || v <= 0 || v > 1e9)
        return diag_usage(d, (Loc){0}, "--%s=%s: must be a positive number", option, text);
    *out = 1e9 * v;
    return true;
}

static bool report(Diag *d, Arena *arena, Args *a, const char *bandwidth, const char *peak, int threads,
                   int past, bool json) {
    ReportMachine machine = {.threads = threads, .assumed_bandwidth = !bandwidth, .assumed_peak = !peak};
    if (!giga(d, "bandwidth", bandwidth, threads * BANDWIDTH_PER_THREAD, &machine.bandwidth)) return false;
    if (!giga(d, "peak", peak, threads * PEAK_PER_THREAD, &machine.peak)) return false;
    if (a->compile.passes.stop_after)
        return diag_usage(d, (Loc){0}, "--stop-after: a report needs all passes");
    if (!a->input)
        return diag_usage(d, (Loc){0}, "which model? give a description, a folder or a weights file");
    CompileOptions o = a->compile;
    o.output = NULL; /* ours is a text */
    if (!out_check(d, a->compile.output) || !compile_check(d, &o)) return false;
    Model m = {0};
    Report r;
    a->compile.quiet = true;
    bool ok =
        model_open(d, arena, a->input, &a->model, &m) && report_make(d, &m, &a->compile, &machine, past, &r);
    if (ok) {
        const char *text = json ? report_json(arena, &r) : report_text(arena, &r);
        ok = write_text(d, arena, a->compile.output, text, strlen(text));
    }
    model_close(&m);
    return ok;
}

int command_report(int argc, char **argv) {
    Args a = {0};
    const char *bandwidth = NULL, *peak = NULL;
    int threads = 1, past = -1;
    bool json = false;
    Option options[MAX_OPTIONS];
    int n = shared_options(&a, options);
    const Option own[] = {
        {"bandwidth", "GB/s", "of memory, for all threads together (default 20 for each)", &bandwidth,
         OPT_STR, 0},
        {"peak", "GFLOP/s", "of arithmetic, for all threads together (default 64 for each)", &peak, OPT_STR,
         0},
        {"threads", "N", "how many will run it (default 1)", &threads, OPT_INT, COUNTS_THREADS},
        {"past", "N", "tokens before those that are counted (default: half of a context, or a full window)",
         &past, OPT_INT, COUNTS_PAST},
        {"json", NULL, "the same for programs: bytes, flops, bytes/s, not rounded", &json, OPT_ON, 0},
        {"o", "FILE", "where to (default: stdout)", &a.compile.output, OPT_STR, 0},
        {0},
    };
    Diag d;
    int status = command_begin(argc, argv, USAGE, options, n, own, &a.input, &d);
    if (status >= 0) return status;
    Arena *arena = d.arena;
    bool ok = report(&d, arena, &a, bandwidth, peak, threads, past, json);
    return command_end(&d, ok);
}
