/* The program of a model without a C library: token ids in, the likeliest ids after them out; or, for
 * `btc verify`, all that the model computes for one sequence (the file that dump.c describes).
 *     model --ids=1,2,3 [--tokens=N]
 *     model --ids=1,2,3 | --input=FILE  --dump=FILE [--form=step|chunk] */
#include "bare.h"

#include "btc.h"

typedef struct Run {
    const btc_api *api;
    const btc_info *info;
    btc_model model;
    void *state, *work;
    const char *ids, *input, *dump, *form, *tokens;
    char *rows; /* of the input */
    int64_t n;
} Run;

static size_t length(const char *s) {
    size_t n = 0;
    while (s[n]) n++;
    return n;
}

static bool equal(const char *s, const char *t) {
    while (*s && *s == *t) s++, t++;
    return *s == *t;
}

static bool fail(const char *what, const char *about) {
    static const char before[] = "error: ";
    bare_write(BARE_ERR, before, sizeof before - 1);
    bare_write(BARE_ERR, what, length(what));
    bare_write(BARE_ERR, about, length(about));
    bare_write(BARE_ERR, "\n", 1);
    return false;
}

/* "--ids=1,2" -> "1,2" */
static const char *value_of(const char *arg, const char *option) {
    while (*option && *arg == *option) arg++, option++;
    return *option || *arg != '=' ? 0 : arg + 1;
}

static bool read_options(Run *r, int argc, char **argv) {
    const char *const names[] = {"--ids", "--input", "--dump", "--form", "--tokens"};
    const char **const to[] = {&r->ids, &r->input, &r->dump, &r->form, &r->tokens};
    for (int i = 1; i < argc; i++) {
        int k = 0;
        while (k < 5 && !value_of(argv[i], names[k])) k++;
        if (k == 5) return fail("options are --ids, --input, --dump, --form and --tokens, not ", argv[i]);
        *to[k] = value_of(argv[i], names[k]);
    }
    if (r->form && !equal(r->form, "step") && !equal(r->form, "chunk"))
        return fail("--form must be step or chunk, not ", r->form);
    bool tokens = r->info->kind == BTC_TOKENS;
    if (!tokens && !r->dump) return fail("a model of features only writes --dump=FILE", "");
    if (!(tokens ? r->ids : r->input)) return fail(tokens ? "give --ids=1,2,3" : "give --input=FILE", "");
    return true;
}

/* Whole numbers below `limit` with commas between, into out unless it is NULL; how many, -1: they are not. */
static int64_t read_numbers(const char *s, int64_t limit, int32_t *out) {
    for (int64_t n = 1;; n++) {
        int64_t v = 0;
        if (*s < '0' || *s > '9') return -1;
        for (; *s >= '0' && *s <= '9'; s++)
            if ((v = 10 * v + (*s - '0')) >= limit) return -1;
        if (out) out[n - 1] = (int32_t)v;
        if (!*s) return n;
        if (*s++ != ',') return -1;
    }
}

static bool read_ids(Run *r) {
    r->n = read_numbers(r->ids, r->info->vocab, 0);
    if (r->n < 0) return fail("--ids must be token ids with commas between, not ", r->ids);
    r->rows = bare_memory((size_t)r->n * sizeof(int32_t));
    if (!r->rows) return fail("out of memory", "");
    read_numbers(r->ids, r->info->vocab, (int32_t *)(void *)r->rows);
    return true;
}

/* The file is read twice: its length is not known before. */
static bool read_input(Run *r) {
    size_t row = (size_t)r->info->input_width * sizeof(float), size = 0;
    for (int pass = 0; pass < 2; pass++) {
        char part[512];
        intptr_t file = bare_open(r->input, false), got;
        if (file < 0) return fail("cannot open ", r->input);
        if (pass && !(r->rows = bare_memory(size))) return fail("out of memory", "");
        for (size_t at = 0; (got = bare_read(file, part, sizeof part)) > 0; at += (size_t)got) {
            if (!pass) size += (size_t)got;
            for (intptr_t i = 0; pass && i < got && at + (size_t)i < size; i++)
                r->rows[at + (size_t)i] = part[i];
        }
        bare_close(file);
    }
    r->n = (int64_t)(size / row);
    return (size && size % row == 0) || fail("does not hold whole rows: ", r->input);
}

static bool check(const Run *r, btc_status s) {
    return s == BTC_OK || fail(r->api->status_text(s), "");
}

