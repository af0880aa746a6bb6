/* 16-bit floats in memory, f32 in registers. bf16 is always shifts and adds; f16 only where the machine has
 * no conversion (then LLVM would call a library). Both narrow to nearest even, and a NaN stays one. The f16
 * tricks are Fabian Giesen's ("float->half variants"): let the adder of the FPU do the rounding and the
 * renormalising of denormals. */
#include "llvm_emit.h"

static LLVMValueRef as_float(Emit *e, LLVMValueRef bits) {
    return LLVMBuildBitCast(e->b, bits, emit_like(e, e->f32, LLVMTypeOf(bits)), "");
}

static LLVMValueRef as_bits(Emit *e, LLVMValueRef f) {
    return LLVMBuildBitCast(e->b, f, emit_like(e, e->i32, LLVMTypeOf(f)), "");
}

static LLVMValueRef widen_int(Emit *e, LLVMValueRef i16s) {
    return LLVMBuildZExt(e->b, i16s, emit_like(e, e->i32, LLVMTypeOf(i16s)), "");
}

static LLVMValueRef narrow_int(Emit *e, LLVMValueRef i32s) {
    return LLVMBuildTrunc(e->b, i32s, emit_like(e, e->i16, LLVMTypeOf(i32s)), "");
}

static LLVMValueRef if_above(Emit *e, LLVMValueRef x, int64_t limit, LLVMValueRef yes, LLVMValueRef no) {
    LLVMValueRef c = LLVMBuildICmp(e->b, LLVMIntUGT, x, emit_const_int(e, LLVMTypeOf(x), limit), "");
    return LLVMBuildSelect(e->b, c, yes, no, "");
}

LLVMValueRef emit_widen_bf16(Emit *e, LLVMValueRef i16s) {
    return as_float(e, emit_int_op(e, LLVMShl, widen_int(e, i16s), 16));
}

LLVMValueRef emit_narrow_bf16(Emit *e, LLVMValueRef floats) {
    LLVMValueRef u = as_bits(e, floats), top = emit_int_op(e, LLVMLShr, u, 16);
    /* half of the last place that stays, less one unless that place is odd */
    LLVMValueRef odd = emit_int_op(e, LLVMAnd, top, 1);
    LLVMValueRef sum = LLVMBuildAdd(e->b, emit_int_op(e, LLVMAdd, u, 0x7fff), odd, "");
    LLVMValueRef nan = emit_int_op(e, LLVMOr, top, 0x40);
    LLVMValueRef mag = emit_int_op(e, LLVMAnd, u, 0x7fffffff);
    return narrow_int(e, if_above(e, mag, 0x7f800000, nan, emit_int_op(e, LLVMLShr, sum, 16)));
}

LLVMValueRef emit_widen_f16(Emit *e, LLVMValueRef i16s) {
    if (e->t->f16) {
        LLVMValueRef h = LLVMBuildBitCast(e->b, i16s, emit_like(e, e->f16, LLVMTypeOf(i16s)), "");
        return LLVMBuildFPExt(e->b, h, emit_like(e, e->f32, LLVMTypeOf(i16s)), "");
    }
    enum { EXP = 0x7c00 << 13, REBIAS = (127 - 15) << 23 };
    LLVMValueRef h = widen_int(e, i16s);
    LLVMValueRef mag = emit_int_op(e, LLVMShl, emit_int_op(e, LLVMAnd, h, 0x7fff), 13);
    LLVMValueRef normal = emit_int_op(e, LLVMAdd, mag, REBIAS);
    /* infinity and NaN: the exponent goes all the way up, a NaN becomes quiet */
    LLVMValueRef inf = emit_int_op(e, LLVMAdd, normal, (128 - 16) << 23);
    inf = if_above(e, mag, EXP, emit_int_op(e, LLVMOr, inf, 0x400000), inf);
    /* zero and denormals: a float with the right digits and one unit too much, which is subtracted */
    LLVMValueRef tiny = as_float(e, emit_int_op(e, LLVMAdd, normal, 1 << 23));
    tiny = as_bits(e, LLVMBuildFSub(e->b, tiny, emit_const_float(e, LLVMTypeOf(tiny), 0x1p-14), ""));
    LLVMValueRef r = if_above(e, mag, (1 << 23) - 1, normal, tiny);
    r = if_above(e, mag, EXP - 1, inf, r);
    LLVMValueRef sign = emit_int_op(e, LLVMShl, emit_int_op(e, LLVMAnd, h, 0x8000), 16);
    return as_float(e, LLVMBuildOr(e->b, r, sign, ""));
}

LLVMValueRef emit_narrow_f16(Emit *e, LLVMValueRef floats) {
    if (e->t->f16) {
        LLVMValueRef h = LLVMBuildFPTrunc(e->b, floats, emit_like(e, e->f16, LLVMTypeOf(floats)), "");
        return LLVMBuildBitCast(e->b, h, emit_like(e, e->i16, LLVMTypeOf(floats)), "");
    }
    enum { TOO_BIG = (127 + 16) << 23, SMALLEST_NORMAL = 113 << 23, INF = 0x7f800000 };
    LLVMValueRef u = as_bits(e, floats);
    LLVMValueRef mag = emit_int_op(e, LLVMAnd, u, 0x7fffffff);
    /* denormals: adding 0.5 puts the digits that stay at the end of the float */
    LLVMValueRef tiny =
        LLVMBuildFAdd(e->b, as_float(e, mag), emit_const_float(e, LLVMTypeOf(floats), 0.5), "");
    tiny = emit_int_op(e, LLVMSub, as_bits(e, tiny), 126 << 23);
    LLVMValueRef odd = emit_int_op(e, LLVMAnd, emit_int_op(e, LLVMLShr, mag, 13), 1);
    LLVMValueRef normal = emit_int_op(e, LLVMAdd, mag, -((127 - 15) << 23) + 0xfff);
    normal = emit_int_op(e, LLVMLShr, LLVMBuildAdd(e->b, normal, odd, ""), 13);
    LLVMValueRef nan =
        emit_int_op(e, LLVMOr, emit_int_op(e, LLVMAnd, emit_int_op(e, LLVMLShr, mag, 13), 0x3ff), 0x7e00);
    LLVMValueRef inf = emit_const_int(e, LLVMTypeOf(u), 0x7c00);
    LLVMValueRef r = if_above(e, mag, SMALLEST_NORMAL - 1, normal, tiny);
    r = if_above(e, mag, TOO_BIG - 1, inf, r);
    r = if_above(e, mag, INF, nan, r);
    LLVMValueRef sign = emit_int_op(e, LLVMLShr, emit_int_op(e, LLVMAnd, u, 0x80000000LL), 16);
    return narrow_int(e, LLVMBuildOr(e->b, r, sign, ""));
}
