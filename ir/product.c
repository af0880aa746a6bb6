/* See product.h. */
#include "product.h"

#include <string.h>

const NumberFormat *format_of_constant(const Value *v) {
    const Op *op = v->def;
    if (!op || op->def->pattern == PAT_LEAF) return op ? attr_format(op, "storage") : &format_f32;
    if (op->def == &op_concat) {
        const NumberFormat *f = format_of_constant(op->in[0]);
        for (int i = 1; i < op->nin; i++)
            if (f != format_of_constant(op->in[i])) return &format_f32;
        return f;
    }
    bool moves = op->def->pattern == PAT_VIEW || op->def == &op_transpose;
    return moves ? format_of_constant(op->in[0]) : &format_f32;
}

const Arithmetic *arithmetic_of(const Op *op, const Value *w, const NumberFormat **format) {
    const Arithmetic *a = attr_arithmetic(op, "math");
    if (!w->def || !arithmetic_rounds(a)) return &arithmetic_f32;
    const NumberFormat *f = format_of_constant(w);
    if (format) *format = f;
    return arithmetic_takes(a, f) ? a : &arithmetic_f32;
}

const Arithmetic *arithmetic_of_product(const Op *op, const NumberFormat **format) {
    for (int i = 1; i < op->nin; i++) {
        const Value *w = op->in[i];
        if (w && !w->type.seq && w->type.rank >= 2) return arithmetic_of(op, w, format);
    }
    return &arithmetic_f32;
}

int product_zero(const NumberFormat *f) {
    return f->minimum ? -1 : f->fold ? 128 : f->zero;
}
