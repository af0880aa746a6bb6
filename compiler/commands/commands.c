/* The table of commands, and option parsing by table: help, values and errors come from one row per option.
 */
#include "commands.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "btc.h"
#include "modes/modes.h"

const CommandName COMMANDS[] = {
#define COMMAND(id, doc) {#id, doc},
#include "commands.def"
#undef COMMAND
};
const int COMMAND_COUNT = sizeof COMMANDS / sizeof *COMMANDS;

enum { MAX_BATCH = 1 << 12, MAX_TOKENS = 1 << 24, MAX_REPEATS = 10000 };

typedef struct Bounds {
    int least, most;
} Bounds;

static Bounds bounds_of(Counts counts) {
    const TuningField *chunk = &TUNING_FIELDS[tuning_find("chunk")];
    const Bounds bounds[COUNTS_KINDS] = {
        [COUNTS_CHUNK] = {chunk->least, chunk->most},
        [COUNTS_BATCH] = {1, MAX_BATCH},
        [COUNTS_THREADS] = {1, BTC_MAX_THREADS},
        [COUNTS_TOKENS] = {1, MAX_TOKENS},
        [COUNTS_PAST] = {0, MAX_TOKENS},
        [COUNTS_REPEATS] = {1, MAX_REPEATS},
        [COUNTS_ORDER] = {2, 2 * MODES_MAX},
    };
    return bounds[counts];
}

static void print_help(const char *usage, const Option *options) {
    printf("%s\nOptions\n", usage);
    for (const Option *o = options; o->name; o++) {
        char left[64];
        bool shorty = strlen(o->name) == 1;
        snprintf(left, sizeof left, "%s%s%s%s", shorty ? "-" : "--", o->name,
                 o->arg ? (shorty ? " " : "=") : "", o->arg ? o->arg : "");
        printf("  %-26s %s\n", left, o->doc);
    }
    printf("  %-26s %s\n", "-h, --help", "this text");
}

static int bad(const char *fmt, const char *x, const char *y) {
    fputs("btc: error: ", stderr);
    fprintf(stderr, fmt, x, y);
    fputc('\n', stderr);
    return 2;
}

static int set_option(const Option *o, const char *value) {
    switch (o->kind) {
    case OPT_STR:
        *(const char **)o->to = value;
        return -1;
    case OPT_ON:
        *(bool *)o->to = true;
        return -1;
    case OPT_OFF:
        *(bool *)o->to = false;
        return -1;
    case OPT_INT: {
        char *end;
        errno = 0;
        long v = strtol(value, &end, 10);
        Bounds bounds = bounds_of((Counts)o->counts);
        if (errno || !*value || *end || v < bounds.least || v > bounds.most)
            return fprintf(stderr, "btc: error: --%s: must be a whole number from %d to %d, got \"%s\"\n",
                           o->name, bounds.least, bounds.most, value),
                   2;
        *(int *)o->to = (int)v;
        return -1;
    }
    }
    return -1;
}

static int unknown_option(const char *arg, const Option *options) {
    const char *names[MAX_OPTIONS], *start = arg + strspn(arg, "-");
    int n = 0;
    char name[128];
    for (const Option *o = options; o->name; o++) names[n++] = o->name;
    snprintf(name, sizeof name, "%.*s", (int)strcspn(start, "="), start);
    const char *near = diag_nearest(name, names, n);
    if (near) return bad("unknown option %s (did you mean --%s?)", arg, near);
    return bad("unknown option %s; --help lists them%s", arg, "");
}

/* Command lines that name an option as an older version did still work. */
static const char *present_name(const char *name, size_t *n) {
    static const char former[] = "squeeze", present[] = "compress";
    if (*n != strlen(former) || strncmp(name, former, *n)) return name;
    *n = strlen(present);
    return present;
}

