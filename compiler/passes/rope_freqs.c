/* Gives every rotary embedding its frequencies as an operand: theta^(-2i/dims), computed in double. The pass names its
 * op, because no other op has attributes that stand for a table. */
#include "pass.h"

#include <math.h>

#include "ops/rope.h"

/* Gives an op without the operand freqs a `constant` of theta^(-2i/dims), in double. false: message filed. */
static bool add_freqs(Diag *d, Func *f, Op *op) {
    Arena *a = f->module->arena;
    int64_t dims = rope_dims(op), n = dims / 2;
    double *freqs = ARENA_ARRAY(a, double, n), theta = attr_float(op, "theta", 10000);
    for (int64_t i = 0; i < n; i++) freqs[i] = pow(theta, -2.0 * (double)i / (double)dims);
    Attr *list = NULL;
    attr_set(a, &list, (Attr){.name = "values", .kind = AT_FLOATS, .n = (int)n, .floats = freqs});
    attr_set(a, &list, (Attr){.name = "shape", .kind = AT_INTS, .n = 1, .ints = arena_copy(a, &n, sizeof n)});
    Op *c = ir_build(d, f, f->body, "constant", NULL, 0, list, NULL, 0, NULL, op->loc);
    if (!c) return false;
    ir_remove(c);
    ir_insert_before(op, c);
    op->in[2] = c->out[0];
    return true;
}

static bool run(PassCtx *cx, Module *m) {
    for (Func *f = m->first; f; f = f->next)
        OPS_OF (f->body, op) {
            if (op->def != OP_TABLE[OP_rope] || op->in[2]) continue;
            if (!add_freqs(cx->diag, f, op)) return false;
            cx->changed++;
        }
    return true;
}

const Pass pass_rope_freqs = {"rope-freqs", "makes rotary frequencies constants of the model", run};
