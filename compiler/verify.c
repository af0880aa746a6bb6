/* One run of a model, three ways: the interpreter, the compiled step (all sequences of the batch together, token by
 * token), the compiled chunk (one sequence after the other). All give the same list of named tensors. */
#include "verify.h"

#include <dlfcn.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "btc.h"
#include "link/link.h"
#include "verify_model.h"

typedef struct Session {
    Diag *d;
    Arena *a;
    const VerifyOptions *o;
    Model model;
    bool interpret;
    Compiled compiled;
    LinkFolder folder;
    bool has_folder;
    void *library;
    const btc_api *api;
    btc_model handle;
    void *work;
} Session;

static Loc here(const Session *s) { return (Loc){.file = s->model.path}; }

const RawTensor *tensor_find(const TensorList *l, const char *name) {
    for (int i = 0; i < l->n; i++)
        if (!strcmp(l->items[i].name, name)) return &l->items[i];
    return NULL;
}

/* A new tensor [dims] of doubles in the list; returns its data. */
static double *tensor_add(Arena *a, TensorList *l, const char *name, int rank, const int64_t *dim) {
    RawTensor t = {.name = arena_strdup(a, name), .dt = DT_F64, .rank = rank, .file = "computed"};
    int64_t n = 1;
    for (int i = 0; i < rank; i++) t.dim[i] = dim[i], n *= dim[i];
    t.bytes = (size_t)n * sizeof(double);
    double *data = arena_alloc(a, t.bytes);
    t.data = (const uint8_t *)data;
    ARENA_PUSH(a, l->items, l->n, l->cap, t);
    return data;
}

/* ---- opening ---- */

static bool load_library(Session *s, const char *path) {
    s->library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (!s->library) return diag_error(s->d, here(s), "the compiled model cannot be loaded: %s", dlerror());
    btc_query_fn *query;
    *(void **)&query = dlsym(s->library, "btc_query");
    s->api = query ? query(BTC_ABI_VERSION) : NULL;
    if (!s->api || s->api->open(&s->handle, NULL, 0) != BTC_OK)
        return diag_error(s->d, here(s), "the compiled model cannot be opened");
    s->work = aligned_alloc(64, (s->api->work_bytes(s->o->threads) + 63) / 64 * 64);
    return s->work != NULL;
}

static bool compile_session(Session *s) {
    CompileOptions o = s->o->compile;
    if (o.target && strcmp(o.target, target_host() ? target_host()->name : ""))
        return diag_error(s->d, (Loc){0}, "--target=%s: verify runs models on this machine only", o.target);
    const char *base = getenv("TMPDIR") ? getenv("TMPDIR") : "/tmp";
    const char *name = arena_printf(s->a, "%s/btc-verify.so", base);
    if (!link_folder_open(s->d, s->a, name, &s->folder)) return false;
    s->has_folder = true;
    o.output = arena_printf(s->a, "%s/verify.so", s->folder.path);
    o.emit = NULL, o.quiet = true, o.threads = true;
    return compile_artifact(s->d, &s->model, &o, &s->compiled) && load_library(s, o.output);
}

static bool session_open(Session *s, Diag *d, Arena *a, const char *path, const VerifyOptions *o) {
    *s = (Session){.d = d, .a = a, .o = o};
    s->interpret = !strcmp(o->form, "interpret");
    return model_open(d, a, path, &o->model, &s->model);
}

static void session_close(Session *s) {
    free(s->work);
    if (s->api) s->api->close(&s->handle);
    if (s->library) dlclose(s->library);
    if (s->has_folder) link_folder_remove(&s->folder);
    model_close(&s->model);
}

/* ---- inputs ---- */

typedef struct Batch {
    int64_t B, T, width; /* width 0: ids */
    const RawTensor *t;
} Batch;

