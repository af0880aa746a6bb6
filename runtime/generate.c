/* Prompt in, tokens out. Text models take and give bytes; others take and give token ids. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "meter.h"
#include "program.h"
#include "sample.h"

typedef struct Ids {
    int32_t *v;
    int64_t n, cap;
} Ids;

static bool add_id(Ids *ids, int64_t id) {
    if (ids->n == ids->cap) {
        ids->cap = ids->cap ? 2 * ids->cap : 1024;
        int32_t *v = realloc(ids->v, (size_t)ids->cap * sizeof *v);
        if (!v) return fail("out of memory for a prompt of %lld tokens", (long long)ids->n);
        ids->v = v;
    }
    ids->v[ids->n++] = (int32_t)id;
    return true;
}

/* A mistake in the prompt is one in the command line. */
#define WRONG(p, ...) ((p)->status = 2, fail(__VA_ARGS__))

/* "1,2,3", in files also with blanks and new lines between. from: for messages. */
static bool parse_ids(Program *p, const char *text, const char *from, bool file, Ids *ids) {
    const char *blanks = file ? " \t\r\n" : "";
    for (const char *s = text + strspn(text, blanks); *s || !ids->n;) {
        char *end;
        errno = 0;
        long long id = strtoll(s, &end, 10);
        const char *next = end + strspn(end, blanks);
        bool more = *next == ',' || (file && next > end && *next);
        if (end == s || errno || (*next && !more))
            return WRONG(p, "%s: must be integers with commas between, got \"%.*s\"", from,
                         (int)strcspn(s, "\r\n"), s);
        if (id < 0 || id >= p->info->vocab)
            return WRONG(p, "%s: %lld is not a token id (0 to %lld)", from, id,
                         (long long)p->info->vocab - 1);
        if (!add_id(ids, id)) return false;
        bool comma = *next == ',';
        s = next + comma;
        s += strspn(s, blanks);
        if (comma && !*s && !file)
            return WRONG(p, "%s: must be integers with commas between, got \"%.40s\"", from, text);
    }
    return true;
}

/* The rest of a file as a text; NULL: a message is printed. */
static char *read_all(FILE *f, const char *name) {
    size_t n = 0, room = 4096;
    char *text = malloc(room), *more;
    while (text) {
        n += fread(text + n, 1, room - n - 1, f);
        if (n < room - 1) break;
        more = realloc(text, room *= 2);
        if (!more) free(text);
        text = more;
    }
    if (!text) return fail("out of memory for %s", name), NULL;
    text[n] = 0;
    if (!ferror(f)) return text;
    fail("cannot read %s: %s", name, strerror(errno));
    free(text);
    return NULL;
}

/* needed: nothing in it is a mistake. */
static bool file_ids(Program *p, FILE *f, const char *name, bool needed, Ids *ids) {
    char *text = read_all(f, name);
    bool empty = text && !text[strspn(text, " \t\r\n")];
    bool ok = text && ((empty && !needed) || parse_ids(p, text, name, true, ids));
    free(text);
    return ok;
}

/* --ids=1,2,3, --ids=@FILE, --ids=- */
static bool given_ids(Program *p, Ids *ids) {
    const char *given = p->opt.ids;
    if (!strcmp(given, "-")) return file_ids(p, stdin, "standard input", true, ids);
    if (*given != '@') return parse_ids(p, given, "--ids", false, ids);
    FILE *f = fopen(given + 1, "r");
    if (!f) return fail("--ids: cannot open %s: %s", given + 1, strerror(errno));
    bool ok = file_ids(p, f, given + 1, true, ids);
    fclose(f);
    return ok;
}

/* Text for who takes text, else ids. */
static bool read_standard_input(Program *p, Ids *ids) {
    if (p->info->text != BTC_TEXT_BYTES)
        return isatty(0) == 1 || file_ids(p, stdin, "standard input", false, ids);
    int c;
    while ((c = getc(stdin)) != EOF)
        if (!add_id(ids, c)) return false;
    return !ferror(stdin) || fail("cannot read standard input: %s", strerror(errno));
}

