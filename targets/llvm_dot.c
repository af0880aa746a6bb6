/* Dot products of packed parts of an i32: dot4 (bytes) and dot2 (bf16, made by pair), by the machine's instruction
 * where it has one, else spelt out in arithmetic that gives the same bits. A vector that is wider than a
 * register goes through piece by piece. */
#include "llvm_emit.h"

/* ---- bytes ---- */

/* Lane by lane in i32. */
static LLVMValueRef dot4_by_shifts(Emit *e, Dot d) {
    for (int j = 0; j < 4; j++) {
        LLVMValueRef x = emit_int_op(e, LLVMAnd, emit_int_op(e, LLVMLShr, d.x, 8 * j), 255);
        LLVMValueRef y = emit_int_op(e, LLVMAShr, emit_int_op(e, LLVMShl, d.y, 24 - 8 * j), 24);
        d.acc = LLVMBuildAdd(e->b, d.acc, LLVMBuildMul(e->b, x, y, ""), "");
    }
    return d.acc;
}

static LLVMValueRef dot4(Emit *e, Dot d) {
    const Instructions *has = e->t->target->isa->instructions;
    bool fits = emit_lanes(d.acc) == e->t->lanes && e->t->lanes >= 4;
    LLVMValueRef r = fits && has->dot4 ? has->dot4(e, d) : NULL;
    return r ? r : dot4_by_shifts(e, d);
}

/* ---- bf16 ---- */

/* A denormal becomes a zero of its sign: for what is not computed with, and for machines that keep them. */
static LLVMValueRef flushed(Emit *e, LLVMValueRef x) {
    LLVMTypeRef t = LLVMTypeOf(x), ints = emit_like(e, e->i32, t);
    LLVMValueRef bits = emit_bits(e, x, ints), mag = emit_int_op(e, LLVMAnd, bits, 0x7fffffff);
    LLVMValueRef tiny = LLVMBuildICmp(e->b, LLVMIntULT, mag, emit_const_int(e, ints, 0x800000), "");
    LLVMValueRef zero = emit_bits(e, emit_int_op(e, LLVMAnd, bits, (int64_t)0x80000000), t);
    return LLVMBuildSelect(e->b, tiny, zero, x, "");
}

static LLVMValueRef half(Emit *e, LLVMValueRef pair, LLVMTypeRef floats, int j) {
    LLVMValueRef bits =
        j ? emit_int_op(e, LLVMAnd, pair, (int64_t)0xffff0000) : emit_int_op(e, LLVMShl, pair, 16);
    return emit_bits(e, bits, floats);
}

static LLVMValueRef flushed_unless_machine_does(Emit *e, LLVMValueRef x) {
    return e->t->target->isa->denormals == DENORMALS_KEPT ? flushed(e, x) : x;
}

static LLVMValueRef dot2_by_fma(Emit *e, Dot d) {
    LLVMTypeRef floats = LLVMTypeOf(d.acc);
    LLVMValueRef sum = flushed_unless_machine_does(e, d.acc);
    for (int j = 1; j >= 0; j--) {
        LLVMValueRef x = flushed_unless_machine_does(e, half(e, d.x, floats, j)),
                     y = flushed_unless_machine_does(e, half(e, d.y, floats, j));
        sum = flushed_unless_machine_does(e, emit_fma(e, x, y, sum));
    }
    return sum;
}

static LLVMValueRef dot2(Emit *e, Dot d) {
    const Instructions *has = e->t->target->isa->instructions;
    bool fits = emit_lanes(d.acc) == e->t->lanes;
    LLVMValueRef r = fits && has->dot2 ? has->dot2(e, d) : NULL;
    return r ? r : dot2_by_fma(e, d);
}

static LLVMValueRef pair_by_shifts(Emit *e, LLVMValueRef x, LLVMValueRef y) {
    LLVMTypeRef ints = emit_like(e, e->i32, LLVMTypeOf(x));
    LLVMValueRef low = LLVMBuildZExt(e->b, emit_narrow_bf16(e, flushed(e, x)), ints, ""),
                 high = LLVMBuildZExt(e->b, emit_narrow_bf16(e, flushed(e, y)), ints, "");
    return LLVMBuildOr(e->b, low, emit_int_op(e, LLVMShl, high, 16), "");
}

LLVMValueRef emit_pair(Emit *e, LLVMValueRef x, LLVMValueRef y) {
    const Instructions *has = e->t->target->isa->instructions;
    bool fits = emit_lanes(x) == e->t->lanes;
    LLVMValueRef r = fits && has->pair ? has->pair(e, x, y) : NULL;
    return r ? r : pair_by_shifts(e, x, y);
}

/* ---- pieces ---- */

static LLVMValueRef lanes_from(Emit *e, LLVMValueRef v, int from, int n) {
    LLVMValueRef mask[256];
    for (int i = 0; i < n; i++) mask[i] = LLVMConstInt(e->i32, (unsigned long long)(from + i), 0);
    return LLVMBuildShuffleVector(e->b, v, LLVMGetPoison(LLVMTypeOf(v)), LLVMConstVector(mask, (unsigned)n),
                                  "");
}

static LLVMValueRef joined(Emit *e, LLVMValueRef x, LLVMValueRef y) {
    LLVMValueRef mask[256];
    int n = 2 * emit_lanes(x);
    for (int i = 0; i < n; i++) mask[i] = LLVMConstInt(e->i32, (unsigned long long)i, 0);
    return LLVMBuildShuffleVector(e->b, x, y, LLVMConstVector(mask, (unsigned)n), "");
}

static LLVMValueRef by_registers(Emit *e, Dot d, LLVMValueRef (*dot)(Emit *, Dot)) {
    int n = emit_lanes(d.acc);
    if (n <= e->t->lanes) return dot(e, d);
    LLVMValueRef part[2];
    for (int i = 0; i < 2; i++) {
        int from = i * n / 2;
        Dot piece = {lanes_from(e, d.acc, from, n / 2), lanes_from(e, d.x, from, n / 2),
                     lanes_from(e, d.y, from, n / 2)};
        part[i] = by_registers(e, piece, dot);
    }
    return joined(e, part[0], part[1]);
}

LLVMValueRef emit_dot(Emit *e, const Op *op) {
    Dot d = {emit_value(op->in[0]), emit_value(op->in[1]), emit_value(op->in[2])};
    return by_registers(e, d, loop_op_id(op->def) == OP_loop_dot4 ? dot4 : dot2);
}
