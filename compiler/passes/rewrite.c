/* Rewriting that several passes share. */
#include "pass.h"

bool op_is_constant(const Op *op) {
    if (op->def->pattern == PAT_CALL || op->nout == 0) return false;
    for (int i = 0; i < op->nin; i++)
        if (op->in[i] && (!op->in[i]->def || op->in[i]->type.seq)) return false;
    for (int i = 0; i < op->nout; i++)
        if (op->out[i]->type.seq || op->out[i]->type.kind != TY_TENSOR) return false;
    return true;
}

Op *build_before(PassCtx *cx, Func *f, Op *at, const char *name, Value *const *in, int nin, Attr *attrs) {
    Op *op = ir_build(cx->diag, f, f->body, name, in, nin, attrs, NULL, 1, NULL, at->loc);
    if (!op) return NULL;
    ir_remove(op);
    ir_insert_before(at, op);
    return op;
}

void use_result(PassCtx *cx, Func *f, Op *op, int k, Op *made, const char *suffix) {
    const char *name = arena_printf(f->module->arena, "%s.%s", op->in[0]->name, suffix);
    made->out[0]->name = ir_fresh_name(f, name);
    op->in[k] = made->out[0];
    cx->changed++;
}

void drop_states(Func *f, const Op *op) {
    int kept = 0;
    for (int i = 0; i < f->nstates; i++) {
        bool owned = false;
        for (int k = op->nin - op_state_count(op->def); k < op->nin; k++)
            owned |= f->states[i].in == op->in[k];
        if (!owned) f->states[kept++] = f->states[i];
    }
    f->nstates = kept;
}
