/* The verifier: properties that every pass may rely on and must preserve.
 *
 * Structure, both levels: names are unique in a function, every operand is defined before its use in the same block or
 * one around it, links between ops, blocks and values agree. Model level: types are those of inference, states keep
 * their types, no nested blocks. Loop level: verify_loop.c. Function names are unique. */
#include <stdlib.h>
#include <string.h>

#include "loop.h"

typedef struct Check {
    Diag *d;
    Func *f;
    Arena *tmp;
    const char **names;
    int nnames, names_cap;
    void *live; /* in Value.aux of every value that is visible here; an address used by nobody else */
} Check;

__attribute__((format(printf, 3, 4))) static bool fail(const Check *c, Loc loc, const char *fmt, ...) {
    va_list ap;
    va_start(ap, fmt);
    const char *what = arena_vprintf(c->tmp, fmt, ap);
    va_end(ap);
    return diag_error(c->d, loc, "@%s: %s", c->f->name, what);
}

/* ---- structure ---- */

static bool declare(Check *c, Value *v, Loc loc) {
    if (!v || !v->name) return fail(c, loc, "a value has no name");
    if (v->aux == c->live) return fail(c, loc, "%%%s is defined twice", v->name);
    v->aux = c->live;
    ARENA_PUSH(c->tmp, c->names, c->nnames, c->names_cap, v->name);
    return true;
}

static bool check_visible(const Check *c, const Value *v, Loc loc) {
    return v->aux == c->live || fail(c, loc, "%%%s is not defined before its use", v->name);
}

static void hide(const Block *b) {
    for (int i = 0; i < b->nargs; i++) b->args[i]->aux = NULL;
    OPS_OF (b, op)
        for (int i = 0; i < op->nout; i++) op->out[i]->aux = NULL;
}

static bool check_block(Check *c, Block *b, Op *owner);

static bool check_op(Check *c, Block *b, Op *op) {
    if (op->parent != b || (op->next && op->next->prev != op))
        return fail(c, op->loc, "an op is linked into another block");
    if (op->def->level != c->f->level) return fail(c, op->loc, "an op of the other level");
    for (int i = 0; i < op->nin; i++)
        if (op->in[i] && !check_visible(c, op->in[i], op->loc)) return false;
    for (int i = 0; i < 2; i++) {
        if (!op->body[i]) continue;
        if (c->f->level == LEVEL_MODEL) return fail(c, op->loc, "a model op has no nested block");
        if (!check_block(c, op->body[i], op)) return false;
        hide(op->body[i]);
    }
    for (int i = 0; i < op->nout; i++) {
        if (!declare(c, op->out[i], op->loc)) return false;
        if (op->out[i]->def != op || op->out[i]->index != i)
            return fail(c, op->loc, "%%%s does not know the op that defines it", op->out[i]->name);
    }
    return true;
}

static bool check_block(Check *c, Block *b, Op *owner) {
    if (b->owner != owner || b->func != c->f) return fail(c, c->f->loc, "a block has another owner");
    for (int i = 0; i < b->nargs; i++)
        if (!declare(c, b->args[i], c->f->loc)) return false;
    OPS_OF (b, op)
        if (!check_op(c, b, op)) return false;
    return true;
}

static int by_name(const void *a, const void *b) {
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static bool check_names(const Check *c) {
    if (c->nnames) qsort(c->names, (size_t)c->nnames, sizeof *c->names, by_name);
    for (int i = 1; i < c->nnames; i++)
        if (!strcmp(c->names[i - 1], c->names[i]))
            return fail(c, c->f->loc, "two values are called %%%s", c->names[i]);
    return true;
}

static bool check_structure(Check *c) {
    Func *f = c->f;
    for (int i = 0; i < f->nparams; i++)
        if (!declare(c, f->params[i], f->loc)) return false;
    for (int i = 0; i < f->nstates; i++)
        if (!declare(c, f->states[i].in, f->loc)) return false;
    if (!check_block(c, f->body, NULL)) return false;
    for (int i = 0; i < f->nstates; i++)
        if (!check_visible(c, f->states[i].out, f->loc)) return false;
    for (int i = 0; i < f->nresults; i++)
        if (!check_visible(c, f->results[i], f->loc)) return false;
    return check_names(c);
}

/* ---- types of the model level ---- */

static bool is_model_type(Type t) {
    return t.kind == TY_TENSOR && (t.dt == DT_F32 || t.dt == DT_I32) && t.rank >= 0 && t.rank <= MAX_RANK;
}

static bool check_leaves(const Check *c) {
    const Func *f = c->f;
    for (int i = 0; i < f->nparams; i++)
        if (!is_model_type(f->params[i]->type))
            return fail(c, f->loc, "parameter %%%s must be a tensor of f32 or i32", f->params[i]->name);
    for (int i = 0; i < f->nstates; i++) {
        const State *s = &f->states[i];
        if (!is_model_type(s->type) || s->type.seq || !type_equal(s->type, s->in->type))
            return fail(c, f->loc, "state %%%s must be a tensor without T", s->in->name);
        for (int k = 0; k < i; k++)
            if (!strcmp(f->states[k].name, s->name))
                return fail(c, f->loc, "state %%%s has the slot name of another one", s->in->name);
    }
    return true;
}

/* Inference must find what stands there. */
static bool check_types(const Check *c, Op *op) {
    Type *was = ARENA_ARRAY(c->tmp, Type, op->nout);
    for (int i = 0; i < op->nout; i++) was[i] = op->out[i]->type;
    if (!ir_infer_op(c->d, c->f, op)) return false;
    for (int i = 0; i < op->nout; i++) {
        Type now = op->out[i]->type;
        if (type_equal(was[i], now)) continue;
        op->out[i]->type = was[i];
        return diag_error(c->d, op->loc, "@%s: %%%s is %s but must be %s", c->f->name, op->out[i]->name,
                          type_text(c->tmp, was[i]), type_text(c->tmp, now));
    }
    return true;
}

static bool check_model(const Check *c) {
    if (!check_leaves(c)) return false;
    OPS_OF (c->f->body, op)
        if (!check_types(c, op)) return false;
    for (int i = 0; i < c->f->nstates; i++) {
        const State *s = &c->f->states[i];
        if (!type_equal(s->type, s->out->type))
            return fail(c, c->f->loc, "the next value of state %%%s has another type", s->in->name);
    }
    return true;
}

/* ---- the entry ---- */

static bool verify_func(Diag *d, Func *f) {
    /* The token is in the module's arena, so that no value can hold the same one from an earlier run. */
    Check c = {.d = d, .f = f, .tmp = arena_new(), .live = arena_alloc(f->module->arena, 1)};
    bool ok = check_structure(&c);
    if (ok) ok = f->level == LEVEL_LOOP ? ir_verify_loop(d, f) : check_model(&c);
    arena_free(c.tmp);
    return ok;
}

bool ir_verify(Diag *d, Module *m) {
    bool ok = true;
    for (Func *f = m->first; f; f = f->next) {
        for (Func *g = m->first; g != f; g = g->next)
            if (!strcmp(f->name, g->name))
                ok = diag_error(d, f->loc, "two functions are called @%s", f->name);
        ok = verify_func(d, f) && ok;
    }
    return ok;
}
