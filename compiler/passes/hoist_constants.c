/* Moves everything that depends on weights and constants alone out of the functions, into "@mamba.const", with one
 * result per value that the rest of @mamba uses. The packer evaluates it for every layer, in double precision.
 * Frequencies, -exp(A_log), (1 + w) norms and whole implicit filters cost nothing when the model runs.
 *
 *     %n = neg (exp @A_log)       ->   @mamba.const: return (neg (exp @A_log))
 *     %y = scan.expand .., %n, ..      %A = derived {func="mamba.const", index=0} */
#include "ir/product.h"
#include "pass.h"

#include <string.h>

static bool leaf_stays(const Op *op) {
    if (op->def == OP_TABLE[OP_weight]) return true;
    return op->def == OP_TABLE[OP_constant] && type_count(op->out[0]->type) == 1;
}

static bool used_by_others(const Func *f, const Value *v) {
    OPS_OF (f->body, op) {
        if (op_is_constant(op)) continue;
        for (int i = 0; i < op->nin; i++)
            if (op->in[i] == v) return true;
    }
    for (int i = 0; i < f->nresults; i++)
        if (f->results[i] == v) return true;
    return false;
}

static Op *derived_op(Func *f, const Value *root, const char *func, int index) {
    Op *op = ir_op_new(f, OP_TABLE[OP_derived], NULL, 0, 1, root->def->loc);
    op->out[0]->type = root->type;
    op->out[0]->name = ir_fresh_name(f, arena_printf(f->module->arena, "%s.c", root->name));
    op_set_str(f, op, "func", func);
    op_set_int(f, op, "index", index);
    op_set_format(f, op, "storage", format_of_constant(root));
    return op;
}

static int hoist(Func *f) {
    Arena *a = f->module->arena;
    Value **roots = NULL;
    int n = 0, cap = 0;
    OPS_OF (f->body, op) {
        if (!op_is_constant(op) || leaf_stays(op)) continue;
        for (int i = 0; i < op->nout; i++)
            if (used_by_others(f, op->out[i])) ARENA_PUSH(a, roots, n, cap, op->out[i]);
    }
    if (!n) return 0;
    const char *name = arena_printf(a, "%s.const", f->name);
    Func *g = ir_func_clone(f, name);
    Value **cloned = ARENA_ARRAY(a, Value *, n);
    for (int i = 0; i < n; i++) cloned[i] = roots[i]->aux;
    g->nresults = 0, g->nparams = 0, g->nstates = 0;
    for (int i = 0; i < n; i++) ir_result_add(g, NULL, cloned[i]);
    for (Op *op = g->body->last, *prev; op; op = prev) {
        prev = op->prev;
        bool needed = false;
        for (int i = 0; i < op->nout; i++) needed |= ir_count_uses(g, op->out[i]) > 0;
        if (!needed) ir_remove(op);
    }
    for (int i = 0; i < n; i++) {
        Op *d = derived_op(f, roots[i], name, i);
        if (f->body->first) ir_insert_before(f->body->first, d);
        ir_replace_uses(f, roots[i], d->out[0]);
    }
    for (Op *op = f->body->last, *prev; op; op = prev) {
        prev = op->prev;
        bool needed = !op_is_constant(op);
        for (int i = 0; i < op->nout; i++) needed |= ir_count_uses(f, op->out[i]) > 0;
        if (!needed) ir_remove(op);
    }
    return n;
}

static bool run(PassCtx *cx, Module *m) {
    for (Func *f = m->first, *last = m->last; f; f = f == last ? NULL : f->next) cx->changed += hoist(f);
    return true;
}

const Pass pass_hoist_constants = {"hoist-constants",
                                   "computes at compile time what depends on weights alone", run};