int parse_options(int argc, char **argv, const char *usage, const Option *options, const char **input) {
    bool given[MAX_OPTIONS] = {false};
    bool names = false; /* behind "--" even what begins with a dash is a name */
    for (int i = 1; i < argc; i++) {
        const char *arg = argv[i];
        if (!names && !strcmp(arg, "--")) {
            names = true;
            continue;
        }
        if (!names && (!strcmp(arg, "--help") || !strcmp(arg, "-h"))) return print_help(usage, options), 0;
        if (names || arg[0] != '-' || !arg[1]) {
            if (!input || *input) return bad("unexpected argument \"%s\"%s", arg, "");
            *input = arg;
            continue;
        }
        const char *name = arg + (arg[1] == '-' ? 2 : 1);
        size_t n = strcspn(name, "=");
        size_t length = n;
        const char *wanted = present_name(name, &length);
        const Option *o = options;
        while (o->name && (strlen(o->name) != length || strncmp(o->name, wanted, length))) o++;
        if (!o->name) return unknown_option(arg, options);
        const char *value = name[n] == '=' ? name + n + 1 : NULL;
        if (o->arg && !value && i + 1 < argc) value = argv[++i];
        if (o->arg && !value) return bad("option %s needs a value: %s", arg, o->arg);
        if (!o->arg && value) return bad("option %s takes no value%s", arg, "");
        if (given[o - options]) return bad("option %s%s is given twice", o->name[1] ? "--" : "-", o->name);
        given[o - options] = true;
        int status = set_option(o, value);
        if (status >= 0) return status;
    }
    return -1;
}

int shared_options(Args *a, Option *out) {
    a->compile.threads = true;
    const Option rows[] = {
        {"arch", "NAME", "the architecture, if the checkpoint does not name it", &a->model.arch, OPT_STR, 0},
        {"describe", "FILE",
         "a description that takes its sizes from config.json, for architectures without an importer",
         &a->model.describe, OPT_STR, 0},
        {"dtype", "f32|bf16|f16", "storage of matrices (default: as in the checkpoint)", &a->model.dtype,
         OPT_STR, 0},
        {"state", "f32|bf16|f16", "numbers in states (default f32; docs/state-precision.md)",
         &a->compile.state, OPT_STR, 0},
        {"quant", "q8|q6|q4|none",
         "matrices in blocks of numbers of few bits (default: as the description says)", &a->model.quant,
         OPT_STR, 0},
        {"allow-nonfinite", NULL, "accept weights that are NaN or infinite (default: an error)",
         &a->model.allow_nonfinite, OPT_ON, 0},
        {"compress", "yes|no",
         "bf16 matrices in 12 bits a number, without loss (default: where the CPU gains by it; "
         "docs/quantization.md)",
         &a->compile.compress, OPT_STR, 0},
        {"calibration", "FILE", "scales that fit what `btc quantize --calibrate` saw (docs/quantization.md)",
         &a->model.calibration, OPT_STR, 0},
        {"math", "f32|bf16|int8",
         "arithmetic of products and attention (default: int8 for quantised weights, bf16 for those in bf16, "
         "where the CPU gains by dot products of them, else f32; docs/quantization.md)",
         &a->compile.math, OPT_STR, 0},
        {"target", "NAME", "machine to compile for (btc list targets; default: this one)", &a->compile.target,
         OPT_STR, 0},
        {"cpu", "NAME", "native (default), x86-64-v2, x86-64-v3, x86-64-v4, or a model name", &a->compile.cpu,
         OPT_STR, 0},
        {"gpu", "NAME", "GPU model for --target=nvptx64, such as sm_80", &a->compile.gpu, OPT_STR, 0},
        {"chunk", "N", "tokens that prefill runs at once (default 256)", &a->compile.chunk, OPT_INT,
         COUNTS_CHUNK},
        {"batch", "N", "most sequences in one step (default 16)", &a->compile.max_batch, OPT_INT,
         COUNTS_BATCH},
        {"forms", "all|step", "step: no code for chunks of tokens, prompts go token by token (default all)",
         &a->compile.forms, OPT_STR, 0},
        {"algorithm", "OP:FORM,..",
         "how an op computes chunks, as scan.matrix:recurrent (default: btc report says)",
         &a->compile.passes.algorithm, OPT_STR, 0},
        {"optimize", "speed|size", "what to optimise for (default speed; size for targets without a system)",
         &a->compile.optimize, OPT_STR, 0},
        {"distill-filters", "ORDER", "replace long filters by ORDER states a channel, and print the error",
         &a->compile.passes.distill_filters, OPT_INT, COUNTS_ORDER},
        {"tuning", "FILE|none", "parameters from btc tune (default: the file beside the model, if any)",
         &a->compile.tuning_file, OPT_STR, 0},
        {"print-after", "PASS", "print the IR after a pass, or after all", &a->compile.passes.print_after,
         OPT_STR, 0},
        {"stop-after", "PASS", "stop behind a pass (with --emit=ir)", &a->compile.passes.stop_after, OPT_STR,
         0},
        {"time-passes", NULL, "print the time of every pass", &a->compile.passes.time, OPT_ON, 0},
    };
    int n = sizeof rows / sizeof *rows;
    _Static_assert(sizeof rows / sizeof *rows <= MAX_OPTIONS / 2, "a command's own ones have room, too");
    memcpy(out, rows, sizeof rows);
    a->compile.passes.print_to = stderr;
    a->compile.passes.verify = true;
    return n;
}

