/* btc tune MODEL: measures on this machine which parameters make a model fast, and remembers them. */
#include "tune/tune.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "bench/machine.h"
#include "commands.h"
#include "tune/tune_file.h"

static const char USAGE[] =
    "btc tune MODEL [options]: measures which sizes of tiles and blocks are fastest on this machine\n"
    "\n"
    "  MODEL   a description (.json), a Hugging Face folder, or a weights file (.safetensors, .pth)\n"
    "\n"
    "  The search begins with the cost model's parameters and changes one parameter at a time, as long as "
    "the\n"
    "  model gets faster. The best ones are written to a small file beside the model, which later compiles "
    "on\n"
    "  such a machine read: FOLDER/btc.tune.json, or NAME.tune.json for NAME.json, NAME.safetensors, "
    "NAME.pth.\n"
    "  Stop other programs while it measures.\n"
    "\n"
    "  btc tune mamba/ --threads=2 --minutes=20\n"
    "  btc tune mamba/ --for=decode --same-bits -o fast.json; btc mamba/ --tuning=fast.json -o mamba.so\n"
    "  btc tune mamba/ --rows=tile_rows,tile_columns --tuning=mamba/btc.tune.json\n";

typedef struct TuneArgs {
    const char *rows, *minutes, *goal, *output;
    bool same_bits;
    int threads, prompt, tokens, batch;
} TuneArgs;

static bool read_minutes(Diag *d, const char *text, double *seconds) {
    char *end;
    double v = strtod(text, &end);
    *seconds = 60 * v;
    return (end != text && !*end && isfinite(v) && v > 0 && v <= 1e6) ||
           diag_usage(d, (Loc){0}, "--minutes=%s: must be a positive number", text);
}

static bool read_goal(Diag *d, const char *text, TuneGoal *goal) {
    static const char *const names[] = {"both", "decode", "prefill"};
    for (int i = 0; i < 3; i++)
        if (!strcmp(text, names[i])) return *goal = (TuneGoal)i, true;
    return diag_usage(d, (Loc){0}, "--for=%s: must be both, decode or prefill%s", text,
                      diag_did_you_mean(d->arena, text, names, 3));
}

/* "a,b" marks the rows of these names; NULL: all. */
static bool read_rows(Diag *d, const char *text, bool same_bits, bool *rows) {
    const char **names = ARENA_ARRAY(d->arena, const char *, TUNING_COUNT);
    for (int i = 0; i < TUNING_COUNT; i++) names[i] = TUNING_FIELDS[i].name, rows[i] = !text;
    for (const char *p = text; p;) {
        size_t n = strcspn(p, ",");
        const char *name = arena_strndup(d->arena, p, n);
        int i = tuning_find(name);
        if (i < 0)
            return diag_usage(d, (Loc){0},
                              "--rows: there is no parameter \"%s\"%s; btc list tuning shows them", name,
                              diag_did_you_mean(d->arena, name, names, TUNING_COUNT));
        rows[i] = true;
        p = p[n] ? p + n + 1 : NULL;
    }
    for (int i = 0; same_bits && i < TUNING_COUNT; i++) rows[i] &= TUNING_FIELDS[i].effect == TUNING_SAME;
    return true;
}

static bool write_result(const Tuner *w, const TuneResult *r, const TargetInfo *target, const char *file) {
    cJSON *measured = tune_measured_json(w, r, w->path);
    const char *text = tune_file_text(w->a, &w->of, target, machine_name(w->a), &r->best, measured);
    if (!write_text(w->d, w->a, file, text, strlen(text))) return false;
    printf("%s written: %s\n", file,
           *tune_changes(w->a, &r->best, &r->cost_model) ? tune_changes(w->a, &r->best, &r->cost_model)
                                                         : "the cost model's parameters");
    return true;
}

