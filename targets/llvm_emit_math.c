/* Arithmetic of the loop level as LLVM instructions. Each op is exactly one rounding, or the bit operations
 * that ops/loop.c promises; what a machine lacks (fma, rounding to whole numbers) is spelt out here, so that
 * LLVM never calls a library. */
#include "llvm_emit.h"

#include <string.h>

static bool is_float(Type t) {
    return t.dt == DT_F32 || t.dt == DT_F64;
}

static LLVMValueRef binary(Emit *e, OpId id, bool flt, LLVMValueRef x, LLVMValueRef y) {
    switch (id) {
    case OP_loop_add:
        return flt ? LLVMBuildFAdd(e->b, x, y, "") : LLVMBuildAdd(e->b, x, y, "");
    case OP_loop_sub:
        return flt ? LLVMBuildFSub(e->b, x, y, "") : LLVMBuildSub(e->b, x, y, "");
    case OP_loop_mul:
        return flt ? LLVMBuildFMul(e->b, x, y, "") : LLVMBuildMul(e->b, x, y, "");
    case OP_loop_div:
        return flt ? LLVMBuildFDiv(e->b, x, y, "") : LLVMBuildSDiv(e->b, x, y, "");
    case OP_loop_rem:
        return LLVMBuildSRem(e->b, x, y, "");
    case OP_loop_min:
        return emit_pick(e, flt, false, x, y);
    case OP_loop_max:
        return emit_pick(e, flt, true, x, y);
    case OP_loop_and:
        return LLVMBuildAnd(e->b, x, y, "");
    case OP_loop_or:
        return LLVMBuildOr(e->b, x, y, "");
    case OP_loop_xor:
        return LLVMBuildXor(e->b, x, y, "");
    case OP_loop_shl:
        return LLVMBuildShl(e->b, x, y, "");
    default:
        return LLVMBuildLShr(e->b, x, y, "");
    }
}

static LLVMValueRef unary_intrinsic(Emit *e, const char *name, LLVMValueRef x) {
    LLVMTypeRef t = LLVMTypeOf(x);
    return emit_intrinsic(e, name, &t, 1, &x, 1);
}

/* The nearest whole number without an instruction for it: adding 2^23 (2^52) leaves no room for a fraction.
 * Larger numbers are whole already; the sign is kept for -0 and -0.3. */
static LLVMValueRef round_by_adding(Emit *e, LLVMValueRef x, DType dt) {
    LLVMTypeRef t = LLVMTypeOf(x);
    LLVMValueRef big = emit_const_float(e, t, dt == DT_F32 ? 0x1p23 : 0x1p52);
    LLVMValueRef mag = unary_intrinsic(e, "llvm.fabs", x);
    LLVMValueRef r = LLVMBuildFSub(e->b, LLVMBuildFAdd(e->b, mag, big, ""), big, "");
    LLVMValueRef args[2] = {r, x};
    r = emit_intrinsic(e, "llvm.copysign", &t, 1, args, 2);
    return LLVMBuildSelect(e->b, LLVMBuildFCmp(e->b, LLVMRealOLT, mag, big, ""), r, x, "");
}

static LLVMValueRef floor_by_adding(Emit *e, LLVMValueRef x, DType dt) {
    LLVMTypeRef t = LLVMTypeOf(x);
    LLVMValueRef r = round_by_adding(e, x, dt);
    LLVMValueRef less = LLVMBuildFSub(e->b, r, emit_const_float(e, t, 1), "");
    return LLVMBuildSelect(e->b, LLVMBuildFCmp(e->b, LLVMRealOGT, r, x, ""), less, r, "");
}

static LLVMValueRef unary(Emit *e, OpId id, Type t, LLVMValueRef x) {
    bool flt = is_float(t), rounds = e->t->rounds && (t.dt != DT_F64 || e->t->doubles);
    switch (id) {
    case OP_loop_neg:
        return flt ? LLVMBuildFNeg(e->b, x, "") : LLVMBuildNeg(e->b, x, "");
    case OP_loop_abs:
        if (flt) return unary_intrinsic(e, "llvm.fabs", x);
        return emit_pick(e, false, true, x, LLVMBuildNeg(e->b, x, ""));
    case OP_loop_sqrt:
        return unary_intrinsic(e, "llvm.sqrt", x);
    case OP_loop_floor:
        return rounds ? unary_intrinsic(e, "llvm.floor", x) : floor_by_adding(e, x, t.dt);
    default:
        return rounds ? unary_intrinsic(e, e->t->target->isa->round, x) : round_by_adding(e, x, t.dt);
    }
}

/* 2^n for a vector or scalar of i32 in -126 .. 127 */
static LLVMValueRef power_of_two(Emit *e, LLVMValueRef n, LLVMTypeRef floats) {
    LLVMTypeRef t = LLVMTypeOf(n);
    n = LLVMBuildAdd(e->b, n, emit_const_int(e, t, 127), "");
    return LLVMBuildBitCast(e->b, LLVMBuildShl(e->b, n, emit_const_int(e, t, 23), ""), floats, "");
}

/* x 2^n in two halves: the first product is exact, the second rounds once, into the denormals or to infinity.
 * The low bits of n + 1.5*2^23 are n. */
static LLVMValueRef scale_by_halves(Emit *e, LLVMValueRef x, LLVMValueRef n) {
    LLVMTypeRef floats = LLVMTypeOf(x), ints = emit_like(e, e->i32, floats);
    LLVMValueRef sum = LLVMBuildFAdd(e->b, n, emit_const_float(e, floats, 0x1.8p23), "");
    LLVMValueRef i = LLVMBuildBitCast(e->b, sum, ints, "");
    i = LLVMBuildSub(e->b, i, emit_const_int(e, ints, 0x4b400000), "");
    LLVMValueRef half = LLVMBuildAShr(e->b, i, emit_const_int(e, ints, 1), "");
    x = LLVMBuildFMul(e->b, x, power_of_two(e, half, floats), "");
    return LLVMBuildFMul(e->b, x, power_of_two(e, LLVMBuildSub(e->b, i, half, ""), floats), "");
}

