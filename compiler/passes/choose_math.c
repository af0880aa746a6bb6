/* Gives everything that multiplies the arithmetic that the module asks for, where storage allows it: int8 to
 * products of quantised weights, bf16 pairs to those of weights in bf16 and to attention. Where int8 is
 * asked for, weights in bf16 take pairs, if the machine has them (the module's attribute `pairs`), and so
 * does attention, if any product takes bytes or pairs: it loses no more by that than they do. What a
 * checkpoint has in f32 is computed in f32.
 *
 * It is a fact of the op from here on: its reference semantics round as the kernels do. */
#include "pass.h"

#include <string.h>

#include "kernels/kernels.h"

static bool is_product(const Op *op) {
    return op->def->pattern == PAT_CONTRACT && op->out[0]->type.seq;
}

/* Whether a product's weights allow `math`, which it then has; else f32. */
static bool takes(Func *f, Op *op, const char *math) {
    op_set_str(f, op, "math", math);
    if (math_of_product(op, NULL) != MATH_F32) return true;
    op_set_str(f, op, "math", "f32");
    return false;
}

static int choose_products(Module *m, const char *math) {
    int chosen = 0;
    for (Func *f = m->first; f; f = f->next)
        OPS_OF (f->body, op)
            if (is_product(op) && !strcmp(attr_str(op, "math", "f32"), "f32")) chosen += takes(f, op, math);
    return chosen;
}

static int choose_attention(Module *m) {
    int chosen = 0;
    for (Func *f = m->first; f; f = f->next)
        OPS_OF (f->body, op)
            if (op->def->pattern == PAT_ATTEND) op_set_str(f, op, "math", "bf16"), chosen++;
    return chosen;
}

static bool run(PassCtx *cx, Module *m) {
    const Attr *math = attr_find(m->attrs, "math"), *pairs = attr_find(m->attrs, "pairs");
    if (!math || !strcmp(math->s, "f32")) return true;
    cx->changed = choose_products(m, math->s);
    if (!strcmp(math->s, "int8")) {
        if (!pairs || !pairs->i) return true;
        cx->changed += choose_products(m, "bf16");
        if (!cx->changed) return true;
    }
    cx->changed += choose_attention(m);
    return true;
}

const Pass pass_choose_math = {"choose-math",
                               "gives each product, and attention, the arithmetic that storage allows", run};
