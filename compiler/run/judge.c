/* See judge.h. Several runs of the interpreter for each sequence: one exact, and one pair or more that are perturbed by
 * roundings in opposite directions. The first run of a session computes the constants that the others share; the
 * others run in parallel. */
#include "judge.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/work.h"
#include "perturb.h"

/* A value that is looked at. */
typedef struct Looked {
    const char *path; /* of its call */
    const Value *value;
    int64_t width;
    const double *shown; /* [B, T, width], or NULL */
} Looked;

typedef struct Panel {
    Session *s;
    const JudgeOptions *o;
    Batch batch;
    const Func *main_func;
    Looked *looked; /* [n]; a value that this module does not have: NULL */
    int n;
    DType state_dt;
    int64_t piece; /* rows of a run at most: where states are rounded they are so at the end of each call */
    int runs;      /* of a sequence: the exact one, and pairs */
    struct Member *members; /* [B, runs] */
} Panel;

/* One run over one sequence. */
typedef struct Member {
    Panel *panel;
    Arena *a; /* of what it leaves */
    int64_t row, at;
    double **values;    /* [n] of [T, width] */
    double *result;     /* [T, width] of main's first result */
    InterpState *state; /* at the end */
    bool ok;
} Member;

/* Notes a value, and puts what was shown in its place. */
static void watch(void *user, const char *path, const Op *op, const Tensor *out) {
    Member *m = user;
    const Panel *p = m->panel;
    for (int k = 0; k < op->nout; k++)
        for (int i = 0; i < p->n; i++) {
            const Looked *l = &p->looked[i];
            if (l->value != op->out[k] || strcmp(l->path, path)) continue;
            int64_t n = out[k].rows * l->width;
            memcpy(m->values[i] + m->at * l->width, out[k].data, sizeof(double) * (size_t)n);
            if (l->shown)
                memcpy(out[k].data, l->shown + (m->row * p->batch.T + m->at) * l->width,
                       sizeof(double) * (size_t)n);
        }
}

static int64_t next_piece(const Panel *p, int64_t at) {
    int64_t left = p->batch.T - at, cut = p->o->cut;
    int64_t n = left < p->piece ? left : p->piece;
    if (p->state_dt != DT_F32 && cut > at && cut - at < n) n = cut - at;
    return n;
}

static bool run_member(Member *m, Diag *d, int number) {
    const Panel *p = m->panel;
    Session *s = p->s;
    const Func *f = p->main_func;
    int64_t w = p->batch.width ? p->batch.width : 1, width = type_count(f->results[0]->type);
    Perturb off = {.sign = number % 2 ? 1 : -1, .rounding = p->o->one_by_one ? 0 : PERTURB_INSIDE};
    off.random = (uint64_t)m->row + ((uint64_t)(number + 1) / 2 - 1) * 0x9e3779b9u;
    off.state = p->state_dt == DT_BF16 ? 0x1p-8 : p->state_dt == DT_F16 ? 0x1p-11 : 0;
    Env env = model_env(&s->model);
    env.stored = !s->as_in_checkpoint, env.perturb = number ? &off : NULL;
    interp_state_precision(m->state, p->state_dt);
    Arena *tmp = NULL;
    bool ok = true;
    for (int64_t n; m->at < p->batch.T && ok; m->at += n) {
        n = next_piece(p, m->at);
        tmp = arena_new();
        Tensor in = {f->params[0]->type, n, ARENA_ARRAY(tmp, double, n *w)};
        for (int64_t i = 0; i < n * w; i++)
            in.data[i] = dtype_load(p->batch.t->dt, p->batch.t->data, (m->row * p->batch.T + m->at) * w + i);
        if (p->batch.width)
            for (int64_t i = 0; i < n * w; i++) in.data[i] = (float)in.data[i];
        Tensor *results = ARENA_ARRAY(tmp, Tensor, f->nresults);
        ok = interp_run(d, tmp, s->model.module, &env, m->state, &in, n, results, watch, m);
        if (ok) memcpy(m->result + m->at * width, results[0].data, sizeof(double) * (size_t)(n * width));
        arena_free(tmp);
    }
    return ok;
}

static void member_begin(Panel *p, int64_t row, int number) {
    Member *m = &p->members[row * p->runs + number];
    *m = (Member){.panel = p, .a = arena_new(), .row = row};
    m->values = ARENA_ARRAY(m->a, double *, p->n);
    for (int i = 0; i < p->n; i++) m->values[i] = ARENA_ARRAY(m->a, double, p->batch.T * p->looked[i].width);
    m->result = ARENA_ARRAY(m->a, double, p->batch.T *type_count(p->main_func->results[0]->type));
    Session *s = p->s; /* the state that computes the constants lives as long as the session */
    m->state =
        s->constants ? interp_state_beside(m->a, s->constants) : interp_state_new(s->a, s->model.module);
}