static bool read_ids(Program *p, Ids *ids) {
    const btc_info *info = p->info;
    if (p->opt.ids) return given_ids(p, ids);
    if (info->bos >= 0 && info->text == BTC_TEXT_BYTES && !add_id(ids, info->bos)) return false;
    if (p->opt.prompt) {
        for (const char *s = p->opt.prompt; *s; s++)
            if (!add_id(ids, (unsigned char)*s)) return false;
    } else if (!read_standard_input(p, ids)) {
        return false;
    }
    if (ids->n) return true; /* something must come first */
    if (info->text == BTC_TEXT_BYTES) return add_id(ids, '\n');
    return info->bos >= 0 ? add_id(ids, info->bos)
                          : WRONG(p, "give a prompt by --ids=1,2,3, or ids on standard input");
}

bool read_prompt(Program *p, int32_t **ids, int64_t *n) {
    Ids list = {0};
    bool ok = read_ids(p, &list);
    *ids = list.v, *n = list.n;
    return ok;
}

static bool ends(const btc_info *info, int32_t id) {
    for (int64_t i = 0; i < info->eos_count; i++)
        if (info->eos_ids[i] == id) return true;
    return false;
}

static void write_token(const Program *p, int32_t id, int64_t index) {
    if (p->info->text == BTC_TEXT_BYTES && !p->opt.ids) {
        if (!ends(p->info, id) || id == '\n') putchar(id & 255);
    } else {
        printf(index ? ",%d" : "%d", id);
    }
    if (p->opt.stream) fflush(stdout);
}

static void print_speed(const char *what, int64_t n, double seconds) {
    if (n > 0)
        fprintf(stderr, "%-8s %lld tokens, %.3f s, %.1f tokens/s\n", what, (long long)n, seconds,
                seconds > 0 ? (double)n / seconds : 0.0);
}

bool program_generate(Program *p) {
    const btc_info *info = p->info;
    Ids prompt;
    if (!read_prompt(p, &prompt.v, &prompt.n)) return false;
    /* what was asked for must fit; where an end may come first, or nothing was said, it is tried */
    int64_t asked = p->opt.tokens_given && !p->opt.stop_at_eos && p->opt.tokens > 0 ? p->opt.tokens - 1 : 0;
    if (!rows_fit(p, prompt.n + asked)) return free(prompt.v), false;
    float *logits = get_memory((size_t)info->output_width * sizeof *logits);
    Sampler sampler = {.temperature = p->opt.temperature, .top_k = p->opt.top_k, .top_p = p->opt.top_p};
    sampler.items = get_memory((size_t)info->output_width * sizeof *sampler.items);
    sampler_seed(&sampler, p->opt.seed);

    double t0 = now();
    bool ok = run_rows(p, prompt.v, prompt.n, logits, NULL), began = ok;
    double t1 = now();
    int64_t made = 0, steps = 0;
    Meter meter = meter_new(p->opt.quiet || p->opt.stream, "decode", "tokens", p->opt.tokens);
    while (ok && made < p->opt.tokens) {
        int64_t at = prompt.n + made;
        int32_t id = sampler_pick(&sampler, logits, info->output_width);
        if (id < 0) ok = fail_not_finite(p, "no token can be chosen", at);
        if (id < 0) break;
        warn_of_nan(p, logits, at);
        if (p->opt.stop_at_eos && ends(info, id)) break;
        write_token(p, id, made);
        if (++made == p->opt.tokens || ferror(stdout)) break;
        btc_status s = p->api->step(&p->model, &p->state, 1, p->work, p->opt.threads, &id, logits);
        if (s != BTC_OK) ok = fail("%s", p->api->status_text(s));
        steps++;
        meter_show(&meter, made);
    }
    meter_end(&meter);
    double t2 = now();
    if (made) putchar('\n');
    ok = finish_output(stdout, "standard output") && ok;
    if (began && !p->opt.quiet) {
        print_speed("prefill", prompt.n, t1 - t0);
        print_speed("decode", steps, t2 - t1);
    }
    free(prompt.v);
    free(logits);
    free(sampler.items);
    return ok;
}
