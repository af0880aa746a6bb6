/* See collect.h. */
#include "collect.h"
#include "pack/weight_view.h"
#include "weight_name.h"

#include <math.h>
#include <string.h>

#include "calibration.h"
#include "compile.h"
#include "passes/passes.h"

enum { PIECE = 16 }; /* tokens that the interpreter reads at a time */

/* A weight op in a call, and where its tensors are in the list. */
typedef struct Key {
    const Op *weight;
    const char *prefix;
    Inputs **parts;
    int64_t nparts;
} Key;

typedef struct Collect {
    Collected *to;
    Arena *arena;
    Key *keys;
    int n, cap, last; /* last: the one that was used last */
    uint64_t seed;
} Collect;

static Inputs *inputs_of(const Collected *c, const char *name) {
    const Matrix *m = matrix_find(&c->matrices, name);
    if (!m) BTC_BUG("a product with \"%s\", which is not in the list", name);
    return &c->inputs[m - c->matrices.items];
}

/* Ops come in the same order again and again, so the next key is likely the one behind the last. */
static const Key *key_of(Collect *c, const Op *weight, const char *prefix) {
    for (int i = 0; i < c->n; i++) {
        int at = (c->last + i) % c->n;
        if (c->keys[at].weight == weight && c->keys[at].prefix == prefix) return &c->keys[c->last = at];
    }
    const char *name = weight_name(c->arena, prefix, attr_str(weight, "name", ""));
    Key k = {.weight = weight, .prefix = prefix, .nparts = weight_count(name)};
    k.parts = ARENA_ARRAY(c->arena, Inputs *, k.nparts);
    for (int64_t i = 0; i < k.nparts; i++) k.parts[i] = inputs_of(c->to, weight_part(c->arena, name, i));
    ARENA_PUSH(c->arena, c->keys, c->n, c->cap, k);
    return &c->keys[c->last = c->n - 1];
}

/* The place where a vector is kept as a sample, or -1: every vector so far stays with the same chance. */
static int64_t place_of(Collect *c, Inputs *in) {
    int64_t nth = in->all++;
    if (nth < SAMPLES) return in->nsamples++;
    c->seed = c->seed * 6364136223846793005u + 1442695040888963407u;
    int64_t at = (int64_t)((c->seed >> 16) % (uint64_t)(nth + 1));
    return at < SAMPLES ? at : -1;
}

/* The matrix of the leaf that holds the rows of matrix `matrix` of the view. */
static int64_t leaf_matrix(const WeightView *v, int64_t matrix) {
    Type t = v->leaf->out[0]->type;
    return weight_view_matrix(v, matrix) / (t.dim[t.rank - 1] * t.dim[t.rank - 2]);
}

static void multiplied(void *user, const Op *weight, const char *prefix, int64_t matrix, const double *x,
                       int64_t n) {
    Collect *c = user;
    WeightView view;
    if (!weight_view(weight->out[0], &view)) return;
    if (weight != view.leaf) { /* rows of it: of the same matrix */
        if (!weight_view_keeps_rows(&view)) return;
        matrix = leaf_matrix(&view, matrix), weight = view.leaf;
    }
    const Key *k = key_of(c, weight, prefix);
    Inputs *in = k->parts[k->nparts > 1 ? matrix : 0];
    if (k->nparts > 1) matrix = 0;
    for (int64_t i = 0; i < n; i++) in->squares[matrix * n + i] += x[i] * x[i];
    in->seen[matrix]++;
    int64_t at = place_of(c, in);
    if (at < 0) return;
    for (int64_t i = 0; i < n; i++) in->samples[at * n + i] = (float)x[i];
    in->sample_of[at] = matrix;
}

/* ---- running ---- */

static bool read_piece(Diag *d, const Collected *c, const Env *env, InterpState *s, const Tokens *t,
                       int64_t from, int64_t n) {
    const Func *f = ir_func_find(c->model.module, "main");
    Arena *tmp = arena_new();
    Tensor in = {f->params[0]->type, n, ARENA_ARRAY(tmp, double, n * t->width)};
    for (int64_t i = 0; i < n * t->width; i++)
        in.data[i] = t->ids ? (double)((int32_t *)t->data)[from * t->width + i]
                            : (double)((float *)t->data)[from * t->width + i];
    Tensor *results = ARENA_ARRAY(tmp, Tensor, f->nresults);
    bool ok = interp_run(d, tmp, c->model.module, env, s, &in, n, results, NULL, NULL);
    arena_free(tmp);
    return ok;
}

