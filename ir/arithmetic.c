#include "arithmetic.h"

#include <string.h>

static const char *const MATHS[] = {"f32", "bf16", "int8"};

bool math_parse(const char *text, Math *out) {
    for (int i = 0; i < 3; i++)
        if (!strcmp(text, MATHS[i])) return *out = (Math)i, true;
    return false;
}

const char *math_name(Math m) {
    return MATHS[m];
}

int math_bytes(Math m) {
    return m == MATH_F32 ? 4 : m == MATH_BF16 ? 2 : 1;
}

const char *storage_of_constant(const Value *v) {
    const Op *op = v->def;
    if (!op || op->def->pattern == PAT_LEAF) return op ? attr_str(op, "storage", "f32") : "f32";
    if (op->def == &op_concat) {
        const char *s = storage_of_constant(op->in[0]);
        for (int i = 1; i < op->nin; i++)
            if (strcmp(s, storage_of_constant(op->in[i]))) return "f32";
        return s;
    }
    bool moves = op->def->pattern == PAT_VIEW || op->def == &op_transpose;
    return moves ? storage_of_constant(op->in[0]) : "f32";
}

Math math_of(const Op *op, const Value *w, Storage *stored) {
    Math math = MATH_F32;
    Storage s;
    if (!w->def || !math_parse(attr_str(op, "math", "f32"), &math)) return MATH_F32;
    if (!storage_parse(storage_of_constant(w), &s)) return MATH_F32;
    if (stored) *stored = s;
    bool fits = math == MATH_INT8 ? s.quant != NULL : math == MATH_BF16 && !s.quant && s.dt == DT_BF16;
    return fits ? math : MATH_F32;
}

Math math_of_product(const Op *op, Storage *stored) {
    for (int i = 1; i < op->nin; i++) {
        const Value *w = op->in[i];
        if (w && !w->type.seq && w->type.rank >= 2) return math_of(op, w, stored);
    }
    return MATH_F32;
}
