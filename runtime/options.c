/* The command line of a standalone program. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* getopt_long */
#endif
#include <errno.h>
#include <getopt.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "distance.h"
#include "processors.h"
#include "program.h"

/* Threads meet many times a token. A model of a few megabytes has less to share than a meeting costs when
 * another program takes a core away in between; --threads= overrules. */
enum { MAX_DEFAULT_THREADS = 8, WEIGHTS_PER_THREAD = 8 << 20 };

enum { FOR_TOKENS = 1, FOR_FEATURES = 2, FOR_ALL = 3 };

/*    id, name, argument, kinds of model, help */
#define OPTIONS(X)                                                                                           \
    X(PROMPT, "prompt", "TEXT", FOR_TOKENS, "the text to go on from (also as an argument, or on stdin)")     \
    X(IDS, "ids", "1,2,3", FOR_TOKENS, "the prompt as token ids, @FILE or - with them; ids come out")        \
    X(TOKENS, "tokens", "N", FOR_TOKENS, "tokens to generate (default 128)")                                 \
    X(TEMPERATURE, "temperature", "T", FOR_TOKENS, "0: always the most likely token (default 1)")            \
    X(TOP_K, "top-k", "K", FOR_TOKENS, "choose among the K most likely tokens (default: all)")               \
    X(TOP_P, "top-p", "P", FOR_TOKENS, "choose among the likeliest whose share reaches P (default 1)")       \
    X(SEED, "seed", "N", FOR_TOKENS, "seed of the choices (default 0)")                                      \
    X(STOP, "stop-at-eos", NULL, FOR_TOKENS, "end at any of the model's end-of-sequence tokens")             \
    X(STREAM, "stream", NULL, FOR_TOKENS, "write every token at once (default on a terminal)")               \
    X(BITS, "bits-per-byte", "FILE", FOR_TOKENS, "how well the model predicts FILE, as one stream")          \
    X(INPUT, "input", "FILE", FOR_FEATURES, "rows of f32 values (default: stdin)")                           \
    X(OUTPUT, "output", "FILE", FOR_FEATURES, "where the output rows go (default: stdout)")                  \
    X(DUMP, "dump", "FILE", FOR_ALL, "write outputs, probes and state of the whole input to FILE, raw")      \
    X(FORM, "form", "FORM", FOR_ALL, "with --dump: chunk (default) or step")                                 \
    X(WEIGHTS, "weights", "FILE", FOR_ALL, "the weights file, when it is not beside the program")            \
    X(THREADS, "threads", "N", FOR_ALL,                                                                      \
      "(default: what cores, quotas and the size of the model allow, or OMP_NUM_THREADS)")                   \
    X(QUIET, "quiet", NULL, FOR_ALL, "do not print the speed")                                               \
    X(INFO, "info", NULL, FOR_ALL, "print facts about the model")                                            \
    X(HELP, "help", NULL, FOR_ALL, "print this")

typedef enum OptionId {
#define X(id, name, arg, kinds, help) OPT_##id,
    OPTIONS(X)
#undef X
        OPT_COUNT
} OptionId;

typedef struct OptionRow {
    const char *name, *arg;
    int kinds;
    const char *help;
} OptionRow;

static const OptionRow rows[] = {
#define X(id, name, arg, kinds, help) {name, arg, kinds, help},
    OPTIONS(X)
#undef X
};
enum { VAL = 256 }; /* getopt_long's number of row 0, beyond all letters */

/* Only for models whose tokens are bytes. */
static bool needs_text(int id) {
    return id == OPT_PROMPT || id == OPT_BITS;
}

static void print_help(const char *name, const btc_info *info) {
    bool tokens = info->kind == BTC_TOKENS;
    printf("usage: %s [options]%s\n\n", name, tokens && info->text == BTC_TEXT_BYTES ? " [PROMPT]" : "");
    if (tokens && info->text != BTC_TEXT_BYTES)
        printf("Token ids in, token ids out, by the model's own tokenizer (such as its tokenizer.json).\n\n"
               "examples:\n"
               "  %s --ids=1,2,3 --temperature=0             always the likeliest\n"
               "  %s --ids=@prompt.txt --tokens=500 --top-p=0.9 --seed=7\n"
               "  echo 1,2,3 | %s --stop-at-eos\n",
               name, name, name);
    else if (tokens)
        printf("examples:\n"
               "  %s \"In the beginning\"                      go on from a text\n"
               "  %s --ids=1,2,3 --temperature=0             token ids in and out, always the likeliest\n"
               "  %s --tokens=500 --top-p=0.9 --seed=7 < text\n"
               "  %s --bits-per-byte=heldout.txt\n",
               name, name, name, name);
    else
        printf("One row of %lld f32 values per time step in, one row of %lld out, as raw bytes.\n\n"
               "examples:\n"
               "  %s < in.f32 > out.f32\n"
               "  %s --input=in.f32 --output=out.f32 --threads=2\n",
               (long long)info->input_width, (long long)info->output_width, name, name);
    printf("\noptions:\n");
    for (int i = 0; i < OPT_COUNT; i++) {
        const OptionRow *r = &rows[i];
        char left[64];
        snprintf(left, sizeof left, "--%s%s%s", r->name, r->arg ? "=" : "", r->arg ? r->arg : "");
        if (needs_text(i) && info->text != BTC_TEXT_BYTES) continue;
        if (r->kinds & (tokens ? FOR_TOKENS : FOR_FEATURES)) printf("  %-22s %s\n", left, r->help);
    }
    printf("\nexit status: 0, or 1 after an error, 2 where the command line is wrong%s\n",
           tokens ? ",\n3 where the model's output is not finite, so that no token can be chosen" : "");
}