/* out: the output's buffer and then the probes', each for all rows. */
static btc_status run_all(Run *r, float **out) {
    const btc_info *info = r->info;
    if (!r->form || equal(r->form, "chunk"))
        return r->api->prefill_probes(&r->model, r->state, r->work, 1, r->rows, r->n, out[0], out + 1);
    size_t row = info->kind == BTC_TOKENS ? sizeof(int32_t) : (size_t)info->input_width * sizeof(float);
    btc_status s = BTC_OK;
    for (int64_t t = 0; t < r->n && s == BTC_OK; t++) {
        s = r->api->step_probes(&r->model, &r->state, 1, r->work, 1, r->rows + (size_t)t * row, out[0],
                                out + 1);
        out[0] += info->output_width;
        for (int64_t i = 0; i < info->probe_count; i++) out[i + 1] += info->probes[i].width;
    }
    return s;
}

static bool dump(Run *r) {
    const btc_info *info = r->info;
    int64_t width = info->output_width;
    for (int64_t i = 0; i < info->probe_count; i++) width += info->probes[i].width;
    size_t bytes = (size_t)(r->n * width) * sizeof(float);
    float *all = bare_memory(bytes), **out = bare_memory((size_t)(info->probe_count + 1) * sizeof *out);
    if (!all || !out) return fail("out of memory", "");
    float *at = all;
    for (int64_t i = 0; i <= info->probe_count; i++) {
        out[i] = at;
        at += r->n * (i ? info->probes[i - 1].width : info->output_width);
    }
    if (!check(r, run_all(r, out))) return false;
    intptr_t file = bare_open(r->dump, true);
    if (file < 0) return fail("cannot open ", r->dump);
    bool ok = bare_write(file, all, bytes) && bare_write(file, r->state, (size_t)info->state_bytes);
    return (bare_close(file) && ok) || fail("cannot write ", r->dump);
}

static void print_id(int32_t id, char before) {
    char text[16], *p = text + sizeof text;
    uint32_t v = (uint32_t)id;
    do *--p = (char)('0' + v % 10);
    while (v /= 10);
    if (before) *--p = before;
    bare_write(BARE_OUT, p, (size_t)(text + sizeof text - p));
}

/* NaN and -Inf are never chosen; -1: no finite number is there, or an infinite one. */
static int32_t likeliest(const float *logits, int64_t n) {
    int32_t best = -1;
    for (int32_t i = 0; i < n; i++)
        if (best < 0 ? logits[i] > -__builtin_inff() : logits[i] > logits[best]) best = i;
    return best >= 0 && logits[best] < __builtin_inff() ? best : -1;
}

static bool generate(Run *r) {
    enum { MOST = 1 << 30 };
    int32_t tokens = 16, id;
    if (r->tokens && read_numbers(r->tokens, MOST, &tokens) != 1)
        return fail("--tokens must be a whole number, not ", r->tokens);
    if (r->info->whole) return check(r, BTC_E_WHOLE);
    float *logits = bare_memory((size_t)r->info->output_width * sizeof *logits);
    if (!logits) return fail("out of memory", "");
    btc_status s = r->api->prefill(&r->model, r->state, r->work, 1, r->rows, r->n, logits);
    for (int32_t i = 0; i < tokens && check(r, s); i++) {
        if ((id = likeliest(logits, r->info->output_width)) < 0)
            return fail("the output is not finite: no token can be chosen", "");
        print_id(id, i ? ',' : 0);
        s = i + 1 < tokens ? r->api->step(&r->model, &r->state, 1, r->work, 1, &id, logits) : BTC_OK;
    }
    bare_write(BARE_OUT, "\n", 1);
    return s == BTC_OK;
}

int bare_main(int argc, char **argv) {
    Run r = {.api = btc_query(BTC_ABI_VERSION)};
    r.info = r.api->info;
    if (!read_options(&r, argc, argv)) return 2;
    size_t work = r.api->work_bytes(1);
    r.state = bare_memory((size_t)r.info->state_bytes), r.work = bare_memory(work);
    if (!r.state || !r.work) return fail("out of memory", ""), 1;
    bool ok = check(&r, r.api->open(&r.model, 0, 0)) && check(&r, r.api->init(&r.model, r.state)) &&
              check(&r, r.api->work_init(&r.model, r.work, work)) &&
              (r.info->kind == BTC_TOKENS ? read_ids(&r) : read_input(&r)) &&
              (r.dump ? dump(&r) : generate(&r));
    return ok ? 0 : 1;
}