static bool batch_of(Session *s, const RawTensor *t, Batch *b) {
    const Func *f = ir_func_find(s->model.module, "main");
    Type p = f->params[0]->type;
    bool ids = p.dt == DT_I32;
    if (t->rank != (ids ? 2 : 3))
        return diag_error(s->d, (Loc){.file = t->file, .path = t->name}, "must be %s, is %s",
                          ids ? "[batch, tokens]" : "[batch, tokens, features]", raw_tensor_type(s->a, t));
    *b = (Batch){t->dim[0], t->dim[1], ids ? 0 : t->dim[2], t};
    if (!ids && t->dim[2] != type_count(p))
        return diag_error(s->d, (Loc){.file = t->file, .path = t->name}, "has %lld features, the model takes %lld",
                          (long long)t->dim[2], (long long)type_count(p));
    const Attr *vocab = attr_find(s->model.module->attrs, "vocab");
    for (int64_t i = 0; ids && vocab && i < b->B * b->T; i++) {
        double id = dtype_load(t->dt, t->data, i);
        if (!(id >= 0 && id < (double)vocab->i))
            return diag_error(s->d, (Loc){.file = t->file, .path = t->name},
                              "id %.0f of token %lld is not below the vocabulary's size %lld", id, (long long)i,
                              (long long)vocab->i);
    }
    return true;
}

/* Rows [t, t+n) of sequence b as the runtime takes them. */
static void *runtime_input(Session *s, const Batch *b, int64_t row, int64_t t, int64_t n) {
    int64_t w = b->width ? b->width : 1, from = (row * b->T + t) * w;
    if (b->width) {
        float *x = ARENA_ARRAY(s->a, float, n * w);
        for (int64_t i = 0; i < n * w; i++) x[i] = (float)dtype_load(b->t->dt, b->t->data, from + i);
        return x;
    }
    int32_t *x = ARENA_ARRAY(s->a, int32_t, n);
    for (int64_t i = 0; i < n; i++) x[i] = (int32_t)dtype_load(b->t->dt, b->t->data, from + i);
    return x;
}

/* ---- outputs: one buffer [B, T, width] per result of main ---- */

typedef struct Outputs {
    int n;
    double **data;
    int64_t *width;
} Outputs;

static Outputs outputs_new(Session *s, const Batch *b, TensorList *list) {
    const Func *f = ir_func_find(s->model.module, "main");
    Outputs o = {f->nresults, ARENA_ARRAY(s->a, double *, f->nresults), ARENA_ARRAY(s->a, int64_t, f->nresults)};
    for (int k = 1; k <= o.n; k++) { /* hidden first, then the output: the order of execution */
        int i = k % o.n;
        Type t = f->results[i]->type;
        int64_t dim[RAW_MAX_RANK] = {b->B, b->T};
        for (int r = 0; r < t.rank; r++) dim[2 + r] = t.dim[r];
        o.width[i] = type_count(t);
        o.data[i] = tensor_add(s->a, list, f->result_names[i], 2 + t.rank, dim);
    }
    return o;
}

static void take_floats(double *to, const float *from, int64_t n) {
    for (int64_t i = 0; i < n; i++) to[i] = from[i];
}

/* ---- states ---- */

static double *state_tensor(Session *s, TensorList *list, const char *name, Type t, int64_t B, int64_t row) {
    int64_t dim[RAW_MAX_RANK] = {B};
    for (int r = 0; r < t.rank; r++) dim[1 + r] = t.dim[r];
    const RawTensor *old = tensor_find(list, name);
    double *data = old ? (double *)(uintptr_t)old->data : tensor_add(s->a, list, name, 1 + t.rank, dim);
    return data + row * type_count(t);
}

