/* Gives every result of a function, and everything that main passes to a call, a value of its own: not a parameter,
 * not a view, not a value that is another result, too. A result can then lie directly where the caller wants it.
 * Copies are made where needed. */
#include "pass.h"

static bool is_plain(const Value *v) {
    return v->def && v->type.seq && v->def->def->pattern != PAT_VIEW && v->def->def->pattern != PAT_LEAF;
}

static Value *copy_at(PassCtx *cx, Func *f, Op *before, Value *v) {
    Op *op =
        ir_build(cx->diag, f, f->body, "copy", &v, 1, NULL, NULL, 1, NULL, before ? before->loc : f->loc);
    if (!op) return NULL;
    if (before) {
        ir_remove(op);
        ir_insert_before(before, op);
    }
    cx->changed++;
    return op->out[0];
}

static bool own_results(PassCtx *cx, Func *f, bool is_main) {
    for (int i = 0; i < f->nresults; i++) {
        Value *v = f->results[i];
        bool again = false;
        for (int j = 0; j < i; j++) again |= f->results[j] == v;
        bool plain = is_plain(v) && !again && v->def->def->pattern != PAT_CALL;
        if (is_main && plain) plain = ir_count_uses(f, v) == 1;
        if (plain) continue;
        Value *c = copy_at(cx, f, NULL, v);
        if (!c) return false;
        f->results[i] = c;
    }
    return true;
}

static bool own_arguments(PassCtx *cx, Func *f) {
    OPS_OF (f->body, op) {
        if (op->def->pattern != PAT_CALL) continue;
        for (int i = 0; i < op->nin; i++) {
            if (is_plain(op->in[i])) continue;
            Value *c = copy_at(cx, f, op, op->in[i]);
            if (!c) return false;
            op->in[i] = c;
        }
    }
    return true;
}

static bool run(PassCtx *cx, Module *m) {
    Func *main_func = ir_func_find(m, "main");
    for (Func *f = m->first; f; f = f->next) {
        if (f->nparams == 0) continue; /* constants of a function */
        if (!own_results(cx, f, f == main_func)) return false;
        if (f == main_func && !own_arguments(cx, f)) return false;
    }
    return true;
}

const Pass pass_own_results = {"own-results", "gives every result memory of its own", run};