static void member_run(Member *m, Diag *d, int number) {
    if (!m->ok) m->ok = run_member(m, d, number);
}

/* Messages would come from several threads: who fails runs again, and says why. */
static void run_item(void *user, int64_t i) {
    Panel *p = user;
    int64_t at = p->o->exactly ? i * p->runs : i;
    Arena *a = arena_new();
    Diag quiet = diag_new(a, NULL);
    member_run(&p->members[at], &quiet, (int)(at % p->runs));
    arena_free(a);
}

static bool run_all(Panel *p) {
    Session *s = p->s;
    int64_t n = p->batch.B * p->runs;
    for (int64_t i = 0; i < n; i++) {
        member_begin(p, i / p->runs, (int)(i % p->runs));
        if (s->constants) continue;
        member_run(&p->members[0], s->d, 0);
        if (!p->members[0].ok) return false;
        s->constants = p->members[0].state;
    }
    work_share(p->o->exactly ? p->batch.B : n, run_item, p);
    for (int64_t i = 0; i < n; i++) {
        Member *m = &p->members[i];
        if (m->ok || (p->o->exactly && i % p->runs)) continue;
        arena_free(m->a);
        member_begin(p, i / p->runs, (int)(i % p->runs));
        return run_member(m, s->d, (int)(i % p->runs));
    }
    return true;
}

/* ---- what they say ---- */

/* How far a run is from the exact one. NaN against a number is as far as can be. */
static double distance(double exact, double x) {
    if (isnan(exact) || x == exact) return 0;
    return isnan(x) ? INFINITY : fabs(x - exact);
}

static void put(Panel *p, TensorList *exact, TensorList *off, const char *name, Type t, int i) {
    Session *s = p->s;
    int64_t dim[RAW_MAX_RANK] = {p->batch.B, p->batch.T}, n = p->batch.T * type_count(t);
    for (int r = 0; r < t.rank; r++) dim[2 + r] = t.dim[r];
    double *to = session_tensor_add(s->a, exact, name, 2 + t.rank, dim);
    double *by = p->o->exactly ? NULL : session_tensor_add(s->a, off, name, 2 + t.rank, dim);
    for (int64_t row = 0; row < p->batch.B; row++) {
        const Member *m = &p->members[row * p->runs];
        const double *x = i < 0 ? m[0].result : m[0].values[i];
        memcpy(to + row * n, x, sizeof *x * (size_t)n);
        for (int j = 1; j < p->runs && by; j++) {
            const double *y = i < 0 ? m[j].result : m[j].values[i];
            for (int64_t k = 0; k < n; k++) by[row * n + k] = fmax(by[row * n + k], distance(x[k], y[k]));
        }
    }
}

static void put_states(Panel *p, TensorList *exact, TensorList *off) {
    Session *s = p->s;
    for (int64_t row = 0; row < p->batch.B; row++) {
        const Member *m = &p->members[row * p->runs];
        TensorList own = {0};
        session_interpreted_states(s, m[0].state, p->batch.B, row, exact);
        if (p->o->exactly) continue;
        session_interpreted_states(s, m[0].state, p->batch.B, row, &own);
        for (int j = 1; j < p->runs; j++) {
            TensorList other = {0};
            session_interpreted_states(s, m[j].state, p->batch.B, row, &other);
            for (int i = 0; i < own.n; i++) {
                const RawTensor *t = &own.items[i];
                int64_t n = raw_tensor_count(t) / p->batch.B;
                const RawTensor *old = tensor_find(off, t->name);
                double *to = old ? (double *)(uintptr_t)old->data
                                 : session_tensor_add(s->a, off, t->name, t->rank, t->dim);
                for (int64_t k = row * n; k < (row + 1) * n; k++)
                    to[k] = fmax(to[k], distance(dtype_load(DT_F64, t->data, k),
                                                 dtype_load(DT_F64, other.items[i].data, k)));
            }
        }
    }
}

/* ---- the whole ---- */

static void look(Panel *p, const JudgeOptions *o) {
    Session *s = p->s;
    Arena *tmp = arena_new();
    InterpState *paths = interp_state_new(tmp, s->model.module);
    p->n = o->probes ? o->probes->n : 0;
    p->looked = ARENA_ARRAY(o->arena, Looked, p->n);
    for (int i = 0; i < p->n; i++) {
        const Probe *t = &o->probes->items[i];
        Looked *l = &p->looked[i];
        *l = (Looked){.path = t->call < 0 ? "" : arena_strdup(o->arena, interp_call_path(paths, t->call)),
                      .value = probe_find(s->model.module, t)};
        l->width = l->value ? type_count(l->value->type) : 0;
        if (o->shown) l->shown = (const double *)(const void *)o->shown->items[o->first + i].data;
    }
    arena_free(tmp);
}

