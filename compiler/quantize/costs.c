/* See costs.h. */
#include "costs.h"

#include <string.h>

#include "base/work.h"
#include "calibration.h"

enum { MOST_READ = 512 }; /* by the interpreter, which is slow: inputs of products are sampled from these */

/* ---- matrices ---- */

typedef struct Piece {
    int matrix, format;
} Piece;

typedef struct Measure {
    Costs *costs;
    Progress *progress;
    Model models[COSTS_MOST]; /* opened for each format */
    int nmodels;
    Piece *pieces;
    int n, cap;
} Measure;

static void measure_item(void *user, int64_t i) {
    const Measure *w = user;
    Piece p = w->pieces[i];
    MatrixCost *to = &w->costs->matrices[p.format][p.matrix];
    const Collected *c = &w->costs->collected;
    const float *importance = calibration_importance(&w->models[p.format], c->matrices.items[p.matrix].name);
    to->plain = matrix_error(c, p.matrix, to->format, NULL);
    progress_step(w->progress);
    to->calibrated = importance ? matrix_error(c, p.matrix, to->format, importance) : to->plain;
}

static bool open_format(Diag *d, Arena *a, const char *path, Measure *w, int format) {
    Costs *c = w->costs;
    ModelOptions o = c->options->model;
    o.quant = c->options->formats[format];
    w->nmodels++;
    if (!model_open(d, a, path, &o, &w->models[format])) return false;
    MatrixList l = matrices_of_model(&w->models[format]);
    MatrixCost *to = c->matrices[format] = ARENA_ARRAY(a, MatrixCost, l.n);
    for (int i = 0; i < l.n; i++) {
        to[i] = (MatrixCost){.format = l.items[i].format, .measured = l.items[i].format->quantize != NULL};
        Piece p = {i, format};
        if (to[i].measured) ARENA_PUSH(a, w->pieces, w->n, w->cap, p);
    }
    return true;
}

static void measure_matrices(Measure *w) {
    progress_phase(w->progress, "rounding matrices", w->n);
    work_share(w->n, measure_item, w);
    progress_done(w->progress);
}

/* ---- the whole model ---- */

/* Bits of a number of a matrix, in the mean; format < 0: unquantised. */
static double mean_bits(const Costs *c, int format) {
    double bits = 0, numbers = 0;
    for (int i = 0; i < c->collected.matrices.n; i++) {
        const Matrix *m = &c->collected.matrices.items[i];
        double n = (double)type_count(m->type);
        bits += n * format_bits(format < 0 ? m->format : c->matrices[format][i].format), numbers += n;
    }
    return numbers > 0 ? bits / numbers : 0;
}

enum { UNQUANTISED = -2, BF16_DOT = -1 }; /* instead of a format's number */

static void add_model(Costs *c, CompareOptions *v, int format, bool calibrated) {
    const CostsOptions *o = c->options;
    const char *name = format < 0 ? NULL : o->formats[format];
    Variant *x = &v->variants[v->nvariants++];
    *x = (Variant){o->compile, o->model};
    x->model.quant = name ? name : "none";
    if (!calibrated) x->model.calibration = NULL;
    if (!name) x->compile.math = format == BF16_DOT ? "bf16" : "f32";
    x->compile.passes.distill_quietly = format != UNQUANTISED;
    c->models[c->nmodels++] = (ModelCost){.format = name,
                                          .bf16_dot = format == BF16_DOT,
                                          .calibrated = calibrated,
                                          .bits = mean_bits(c, format)};
}

/* Whether --math=bf16 is a choice: for this model, on this machine. */
static bool may_have_bf16_dots(const Costs *c) {
    TargetInfo t;
    const CompileOptions *o = &c->options->compile;
    Diag d = diag_new(c->collected.model.arena, NULL);
    if (!compile_target(&d, o, &t) || !t.bf16_dots) return false;
    for (int i = 0; i < c->collected.matrices.n; i++)
        if (c->collected.matrices.items[i].format->dt == DT_BF16) return true;
    return false;
}

static bool measure_models(Diag *d, Arena *a, const char *path, Costs *c) {
    const CostsOptions *o = c->options;
    CompareOptions v = {.what = "comparing", .lengths = {o->tokens}, .nlengths = 1, .asked = o->asked};
    v.window = o->tokens, v.source = o->source, v.threads = o->threads;
    add_model(c, &v, UNQUANTISED, false);
    if (may_have_bf16_dots(c)) add_model(c, &v, BF16_DOT, false);
    for (int i = 0; i < o->nformats; i++) {
        add_model(c, &v, i, false);
        if (c->calibrated) add_model(c, &v, i, true);
    }
    if (!compare_run(d, a, path, &v, &c->comparison)) return false;
    for (int i = 0; i < c->nmodels; i++) {
        c->models[i].weights_bytes = c->comparison.weights_bytes[i];
        if (i) c->models[i].point = c->comparison.points[i - 1][0];
    }
    c->models[0].point.bits[1] = c->models[1].point.bits[0];
    return true;
}

/* The tokens that will be read: as many as the options say, and the context allows. */
static bool choose_tokens(Diag *d, const Model *m, const CostsOptions *o, int *tokens) {
    int64_t context = model_longest(m);
    *tokens = context && o->tokens > context ? (int)context : o->tokens;
    return *tokens == o->tokens || !o->asked ||
           diag_usage(d, (Loc){0}, "--tokens: %d tokens, but a sequence of this model has at most %lld",
                      o->tokens, (long long)context);
}

/* The interpreter is slow, so all that can be wrong with what is given is looked at before it begins; what
 * runs behind it reads one token more, the next one of the last. */
static bool measure_all(Diag *d, Arena *a, const char *path, const CostsOptions *o, Measure *w) {
    int tokens;
    for (int i = 0; i < o->nformats; i++)
        if (!open_format(d, a, path, w, i)) return false;
    if (!choose_tokens(d, &w->models[0], o, &tokens)) return false;
    int read = tokens < MOST_READ ? tokens : MOST_READ;
    CollectOptions c = {o->model, o->compile.passes, o->source, tokens + 1, read};
    if (!collect_inputs(d, a, path, &c, &w->costs->collected)) return false;
    measure_matrices(w);
    return measure_models(d, a, path, w->costs);
}

bool costs_measure(Diag *d, Arena *a, const char *path, const CostsOptions *o, Costs *out) {
    *out = (Costs){.options = o, .calibrated = o->model.calibration != NULL};
    Measure w = {.costs = out, .progress = d->progress};
    bool ok = measure_all(d, a, path, o, &w);
    for (int i = 0; i < w.nmodels; i++) model_close(&w.models[i]);
    return ok;
}

void costs_close(Costs *c) {
    collected_close(&c->collected);
}
