/* ir_build: every front end adds ops by it. It looks up the op, creates state slots and infers types. */
#include <string.h>

#include "op.h"

/* Results of an op without states: what the signature says, else what the caller names. */
static int result_count(const Func *f, const OpDef *def, const Op *op, int named) {
    if (def->sig) {
        Arena *tmp = arena_new();
        int n = signature_of(tmp, def)->nout;
        arena_free(tmp);
        return n;
    }
    const Func *callee = ir_func_find(f->module, attr_str(op, "func", ""));
    return callee ? callee->nresults : named;
}

/* All operands of the signature, absent ones at the end filled up with NULL. */
static int operand_count(const OpDef *def, int given) {
    if (!def->sig) return given;
    Arena *tmp = arena_new();
    int n = signature_of(tmp, def)->nin;
    arena_free(tmp);
    return given > n ? given : n;
}

/* first: the name that the slots were named after, or NULL. */
static void name_results(Func *f, Op *op, const char *first, const char *const *names, int n) {
    for (int i = 0; i < n && i < op->nout; i++)
        if (i == 0 && first)
            op->out[i]->name = first;
        else if (names && names[i])
            op->out[i]->name = ir_fresh_name(f, names[i]);
}

static bool has_state(const Func *f, const char *name) {
    for (int i = 0; i < f->nstates; i++)
        if (!strcmp(f->states[i].name, name)) return true;
    return false;
}

/* A misspelt attribute must not be passed over in silence. Passes set further ones of their own later. */
static bool check_attr_names(Diag *d, Arena *a, const OpDef *def, const Attr *attrs, Loc loc) {
    int n = 0;
    for (const AttrDef *t = def->attrs; t && t->name; t++) n++;
    const char **known = ARENA_ARRAY(a, const char *, n);
    for (int i = 0; i < n; i++) known[i] = def->attrs[i].name;
    for (; attrs; attrs = attrs->next) {
        bool found = false;
        for (int i = 0; i < n; i++) found = found || !strcmp(known[i], attrs->name);
        if (!found)
            return diag_error(d, loc, "%s: there is no attribute \"%s\"%s", def->name, attrs->name,
                              diag_did_you_mean(a, attrs->name, known, n));
    }
    return true;
}

Op *ir_build(Diag *d, Func *f, Block *b, const char *op_name, Value *const *in, int nin, Attr *attrs,
             const char *const *out_names, int nout, const char *const *state_names, Loc loc) {
    Arena *a = f->module->arena;
    const OpDef *def = op_find(op_name);
    if (!def || def->level != LEVEL_MODEL) {
        diag_error(d, loc, "there is no op \"%s\"%s", op_name, op_did_you_mean(a, op_name, LEVEL_MODEL));
        return NULL;
    }
    if (!check_attr_names(d, a, def, attrs, loc)) return NULL;
    int nsig = operand_count(def, nin), nstates = 0;
    Value **all = ARENA_ARRAY(a, Value *, nsig + SIG_MAX);
    for (int i = 0; i < nin; i++) all[i] = in[i];

    /* A draft without states and results: enough to know the types of the slots. */
    Op *draft = ir_op_new(f, def, all, nsig, 0, loc);
    draft->attrs = attrs;
    StateDef states[SIG_MAX];
    if (!signature_states(d, f, draft, states, &nstates)) return NULL;
    int nres = result_count(f, def, draft, nout);
    if (out_names && nout != nres) {
        diag_error(d, loc, "%s: gives %d results, %d are named", op_name, nres, nout);
        return NULL;
    }
    int had_states = f->nstates;
    const char *first = nstates ? ir_fresh_name(f, nout > 0 && out_names ? out_names[0] : NULL) : NULL;
    for (int i = 0; i < nstates; i++) {
        const char *name = state_names && state_names[i] ? state_names[i] : NULL;
        if (!name) name = arena_printf(a, "%s.%s", first, states[i].name);
        if (has_state(f, name)) {
            diag_error(d, loc, "%s: a state named \"%s\" exists already", op_name, name);
            f->nstates = had_states;
            return NULL;
        }
        all[nsig + i] = ir_state_add(f, name, states[i].type, states[i].init)->in;
    }
    Op *op = ir_op_new(f, def, all, nsig + nstates, nres + nstates, loc);
    op->attrs = attrs;
    ir_append(b, op);
    name_results(f, op, first, out_names, nres);
    for (int i = 0; i < nstates; i++) {
        const char *slot = f->states[had_states + i].name;
        op->out[nres + i]->name = ir_fresh_name(f, arena_printf(a, "%s.out", slot));
        f->states[had_states + i].out = op->out[nres + i];
    }

    bool typed = true; /* in a block that is not called yet the types come with the first call */
    for (int i = 0; i < nsig; i++) typed = typed && (!op->in[i] || op->in[i]->type.kind != TY_NONE);
    if (typed && !ir_infer_op(d, f, op)) {
        ir_remove(op);
        f->nstates = had_states;
        return NULL;
    }
    return op;
}