static bool read_int(const char *name, const char *text, int64_t min, int64_t max, int64_t *out) {
    char *end;
    errno = 0;
    long long v = strtoll(text, &end, 10);
    if (end == text || *end || errno || v < min || v > max)
        return fail("--%s: must be an integer from %lld to %lld, got \"%s\"", name, (long long)min,
                    (long long)max, text);
    *out = v;
    return true;
}

static bool read_real(const char *name, const char *text, double min, double max, double *out) {
    char *end;
    double v = strtod(text, &end);
    if (end == text || *end || !(v >= min && v <= max))
        return fail("--%s: must be a number from %g to %g, got \"%s\"", name, min, max, text);
    *out = v;
    return true;
}

/* Where an option without further rules is stored: a string, or for one without a value a bool. */
static const struct {
    OptionId id;
    size_t offset;
} PLAIN[] = {
#define PLACE(id, field)                                                                                     \
    { OPT_##id, offsetof(Options, field) }
    PLACE(PROMPT, prompt), PLACE(IDS, ids),     PLACE(BITS, bits_per_byte), PLACE(INPUT, input),
    PLACE(OUTPUT, output), PLACE(DUMP, dump),   PLACE(FORM, form),          PLACE(WEIGHTS, weights),
    PLACE(STREAM, stream), PLACE(QUIET, quiet), PLACE(STOP, stop_at_eos),   PLACE(INFO, info),
#undef PLACE
};

static bool read_option(OptionId id, const char *arg, Options *o) {
    int64_t v = 0;
    for (size_t i = 0; i < sizeof PLAIN / sizeof *PLAIN; i++) {
        char *to = (char *)o + PLAIN[i].offset;
        if (PLAIN[i].id != id) continue;
        if (arg)
            *(const char **)(void *)to = arg;
        else
            *(bool *)to = true;
        return true;
    }
    switch (id) {
    case OPT_TOKENS:
        o->tokens_given = true;
        return read_int("tokens", arg, 0, INT64_MAX / 2, &o->tokens);
    case OPT_TEMPERATURE:
        return read_real("temperature", arg, 0, 1000, &o->temperature);
    case OPT_TOP_K:
        return read_int("top-k", arg, 0, INT32_MAX, &o->top_k);
    case OPT_TOP_P:
        return read_real("top-p", arg, 0, 1, &o->top_p);
    case OPT_SEED:
        if (!read_int("seed", arg, INT64_MIN, INT64_MAX, &v)) return false;
        o->seed = (uint64_t)v;
        return true;
    default: /* OPT_THREADS */
        if (!read_int("threads", arg, 1, BTC_MAX_THREADS, &v)) return false;
        o->threads = (int32_t)v;
        return true;
    }
}

static bool options_agree(const Options *o, const btc_info *info) {
    if (!!o->prompt + !!o->ids + !!o->bits_per_byte > 1)
        return fail("give one of PROMPT, --ids and --bits-per-byte");
    if (o->form && strcmp(o->form, "chunk") && strcmp(o->form, "step"))
        return fail("--form: must be chunk or step, got \"%s\"", o->form);
    if (o->form && !o->dump) return fail("--form: only together with --dump");
    if (o->dump && o->bits_per_byte) return fail("give one of --dump and --bits-per-byte");
    if (o->prompt && info->text != BTC_TEXT_BYTES)
        return fail(
            "this model does not take text; give token ids by --ids=1,2,3, as the model's tokenizer makes "
            "them");
    if (o->bits_per_byte && info->text != BTC_TEXT_BYTES)
        return fail("--bits-per-byte: only for models whose tokens are bytes");
    if (o->stop_at_eos && info->eos_count == 0)
        return fail("--stop-at-eos: the model has no end-of-sequence token");
    return true;
}

/* The first number of a variable of OpenMP; 0: it is not set, or to nothing of sense. */
static int64_t omp_number(const char *variable) {
    const char *text = getenv(variable);
    char *end;
    long long v = text ? strtoll(text, &end, 10) : 0;
    if (v < 1 || (*end && *end != ',' && *end != ' ')) return 0;
    return v < BTC_MAX_THREADS ? v : BTC_MAX_THREADS;
}

static int32_t default_threads(const btc_info *info) {
    int64_t asked = omp_number("OMP_NUM_THREADS"), limit = omp_number("OMP_THREAD_LIMIT");
    int64_t n = usable_processors(), worth = info->weights_bytes / WEIGHTS_PER_THREAD + 1;
    if (n > MAX_DEFAULT_THREADS) n = MAX_DEFAULT_THREADS;
    if (n > worth) n = worth;
    if (asked) n = asked;
    if (limit && n > limit) n = limit;
    return (int32_t)n;
}

/* What getopt did not like; false. */
static bool wrong_option(const char *arg, bool no_value) {
    if (no_value) return fail("%s needs a value; --help lists the options", arg);
    char name[64];
    snprintf(name, sizeof name, "%s", arg + strspn(arg, "-"));
    name[strcspn(name, "=")] = 0;
    const char *near = NULL;
    int best = strlen(name) < 6 ? 1 : strlen(name) < 9 ? 2 : (int)strlen(name) / 4;
    for (int i = 0; i < OPT_COUNT; i++) {
        int d = word_distance(name, rows[i].name);
        if (!d) return fail("--%s takes no value", name);
        if (d <= best && (!near || d < best)) best = d, near = rows[i].name;
    }
    if (near) return fail("unknown option %s (did you mean --%s?)", arg, near);
    return fail("unknown option %s; --help lists them", arg);
}

bool options_read(int argc, char **argv, const btc_info *info, Options *o, int *status) {
    struct option all[OPT_COUNT + 1] = {{0}};
    for (int i = 0; i < OPT_COUNT; i++)
        all[i] = (struct option){rows[i].name, rows[i].arg ? required_argument : no_argument, NULL, VAL + i};
    *o = (Options){.tokens = 128, .temperature = 1, .top_p = 1};
    o->threads = default_threads(info);
    o->stream = isatty(1) == 1;
    *status = 2;
    bool given[OPT_COUNT] = {false};
    int kind = info->kind == BTC_TOKENS ? FOR_TOKENS : FOR_FEATURES, c;
    while ((c = getopt_long(argc, argv, ":h", all, NULL)) != -1) {
        if (c == VAL + OPT_HELP || c == 'h') {
            print_help(argv[0], info);
            *status = finish_output(stdout, "standard output") ? 0 : 1;
            return false;
        }
        if (c == '?' || c == ':') return wrong_option(argv[optind - 1], c == ':');
        if (!(rows[c - VAL].kinds & kind))
            return fail("--%s: not for this kind of model", rows[c - VAL].name);
        if (given[c - VAL]) return fail("--%s: is given twice", rows[c - VAL].name);
        given[c - VAL] = true;
        if (!read_option((OptionId)(c - VAL), optarg, o)) return false;
    }
    if (optind < argc && kind == FOR_TOKENS && !o->prompt) o->prompt = argv[optind++];
    if (optind < argc)
        return fail("unexpected argument \"%s\" (quote a prompt of several words)", argv[optind]);
    return options_agree(o, info);
}

void options_print_info(const btc_info *info, int32_t threads) {
    printf("name           %s\n", info->name);
    printf("target         %s, %s\n", info->target, info->cpu);
    if (info->kind == BTC_TOKENS)
        printf("input          token ids below %lld%s\n", (long long)info->vocab,
               info->text == BTC_TEXT_BYTES ? " (bytes of text)" : "");
    else
        printf("input          %lld f32 values per row\n", (long long)info->input_width);
    printf("output         %lld f32 values per row\n", (long long)info->output_width);
    if (info->bos >= 0) printf("begins with    %lld\n", (long long)info->bos);
    for (int64_t i = 0; i < info->eos_count; i++)
        printf(i ? ", %lld" : "ends with      %lld", (long long)info->eos_ids[i]);
    if (info->eos_count) putchar('\n');
    printf("layers         %lld\n", (long long)info->layers);
    printf("parameters     %lld\n", (long long)info->parameters);
    printf("weights        %lld bytes\n", (long long)info->weights_bytes);
    if (info->context)
        printf("context        %lld%s\n", (long long)info->context,
               info->whole ? ", whole sequences only" : "");
    else
        printf("context        unlimited\n");
    printf("chunk          %lld\n", (long long)info->chunk);
    printf("largest batch  %lld\n", (long long)info->max_batch);
    printf("threads        %d\n", threads);
    printf("fingerprint    %016llx\n", (unsigned long long)info->fingerprint);
    printf("state          %lld bytes\n", (long long)info->state_bytes);
    for (int64_t i = 0; i < info->slot_count; i++) {
        const btc_slot *s = &info->slots[i];
        printf("  %-28s %s %s, %lld bytes at %lld\n", s->name, s->dtype, s->layout, (long long)s->bytes,
               (long long)s->offset);
    }
}
