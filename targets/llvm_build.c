/* Types, constants, intrinsics and small sums: what all files that build instructions call. */
#include "llvm_emit.h"

#include <string.h>

/* ---- types, constants, intrinsics ---- */

LLVMTypeRef emit_elem_type(const Emit *e, DType dt) {
    switch (dt) {
    case DT_F32:
        return e->f32;
    case DT_F64:
        return e->f64;
    case DT_F16:
    case DT_BF16:
    case DT_I16:
        return e->i16; /* 16-bit floats are bits here: not all targets know the types */
    case DT_I64:
        return e->i64;
    case DT_I32:
        return e->i32;
    case DT_I8:
    case DT_U8:
        return e->i8;
    case DT_BOOL:
        return e->i1;
    case DT_COUNT:
        break;
    }
    BTC_BUG("no such dtype");
}

bool emit_on_grid(const Emit *e) {
    return e->t->target->execution == EXECUTION_GRID;
}

/* A scalar i64 is an index into memory, and no wider than an address. */
LLVMTypeRef emit_type(const Emit *e, Type t) {
    if (t.kind == TY_PTR) return e->ptr;
    if (t.dt == DT_I64 && !t.lanes) return e->index;
    return emit_lanes_type(e, emit_elem_type(e, t.dt), t.lanes);
}

LLVMTypeRef emit_lanes_type(const Emit *e, LLVMTypeRef elem, int lanes) {
    return lanes && !emit_on_grid(e) ? LLVMVectorType(elem, (unsigned)lanes) : elem;
}

LLVMValueRef emit_value(const Value *v) {
    if (!v->aux) BTC_BUG("%%%s has no value yet", v->name);
    return v->aux;
}

static bool is_vector(LLVMTypeRef t) {
    return LLVMGetTypeKind(t) == LLVMVectorTypeKind;
}

int emit_lanes(LLVMValueRef v) {
    LLVMTypeRef t = LLVMTypeOf(v);
    return is_vector(t) ? (int)LLVMGetVectorSize(t) : 0;
}

LLVMValueRef emit_bits(Emit *e, LLVMValueRef v, LLVMTypeRef t) {
    return LLVMBuildBitCast(e->b, v, t, "");
}

LLVMTypeRef emit_like(const Emit *e, LLVMTypeRef elem, LLVMTypeRef like) {
    (void)e;
    return is_vector(like) ? LLVMVectorType(elem, LLVMGetVectorSize(like)) : elem;
}

static LLVMValueRef const_splat(LLVMTypeRef like, LLVMValueRef c) {
    LLVMValueRef all[256];
    if (!is_vector(like)) return c;
    unsigned n = LLVMGetVectorSize(like);
    if (n > 256) BTC_BUG("vector of %u lanes", n);
    for (unsigned i = 0; i < n; i++) all[i] = c;
    return LLVMConstVector(all, n);
}

LLVMValueRef emit_const_int(const Emit *e, LLVMTypeRef like, int64_t v) {
    (void)e;
    LLVMTypeRef elem = is_vector(like) ? LLVMGetElementType(like) : like;
    return const_splat(like, LLVMConstInt(elem, (unsigned long long)v, 1));
}

LLVMValueRef emit_const_float(const Emit *e, LLVMTypeRef like, double v) {
    (void)e;
    LLVMTypeRef elem = is_vector(like) ? LLVMGetElementType(like) : like;
    return const_splat(like, LLVMConstReal(elem, v));
}

LLVMValueRef emit_splat(Emit *e, LLVMValueRef scalar, int lanes) {
    LLVMTypeRef t = emit_lanes_type(e, LLVMTypeOf(scalar), lanes);
    if (!is_vector(t)) return scalar;
    LLVMValueRef undef = LLVMGetPoison(t);
    LLVMValueRef one = LLVMBuildInsertElement(e->b, undef, scalar, LLVMConstInt(e->i32, 0, 0), "");
    return LLVMBuildShuffleVector(e->b, one, undef, LLVMConstNull(LLVMVectorType(e->i32, (unsigned)lanes)),
                                  "");
}

LLVMValueRef emit_intrinsic(Emit *e, const char *name, LLVMTypeRef *over, int nover, LLVMValueRef *args,
                            int nargs) {
    unsigned id = LLVMLookupIntrinsicID(name, strlen(name));
    if (!id) BTC_BUG("LLVM has no intrinsic %s", name);
    LLVMValueRef f = LLVMGetIntrinsicDeclaration(e->module, id, over, (size_t)nover);
    LLVMTypeRef t = LLVMIntrinsicGetType(e->cx, id, over, (size_t)nover);
    return LLVMBuildCall2(e->b, t, f, args, (unsigned)nargs, "");
}

LLVMBasicBlockRef emit_block(Emit *e, const char *name) {
    return LLVMAppendBasicBlockInContext(e->cx, e->fn, name);
}

LLVMValueRef emit_pick(Emit *e, bool flt, bool max, LLVMValueRef x, LLVMValueRef y) {
    LLVMValueRef c = flt ? LLVMBuildFCmp(e->b, max ? LLVMRealOGT : LLVMRealOLT, x, y, "")
                         : LLVMBuildICmp(e->b, max ? LLVMIntSGT : LLVMIntSLT, x, y, "");
    return LLVMBuildSelect(e->b, c, x, y, "");
}

LLVMValueRef emit_combine(Emit *e, const char *kind, LLVMValueRef x, LLVMValueRef y) {
    LLVMTypeRef t = LLVMTypeOf(x);
    if (LLVMGetTypeKind(t) == LLVMVectorTypeKind) t = LLVMGetElementType(t);
    bool flt = LLVMGetTypeKind(t) != LLVMIntegerTypeKind;
    if (!strcmp(kind, "max")) return emit_pick(e, flt, true, x, y);
    return flt ? LLVMBuildFAdd(e->b, x, y, "") : LLVMBuildAdd(e->b, x, y, "");
}

LLVMValueRef emit_int_op(Emit *e, LLVMOpcode op, LLVMValueRef x, int64_t c) {
    return LLVMBuildBinOp(e->b, op, x, emit_const_int(e, LLVMTypeOf(x), c), "");
}

LLVMValueRef emit_fma(Emit *e, LLVMValueRef x, LLVMValueRef y, LLVMValueRef z) {
    LLVMValueRef in[3] = {x, y, z};
    LLVMTypeRef t = LLVMTypeOf(x);
    LLVMTypeRef elem = LLVMGetTypeKind(t) == LLVMVectorTypeKind ? LLVMGetElementType(t) : t;
    if (e->t->fma && (elem != e->f64 || e->t->doubles)) return emit_intrinsic(e, "llvm.fma", &t, 1, in, 3);
    return LLVMBuildFAdd(e->b, LLVMBuildFMul(e->b, in[0], in[1], ""), in[2], "");
}
