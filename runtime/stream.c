/* Whole files through the model: bits per byte of a text, and models on feature rows. Both go in blocks of a
 * multiple of the chunk, so the results do not depend on the block. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "meter.h"
#include "program.h"
#include "sample.h"

enum { BLOCK_ROWS = 256, FIRST_BYTE = '\n' };

static int64_t block_rows(const btc_info *info) {
    return (BLOCK_ROWS + info->chunk - 1) / info->chunk * info->chunk;
}

static FILE *open_file(const char *name, const char *mode) {
    FILE *f = fopen(name, mode);
    if (!f) fail("cannot open %s: %s", name, strerror(errno));
    return f;
}

/* Bytes that are left of a file that knows its end; else 0. */
static int64_t size_of(FILE *f) {
    long at = ftell(f), end = at >= 0 && fseek(f, 0, SEEK_END) == 0 ? ftell(f) : at;
    return at >= 0 && fseek(f, at, SEEK_SET) == 0 && end > at ? end - at : 0;
}

static void print_rows_speed(int64_t n, double seconds) {
    fprintf(stderr, "%-8s %lld rows, %.3f s, %.1f rows/s\n", "prefill", (long long)n, seconds,
            seconds > 0 ? (double)n / seconds : 0.0);
}

/* The sequence is '\n' and then the file; every byte of the file is predicted from all before it. */
bool program_bits_per_byte(Program *p) {
    const char *name = p->opt.bits_per_byte;
    const btc_info *info = p->info;
    FILE *f = open_file(name, "rb");
    if (!f) return false;
    int64_t rows = block_rows(info), total = 0;
    unsigned char *bytes = get_memory((size_t)rows);
    int32_t *ids = get_memory((size_t)rows * sizeof *ids);
    float *logits = get_memory((size_t)(rows * info->output_width) * sizeof *logits);
    int32_t before = FIRST_BYTE;
    double bits = 0, seconds = 0;
    int64_t size = size_of(f);
    bool ok = rows_fit(p, size);
    Meter meter = meter_new(p->opt.quiet, "predicted", "bytes", size);
    for (size_t n; ok && (n = fread(bytes, 1, (size_t)rows, f)) > 0; total += (int64_t)n) {
        for (size_t i = 0; i < n; i++) ids[i] = i ? bytes[i - 1] : before;
        before = bytes[n - 1];
        double t = now();
        ok = run_rows(p, ids, (int64_t)n, NULL, logits);
        seconds += now() - t;
        for (size_t i = 0; ok && i < n; i++) {
            const float *row = logits + (int64_t)i * info->output_width;
            double more = sample_bits(row, info->output_width, bytes[i]);
            if (more != more)
                ok = fail_not_finite(p, "the byte there has no probability", total + (int64_t)i);
            if (ok) warn_of_nan(p, row, total + (int64_t)i);
            bits += more;
        }
        meter_show(&meter, total + (int64_t)n);
    }
    meter_end(&meter);
    if (ok && ferror(f)) ok = fail("cannot read %s: %s", name, strerror(errno));
    if (ok && total == 0) ok = fail("%s is empty", name);
    fclose(f);
    if (ok) {
        printf("%.6f bits per byte over %lld bytes\n", bits / (double)total, (long long)total);
        ok = finish_output(stdout, "standard output");
        if (!p->opt.quiet) print_rows_speed(total, seconds);
    }
    free(bytes);
    free(ids);
    free(logits);
    return ok;
}

bool program_features(Program *p) {
    const btc_info *info = p->info;
    const char *in_name = p->opt.input ? p->opt.input : "standard input";
    const char *out_name = p->opt.output ? p->opt.output : "standard output";
    FILE *in = p->opt.input ? open_file(p->opt.input, "rb") : stdin;
    if (!in) return false;
    FILE *out = p->opt.output ? open_file(p->opt.output, "wb") : stdout;
    if (!out) return false;
    int64_t rows = block_rows(info), total = 0;
    size_t in_bytes = (size_t)info->input_width * sizeof(float);
    size_t out_bytes = (size_t)info->output_width * sizeof(float);
    float *x = get_memory((size_t)rows * in_bytes), *y = get_memory((size_t)rows * out_bytes);
    double seconds = 0;
    int64_t size = size_of(in) / (int64_t)in_bytes;
    bool ok = rows_fit(p, size);
    Meter meter = meter_new(p->opt.quiet, "done", "rows", size);
    for (size_t got; ok && (got = fread(x, 1, (size_t)rows * in_bytes, in)) > 0;) {
        if (got % in_bytes) {
            ok = fail("%s ends inside a row (rows have %zu bytes)", in_name, in_bytes);
            break;
        }
        size_t n = got / in_bytes;
        double t = now();
        ok = run_rows(p, x, (int64_t)n, NULL, y);
        seconds += now() - t;
        total += (int64_t)n;
        if (ok && fwrite(y, out_bytes, n, out) != n) break;
        meter_show(&meter, total);
    }
    meter_end(&meter);
    if (ok && ferror(in)) ok = fail("cannot read %s: %s", in_name, strerror(errno));
    ok = finish_output(out, out_name) && ok;
    if (ok && !p->opt.quiet) print_rows_speed(total, seconds);
    free(x);
    free(y);
    return ok;
}