static LLVMValueRef scale(Emit *e, LLVMValueRef x, LLVMValueRef n) {
    const Instructions *has = e->t->target->isa->instructions;
    LLVMValueRef r = has->scale ? has->scale(e, x, n) : NULL;
    return r ? r : scale_by_halves(e, x, n);
}

static LLVMValueRef compare(Emit *e, const Op *op) {
    static const struct {
        const char *pred;
        LLVMRealPredicate real;
        LLVMIntPredicate integer;
    } table[] = {
        {"lt", LLVMRealOLT, LLVMIntSLT}, {"le", LLVMRealOLE, LLVMIntSLE}, {"eq", LLVMRealOEQ, LLVMIntEQ},
        {"ne", LLVMRealUNE, LLVMIntNE},  {"gt", LLVMRealOGT, LLVMIntSGT}, {"ge", LLVMRealOGE, LLVMIntSGE},
    };
    const char *pred = attr_str(op, "pred", "");
    LLVMValueRef x = emit_value(op->in[0]), y = emit_value(op->in[1]);
    for (int i = 0; i < 6; i++) {
        if (strcmp(table[i].pred, pred)) continue;
        if (is_float(op->in[0]->type)) return LLVMBuildFCmp(e->b, table[i].real, x, y, "");
        return LLVMBuildICmp(e->b, table[i].integer, x, y, "");
    }
    BTC_BUG("comparison \"%s\"", pred);
}

/* Out of range is defined (it saturates, NaN gives 0): an index made from data must not be undefined. */
static LLVMValueRef float_to_int(Emit *e, LLVMValueRef x, LLVMTypeRef to) {
    LLVMTypeRef over[2] = {to, LLVMTypeOf(x)};
    return emit_intrinsic(e, "llvm.fptosi.sat", over, 2, &x, 1);
}

static LLVMValueRef cast(Emit *e, const Op *op) {
    Type from = op->in[0]->type, into = op->out[0]->type;
    LLVMValueRef x = emit_value(op->in[0]);
    LLVMTypeRef to = emit_type(e, into);
    if (from.dt == into.dt) return x;
    if (into.dt == DT_BOOL && is_float(from))
        return LLVMBuildFCmp(e->b, LLVMRealUNE, x, emit_const_float(e, LLVMTypeOf(x), 0), "");
    if (into.dt == DT_BOOL) return LLVMBuildICmp(e->b, LLVMIntNE, x, LLVMConstNull(LLVMTypeOf(x)), "");
    if (from.dt == DT_BOOL)
        return is_float(into) ? LLVMBuildUIToFP(e->b, x, to, "") : LLVMBuildZExt(e->b, x, to, "");
    if (is_float(from) && is_float(into))
        return into.dt == DT_F64 ? LLVMBuildFPExt(e->b, x, to, "") : LLVMBuildFPTrunc(e->b, x, to, "");
    if (is_float(from)) return float_to_int(e, x, to);
    if (is_float(into)) return LLVMBuildSIToFP(e->b, x, to, "");
    return LLVMBuildIntCast2(e->b, x, to, 1, "");
}

LLVMValueRef emit_math(Emit *e, const Op *op) {
    OpId id = loop_op_id(op->def);
    switch (id) {
    case OP_loop_add:
    case OP_loop_sub:
    case OP_loop_mul:
    case OP_loop_div:
    case OP_loop_rem:
    case OP_loop_min:
    case OP_loop_max:
    case OP_loop_and:
    case OP_loop_or:
    case OP_loop_xor:
    case OP_loop_shl:
    case OP_loop_shr:
        return binary(e, id, is_float(op->out[0]->type), emit_value(op->in[0]), emit_value(op->in[1]));
    case OP_loop_fma:
        return emit_fma(e, emit_value(op->in[0]), emit_value(op->in[1]), emit_value(op->in[2]));
    case OP_loop_dot4:
    case OP_loop_dot2:
        return emit_dot(e, op);
    case OP_loop_pair:
        return emit_pair(e, emit_value(op->in[0]), emit_value(op->in[1]));
    case OP_loop_lookup:
    case OP_loop_zip_low:
    case OP_loop_zip_high:
        return emit_bytes(e, op);
    case OP_loop_scale:
        return scale(e, emit_value(op->in[0]), emit_value(op->in[1]));
    case OP_loop_neg:
    case OP_loop_abs:
    case OP_loop_sqrt:
    case OP_loop_floor:
    case OP_loop_round:
        return unary(e, id, op->out[0]->type, emit_value(op->in[0]));
    case OP_loop_cmp:
        return compare(e, op);
    case OP_loop_select:
        return LLVMBuildSelect(e->b, emit_value(op->in[0]), emit_value(op->in[1]), emit_value(op->in[2]), "");
    case OP_loop_cast:
        return cast(e, op);
    case OP_loop_bits: {
        Type t = op->out[0]->type;
        LLVMValueRef x = emit_value(op->in[0]);
        if (t.dt == DT_I64 && !t.lanes) /* of an f64, of which the index holds the low bits */
            return LLVMBuildIntCast2(e->b, LLVMBuildBitCast(e->b, x, e->i64, ""), e->index, 1, "");
        return LLVMBuildBitCast(e->b, x, emit_type(e, t), "");
    }
    default:
        return NULL;
    }
}