static bool read_all(Diag *d, Collect *c, const Tokens *t) {
    Collected *to = c->to;
    Env env = model_env(&to->model);
    env.multiplied = multiplied, env.multiplied_user = c;
    int64_t context = model_longest(&to->model), most = context ? context : t->n, end = 0;
    bool whole = whole_reader(to->model.module) != NULL;
    InterpState *s = NULL;
    Arena *sequence = NULL;
    progress_phase(d->progress, "reading", (t->n + PIECE - 1) / PIECE);
    bool ok = true;
    for (int64_t at = 0, n; at < t->n && ok; at += n) {
        if (at == end) {
            if (sequence) arena_free(sequence);
            sequence = arena_new(), s = interp_state_new(sequence, to->model.module);
            c->n = c->last = 0; /* prefixes are the state's */
            end = at + most;
        }
        n = t->n - at < PIECE || whole ? t->n - at : PIECE;
        if (n > end - at) n = end - at;
        ok = read_piece(d, to, &env, s, t, at, n);
        progress_step(d->progress);
    }
    progress_done(d->progress);
    if (sequence) arena_free(sequence);
    return ok;
}

static void make_inputs(Arena *a, Collected *c) {
    c->inputs = ARENA_ARRAY(a, Inputs, c->matrices.n);
    for (int i = 0; i < c->matrices.n; i++) {
        const Matrix *m = &c->matrices.items[i];
        c->inputs[i] = (Inputs){.squares = ARENA_ARRAY(a, double, m->count * m->inputs),
                                .seen = ARENA_ARRAY(a, int64_t, m->count),
                                .samples = ARENA_ARRAY(a, float, SAMPLES * m->inputs),
                                .sample_of = ARENA_ARRAY(a, int64_t, SAMPLES)};
    }
}

bool collect_inputs(Diag *d, Arena *a, const char *path, const CollectOptions *o, Collected *out) {
    *out = (Collected){0};
    ModelOptions mo = o->model;
    mo.quant = "none", mo.calibration = NULL;
    PassOptions p = o->passes; /* the filters that will be; but nothing is rounded yet */
    p.stop_after = pass_distill_filters.name, p.print_after = NULL, p.time = false, p.distill_quietly = true;
    Tokens t;
    if (!model_open(d, a, path, &mo, &out->model)) return false;
    out->checkpoint = weights_hash(&out->model.weights);
    if (!compile_passes(d, &out->model, &p) || !ir_verify(d, out->model.module) ||
        !tokens_read(d, a, out->model.module, &o->source, o->least, o->most, &t))
        return false;
    out->matrices = matrices_of_model(&out->model), out->tokens = t.n, out->ids = t.ids;
    make_inputs(a, out);
    Collect c = {.to = out, .arena = a, .seed = 1};
    return read_all(d, &c, &t);
}

void collected_close(Collected *c) {
    model_close(&c->model);
}

/* ---- the file ---- */

/* The mean squares of what the tensor was multiplied with. */
static bool mean_squares(Diag *d, Arena *a, const Collected *c, int i, RawTensor *out) {
    const Matrix *m = &c->matrices.items[i];
    const Inputs *in = &c->inputs[i];
    int64_t n = m->count * m->inputs;
    float *mean = ARENA_ARRAY(a, float, n);
    for (int64_t k = 0; k < n; k++) {
        double seen = (double)in->seen[k / m->inputs];
        mean[k] = seen > 0 ? (float)(in->squares[k] / seen) : 0;
        if (!isfinite(mean[k]))
            return diag_error(d, (Loc){.file = c->model.path, .path = m->name},
                              "input %lld of its product is not finite over these tokens",
                              (long long)(k % m->inputs));
    }
    *out = (RawTensor){.name = arena_printf(a, CALIBRATION_PREFIX "%s", m->name), .dt = DT_F32};
    if (m->type.rank > 2) out->dim[out->rank++] = m->count;
    out->dim[out->rank++] = m->inputs;
    out->data = (const uint8_t *)mean, out->bytes = sizeof *mean * (size_t)n;
    return true;
}

bool collected_write(Diag *d, Arena *a, const Collected *c, const char *file) {
    RawTensor *tensors = ARENA_ARRAY(a, RawTensor, c->matrices.n + 1);
    int n = 0;
    for (int i = 0; i < c->matrices.n; i++)
        if (c->matrices.items[i].product && !mean_squares(d, a, c, i, &tensors[n++])) return false;
    if (!n) return diag_error(d, (Loc){.file = c->model.path}, "has no products with matrices");
    tensors[n++] = (RawTensor){.name = CALIBRATION_SOURCE, .dt = DT_I64, .rank = 1, .dim = {1}};
    tensors[n - 1].data = (const uint8_t *)&c->checkpoint, tensors[n - 1].bytes = sizeof c->checkpoint;
    return safetensors_write(d, a, file, tensors, n);
}
