/* Type inference: of one op by its signature and its own `infer`, of a function op by op (of a call through its
 * callee: ops/call.c). Inference on typed IR changes nothing; verify.c relies on that to check types. */
#include "op.h"

static const int64_t MAX_ELEMENTS = (int64_t)1 << 48; /* of one row; keeps products of sizes inside int64 */

static bool check_results(Diag *d, const Op *op) {
    for (int i = 0; i < op->nout; i++) {
        Type t = op->out[i]->type;
        int64_t n = 1;
        for (int k = 0; k < t.rank && t.kind == TY_TENSOR; k++)
            if (t.dim[k] < 0 || __builtin_mul_overflow(n, t.dim[k], &n) || n > MAX_ELEMENTS)
                return diag_error(d, op->loc, "%s: result %s is too large", op->def->name, op->out[i]->name);
    }
    return true;
}

bool ir_infer_op(Diag *d, Func *f, Op *op) {
    const OpDef *def = op->def;
    if (def->level == LEVEL_LOOP) return !def->infer || def->infer(d, f, op);
    if (!signature_infer(d, f, op)) return false;
    if (def->infer && !def->infer(d, f, op)) return false;
    return check_results(d, op);
}

static bool infer_block(Diag *d, Func *f, Block *b) {
    OPS_OF (b, op) {
        if (!ir_infer_op(d, f, op)) return false;
        for (int i = 0; i < 2; i++)
            if (op->body[i] && !infer_block(d, f, op->body[i])) return false;
    }
    return true;
}

bool ir_infer_func(Diag *d, Func *f) {
    return infer_block(d, f, f->body);
}
