/* The interpreter: the oracle that compiled code is compared with. Model level, in double, one op at a time
 * through OpDef.eval; nothing here knows a formula.
 *
 * Compiled code reads denormals of f32 as zeros, and computes none. The interpreter does the same with weights,
 * inputs and all results that depend on them. Constants stay in double while they are computed.
 *
 * A module must have passed ir_verify, and must not change between interp_state_new and the last run.
 * Weights, and all values that depend on weights and constants only, are computed once per call and kept in
 * the InterpState, so an Env must give the same numbers in every run. After a failed run the state is
 * undefined.
 *
 * Call paths: "" is main; a call in it is the text of its attribute `index` (or how many calls came before);
 * a call inside that one is "3.0". When several calls in a function have the same index, the second one is
 * "3#2", the third "3#3", in the order of the text. */
#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "formats/format.h"
#include "perturb.h"

/* ---- a map from values to tensors ---- */

typedef struct Map {
    const Value **keys;
    Tensor *vals;
    size_t cap, n; /* cap: a power of two */
} Map;

static size_t map_slot(const Map *m, const Value *v) {
    size_t at = ((uintptr_t)v >> 4) * 0x9e3779b97f4a7c15u >> 20;
    while (m->keys[at &= m->cap - 1] && m->keys[at] != v) at++;
    return at;
}

static Tensor *map_find(const Map *m, const Value *v) {
    if (!m->cap) return NULL;
    size_t at = map_slot(m, v);
    return m->keys[at] ? &m->vals[at] : NULL;
}

static void map_put(Arena *a, Map *m, const Value *v, Tensor t) {
    if (2 * m->n >= m->cap) {
        Map big = {.cap = m->cap ? 2 * m->cap : 64};
        big.keys = ARENA_ARRAY(a, const Value *, big.cap), big.vals = ARENA_ARRAY(a, Tensor, big.cap);
        for (size_t i = 0; i < m->cap; i++)
            if (m->keys[i]) map_put(a, &big, m->keys[i], m->vals[i]);
        *m = big;
    }
    size_t at = map_slot(m, v);
    if (!m->keys[at]) m->keys[at] = v, m->n++;
    m->vals[at] = t;
}

/* ---- tensors ---- */

static Tensor tensor_new(Arena *a, Type type, int64_t rows) {
    Tensor t = {.type = type, .rows = type.seq ? rows : 1};
    int64_t n;
    if (__builtin_mul_overflow(t.rows, type_count(type), &n) || n > INT64_MAX / 16)
        BTC_BUG("a tensor of %lld rows of %s is too large", (long long)rows, type_text(a, type));
    t.data = ARENA_ARRAY(a, double, n);
    return t;
}

static Tensor tensor_copy(Arena *a, const Tensor *from) {
    Tensor t = *from;
    t.data = arena_copy(a, from->data, sizeof(double) * (size_t)(from->rows * type_count(from->type)));
    return t;
}

/* What is too small for a normal f32 is a zero of its sign. */
static void flush_denormals(Tensor *t) {
    for (int64_t i = 0, n = t->rows * type_count(t->type); i < n; i++)
        if (fabs(t->data[i]) < (double)FLT_MIN) t->data[i] = copysign(0, t->data[i]);
}

/* ---- state ---- */

/* One execution of a function: main, or one call. */
typedef struct Frame Frame;
struct Frame {
    const Func *func;
    const char *path, *prefix;
    Tensor *slots;  /* as func->states */
    Map *constants; /* values that never change, in the arena of the state that computed them */
    Frame **calls;  /* in order of execution */
    int ncalls, cap;
};

struct InterpState {
    Arena *arena;
    Frame *main;
    const Op *whole; /* that makes the module take whole sequences only, or NULL */
    int64_t pos;
    bool narrow;     /* slots are rounded between runs, */
    DType precision; /* to this, or what their op has instead */
};

static bool path_taken(const Frame *f, const char *path) {
    for (int i = 0; i < f->ncalls; i++)
        if (!strcmp(f->calls[i]->path, path)) return true;
    return false;
}

