/* Opening a model, compiling it, and interpreted runs. */
#include "session.h"

#include <dlfcn.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "verify_model.h"

static bool interprets(const Session *s) {
    return !strcmp(s->o.form, "interpret");
}

/* ---- opening ---- */

/* Values of main that the description exposes: constants. Before the passes, which may fold them away. */
static bool read_exposed(Session *s) {
    const Func *f = session_main(s);
    Env env = model_env(&s->model);
    env.stored = true;
    for (const Attr *t = s->model.module->attrs; t; t = t->next) {
        if (strncmp(t->name, "expose.", 7)) continue;
        OPS_OF (f->body, op) {
            for (int i = 0; i < op->nout; i++) {
                const Value *v = op->out[i];
                Tensor x;
                if (strcmp(v->name, t->s) || v->type.seq) continue;
                if (!interp_constant(s->d, s->a, &env, f, v, "", &x)) return false;
                double *to = session_tensor_add(s->a, &s->exposed, t->name + 7, v->type.rank, v->type.dim);
                memcpy(to, x.data, sizeof(double) * (size_t)type_count(v->type));
            }
        }
    }
    return true;
}

bool session_open(Session *s, Diag *d, Arena *a, const char *path, const VerifyOptions *o,
                  SessionProbes probes) {
    *s = (Session){.d = d, .a = a, .o = *o, .probes = probes};
    if (!model_open(d, a, path, &o->model, &s->model) || !read_exposed(s)) return false;
    if (probes == PROBES_HIDDEN) probes_add_hidden(s->model.module);
    if (!interprets(s) && probes != PROBES_VALUES) return true;
    if (!compile_on_purpose(d, &s->model, &o->compile)) return false;
    if (probes == PROBES_VALUES) probes_add_values(d, s->model.module, o->show, &s->shown);
    return ir_verify(d, s->model.module);
}

void session_close(Session *s) {
    free(s->work);
    if (s->api) s->api->close(&s->handle);
    if (s->library) dlclose(s->library);
    link_folder_remove(&s->folder);
    model_close(&s->model);
}

bool session_compile(Session *s) {
    if (s->compiled_yet || s->failed) return s->compiled_yet;
    s->failed = true; /* unless it goes well */
    CompileOptions o = s->o.compile;
    TargetInfo t;
    if (!compile_target(s->d, &o, &t)) return false;
    bool away = t.target != target_host();
    if (away && !emulated_check(s->d, s->a, t.target)) return false;
    const char *lacks = away ? NULL : target_lacks_here(&t);
    if (lacks)
        return diag_usage(s->d, (Loc){0}, "--cpu=%s: this machine cannot run code for it: it lacks %s", t.cpu,
                          lacks);
    const char *base = getenv("TMPDIR") ? getenv("TMPDIR") : "/tmp";
    if (!link_folder_open(s->d, s->a, arena_printf(s->a, "%s/btc-verify", base), &s->folder)) return false;
    o.output = arena_printf(s->a, "%s/%s", s->folder.path, away ? "verify" : "verify.so");
    o.emit = NULL, o.quiet = true, o.threads = !away || s->o.threads > 1;
    if (s->probes == PROBES_VALUES) o.passes.distill_filters = 0; /* session_open has done that */
    if (!compile_artifact(s->d, &s->model, &o, &s->compiled)) return false;
    if (away) s->program = o.output;
    if (!away && !native_load(s, o.output)) return false;
    if (!away) link_folder_remove(&s->folder); /* it is mapped; code that crashes leaves nothing behind */
    s->failed = false;
    return s->compiled_yet = true;
}

/* ---- running ---- */

/* An interpreter over one sequence. With states in 16 bits it works in calls as compiled code does, chunk by
 * chunk, since a state is rounded at the end of each; else in one piece. */
typedef struct Reading {
    Env env;
    InterpState *state;
    int64_t most; /* rows at a time */
} Reading;

static bool reading_begin(Session *s, Reading *r) {
    Compiled c;
    if (!compile_machine(s->d, &s->model, &s->o.compile, &c)) return false;
    *r = (Reading){model_env(&s->model), interp_state_new(s->a, s->model.module), INT64_MAX};
    r->env.stored = !s->as_in_checkpoint;
    if (c.lower.state_dt != DT_F32) r->most = c.lower.chunk;
    interp_state_precision(r->state, c.lower.state_dt);
    return true;
}

