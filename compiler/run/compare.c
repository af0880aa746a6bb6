/* See compare.h. */
#include "compare.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "session.h"

enum { ROWS = 128 }; /* tokens between two looks; in chunks, a multiple of the chunk */

/* One variant, compiled. */
typedef struct Runner {
    Session session;
    bool opened;
    void *state, *work;
    float *out; /* [rows, width] */
} Runner;

typedef struct Run {
    Diag *d;
    const CompareOptions *o;
    Comparison *to;
    Runner runner[COMPARE_MOST];
    int n;
    const btc_info *info; /* of the first */
    int64_t rows, row_bytes;
    Tokens input;           /* one row more than the last length: the next token of the last */
    double *p, *q;          /* [width]: distributions */
    double square, against; /* sums for ComparePoint.error */
} Run;

/* ---- opening ---- */

static void *block(size_t n) {
    return aligned_alloc(64, (n + 63) / 64 * 64);
}

/* The lengths that the model can reach: ours are cut to its context, the user's must fit. */
static bool choose_lengths(Run *r) {
    Comparison *f = r->to;
    int64_t context = model_longest(&r->runner[0].session.model), most = context ? context : INT32_MAX;
    for (int i = 0; i < r->o->nlengths; i++) {
        int n = r->o->lengths[i];
        if (n > most && r->o->asked)
            return diag_usage(r->d, (Loc){0},
                              "--tokens: %d tokens, but a sequence of this model has at most %lld", n,
                              (long long)most);
        if (n > most) n = (int)most;
        if (f->nlengths && n <= f->lengths[f->nlengths - 1]) {
            if (r->o->asked) return diag_usage(r->d, (Loc){0}, "--tokens: must ascend; %d does not", n);
            continue;
        }
        f->lengths[f->nlengths++] = n;
    }
    return true;
}

static bool read_input(Run *r, Arena *a) {
    Comparison *f = r->to;
    int64_t n = f->lengths[f->nlengths - 1] + 1;
    return tokens_read(r->d, a, r->runner[0].session.model.module, &r->o->source, n, n, &r->input);
}

static bool open_runner(Run *r, Arena *a, const char *path, const Variant *o) {
    Runner *x = &r->runner[r->n++];
    VerifyOptions v = {.form = "chunk", .threads = r->o->threads};
    v.compile = o->compile, v.model = o->model, v.compile.max_batch = 1;
    x->opened = true;
    if (!session_open(&x->session, r->d, a, path, &v, PROBES_NONE)) return false;
    const Op *whole = whole_reader(x->session.model.module);
    if (whole)
        return diag_error(
            r->d, whole->loc,
            "%s needs whole sequences: what piles up over a sequence that goes on cannot be measured",
            whole->def->name);
    if (r->n == 1 && !(choose_lengths(r) && read_input(r, a))) return false; /* before the work */
    if (!session_compile(&x->session)) return false;
    const btc_api *api = x->session.api;
    if (api->info->probe_count)
        return diag_error(r->d, (Loc){.file = path},
                          "exposes values (\"expose\"): it can be checked, not compared");
    x->state = block((size_t)api->info->state_bytes), x->work = block(api->work_bytes(r->o->threads));
    if (!x->state || !x->work) return diag_error(r->d, (Loc){0}, "no memory for a sequence");
    api->work_init(&x->session.handle, x->work, api->work_bytes(r->o->threads));
    r->to->state_bytes[r->n - 1] = api->info->state_bytes;
    r->to->weights_bytes[r->n - 1] = api->info->weights_bytes;
    return api->init(&x->session.handle, x->state) == BTC_OK;
}

static void close_runners(Run *r) {
    for (int i = 0; i < r->n; i++) {
        Runner *x = &r->runner[i];
        free(x->state), free(x->work), free(x->out);
        if (x->opened) session_close(&x->session);
    }
}

static bool prepare(Run *r, Arena *a) {
    const btc_info *i = r->info = r->runner[0].session.api->info;
    Comparison *f = r->to;
    f->name = arena_strdup(a, i->name), f->tokens = i->kind == BTC_TOKENS,
    f->text = r->o->source.text || r->o->source.input;
    r->row_bytes = f->tokens ? 4 : 4 * i->input_width;
    r->rows = r->o->steps ? ROWS : (ROWS + i->chunk - 1) / i->chunk * i->chunk;
    r->p = ARENA_ARRAY(a, double, i->output_width), r->q = ARENA_ARRAY(a, double, i->output_width);
    for (int k = 0; k < r->n; k++) {
        r->runner[k].out = malloc(sizeof(float) * (size_t)(r->rows * i->output_width));
        if (!r->runner[k].out)
            return diag_error(r->d, (Loc){0}, "no memory for %lld outputs", (long long)r->rows);
    }
    return true;
}

/* ---- comparing ---- */

/* Probabilities of the logits x. */
static void softmax(double *p, const float *x, int64_t n) {
    double most = -INFINITY, sum = 0;
    for (int64_t i = 0; i < n; i++) most = fmax(most, (double)x[i]);
    for (int64_t i = 0; i < n; i++) sum += p[i] = exp((double)x[i] - most);
    for (int64_t i = 0; i < n; i++) p[i] /= sum;
}

static int64_t likeliest(const double *p, int64_t n) {
    int64_t best = 0;
    for (int64_t i = 1; i < n; i++)
        if (p[i] > p[best]) best = i;
    return best;
}

/* An infinity below is a token that cannot come. */
static bool is_finite(const float *x, int64_t n) {
    for (int64_t i = 0; i < n; i++)
        if (!(x[i] < INFINITY)) return false;
    return true;
}