static const char *call_path(Arena *a, const Frame *parent, const Op *call) {
    long long index = attr_int(call, "index", parent->ncalls);
    const char *base = arena_printf(a, "%s%s%lld", parent->path, *parent->path ? "." : "", index);
    const char *path = base;
    for (int i = 2; path_taken(parent, path); i++) path = arena_printf(a, "%s#%d", base, i);
    return path;
}

/* beside: the same execution of another sequence, or NULL. */
static Frame *frame_new(Arena *a, const Func *f, const char *path, const char *prefix, int depth,
                        const Frame *beside) {
    if (depth > 100) BTC_BUG("@%s calls itself", f->name);
    Frame *fr = ARENA_NEW(a, Frame);
    *fr = (Frame){.func = f, .path = path, .prefix = prefix};
    fr->constants = beside ? beside->constants : ARENA_NEW(a, Map);
    fr->slots = ARENA_ARRAY(a, Tensor, f->nstates);
    for (int i = 0; i < f->nstates; i++) {
        fr->slots[i] = tensor_new(a, f->states[i].type, 1);
        for (int64_t k = 0; k < type_count(f->states[i].type); k++) fr->slots[i].data[k] = f->states[i].init;
    }
    OPS_OF (f->body, op) {
        if (op->def->pattern != PAT_CALL) continue;
        const Func *callee = ir_func_find(f->module, attr_str(op, "func", ""));
        if (!callee) BTC_BUG("call of an unknown function");
        const char *inner = arena_printf(a, "%s%s", prefix, attr_str(op, "prefix", ""));
        Frame *sub = frame_new(a, callee, call_path(a, fr, op), inner, depth + 1,
                               beside ? beside->calls[fr->ncalls] : NULL);
        ARENA_PUSH(a, fr->calls, fr->ncalls, fr->cap, sub);
    }
    return fr;
}

InterpState *interp_state_new(Arena *a, const Module *m) {
    const Func *f = ir_func_find(m, "main");
    if (!f) BTC_BUG("a module without main cannot run");
    InterpState *s = ARENA_NEW(a, InterpState);
    *s = (InterpState){.arena = a, .main = frame_new(a, f, "", "", 0, NULL), .whole = whole_reader(m)};
    return s;
}

InterpState *interp_state_beside(Arena *a, const InterpState *of) {
    InterpState *s = ARENA_NEW(a, InterpState);
    *s = (InterpState){
        .arena = a, .main = frame_new(a, of->main->func, "", "", 0, of->main), .whole = of->whole};
    return s;
}

const char *interp_call_path(const InterpState *s, int call) {
    return s->main->calls[call]->path;
}

int64_t interp_position(const InterpState *s) {
    return s->pos;
}

void interp_state_precision(InterpState *s, DType dt) {
    s->narrow = true, s->precision = dt;
}

static Tensor *find_slot(const Frame *f, const char *path, const char *slot) {
    for (int i = 0; i < f->func->nstates && !strcmp(f->path, path); i++)
        if (!strcmp(f->func->states[i].name, slot)) return &f->slots[i];
    for (int i = 0; i < f->ncalls; i++) {
        Tensor *t = find_slot(f->calls[i], path, slot);
        if (t) return t;
    }
    return NULL;
}

Tensor *interp_state_slot(const InterpState *s, const char *path, const char *slot) {
    return find_slot(s->main, path, slot);
}

/* ---- weights ---- */

/* "a.{0..8}.b": begin and end of the range; false: no range in the name. */
static bool stack_range(const char *name, const char **open, const char **close, long *lo, long *hi) {
    *open = strchr(name, '{');
    *close = *open ? strchr(*open, '}') : NULL;
    if (!*close) return false;
    char *end;
    *lo = strtol(*open + 1, &end, 10);
    if (strncmp(end, "..", 2)) return false;
    *hi = strtol(end + 2, &end, 10);
    return end == *close && *lo >= 0 && *hi > *lo;
}

/* Rounds t, whose numbers are at data, to the op's format. Blocks lie along the inputs of a matrix: the last
 * axis, or the one before it. importance: a row for each matrix, or NULL. */
