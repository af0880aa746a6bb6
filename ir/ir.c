/* Building, walking and rewriting the IR; attributes; types. */
#include "ir.h"
#include "formats/arithmetic.h"

#include <string.h>

/* ---- types ---- */

Type type_tensor(DType dt, bool seq, int rank, const int64_t *dim) {
    Type t = {.kind = TY_TENSOR, .dt = dt, .seq = seq, .rank = rank};
    for (int i = 0; i < rank; i++) t.dim[i] = dim[i];
    return t;
}

Type type_scalar(DType dt, int lanes) {
    return (Type){.kind = TY_SCALAR, .dt = dt, .lanes = lanes};
}
Type type_ptr(void) {
    return (Type){.kind = TY_PTR};
}

int64_t type_count(Type t) {
    int64_t n = 1;
    for (int i = 0; i < t.rank; i++) n *= t.dim[i];
    return n;
}

bool type_equal(Type a, Type b) {
    if (a.kind != b.kind) return false;
    if (a.kind == TY_PTR || a.kind == TY_NONE) return true;
    if (a.dt != b.dt) return false;
    if (a.kind == TY_SCALAR) return a.lanes == b.lanes;
    if (a.seq != b.seq || a.rank != b.rank) return false;
    for (int i = 0; i < a.rank; i++)
        if (a.dim[i] != b.dim[i]) return false;
    return true;
}

const char *type_text(Arena *a, Type t) {
    Text x = text_new(a);
    switch (t.kind) {
    case TY_NONE:
        return "?";
    case TY_PTR:
        return "ptr";
    case TY_SCALAR:
        text_add(&x, "%s", dtype_name(t.dt));
        if (t.lanes) text_add(&x, "x%d", t.lanes);
        return x.s;
    case TY_TENSOR:
        text_add(&x, "%s[%s", dtype_name(t.dt), t.seq ? "T" : "");
        for (int i = 0; i < t.rank; i++) text_add(&x, "%s%lld", i || t.seq ? "," : "", (long long)t.dim[i]);
        text_add(&x, "]");
        return x.s;
    }
    return "?";
}

const char *form_name(Form f) {
    static const char *const names[] = {"sequence", "step", "chunk"};
    return names[f];
}

/* ---- modules and functions ---- */

Module *ir_module_new(Arena *a, const char *name) {
    Module *m = ARENA_NEW(a, Module);
    m->arena = a, m->name = arena_strdup(a, name);
    return m;
}

Func *ir_func_new(Module *m, const char *name, Level level) {
    Func *f = ARENA_NEW(m->arena, Func);
    f->module = m, f->name = arena_strdup(m->arena, name), f->level = level;
    f->body = ir_block_new(f, NULL);
    if (m->last)
        m->last->next = f;
    else
        m->first = f;
    m->last = f;
    return f;
}

Func *ir_func_find(const Module *m, const char *name) {
    for (Func *f = m->first; f; f = f->next)
        if (!strcmp(f->name, name)) return f;
    return NULL;
}

void ir_func_remove(Module *m, Func *f) {
    Func *prev = NULL;
    for (Func *g = m->first; g; prev = g, g = g->next) {
        if (g != f) continue;
        if (prev)
            prev->next = f->next;
        else
            m->first = f->next;
        if (m->last == f) m->last = prev;
        return;
    }
}

/* Whether `name` is taken by a value of f; linear, but functions are small and names are made once. */
static bool name_taken(const Func *f, const Block *b, const char *name) {
    for (int i = 0; i < b->nargs; i++)
        if (!strcmp(b->args[i]->name, name)) return true;
    OPS_OF (b, op) {
        for (int i = 0; i < op->nout; i++)
            if (!strcmp(op->out[i]->name, name)) return true;
        for (int i = 0; i < 2; i++)
            if (op->body[i] && name_taken(f, op->body[i], name)) return true;
    }
    return false;
}