static void read_interpreted_states(Session *s, const InterpState *st, int64_t B, int64_t row, TensorList *list) {
    const Func *f = ir_func_find(s->model.module, "main");
    OPS_OF(f->body, op) {
        if (op->def->pattern != PAT_CALL) continue;
        const Func *g = ir_func_find(s->model.module, attr_str(op, "func", ""));
        const char *path = arena_printf(s->a, "%lld", (long long)attr_int(op, "index", 0));
        for (int k = 0; k < g->nstates; k++) {
            const Tensor *t = interp_state_slot(st, path, g->states[k].name);
            if (!t) continue;
            const char *name = arena_printf(s->a, "state.%s.%s", path, g->states[k].name);
            memcpy(state_tensor(s, list, name, t->type, B, row), t->data,
                   sizeof(double) * (size_t)type_count(t->type));
        }
    }
}

/* The op that owns slot k of f, and the slot's number there. */
static const Op *owner_of(const Func *f, int k, int *slot) {
    OPS_OF(f->body, op) {
        int n = op->def->state ? op_state_count(op->def) : 0;
        for (int i = 0; i < n; i++)
            if (op->in[op->nin - n + i] == f->states[k].in) return *slot = i, op;
    }
    return NULL;
}

static void read_compiled_states(Session *s, const char *block, int64_t B, int64_t row, TensorList *list) {
    const Lowered *l = &s->compiled.lowered;
    int64_t at = 0;
    for (int i = 0; i < l->ninstances; i++) {
        const Func *f = l->instances[i].plan->f;
        for (int k = 0; k < f->nstates; k++, at++) {
            const btc_slot *info = &s->api->info->slots[at];
            int slot = 0;
            const Op *op = owner_of(f, k, &slot);
            double *to = state_tensor(s, list, arena_printf(s->a, "state.%s", info->name), f->states[k].type, B, row);
            const float *from = (const float *)(const void *)(block + info->offset);
            if (op && op->def->state_unpack) op->def->state_unpack(op, slot, &s->compiled.lower, from, to);
            else take_floats(to, from, type_count(f->states[k].type));
        }
    }
}

/* ---- the three runs ---- */

static bool run_interpreter(Session *s, const Batch *b, TensorList *list) {
    if (!ir_verify(s->d, s->model.module)) return false;
    Outputs out = outputs_new(s, b, list);
    Func *f = ir_func_find(s->model.module, "main");
    Env env = model_env(&s->model);
    for (int64_t row = 0; row < b->B; row++) {
        InterpState *st = interp_state_new(s->a, s->model.module);
        int64_t w = b->width ? b->width : 1;
        Tensor in = {f->params[0]->type, b->T, ARENA_ARRAY(s->a, double, b->T * w)};
        for (int64_t i = 0; i < b->T * w; i++) in.data[i] = dtype_load(b->t->dt, b->t->data, row * b->T * w + i);
        Tensor *results = ARENA_ARRAY(s->a, Tensor, f->nresults);
        if (!interp_run(s->d, s->a, s->model.module, &env, st, &in, b->T, results, NULL, NULL)) return false;
        for (int i = 0; i < out.n; i++)
            memcpy(out.data[i] + row * b->T * out.width[i], results[i].data,
                   sizeof(double) * (size_t)(b->T * out.width[i]));
        read_interpreted_states(s, st, b->B, row, list);
    }
    return true;
}

static bool status_ok(Session *s, btc_status status, const char *call) {
    return status == BTC_OK || diag_error(s->d, here(s), "%s: %s", call, s->api->status_text(status));
}

/* Float buffers [rows, width] for the output and the taps. */
static float **float_buffers(Session *s, const Outputs *out, int64_t rows) {
    float **f = ARENA_ARRAY(s->a, float *, out->n + 1);
    for (int i = 0; i < out->n; i++) f[i] = ARENA_ARRAY(s->a, float, rows * out->width[i]);
    return f;
}

static char *new_state(Session *s) {
    size_t n = (size_t)s->api->info->state_bytes;
    char *p = arena_alloc(s->a, n + 64);
    p += (64 - (uintptr_t)p % 64) % 64;
    return status_ok(s, s->api->init(&s->handle, p), "init") ? p : NULL;
}