static void round_stored(Arena *tmp, const Op *op, Type t, const float *importance, double *data) {
    int64_t n = type_count(t), cols = t.rank ? t.dim[t.rank - 1] : 1,
            rows = t.rank > 1 ? t.dim[t.rank - 2] : 1;
    const NumberFormat *f = attr_format(op, "storage");
    if (!f->block) {
        for (int64_t i = 0; i < n; i++) data[i] = dtype_round(f->dt, data[i]);
        return;
    }
    if (!f->quantize) return; /* the checkpoint is in this format */
    bool across = attr_int(op, "inputs", -1) == -2;
    int64_t k = across ? rows : cols, outputs = across ? cols : rows, stride = across ? cols : 1;
    double *row = ARENA_ARRAY(tmp, double, k);
    for (int64_t r = 0; r < n / k; r++) {
        double *from = data + (across ? r / cols * cols * k + r % cols : r * k);
        for (int64_t i = 0; i < k; i++) row[i] = from[i * stride];
        format_round(f, row, k, importance ? importance + r / outputs * k : NULL);
        for (int64_t i = 0; i < k; i++) from[i * stride] = row[i];
    }
}

static bool read_tensor(Diag *d, Arena *tmp, const Env *env, const Op *op, const char *name, Type t,
                        double *data) {
    if (!env->weight(env->user, d, op->loc, name, t, data)) return false;
    if (env->stored)
        round_stored(tmp, op, t, env->importance ? env->importance(env->user, name) : NULL, data);
    flush_denormals(&(Tensor){.type = t, .rows = 1, .data = data});
    return true;
}

static bool eval_weight(Diag *d, Arena *tmp, const Env *env, const Op *op, const char *prefix, Tensor *out) {
    const char *name = attr_str(op, "name", "");
    const char *full = *name == '/' ? name + 1 : arena_printf(tmp, "%s%s", prefix, name);
    if (!env || !env->weight) return diag_error(d, op->loc, "weight %s: there are no weights", full);
    const char *open, *close;
    long lo, hi;
    Type t = op->out[0]->type;
    if (!stack_range(full, &open, &close, &lo, &hi)) return read_tensor(d, tmp, env, op, full, t, out->data);
    if (t.rank < 1 || t.dim[0] != hi - lo)
        return diag_error(d, op->loc, "weight %s: stacks %ld tensors, the shape is %s", full, hi - lo,
                          type_text(tmp, t));
    Type one = type_tensor(t.dt, false, t.rank - 1, t.dim + 1);
    for (long i = lo; i < hi; i++) {
        const char *each = arena_printf(tmp, "%.*s%ld%s", (int)(open - full), full, i, close + 1);
        if (!read_tensor(d, tmp, env, op, each, one, out->data + (i - lo) * type_count(one))) return false;
    }
    return true;
}

/* ---- ops ---- */

typedef struct Run {
    Diag *d;
    const Env *env;
    InterpState *s; /* NULL in interp_constant */
    int64_t rows;
    InterpWatch *watch;
    void *user;
} Run;

/* Whether the op always gives the same when its operands do. */
static bool is_pure(const Op *op) {
    if (op->def->pattern == PAT_CALL || op_state_count(op->def)) return false;
    for (int i = 0; i < op->nout; i++)
        if (op->out[i]->type.seq) return false;
    return true;
}

/* Evaluates one op that is no call; results are allocated in `a`. */
static bool eval_op(Run *run, Arena *a, Arena *scratch, const Op *op, const char *prefix, const Tensor *in,
                    Tensor *out) {
    for (int i = 0; i < op->nout; i++) out[i] = tensor_new(a, op->out[i]->type, run->rows);
    if (op->def == &op_weight) return eval_weight(run->d, scratch, run->env, op, prefix, &out[0]);
    if (!op->def->eval)
        return diag_error(run->d, op->loc, "%s: cannot be evaluated by the interpreter", op->def->name);
    EvalCtx c = {.op = op,
                 .in = in,
                 .out = out,
                 .rows = run->rows,
                 .pos = run->s ? run->s->pos : 0,
                 .scratch = scratch,
                 .env = run->env,
                 .prefix = prefix};
    Perturb *p = run->env && !is_pure(op) ? run->env->perturb : NULL;
    if (p) {
        c.in = arena_copy(scratch, in, sizeof *in * (size_t)op->nin);
        perturb_operands(p, scratch, op, run->rows, (Tensor *)(uintptr_t)c.in);
    }
    op->def->eval(&c);
    if (p && !c.error) perturb_results(p, op, run->rows, out);
    return !c.error || diag_error(run->d, op->loc, "%s: %s", op->def->name, c.error);
}

