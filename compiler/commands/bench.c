/* btc bench MODEL: the speed of a model on this machine, compared with the machine's limits. */
#include "bench/measure.h"

#include <stdlib.h>
#include <string.h>

#include "commands.h"

static const char USAGE[] =
    "btc bench MODEL [options]: tokens per second, against the bandwidth and arithmetic of this machine\n"
    "\n"
    "  MODEL   anything btc compiles, or a .so that it made (then without fractions and --profile)\n"
    "\n"
    "  The limits of the machine are measured in the same run, in turn with the model. Lists are given as "
    "1,2,8.\n"
    "\n"
    "  btc bench mamba/ --prompt=512,2048 --threads=1,2 --batch=1,8 --json=mamba.json\n"
    "  btc bench mamba/ --profile\n";

/* compiling: the rows [n] that say how to compile. */
static bool check_options(Diag *d, const Args *a, const Option *compiling, int ncompiling,
                          const BenchOptions *o, const char *chart) {
    size_t n = a->input ? strlen(a->input) : 0;
    bool library = n > 3 && !strcmp(a->input + n - 3, ".so");
    const char *needs = o->profile ? "profile" : chart ? "chart" : NULL;
    if (!n) return diag_usage(d, (Loc){0}, "which model? give a description, a folder or a weights file");
    if (a->compile.passes.stop_after)
        return diag_usage(d, (Loc){0}, "--stop-after: a benchmark needs all passes");
    if (library && needs)
        return diag_usage(d, (Loc){.file = a->input},
                          "--%s needs the model itself: a library does not tell its stages", needs);
    for (int i = 0; i < ncompiling && library; i++)
        if (option_given(&compiling[i]))
            return diag_usage(d, (Loc){.file = a->input},
                              "--%s says how to compile, and a library is compiled: give the model itself",
                              compiling[i].name);
    if (o->repeat > BENCH_MAX_REPEAT)
        return diag_usage(d, (Loc){0}, "--repeat=%d: at most %d", o->repeat, BENCH_MAX_REPEAT);
    return true;
}

static bool bench(Diag *d, Arena *arena, Args *a, const BenchOptions *o, const char *json,
                  const char *chart) {
    Subject s = {0};
    Bench b;
    a->compile.max_batch = DEFAULT_BATCH;
    for (int i = 0; i < o->batches.n; i++)
        if (o->batches.v[i] > a->compile.max_batch) a->compile.max_batch = o->batches.v[i];
    a->compile.profile = o->profile;
    int64_t longest = (int64_t)o->prompts.v[0] + o->tokens;
    for (int i = 0; i < o->prompts.n; i++)
        if (o->prompts.v[i] > longest) longest = o->prompts.v[i];
    bool ok = out_check(d, json) && out_check(d, chart) && compile_check(d, &a->compile) &&
              subject_open(&s, d, arena, a->input, &a->compile, &a->model, longest) && bench_run(&s, o, &b);
    if (ok) {
        const char *text = bench_text(arena, &b);
        ok = write_text(d, arena, NULL, text, strlen(text));
        if (ok && json) text = bench_json(arena, &b), ok = write_text(d, arena, json, text, strlen(text));
        if (ok && chart) text = bench_chart(arena, &b), ok = write_text(d, arena, chart, text, strlen(text));
    }
    subject_close(&s);
    return ok;
}

int command_bench(int argc, char **argv) {
    Args a = {0};
    BenchOptions o = {.tokens = 32, .repeat = 5};
    const char *prompts = "512", *threads = "1", *batches = "1", *json = NULL, *chart = NULL;
    Option options[MAX_OPTIONS];
    int n = drop_option(options, shared_options(&a, options), "batch"); /* ours is a list */
    const Option own[] = {
        {"prompt", "N,..", "lengths of the prompts to prefill (default 512)", &prompts, OPT_STR, 0},
        {"tokens", "N", "to decode behind the first prompt (default 32)", &o.tokens, OPT_INT, COUNTS_TOKENS},
        {"threads", "N,..", "numbers of threads (default 1)", &threads, OPT_STR, 0},
        {"batch", "N,..", "sequences in a step (default 1)", &batches, OPT_STR, 0},
        {"repeat", "N", "repetitions (default 5)", &o.repeat, OPT_INT, COUNTS_REPEATS},
        {"profile", NULL, "time of every stage, and of waiting at barriers", &o.profile, OPT_ON, 0},
        {"json", "FILE", "write all figures as JSON", &json, OPT_STR, 0},
        {"chart", "FILE.svg", "draw a chart", &chart, OPT_STR, 0},
        {0},
    };
    Diag d;
    int status = command_begin(argc, argv, USAGE, options, n, own, &a.input, &d);
    if (status >= 0) return status;
    Arena *arena = d.arena;
    bool ok = parse_ints(&d, "prompt", COUNTS_TOKENS, prompts, BENCH_MAX, o.prompts.v, &o.prompts.n) &&
              parse_ints(&d, "threads", COUNTS_THREADS, threads, BENCH_MAX, o.threads.v, &o.threads.n) &&
              parse_ints(&d, "batch", COUNTS_BATCH, batches, BENCH_MAX, o.batches.v, &o.batches.n) &&
              check_options(&d, &a, options, n, &o, chart) && bench(&d, arena, &a, &o, json, chart);
    return command_end(&d, ok);
}