/* Rows of the outputs of tokens from `at` on. */
static void look_for_infinities(Run *r, int64_t at, int64_t n) {
    int64_t width = r->info->output_width;
    for (int s = 0; s < r->n; s++)
        for (int64_t t = 0; t < n && r->to->not_finite[s] < 0; t++)
            if (!is_finite(r->runner[s].out + t * width, width)) r->to->not_finite[s] = at + t;
}

/* Adds token `at`, row `row` of the outputs, to the sums of a point. */
static void add_token(Run *r, const Runner *other, int64_t at, int64_t row, ComparePoint *to) {
    int64_t n = r->info->output_width;
    const float *x = r->runner[0].out + row * n, *y = other->out + row * n;
    if (!is_finite(x, n) || !is_finite(y, n)) {
        r->square = to->divergence = to->bits[0] = to->bits[1] = NAN;
        return;
    }
    for (int64_t i = 0; i < n; i++) {
        if (x[i] == y[i] && !(x[i] > -INFINITY)) continue;
        double e = (double)y[i] - (double)x[i];
        r->square += e * e, r->against += (double)x[i] * (double)x[i];
    }
    if (!r->to->tokens) return;
    softmax(r->p, x, n), softmax(r->q, y, n);
    for (int64_t i = 0; i < n; i++)
        if (r->p[i] > 0) to->divergence += r->p[i] * log2(r->p[i] / fmax(r->q[i], 1e-300));
    to->agreement += likeliest(r->p, n) == likeliest(r->q, n);
    int32_t next;
    memcpy(&next, (int32_t *)r->input.data + at + 1, 4);
    to->bits[0] -= log2(fmax(r->p[next], 1e-300)), to->bits[1] -= log2(fmax(r->q[next], 1e-300));
}

/* Rows [at, at+n) of the outputs belong to the window before length number k as far as they reach into it.
 */
static void add_rows(Run *r, int64_t at, int64_t n, int k, double sums[COMPARE_MOST][2]) {
    int64_t end = r->to->lengths[k], begin = end > r->o->window ? end - r->o->window : 0;
    for (int s = 1; s < r->n; s++) {
        r->square = r->against = 0;
        for (int64_t t = at > begin ? at : begin; t < at + n; t++)
            add_token(r, &r->runner[s], t, t - at, &r->to->points[s - 1][k]);
        sums[s - 1][0] += r->square, sums[s - 1][1] += r->against;
    }
}

static void end_point(Run *r, int k, double sums[COMPARE_MOST][2]) {
    int64_t end = r->to->lengths[k], n = end > r->o->window ? r->o->window : end;
    for (int s = 0; s + 1 < r->n; s++) {
        ComparePoint *p = &r->to->points[s][k];
        p->error = sqrt(sums[s][0] / sums[s][1]);
        p->divergence /= (double)n, p->agreement /= (double)n, p->bits[0] /= (double)n,
            p->bits[1] /= (double)n;
        sums[s][0] = sums[s][1] = 0;
    }
}

/* ---- running ---- */

static bool go(Run *r, Runner *x, int64_t at, int64_t n) {
    const Session *s = &x->session;
    const char *in = (const char *)r->input.data + at * r->row_bytes;
    btc_status st = BTC_OK;
    if (!r->o->steps) st = s->api->prefill_all(&s->handle, x->state, x->work, r->o->threads, in, n, x->out);
    for (int64_t t = 0; r->o->steps && t < n && st == BTC_OK; t++)
        st = s->api->step(&s->handle, &x->state, 1, x->work, r->o->threads, in + t * r->row_bytes,
                          x->out + t * r->info->output_width);
    return st == BTC_OK || diag_error(r->d, (Loc){.file = s->model.path}, "%s", s->api->status_text(st));
}

/* A piece of rows at a time, cut at the lengths, which are therefore ends of chunks, too. */
static bool run_all(Run *r) {
    const Comparison *f = r->to;
    int64_t last = f->lengths[f->nlengths - 1], at = 0;
    double sums[COMPARE_MOST][2] = {0};
    progress_phase(r->d->progress, r->o->what, (last + r->rows - 1) / r->rows + f->nlengths - 1);
    bool ok = true;
    for (int k = 0; k < f->nlengths && ok; k++) {
        while (at < f->lengths[k] && ok) {
            int64_t n = f->lengths[k] - at < r->rows ? f->lengths[k] - at : r->rows;
            for (int s = 0; s < r->n && ok; s++) ok = go(r, &r->runner[s], at, n);
            if (ok) look_for_infinities(r, at, n);
            if (ok) add_rows(r, at, n, k, sums);
            at += n;
            progress_step(r->d->progress);
        }
        end_point(r, k, sums);
    }
    progress_done(r->d->progress);
    return ok;
}

bool compare_run(Diag *d, Arena *a, const char *path, const CompareOptions *o, Comparison *out) {
    *out = (Comparison){0};
    for (int i = 0; i < COMPARE_MOST; i++) out->not_finite[i] = -1;
    Run r = {.d = d, .o = o, .to = out};
    bool ok = true;
    progress_phase(d->progress, "compiling", o->nvariants);
    for (int i = 0; i < o->nvariants && ok; i++) {
        ok = open_runner(&r, a, path, &o->variants[i]);
        progress_step(d->progress);
    }
    progress_done(d->progress);
    ok = ok && prepare(&r, a) && run_all(&r);
    close_runners(&r);
    return ok;
}