static bool run_frame(Run *run, Arena *a, Frame *fr, const Tensor *inputs, Tensor *results);

/* What hoist-constants has moved away: a result of a function of weights, with the prefix of this call. */
static bool run_derived(Run *run, Arena *a, const Frame *fr, const Op *op, Tensor *out) {
    const Func *f = ir_func_find(fr->func->module, attr_str(op, "func", ""));
    int64_t index = attr_int(op, "index", 0);
    if (!f || index < 0 || index >= f->nresults)
        return diag_error(run->d, op->loc, "derived: there is no such function or result");
    return interp_constant(run->d, a, run->env, f, f->results[index], fr->prefix, out);
}

/* One op of a frame: from the constants, through a call, or by its eval. */
static bool run_op(Run *run, Arena *tmp, Frame *fr, Map *values, const Op *op, int *call) {
    if (op->nout && map_find(fr->constants, op->out[0])) return true;
    Tensor *in = ARENA_ARRAY(tmp, Tensor, op->nin), *out = ARENA_ARRAY(tmp, Tensor, op->nout);
    bool constant = is_pure(op);
    for (int i = 0; i < op->nin; i++) {
        if (!op->in[i]) continue;
        const Tensor *k = map_find(fr->constants, op->in[i]);
        constant = constant && k;
        if (!k) k = map_find(values, op->in[i]);
        if (!k) BTC_BUG("%%%s has no value", op->in[i]->name);
        in[i] = *k;
    }
    bool ok;
    if (op->def->pattern == PAT_CALL)
        ok = run_frame(run, tmp, fr->calls[(*call)++], in, out);
    else if (op->def == &op_derived)
        ok = run_derived(run, run->s->arena, fr, op, out);
    else
        ok = eval_op(run, constant ? run->s->arena : tmp, tmp, op, fr->prefix, in, out);
    for (int i = 0; i < op->nout && ok; i++) {
        if (constant) {
            map_put(run->s->arena, fr->constants, op->out[i], out[i]);
        } else {
            flush_denormals(&out[i]);
            map_put(tmp, values, op->out[i], out[i]);
        }
    }
    return ok;
}

static Tensor value_of(const Frame *fr, const Map *values, const Value *v) {
    const Tensor *t = map_find(fr->constants, v);
    if (!t) t = map_find(values, v);
    if (!t) BTC_BUG("%%%s has no value", v->name);
    return *t;
}

static void watch_op(Run *run, Arena *tmp, const Frame *fr, const Map *values, const Op *op) {
    if (!run->watch) return;
    Tensor *out = ARENA_ARRAY(tmp, Tensor, op->nout);
    for (int i = 0; i < op->nout; i++) out[i] = value_of(fr, values, op->out[i]);
    run->watch(run->user, fr->path, op, out);
}

static void keep_slot(const Run *run, Tensor *slot, const Tensor *t, const Op *owner) {
    const InterpState *s = run->s;
    Perturb *p = run->env ? run->env->perturb : NULL;
    DType precision = !s->narrow ? DT_F32 : owner ? op_state_dtype(owner, s->precision) : s->precision;
    bool exact = precision == DT_F32 || t->type.dt != DT_F32; /* f32 stands for double here */
    for (int64_t i = 0; i < type_count(t->type); i++)
        if (exact)
            slot->data[i] = t->data[i];
        else
            slot->data[i] =
                dtype_round(precision, p ? perturb_absolute(p, t->data[i], fabs(t->data[i]) * PERTURB_INSIDE)
                                         : t->data[i]);
}

/* Results are copied to `a`; everything else of this execution goes with `tmp`, so that a long input needs
 * the memory of one block at a time. */