static bool run_chunks(Session *s, const Batch *b, TensorList *list) {
    Outputs out = outputs_new(s, b, list);
    float **f = float_buffers(s, &out, b->T);
    for (int64_t row = 0; row < b->B; row++) {
        char *state = new_state(s);
        if (!state) return false;
        const void *in = runtime_input(s, b, row, 0, b->T);
        btc_status st = s->api->prefill_taps(&s->handle, state, s->work, s->o->threads, in, b->T, f[0], f + 1);
        if (!status_ok(s, st, "prefill")) return false;
        for (int i = 0; i < out.n; i++)
            take_floats(out.data[i] + row * b->T * out.width[i], f[i], b->T * out.width[i]);
        read_compiled_states(s, state, b->B, row, list);
    }
    return true;
}

static bool run_steps(Session *s, const Batch *b, TensorList *list) {
    Outputs out = outputs_new(s, b, list);
    float **f = float_buffers(s, &out, b->B);
    int64_t w = b->width ? b->width : 1;
    char **states = ARENA_ARRAY(s->a, char *, b->B);
    for (int64_t row = 0; row < b->B; row++)
        if (!(states[row] = new_state(s))) return false;
    char *in = arena_alloc(s->a, (size_t)(b->B * w * 4));
    for (int64_t t = 0; t < b->T; t++) {
        for (int64_t row = 0; row < b->B; row++)
            memcpy(in + row * w * 4, runtime_input(s, b, row, t, 1), (size_t)(w * 4));
        btc_status st = s->api->step_taps(&s->handle, (void *const *)states, b->B, s->work, s->o->threads, in, f[0], f + 1);
        if (!status_ok(s, st, "step")) return false;
        for (int i = 0; i < out.n; i++)
            for (int64_t row = 0; row < b->B; row++)
                take_floats(out.data[i] + (row * b->T + t) * out.width[i], f[i] + row * out.width[i], out.width[i]);
    }
    for (int64_t row = 0; row < b->B; row++) read_compiled_states(s, states[row], b->B, row, list);
    return true;
}

/* Values of main that the description exposes; they are constants, the same in every form. */
static bool read_exposed(Session *s, TensorList *list) {
    const Func *f = ir_func_find(s->model.module, "main");
    Env env = model_env(&s->model);
    for (const Attr *t = s->model.module->attrs; t; t = t->next) {
        if (strncmp(t->name, "expose.", 7)) continue;
        OPS_OF(f->body, op) {
            for (int i = 0; i < op->nout; i++) {
                const Value *v = op->out[i];
                Tensor x;
                if (strcmp(v->name, t->s) || v->type.seq) continue;
                if (!interp_constant(s->d, s->a, &env, f, v, "", &x)) return false;
                double *to = tensor_add(s->a, list, t->name + 7, v->type.rank, v->type.dim);
                memcpy(to, x.data, sizeof(double) * (size_t)type_count(v->type));
            }
        }
    }
    return true;
}

bool verify_run(Diag *d, Arena *a, const char *path, const VerifyOptions *o, const RawTensor *input, TensorList *out) {
    Session s;
    Batch b;
    bool ok = session_open(&s, d, a, path, o) && batch_of(&s, input, &b) && read_exposed(&s, out);
    if (ok && o->values_of) taps_add_values(s.model.module, o->values_of, o->values_call);
    else if (ok) taps_add_hidden(s.model.module);
    if (ok && s.interpret) ok = run_interpreter(&s, &b, out);
    else if (ok) {
        s.o = o;
        VerifyOptions grown = *o;
        if (b.B > grown.compile.max_batch) grown.compile.max_batch = (int)b.B;
        s.o = &grown;
        ok = compile_session(&s) && (!strcmp(o->form, "step") ? run_steps(&s, &b, out) : run_chunks(&s, &b, out));
    }
    session_close(&s);
    return ok;
}

/* ---- greedy decoding ---- */

static int64_t argmax_float(const float *x, int64_t n) {
    int64_t best = 0;
    for (int64_t i = 1; i < n; i++)
        if (x[i] > x[best]) best = i;
    return best;
}

