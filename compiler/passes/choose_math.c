/* Chooses the arithmetic of products and attention. The module asks for one, and formats limit it: int8 is for
 * weights in blocks, bf16 for weights in bf16 and for attention. If the module asks for int8, weights in bf16 get
 * bf16, provided that the machine gains by bf16 dot products (the module's attribute `bf16_dots`). Attention then gets
 * bf16, too, if any product has int8 or bf16: it loses no more accuracy than they do. Weights in f32 are multiplied
 * in f32.
 *
 * The arithmetic becomes an attribute of the op: its reference semantics round as the kernels do. */
#include "pass.h"

#include <string.h>

#include "ir/product.h"

static bool is_product(const Op *op) {
    return op->def->pattern == PAT_CONTRACT && op->out[0]->type.seq;
}

/* Whether a product's weights allow `math`, which it then has; else f32. */
static bool takes(Func *f, Op *op, const Arithmetic *math) {
    op_set_arithmetic(f, op, "math", math);
    if (arithmetic_rounds(arithmetic_of_product(op, NULL))) return true;
    op_set_arithmetic(f, op, "math", &arithmetic_f32);
    return false;
}

static int choose_products(Module *m, const Arithmetic *math) {
    int chosen = 0;
    for (Func *f = m->first; f; f = f->next)
        OPS_OF (f->body, op)
            if (is_product(op) && !arithmetic_rounds(attr_arithmetic(op, "math")))
                chosen += takes(f, op, math);
    return chosen;
}

static int choose_attention(Module *m) {
    int chosen = 0;
    for (Func *f = m->first; f; f = f->next)
        OPS_OF (f->body, op)
            if (op->def->pattern == PAT_ATTEND) op_set_arithmetic(f, op, "math", &arithmetic_bf16), chosen++;
    return chosen;
}

static bool run(PassCtx *cx, Module *m) {
    const Attr *asked = attr_find(m->attrs, "math"), *dots = attr_find(m->attrs, "bf16_dots");
    const Arithmetic *math = asked && asked->s ? arithmetic_find(asked->s) : NULL;
    if (!math || !arithmetic_rounds(math)) return true;
    cx->changed = choose_products(m, math);
    if (arithmetic_in_bytes(math)) {
        if (!dots || !dots->i) return true;
        cx->changed += choose_products(m, &arithmetic_bf16);
        if (!cx->changed) return true;
    }
    cx->changed += choose_attention(m);
    return true;
}

const Pass pass_choose_math = {"choose-math",
                               "gives each product, and attention, the arithmetic that formats allow", run};