static bool run_frame(Run *run, Arena *a, Frame *fr, const Tensor *inputs, Tensor *results) {
    const Func *f = fr->func;
    Arena *tmp = arena_new();
    Map values = {0};
    for (int i = 0; i < f->nparams; i++) map_put(tmp, &values, f->params[i], inputs[i]);
    for (int i = 0; i < f->nstates; i++)
        map_put(tmp, &values, f->states[i].in, tensor_copy(tmp, &fr->slots[i]));
    bool ok = true;
    int call = 0;
    OPS_OF (f->body, op) {
        ok = run_op(run, tmp, fr, &values, op, &call);
        if (!ok) break;
        watch_op(run, tmp, fr, &values, op);
    }
    for (int i = 0; i < f->nstates && ok; i++) {
        Tensor t = value_of(fr, &values, f->states[i].out);
        keep_slot(run, &fr->slots[i], &t, f->states[i].out->def);
    }
    for (int i = 0; i < f->nresults && ok; i++) {
        Tensor t = value_of(fr, &values, f->results[i]);
        results[i] = tensor_copy(a, &t);
    }
    arena_free(tmp);
    return ok;
}

/* ---- the entries ---- */

bool interp_run(Diag *d, Arena *a, const Module *m, const Env *env, InterpState *s, const Tensor *inputs,
                int64_t rows, Tensor *results, InterpWatch *watch, void *watch_user) {
    const Func *f = s->main->func;
    if (f->module != m || f != ir_func_find(m, "main")) BTC_BUG("this state belongs to another module");
    if (s->whole && s->pos > 0)
        return diag_error(d, s->whole->loc,
                          "%s needs the whole sequence in one run, and this one goes on after %lld tokens",
                          s->whole->def->name, (long long)s->pos);
    for (int i = 0; i < f->nparams; i++)
        if (!type_equal(inputs[i].type, f->params[i]->type) ||
            inputs[i].rows != (inputs[i].type.seq ? rows : 1))
            return diag_error(d, f->loc, "input %s must be %s with %lld tokens", f->params[i]->name,
                              type_text(a, f->params[i]->type), (long long)rows);
    Run run = {.d = d, .env = env, .s = s, .rows = rows, .watch = watch, .user = watch_user};
    Tensor *flushed = ARENA_ARRAY(a, Tensor, f->nparams);
    for (int i = 0; i < f->nparams; i++) {
        flushed[i] = tensor_copy(a, &inputs[i]);
        flush_denormals(&flushed[i]);
    }
    if (!run_frame(&run, a, s->main, flushed, results)) return false;
    s->pos += rows;
    return true;
}

typedef struct Constant {
    Run run;
    Arena *tmp;
    Map values;
    const char *prefix;
} Constant;

static bool constant_value(Constant *c, const Func *f, const Value *v, Tensor *out) {
    const Tensor *known = map_find(&c->values, v);
    if (known) return *out = *known, true;
    const Op *op = v->def;
    if (!op || !is_pure(op))
        return diag_error(c->run.d, op ? op->loc : f->loc, "%%%s depends on the input, not only on weights",
                          v->name);
    Tensor *in = ARENA_ARRAY(c->tmp, Tensor, op->nin), *res = ARENA_ARRAY(c->tmp, Tensor, op->nout);
    for (int i = 0; i < op->nin; i++)
        if (op->in[i] && !constant_value(c, f, op->in[i], &in[i])) return false;
    if (!eval_op(&c->run, c->tmp, c->tmp, op, c->prefix, in, res)) return false;
    for (int i = 0; i < op->nout; i++) map_put(c->tmp, &c->values, op->out[i], res[i]);
    return *out = res[v->index], true;
}

bool interp_constant(Diag *d, Arena *a, const Env *env, const Func *f, const Value *v, const char *prefix,
                     Tensor *out) {
    Constant c = {.run = {.d = d, .env = env, .rows = 1}, .tmp = arena_new(), .prefix = prefix ? prefix : ""};
    Tensor t;
    bool ok = constant_value(&c, f, v, &t);
    if (ok) *out = tensor_copy(a, &t);
    arena_free(c.tmp);
    return ok;
}
