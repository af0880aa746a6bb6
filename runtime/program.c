/* main() of a standalone program: loads the model and does what the command line asks for. */
#define _POSIX_C_SOURCE 200809L /* clock_gettime */
#include "program.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "meter.h"
#include "sample.h"

enum { PIECE_ROWS = 512 };

static const char *program_name = "model"; /* for messages only */

bool fail(const char *fmt, ...) {
    fflush(stdout);
    fprintf(stderr, "%s: error: ", program_name);
    va_list ap;
    va_start(ap, fmt);
    vfprintf(stderr, fmt, ap);
    va_end(ap);
    fputc('\n', stderr);
    return false;
}

void *get_memory(size_t bytes) {
    size_t whole = (bytes + 63) / 64 * 64;
    void *p = whole >= bytes ? aligned_alloc(64, whole ? whole : 64) : NULL;
    if (!p) {
        fail("out of memory: %zu bytes are needed", bytes);
        exit(1);
    }
    return p;
}

double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

bool rows_fit(const Program *p, int64_t n) {
    const btc_info *info = p->info;
    return !info->context || n <= info->context - p->api->position(&p->model, p->state) ||
           fail("%s (%lld positions)", p->api->status_text(BTC_E_LENGTH), (long long)info->context);
}

/* A long prompt in pieces, which are multiples of the chunk and so change no bit. */
static btc_status run_prompt(Program *p, const char *input, int64_t n, float *last) {
    const btc_info *info = p->info;
    int64_t piece = (PIECE_ROWS + info->chunk - 1) / info->chunk * info->chunk;
    int64_t row =
        info->kind == BTC_TOKENS ? (int64_t)sizeof(int32_t) : info->input_width * (int64_t)sizeof(float);
    Meter meter = meter_new(p->opt.quiet, "prompt", "tokens", n);
    btc_status s = BTC_OK;
    for (int64_t at = 0; at < n && s == BTC_OK; at += piece) {
        int64_t m = n - at < piece ? n - at : piece;
        s = p->api->prefill(&p->model, p->state, p->work, p->opt.threads, input + at * row, m,
                            at + m < n ? NULL : last);
        meter_show(&meter, at + m);
    }
    meter_end(&meter);
    return s;
}

bool run_rows(Program *p, const void *input, int64_t n, float *last, float *all) {
    const btc_api *api = p->api;
    if (!rows_fit(p, n)) return false;
    btc_status s = all ? api->prefill_all(&p->model, p->state, p->work, p->opt.threads, input, n, all)
                       : run_prompt(p, input, n, last);
    if (s == BTC_OK) return true;
    if (s == BTC_E_LENGTH)
        return fail("%s (%lld positions)", api->status_text(s), (long long)p->info->context);
    if (s == BTC_E_RANGE) return fail("%s (%lld ids)", api->status_text(s), (long long)p->info->vocab);
    if (s == BTC_E_THREADS) return fail("%s (--threads=%d)", api->status_text(s), (int)p->opt.threads);
    return fail("%s", api->status_text(s));
}

void warn_of_nan(Program *p, const float *logits, int64_t at) {
    if (p->warned_of_nan) return;
    int64_t n = sample_undefined(logits, p->info->output_width);
    if (!n) return;
    p->warned_of_nan = true;
    fprintf(stderr,
            "%s: warning: %lld of %lld logits for position %lld are NaN; such tokens count as impossible\n",
            p->name, (long long)n, (long long)p->info->output_width, (long long)at);
}

bool fail_not_finite(Program *p, const char *what, int64_t at) {
    p->status = EXIT_NOT_FINITE;
    return fail("the model's output for position %lld is not finite: %s", (long long)at, what);
}

bool finish_output(FILE *f, const char *name) {
    bool bad = ferror(f) != 0;
    int reason = bad ? errno : 0; /* callers come here right after a write that failed */
    if (fclose(f) != 0) bad = true, reason = errno;
    return bad ? fail("cannot write %s: %s", name, reason ? strerror(reason) : "write error") : true;
}

int main(int argc, char **argv) {
    if (argc > 0) {
        const char *slash = strrchr(argv[0], '/');
        program_name = slash ? slash + 1 : argv[0];
    }
    Program p = {.name = program_name, .api = btc_query(BTC_ABI_VERSION)};
    p.info = p.api->info;
    int status = 0;
    if (!options_read(argc, argv, p.info, &p.opt, &status)) return status;
    if (p.opt.info) {
        options_print_info(p.info, p.opt.threads);
        return finish_output(stdout, "standard output") ? 0 : 1;
    }
    btc_status s = p.api->open(&p.model, p.opt.weights, 0);
    if (s == BTC_E_CPU) return fail("%s", p.api->status_text(s)), 1;
    if (s != BTC_OK) { /* something is wrong with the weights file */
        fail("%s%s: %s; only the file that was compiled with this program fits%s",
             p.opt.weights ? p.opt.weights : p.name, p.opt.weights ? "" : ".weights", p.api->status_text(s),
             p.opt.weights ? "" : ", beside it or where --weights=FILE says");
        return 1;
    }
    p.state = get_memory((size_t)p.info->state_bytes);
    size_t work_bytes = p.api->work_bytes(p.opt.threads);
    p.work = get_memory(work_bytes);
    p.api->work_init(&p.model, p.work, work_bytes);
    p.api->init(&p.model, p.state);
    bool cut = p.info->whole && p.info->kind == BTC_TOKENS && !p.opt.dump;
    bool ok = cut                            ? fail("%s", p.api->status_text(BTC_E_WHOLE))
              : p.opt.dump                   ? program_dump(&p)
              : p.info->kind == BTC_FEATURES ? program_features(&p)
              : p.opt.bits_per_byte          ? program_bits_per_byte(&p)
                                             : program_generate(&p);
    p.api->close(&p.model);
    free(p.state);
    free(p.work);
    return ok ? 0 : p.status ? p.status : 1;
}