static bool tune(Tuner *w, const Args *a, const TuneArgs *t, TuneOptions *o) {
    TargetInfo target;
    TuneResult r = {0};
    CandidateKey key;
    const char *from, *file = t->output ? t->output : tune_file_beside(w->a, w->path);
    const char *begin = a->compile.tuning_file ? a->compile.tuning_file : "none";
    if (!out_check(w->d, file) || !compile_check(w->d, &a->compile)) return false;
    if (!tuner_parameters(w, &r.cost_model, &target) || !candidate_key(w, &r.cost_model, &key)) return false;
    o->from = r.cost_model;
    if (!tune_file_choose(w->d, &w->of, begin, &target, &o->from, &from)) return false;
    if (a->compile.chunk) o->from.chunk = a->compile.chunk;
    printf("%s for %s, %s with vectors of %d; on %s\nBeginning with the parameters of %s.\n", w->path,
           target.target->name, target.cpu, target.lanes, machine_name(w->a), from ? from : "the cost model");
    fflush(stdout);
    if (!tune_run(w, o, &r)) return false;
    fputs(tune_total_text(w->a, w, &r), stdout);
    return write_result(w, &r, &target, file);
}

static bool run_tune(Diag *d, Arena *arena, Args *a, const TuneArgs *t) {
    bool *rows = ARENA_ARRAY(arena, bool, TUNING_COUNT);
    TuneOptions o = {.rows = rows};
    if (!a->input)
        return diag_usage(d, (Loc){0}, "which model? give a description, a folder or a weights file");
    if (!read_minutes(d, t->minutes, &o.seconds) || !read_goal(d, t->goal, &o.goal) ||
        !read_rows(d, t->rows, t->same_bits, rows))
        return false;
    Tuner w = {.a = arena, .d = d, .path = a->input, .compile = a->compile, .model = a->model};
    w.prompt = t->prompt, w.tokens = t->tokens, w.batch = t->batch, w.threads = t->threads;
    bool ok = tuner_open(&w) && tune(&w, a, t, &o);
    tuner_close(&w);
    return ok;
}

int command_tune(int argc, char **argv) {
    Args a = {0};
    TuneArgs t = {.minutes = "10", .goal = "both", .threads = 1, .tokens = 16, .batch = 1};
    Option options[MAX_OPTIONS];
    int n = shared_options(&a, options);
    static const char *const not_here[] = {"batch", "print-after", "stop-after", "time-passes", "tuning"};
    for (size_t i = 0; i < sizeof not_here / sizeof *not_here; i++) n = drop_option(options, n, not_here[i]);
    const Option own[] = {
        {"minutes", "N", "stop looking after about so long (default 10)", &t.minutes, OPT_STR, 0},
        {"o", "FILE", "where to (default: beside the model, as above)", &t.output, OPT_STR, 0},
        {"for", "WHAT", "decode, prefill, or both (default), which count alike", &t.goal, OPT_STR, 0},
        {"same-bits", NULL, "only parameters that leave all bits of the results as they are", &t.same_bits,
         OPT_ON, 0},
        {"rows", "NAME,..", "only these parameters (btc list tuning shows them)", &t.rows, OPT_STR, 0},
        {"tuning", "FILE", "go on from an earlier result (default: begin with the cost model)",
         &a.compile.tuning_file, OPT_STR, 0},
        {"threads", "N", "that the model will run with (default 1)", &t.threads, OPT_INT, COUNTS_THREADS},
        {"prompt", "N", "tokens of a measured prefill (default 256, or what the context allows)", &t.prompt,
         OPT_INT, COUNTS_TOKENS},
        {"tokens", "N", "decoded behind it, over and over (default 16)", &t.tokens, OPT_INT, COUNTS_TOKENS},
        {"batch", "N", "sequences that decode together (default 1)", &t.batch, OPT_INT, COUNTS_BATCH},
        {0},
    };
    Diag d;
    int status = command_begin(argc, argv, USAGE, options, n, own, &a.input, &d);
    if (status >= 0) return status;
    Arena *arena = d.arena;
    bool ok = run_tune(&d, arena, &a, &t);
    return command_end(&d, ok);
}
