/* Prompt in, tokens out. Text models take and give bytes; others take and give token ids. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

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

/* "1,2,3" */
static bool parse_ids(const char *text, int64_t vocab, Ids *ids) {
    for (const char *p = text;;) {
        char *end;
        errno = 0;
        long long id = strtoll(p, &end, 10);
        if (end == p || errno || (*end && *end != ','))
            return fail("--ids: must be integers with commas between, got \"%s\"", text);
        if (id < 0 || id >= vocab)
            return fail("--ids: %lld is not a token id (0 to %lld)", id, (long long)vocab - 1);
        if (!add_id(ids, id)) return false;
        if (!*end) return true;
        p = end + 1;
    }
}

static bool read_ids(const Program *p, Ids *ids) {
    const btc_info *info = p->info;
    if (p->opt.ids) return parse_ids(p->opt.ids, info->vocab, ids);
    if (info->bos >= 0 && !add_id(ids, info->bos)) return false;
    if (p->opt.prompt) {
        for (const char *s = p->opt.prompt; *s; s++)
            if (!add_id(ids, (unsigned char)*s)) return false;
    } else if (info->text == BTC_TEXT_BYTES) {
        int c;
        while ((c = getc(stdin)) != EOF)
            if (!add_id(ids, c)) return false;
        if (ferror(stdin)) return fail("cannot read standard input: %s", strerror(errno));
    }
    if (ids->n == 0) { /* something must come first */
        if (info->text != BTC_TEXT_BYTES) return fail("give a prompt by --ids=1,2,3");
        return add_id(ids, '\n');
    }
    return true;
}

bool read_prompt(const Program *p, int32_t **ids, int64_t *n) {
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
    float *logits = get_memory((size_t)info->output_width * sizeof *logits);
    Sampler sampler = {.temperature = p->opt.temperature, .top_k = p->opt.top_k, .top_p = p->opt.top_p};
    sampler.items = get_memory((size_t)info->output_width * sizeof *sampler.items);
    sampler_seed(&sampler, p->opt.seed);

    double t0 = now();
    bool ok = run_rows(p, prompt.v, prompt.n, logits, NULL), began = ok;
    double t1 = now();
    int64_t made = 0, steps = 0;
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
    }
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