bool judge_run(Session *s, const JudgeOptions *o, const char *const *names, const RawTensor *input,
               TensorList *exact, TensorList *off) {
    Compiled c;
    Panel p = {.s = s, .o = o, .main_func = ir_func_find(s->model.module, "main")};
    if (!session_batch(s, input, &p.batch) || !compile_machine(s->d, &s->model, &s->o.compile, &c))
        return false;
    p.state_dt = c.lower.state_dt;
    p.piece = p.state_dt == DT_F32 ? INT64_MAX : o->step ? 1 : c.lower.chunk;
    look(&p, o);
    p.runs = 1 + 2 * (o->pairs ? o->pairs : 1);
    p.members = ARENA_ARRAY(s->a, Member, p.batch.B * p.runs);
    bool ok = run_all(&p);
    Arena *own = s->a;
    s->a = o->arena; /* of what is added to the lists */
    for (int i = 0; i < p.n && ok; i++)
        if (p.looked[i].value) put(&p, exact, off, names[i], p.looked[i].value->type, i);
    if (ok) put(&p, exact, off, p.main_func->result_names[0], p.main_func->results[0]->type, -1);
    if (ok) put_states(&p, exact, off);
    s->a = own;
    for (int64_t i = p.batch.B * p.runs - 1; i >= 0; i--)
        if (p.members[i].a) arena_free(p.members[i].a);
    return ok;
}

/* ---- agreeing ---- */

static int compare_doubles(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* A row, for means: the last axis, or as many of it as make LEAST numbers. */
static int64_t row_length(const RawTensor *t) {
    enum { LEAST = 16 };
    int64_t n = t->rank ? t->dim[t->rank - 1] : 1;
    return n >= LEAST ? n : (LEAST + n - 1) / n * n;
}

/* One number may be off by chance less than its neighbours: each is allowed what the numbers of its row are
 * off by, and half of what those of a usual row are. */
static double *means_of(Arena *a, const RawTensor *off, int64_t row, int64_t count) {
    int64_t rows = (count + row - 1) / row, some = 0;
    double *mean = ARENA_ARRAY(a, double, rows), *sorted = ARENA_ARRAY(a, double, rows);
    const double *x = (const double *)(const void *)off->data;
    for (int64_t r = 0; r < rows; r++) {
        int64_t n = count - r * row < row ? count - r * row : row;
        double sum = 0;
        for (int64_t i = 0; i < n; i++) sum += x[r * row + i] * x[r * row + i];
        mean[r] = sqrt(sum / (double)n);
        if (mean[r] > 0) sorted[some++] = mean[r]; /* slots that nothing was written to are 0 */
    }
    qsort(sorted, (size_t)some, sizeof *sorted, compare_doubles);
    for (int64_t r = 0; r < rows && some; r++) mean[r] = fmax(mean[r], sorted[some / 2] / 2);
    return mean;
}

/* The distance of neighbours of a narrow type at x. */
static double step_at(DType dt, double x) {
    int exponent, bits = dt == DT_BF16 ? 8 : dt == DT_F16 ? 11 : 0;
    if (!bits || x == 0 || !isfinite(x)) return 0;
    frexp(x, &exponent);
    if (dt == DT_F16 && exponent < -13) exponent = -13;
    return ldexp(1, exponent - bits);
}

Agreement agreement_of(const RawTensor *got, const RawTensor *exact, const RawTensor *off, DType stored,
                       double factor) {
    Agreement g = {.count = raw_tensor_count(exact)};
    g.other_shape = got->rank != exact->rank;
    for (int i = 0; i < exact->rank && !g.other_shape; i++) g.other_shape = got->dim[i] != exact->dim[i];
    if (g.other_shape || !g.count) return g.error = g.most = g.ratio = INFINITY, g.other_shape = true, g;
    Arena *tmp = arena_new();
    int64_t row = row_length(exact);
    const double *mean = means_of(tmp, off, row, g.count), *by = (const double *)(const void *)off->data;
    g.ratio = -1;
    for (int64_t i = 0; i < g.count; i++) {
        double x = dtype_load(got->dt, got->data, i), want = dtype_load(exact->dt, exact->data, i);
        double error = x == want || (isnan(x) && isnan(want)) ? 0 : fabs(x - want);
        double allowed = factor * fmax(by[i], mean[i / row]) + 0x1p-24 * fabs(want) + step_at(stored, want) +
                         0x1p-126; /* what is smaller may be 0 */
        double ratio = error / allowed;
        if (isnan(error)) error = ratio = INFINITY;
        if (isnan(ratio)) ratio = error == 0 ? 0 : INFINITY; /* Inf of Inf */
        if (fabs(want) > g.largest) g.largest = fabs(want);
        if (error > g.most) g.most = error;
        if (ratio > g.ratio) g.ratio = ratio, g.error = error, g.allowed = allowed, g.at = i;
    }
    arena_free(tmp);
    return g;
}
