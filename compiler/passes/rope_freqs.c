/* Gives every rotary embedding its frequencies as an operand: theta^(-2i/dims), computed in double. Named for
 * its op, because only this op has a table that its attributes stand for. */
#include "pass.h"

#include "ops/rope.h"

static bool run(PassCtx *cx, Module *m) {
    for (Func *f = m->first; f; f = f->next)
        OPS_OF (f->body, op) {
            if (op->def != OP_TABLE[OP_rope] || op->in[2]) continue;
            if (!rope_add_freqs(cx->diag, f, op)) return false;
            cx->changed++;
        }
    return true;
}

const Pass pass_rope_freqs = {"rope-freqs", "makes rotary frequencies constants of the model", run};