const char *ir_fresh_name(Func *f, const char *hint) {
    Arena *a = f->module->arena;
    if (f->level == LEVEL_LOOP) return arena_printf(a, "%s%d", hint ? hint : "v", f->next_name++);
    const char *name = hint ? hint : arena_printf(a, "v%d", f->next_name++);
    for (;;) {
        bool taken = name_taken(f, f->body, name);
        for (int i = 0; i < f->nparams && !taken; i++) taken = !strcmp(f->params[i]->name, name);
        for (int i = 0; i < f->nstates && !taken; i++) taken = !strcmp(f->states[i].in->name, name);
        if (!taken) return arena_strdup(a, name);
        name = arena_printf(a, "%s.%d", hint ? hint : "v", f->next_name++);
    }
}

Value *ir_value_new(Func *f, const char *name_hint, Type t) {
    Value *v = ARENA_NEW(f->module->arena, Value);
    v->name = ir_fresh_name(f, name_hint), v->type = t;
    return v;
}

Value *ir_param_add(Func *f, const char *name, Type t) {
    Value *v = ir_value_new(f, name, t);
    v->index = f->nparams;
    ARENA_PUSH(f->module->arena, f->params, f->nparams, f->params_cap, v);
    return v;
}

Value *ir_param_as(Func *f, ParamRole role, const char *name, Type t) {
    Value *v = ir_param_add(f, name, t);
    return v->role = role, v;
}

const char *ir_role_name(ParamRole role) {
    static const char *const names[] = {"", "readonly", "worker", "workers"};
    return names[role];
}

State *ir_state_add(Func *f, const char *name, Type t, double init) {
    Arena *a = f->module->arena;
    State s = {.name = arena_strdup(a, name), .type = t, .init = init};
    s.in = s.out = ir_value_new(f, arena_printf(a, "%s.in", name), t);
    ARENA_PUSH(a, f->states, f->nstates, f->states_cap, s);
    return &f->states[f->nstates - 1];
}

void ir_result_add(Func *f, const char *name, Value *v) {
    Arena *a = f->module->arena;
    int n = f->nresults, cap = f->results_cap;
    f->results = arena_grow(a, f->results, n, &cap, sizeof *f->results);
    cap = f->results_cap;
    f->result_names = arena_grow(a, f->result_names, n, &cap, sizeof *f->result_names);
    f->results_cap = cap;
    f->results[n] = v, f->result_names[n] = name ? arena_strdup(a, name) : NULL;
    f->nresults++;
}

Block *ir_block_new(Func *f, Op *owner) {
    Block *b = ARENA_NEW(f->module->arena, Block);
    b->func = f, b->owner = owner;
    return b;
}

Op *ir_op_new(Func *f, const OpDef *def, Value *const *in, int nin, int nout, Loc loc) {
    Arena *a = f->module->arena;
    Op *op = ARENA_NEW(a, Op);
    op->def = def, op->nin = nin, op->nout = nout, op->loc = loc;
    op->in = ARENA_ARRAY(a, Value *, nin);
    for (int i = 0; i < nin; i++) op->in[i] = in[i];
    op->out = ARENA_ARRAY(a, Value *, nout);
    for (int i = 0; i < nout; i++) {
        op->out[i] = ir_value_new(f, NULL, (Type){0});
        op->out[i]->def = op, op->out[i]->index = i;
    }
    return op;
}

void ir_append(Block *b, Op *op) {
    op->parent = b, op->prev = b->last, op->next = NULL;
    if (b->last)
        b->last->next = op;
    else
        b->first = op;
    b->last = op;
}

void ir_insert_before(Op *at, Op *op) {
    op->parent = at->parent, op->next = at, op->prev = at->prev;
    if (at->prev)
        at->prev->next = op;
    else
        at->parent->first = op;
    at->prev = op;
}