int command_begin(int argc, char **argv, const char *usage, Option *rows, int n, const Option *own,
                  const char **input, Diag *d) {
    for (; own->name; own++) {
        if (n == MAX_OPTIONS - 1) BTC_BUG("more options than MAX_OPTIONS");
        rows[n++] = *own;
    }
    rows[n] = (Option){0};
    int status = parse_options(argc, argv, usage, rows, input);
    if (status >= 0) return status;
    *d = diag_new(arena_new(), stderr);
    d->progress = progress_new(false);
    return status;
}

int command_end(Diag *d, bool ok) {
    progress_free(d->progress);
    arena_free(d->arena);
    return diag_status(d, ok);
}

bool option_given(const Option *o) {
    if (o->kind == OPT_STR) return *(const char **)o->to != NULL;
    return o->kind == OPT_INT ? *(int *)o->to != 0 : *(bool *)o->to == (o->kind == OPT_ON);
}

int drop_option(Option *rows, int n, const char *name) {
    int kept = 0;
    for (int i = 0; i < n; i++)
        if (strcmp(rows[i].name, name)) rows[kept++] = rows[i];
    return kept;
}

bool parse_ints(Diag *d, const char *option, Counts counts, const char *text, int room, int *out, int *n) {
    Bounds bounds = bounds_of(counts);
    const char *p = text;
    for (*n = 0; *n < room; p++) {
        char *end;
        errno = 0;
        long v = strtol(p, &end, 10);
        bool digit = *p >= '0' && *p <= '9';
        if (!digit || errno || v < bounds.least || v > bounds.most || (*end && *end != ',')) break;
        out[(*n)++] = (int)v;
        if (!*end) return true;
        p = end;
    }
    return diag_usage(d, (Loc){0}, "--%s=%s: must be up to %d whole numbers from %d to %d, as in 1,2,8",
                      option, text, room, bounds.least, bounds.most);
}

void print_wrapped(int at, const char *text) {
    int col = at;
    for (const char *p = text; *p;) {
        int n = (int)strcspn(p, " ");
        if (col > at && col + 1 + n > PRINT_WIDTH) {
            printf("\n%*s", at, "");
            col = at;
        }
        col += printf("%s%.*s", col > at ? " " : "", n, p);
        p += n;
        p += strspn(p, " ");
    }
    putchar('\n');
}
