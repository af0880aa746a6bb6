/* Removes ops whose results have no user, from last to first. The next token uses a stateful op.
 *
 *     %a = silu %x        ->   (gone, when %a has no user) */
#include "pass.h"

static bool used(const Func *f, const Op *op) {
    if (op->def->flags & OPF_EFFECT) return true;
    for (int i = 0; i < op->nout; i++)
        if (ir_count_uses(f, op->out[i])) return true;
    return false;
}

static bool run(PassCtx *cx, Module *m) {
    for (Func *f = m->first; f; f = f->next)
        for (Op *op = f->body->last, *prev; op; op = prev) {
            prev = op->prev;
            if (used(f, op)) continue;
            ir_remove(op);
            cx->changed++;
        }
    return true;
}

const Pass pass_prune = {"prune", "removes ops whose results nobody uses", run};