static bool greedy_interpreted(Session *s, const int32_t *prompt, int64_t np, int64_t n, int64_t *ids) {
    if (!ir_verify(s->d, s->model.module)) return false;
    Func *f = ir_func_find(s->model.module, "main");
    Env env = model_env(&s->model);
    InterpState *st = interp_state_new(s->a, s->model.module);
    int64_t rows = np, V = type_count(f->results[0]->type);
    double *x = ARENA_ARRAY(s->a, double, np);
    for (int64_t i = 0; i < np; i++) x[i] = prompt[i];
    for (int64_t g = 0; g < n; g++) {
        Tensor in = {f->params[0]->type, rows, x}, result;
        if (!interp_run(s->d, s->a, s->model.module, &env, st, &in, rows, &result, NULL, NULL)) return false;
        const double *last = result.data + (rows - 1) * V;
        int64_t best = 0;
        for (int64_t i = 1; i < V; i++)
            if (last[i] > last[best]) best = i;
        ids[g] = best, x[0] = (double)best, rows = 1;
    }
    return true;
}

static bool greedy_compiled(Session *s, const int32_t *prompt, int64_t np, int64_t n, int64_t *ids) {
    int64_t V = s->api->info->output_width;
    float *logits = ARENA_ARRAY(s->a, float, V);
    void *state = new_state(s);
    if (!state) return false;
    bool step = !strcmp(s->o->form, "step");
    for (int64_t i = 0; step && i < np; i++)
        if (!status_ok(s, s->api->step(&s->handle, &state, 1, s->work, s->o->threads, prompt + i, logits), "step"))
            return false;
    if (!step && !status_ok(s, s->api->prefill(&s->handle, state, s->work, s->o->threads, prompt, np, logits), "prefill"))
        return false;
    for (int64_t g = 0; g < n; g++) {
        int32_t id = (int32_t)argmax_float(logits, V);
        ids[g] = id;
        if (!status_ok(s, s->api->step(&s->handle, &state, 1, s->work, s->o->threads, &id, logits), "step")) return false;
    }
    return true;
}

bool verify_greedy(Diag *d, Arena *a, const char *path, const VerifyOptions *o, const RawTensor *prompt, int64_t n,
                   int64_t *ids) {
    Session s;
    int64_t np = raw_tensor_count(prompt);
    int32_t *p = ARENA_ARRAY(a, int32_t, np);
    for (int64_t i = 0; i < np; i++) p[i] = (int32_t)dtype_load(prompt->dt, prompt->data, i);
    bool ok = session_open(&s, d, a, path, o);
    if (ok && s.interpret) ok = greedy_interpreted(&s, p, np, n, ids);
    else if (ok) ok = compile_session(&s) && greedy_compiled(&s, p, np, n, ids);
    session_close(&s);
    return ok;
}

/* ---- comparing ---- */

Difference tensor_difference(const RawTensor *got, const RawTensor *want) {
    Difference r = {.max_error = INFINITY};
    int64_t cols = want->rank ? want->dim[want->rank - 1] : 1, rows = cols ? raw_tensor_count(want) / cols : 0;
    int64_t got_cols = got->rank ? got->dim[got->rank - 1] : 1;
    if (got->rank != want->rank || got_cols < cols) return r;
    for (int i = 0; i + 1 < want->rank; i++)
        if (got->dim[i] != want->dim[i]) return r;
    r.max_error = 0;
    for (int64_t i = 0; i < rows; i++)
        for (int64_t j = 0; j < cols; j++) {
            double w = dtype_load(want->dt, want->data, i * cols + j);
            double e = fabs(dtype_load(got->dt, got->data, i * got_cols + j) - w);
            if (fabs(w) > r.max_value) r.max_value = fabs(w);
            if (e > r.max_error) r.max_error = e, r.at = i * cols + j;
            if (isnan(e)) return r.max_error = INFINITY, r.at = i * cols + j, r;
        }
    return r;
}
