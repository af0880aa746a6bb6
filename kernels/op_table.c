#include "op_table.h"

#define NO_LOOPS(id)
#define OP(id) extern const OpLowering lowering_##id;
#include "ops.def"
#undef OP

const OpLowering *const OP_LOWERINGS[OP_COUNT] = {
#define NO_LOOPS(id)
#define OP(id) [OP_##id] = &lowering_##id,
#include "ops.def"
#undef OP
};

const OpLowering *op_lowering(const OpDef *def) {
    static const OpLowering none;
    const OpLowering *l = OP_LOWERINGS[op_id(def)];
    return l ? l : &none;
}
