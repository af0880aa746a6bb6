/* Gives every product the arithmetic that the module asks for, where the storage of its weights allows it:
 * bf16 for weights in bf16, int8 for quantised ones. It is a fact of the op from here on: its reference
 * semantics round as the kernels do. */
#include "pass.h"

#include <string.h>

#include "lower/kernels.h"

static bool wants(const Op *op) {
    return op->def->pattern == PAT_CONTRACT && op->out[0]->type.seq;
}

static bool run(PassCtx *cx, Module *m) {
    const Attr *math = attr_find(m->attrs, "math");
    if (!math || !strcmp(math->s, "f32")) return true;
    for (Func *f = m->first; f; f = f->next)
        OPS_OF (f->body, op) {
            if (!wants(op)) continue;
            op_set_str(f, op, "math", math->s);
            bool fits = false;
            for (int i = 0; i < op->nin; i++) fits |= op->in[i] && math_of(op, op->in[i], NULL) != MATH_F32;
            op_set_str(f, op, "math", fits ? math->s : "f32");
            cx->changed += fits;
        }
    return true;
}

const Pass pass_choose_math = {"choose-math", "gives each product the arithmetic that its weights allow",
                               run};