void ir_insert_after(Op *at, Op *op) {
    op->parent = at->parent, op->prev = at, op->next = at->next;
    if (at->next)
        at->next->prev = op;
    else
        at->parent->last = op;
    at->next = op;
}

void ir_remove(Op *op) {
    Block *b = op->parent;
    if (op->prev)
        op->prev->next = op->next;
    else
        b->first = op->next;
    if (op->next)
        op->next->prev = op->prev;
    else
        b->last = op->prev;
    op->prev = op->next = NULL, op->parent = NULL;
}

/* ---- uses ---- */

static int uses_in_block(Block *b, const Value *v, Value *to) {
    int n = 0;
    OPS_OF (b, op) {
        for (int i = 0; i < op->nin; i++)
            if (op->in[i] == v) {
                n++;
                if (to) op->in[i] = to;
            }
        for (int i = 0; i < 2; i++)
            if (op->body[i]) n += uses_in_block(op->body[i], v, to);
    }
    return n;
}

void ir_replace_uses(Func *f, Value *from, Value *to) {
    uses_in_block(f->body, from, to);
    for (int i = 0; i < f->nstates; i++)
        if (f->states[i].out == from) f->states[i].out = to;
    for (int i = 0; i < f->nresults; i++)
        if (f->results[i] == from) f->results[i] = to;
}

int ir_count_uses(const Func *f, const Value *v) {
    int n = uses_in_block(f->body, v, NULL);
    for (int i = 0; i < f->nstates; i++) n += f->states[i].out == v && f->states[i].in != v;
    for (int i = 0; i < f->nresults; i++) n += f->results[i] == v;
    return n;
}

State *ir_state_of(Func *f, const Value *v) {
    for (int i = 0; i < f->nstates; i++)
        if (f->states[i].in == v) return &f->states[i];
    return NULL;
}

/* ---- cloning ---- */

static Value *clone_value(Func *to, Value *v) {
    Value *w = ARENA_NEW(to->module->arena, Value);
    *w = *v;
    w->def = NULL;
    v->aux = w; /* the map from old to new lives in aux for the time of the clone */
    return w;
}

static void clone_block(Func *to, Block *into, const Block *from) {
    Arena *a = to->module->arena;
    into->nargs = from->nargs;
    into->args = ARENA_ARRAY(a, Value *, from->nargs);
    for (int i = 0; i < from->nargs; i++) into->args[i] = clone_value(to, from->args[i]);
    OPS_OF (from, op) {
        Op *c = ARENA_NEW(a, Op);
        *c = *op;
        c->in = ARENA_ARRAY(a, Value *, op->nin);
        for (int i = 0; i < op->nin; i++) c->in[i] = op->in[i] ? op->in[i]->aux : NULL;
        c->out = ARENA_ARRAY(a, Value *, op->nout);
        for (int i = 0; i < op->nout; i++) {
            c->out[i] = clone_value(to, op->out[i]);
            c->out[i]->def = c;
        }
        c->attrs = NULL;
        for (const Attr *t = op->attrs; t; t = t->next) attr_set(a, &c->attrs, *t);
        for (int i = 0; i < 2; i++)
            if (op->body[i]) {
                c->body[i] = ir_block_new(to, c);
                clone_block(to, c->body[i], op->body[i]);
            }
        ir_append(into, c);
    }
}

Func *ir_func_clone(Func *f, const char *name) {
    Arena *a = f->module->arena;
    Func *g = ir_func_new(f->module, name, f->level);
    g->form = f->form, g->loc = f->loc, g->next_name = f->next_name;
    for (int i = 0; i < f->nparams; i++)
        ARENA_PUSH(a, g->params, g->nparams, g->params_cap, clone_value(g, f->params[i]));
    for (int i = 0; i < f->nstates; i++) {
        State s = f->states[i];
        s.in = clone_value(g, s.in);
        ARENA_PUSH(a, g->states, g->nstates, g->states_cap, s);
    }
    clone_block(g, g->body, f->body);
    for (int i = 0; i < g->nstates; i++) g->states[i].out = f->states[i].out->aux;
    for (int i = 0; i < f->nresults; i++) ir_result_add(g, f->result_names[i], f->results[i]->aux);
    for (const Attr *t = f->attrs; t; t = t->next) attr_set(a, &g->attrs, *t);
    return g;
}