/* out: rows of each result of main, or NULL where nobody looks. */
static bool reading_go(Session *s, Reading *r, const double *x, int64_t rows, double *const *out) {
    const Func *f = session_main(s);
    int64_t w = type_count(f->params[0]->type);
    Tensor *results = ARENA_ARRAY(s->a, Tensor, f->nresults);
    for (int64_t at = 0, n; at < rows; at += n) {
        n = rows - at < r->most ? rows - at : r->most;
        Tensor in = {f->params[0]->type, n, ARENA_ARRAY(s->a, double, n *w)};
        memcpy(in.data, x + at * w, sizeof(double) * (size_t)(n * w));
        if (!interp_run(s->d, s->a, s->model.module, &r->env, r->state, &in, n, results, NULL, NULL))
            return false;
        for (int i = 0; i < f->nresults; i++) {
            int64_t width = type_count(f->results[i]->type);
            if (out[i]) memcpy(out[i] + at * width, results[i].data, sizeof(double) * (size_t)(n * width));
        }
    }
    return true;
}

static bool interpreter_run(Session *s, const Batch *b, TensorList *list) {
    Outputs out = session_outputs(s, b, list);
    int64_t w = b->width ? b->width : 1;
    double *x = ARENA_ARRAY(s->a, double, b->T *w), **to = ARENA_ARRAY(s->a, double *, out.n);
    for (int64_t row = 0; row < b->B; row++) {
        Reading r;
        for (int64_t i = 0; i < b->T * w; i++) x[i] = dtype_load(b->t->dt, b->t->data, row * b->T * w + i);
        for (int i = 0; i < out.n; i++) to[i] = out.data[i] + row * b->T * out.width[i];
        if (!reading_begin(s, &r) || !reading_go(s, &r, x, b->T, to)) return false;
        session_interpreted_states(s, r.state, b->B, row, list);
    }
    return true;
}

static bool interpreter_greedy(Session *s, const int32_t *prompt, int64_t np, int64_t n, int64_t *ids) {
    const Func *f = session_main(s);
    int64_t rows = np, V = type_count(f->results[0]->type);
    double *x = ARENA_ARRAY(s->a, double, np), **to = ARENA_ARRAY(s->a, double *, f->nresults);
    to[0] = ARENA_ARRAY(s->a, double, np *V);
    Reading r;
    if (!reading_begin(s, &r)) return false;
    for (int64_t i = 0; i < np; i++) x[i] = prompt[i];
    for (int64_t g = 0; g < n; g++) {
        if (!reading_go(s, &r, x, rows, to)) return false;
        if (!session_likeliest(s, to[0] + (rows - 1) * V, V, np + g, &ids[g])) return false;
        x[0] = (double)ids[g], rows = 1;
    }
    return true;
}

static bool run_once(Session *s, const char *form, int threads, const RawTensor *input, TensorList *out) {
    Batch b;
    bool step = !strcmp(form, "step");
    const Op *whole = whole_reader(s->model.module);
    if (!session_batch(s, input, &b)) return false;
    if (step && whole)
        return diag_usage(s->d, whole->loc, "--form=step: the model has no step: %s needs whole sequences",
                          whole->def->name);
    for (int i = 0; i < s->exposed.n; i++)
        ARENA_PUSH(s->a, out->items, out->n, out->cap, s->exposed.items[i]);
    if (interprets(s)) return interpreter_run(s, &b, out);
    if (!session_compile(s)) return false;
    return s->program ? emulated_run(s, step, threads, &b, out) : native_run(s, step, threads, &b, out);
}

bool session_run(Session *s, const char *form, int threads, const RawTensor *input, TensorList *out) {
    progress_phase(s->d->progress, interprets(s) ? "interpreting" : "running", 0);
    bool ok = run_once(s, form, threads, input, out);
    progress_done(s->d->progress);
    return ok;
}

static bool greedy_once(Session *s, const char *form, int threads, const RawTensor *prompt, int64_t n,
                        int64_t *ids) {
    if (!raw_tensor_readable(s->d, prompt)) return false;
    int64_t np = raw_tensor_count(prompt);
    int32_t *p = ARENA_ARRAY(s->a, int32_t, np);
    for (int64_t i = 0; i < np; i++) p[i] = (int32_t)dtype_load(prompt->dt, prompt->data, i);
    if (interprets(s)) return interpreter_greedy(s, p, np, n, ids);
    if (!session_compile(s)) return false;
    return s->program ? emulated_greedy(s, threads, p, np, n, ids)
                      : native_greedy(s, !strcmp(form, "step"), threads, p, np, n, ids);
}

bool session_greedy(Session *s, const char *form, int threads, const RawTensor *prompt, int64_t n,
                    int64_t *ids) {
    progress_phase(s->d->progress, "continuing", 0);
    bool ok = greedy_once(s, form, threads, prompt, n, ids);
    progress_done(s->d->progress);
    return ok;
}
