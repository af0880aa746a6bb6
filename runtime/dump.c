/* --dump=FILE: all that the model computes for one sequence, for `btc verify` on another machine. The file:
 *     outputs     f32 [rows, output_width]
 *     probes        f32 [rows, width], one after the other, in the order of info->probes
 *     the state   state_bytes bytes, after the last row */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "meter.h"
#include "program.h"

/* Whole input file as rows of features. */
static bool read_features(const Program *p, float **x, int64_t *rows) {
    const char *name = p->opt.input ? p->opt.input : "standard input";
    FILE *f = p->opt.input ? fopen(p->opt.input, "rb") : stdin;
    if (!f) return fail("cannot open %s: %s", name, strerror(errno));
    size_t row = (size_t)p->info->input_width * sizeof(float), size = 0, room = 0, got;
    char *data = NULL;
    do {
        if (size == room) {
            room = room ? 2 * room : 1 << 16;
            char *more = realloc(data, room);
            if (!more) return free(data), fail("out of memory for %s", name);
            data = more;
        }
        got = fread(data + size, 1, room - size, f);
        size += got;
    } while (got);
    bool bad = ferror(f) != 0;
    fclose(f);
    *x = (float *)(void *)data, *rows = (int64_t)(size / row);
    if (bad) return fail("cannot read %s: %s", name, strerror(errno));
    return size % row ? fail("%s ends inside a row (rows have %zu bytes)", name, row) : true;
}

/* out: the output's buffer and then the probes', each for all rows. */
static btc_status run_all(Program *p, const void *input, int64_t n, float **out) {
    const btc_info *info = p->info;
    if (!p->opt.form || strcmp(p->opt.form, "step"))
        return p->api->prefill_probes(&p->model, p->state, p->work, p->opt.threads, input, n, out[0],
                                      out + 1);
    int64_t bytes =
        info->kind == BTC_FEATURES ? info->input_width * (int64_t)sizeof(float) : (int64_t)sizeof(int32_t);
    btc_status s = BTC_OK;
    Meter meter = meter_new(p->opt.quiet, "done", "rows", n);
    for (int64_t t = 0; t < n && s == BTC_OK; t++) {
        meter_show(&meter, t);
        s = p->api->step_probes(&p->model, &p->state, 1, p->work, p->opt.threads,
                                (const char *)input + t * bytes, out[0], out + 1);
        out[0] += info->output_width;
        for (int64_t i = 0; i < info->probe_count; i++) out[i + 1] += info->probes[i].width;
    }
    meter_end(&meter);
    return s;
}

bool program_dump(Program *p) {
    const btc_info *info = p->info;
    int32_t *ids = NULL;
    float *x = NULL;
    int64_t n = 0, width = info->output_width;
    bool ok = info->kind == BTC_FEATURES ? read_features(p, &x, &n) : read_prompt(p, &ids, &n);
    if (ok && n == 0) ok = fail("--dump: the input is empty");
    ok = ok && rows_fit(p, n);
    FILE *f = ok ? fopen(p->opt.dump, "wb") : NULL; /* before the work, which may be long */
    if (ok && !f) ok = fail("cannot open %s: %s", p->opt.dump, strerror(errno));
    for (int64_t i = 0; i < info->probe_count; i++) width += info->probes[i].width;
    float *all = get_memory((size_t)(n * width) * sizeof *all), *at = all;
    float **out = get_memory((size_t)(info->probe_count + 1) * sizeof *out);
    for (int64_t i = 0; i <= info->probe_count; i++) {
        out[i] = at;
        at += n * (i ? info->probes[i - 1].width : info->output_width);
    }
    if (ok) {
        btc_status s = run_all(p, x ? (const void *)x : ids, n, out);
        if (s != BTC_OK) ok = fail("%s", p->api->status_text(s));
    }
    if (f && !ok) fclose(f);
    if (ok) {
        fwrite(all, sizeof *all, (size_t)(n * width), f);
        fwrite(p->state, 1, (size_t)info->state_bytes, f);
        ok = finish_output(f, p->opt.dump);
    }
    free(ids);
    free(x);
    free(all);
    free(out);
    return ok;
}