/* ---- attributes ---- */

const Attr *attr_find(const Attr *list, const char *name) {
    for (const Attr *t = list; t; t = t->next)
        if (!strcmp(t->name, name)) return t;
    return NULL;
}

int64_t attr_int(const Op *op, const char *name, int64_t otherwise) {
    const Attr *t = attr_find(op->attrs, name);
    return !t ? otherwise : t->kind == AT_FLOAT ? (int64_t)t->f : t->i;
}

double attr_float(const Op *op, const char *name, double otherwise) {
    const Attr *t = attr_find(op->attrs, name);
    return !t ? otherwise : t->kind == AT_FLOAT ? t->f : (double)t->i;
}

bool attr_bool(const Op *op, const char *name, bool otherwise) {
    const Attr *t = attr_find(op->attrs, name);
    return t ? t->i != 0 : otherwise;
}

const char *attr_str(const Op *op, const char *name, const char *otherwise) {
    const Attr *t = attr_find(op->attrs, name);
    return t && t->s ? t->s : otherwise;
}

const NumberFormat *attr_format(const Op *op, const char *name) {
    const Attr *t = attr_find(op->attrs, name);
    if (t && t->kind != AT_FORMAT) BTC_BUG("the attribute %s is no format", name);
    return t ? t->format : &format_f32;
}

const Arithmetic *attr_arithmetic(const Op *op, const char *name) {
    const Attr *t = attr_find(op->attrs, name);
    if (t && t->kind != AT_ARITHMETIC) BTC_BUG("the attribute %s is no arithmetic", name);
    return t ? t->arithmetic : &arithmetic_f32;
}

void attr_set(Arena *a, Attr **list, Attr value) {
    Attr **at = list;
    while (*at && strcmp((*at)->name, value.name)) at = &(*at)->next;
    Attr *next = *at ? (*at)->next : NULL;
    Attr *t = ARENA_NEW(a, Attr);
    *t = value;
    t->name = arena_strdup(a, value.name);
    if (value.s) t->s = arena_strdup(a, value.s);
    if (value.ints) t->ints = arena_copy(a, value.ints, sizeof *value.ints * (size_t)value.n);
    if (value.floats) t->floats = arena_copy(a, value.floats, sizeof *value.floats * (size_t)value.n);
    t->next = next;
    *at = t;
}

void op_set_int(Func *f, Op *op, const char *name, int64_t v) {
    attr_set(f->module->arena, &op->attrs, (Attr){.name = name, .kind = AT_INT, .i = v});
}
void op_set_float(Func *f, Op *op, const char *name, double v) {
    attr_set(f->module->arena, &op->attrs, (Attr){.name = name, .kind = AT_FLOAT, .f = v});
}
void op_set_str(Func *f, Op *op, const char *name, const char *v) {
    attr_set(f->module->arena, &op->attrs, (Attr){.name = name, .kind = AT_STR, .s = v});
}
void op_set_format(Func *f, Op *op, const char *name, const NumberFormat *v) {
    attr_set(f->module->arena, &op->attrs, (Attr){.name = name, .kind = AT_FORMAT, .format = v});
}
void op_set_arithmetic(Func *f, Op *op, const char *name, const Arithmetic *v) {
    attr_set(f->module->arena, &op->attrs, (Attr){.name = name, .kind = AT_ARITHMETIC, .arithmetic = v});
}

const char *form_base_name(Arena *a, const Func *f) {
    const char *dot = strrchr(f->name, '.');
    return dot ? arena_strndup(a, f->name, (size_t)(dot - f->name)) : f->name;
}
