/* Loads and stores: from how numbers lie in memory to what is computed with, whole vectors and the first n
 * lanes of one. Nothing is assumed of alignment beyond one element, and no byte outside of the active lanes
 * is touched. */
#include "llvm_emit.h"

LLVMValueRef emit_address(Emit *e, LLVMTypeRef elem, LLVMValueRef ptr, LLVMValueRef index) {
    return LLVMBuildGEP2(e->b, elem, ptr, &index, 1, "");
}

typedef struct Place {
    DType dt;
    LLVMTypeRef elem; /* in memory */
    unsigned align;
    int lanes;   /* 0: scalar */
    int n;       /* active lanes, < lanes; 0: all */
    bool vector; /* an LLVM vector, not one number per thread of a warp */
    LLVMValueRef at;
} Place;

static Place access_of(Emit *e, const Op *op, int lanes) {
    Place a = {.lanes = lanes, .n = (int)attr_int(op, "n", 0)};
    const char *dt = attr_str(op, "dt", "");
    if (!dtype_parse(dt, &a.dt)) BTC_BUG("memory holds no \"%s\"", dt);
    a.elem = a.dt == DT_BOOL ? e->i8 : emit_elem_type(e, a.dt);
    a.align = (unsigned)dtype_size(a.dt);
    a.vector = lanes && !emit_on_grid(e);
    if (a.n == lanes) a.n = 0;
    LLVMValueRef index = emit_value(op->in[1]);
    if (lanes && !a.vector)
        index = LLVMBuildAdd(e->b, index, LLVMBuildZExt(e->b, warp_lane(e), e->index, ""), "");
    a.at = emit_address(e, a.elem, emit_value(op->in[0]), index);
    return a;
}

/* <lanes x i1> with the first n set. */
static LLVMValueRef first_lanes(Emit *e, int lanes, int n) {
    LLVMValueRef bits[256];
    for (int i = 0; i < lanes; i++) bits[i] = LLVMConstInt(e->i1, i < n, 0);
    return LLVMConstVector(bits, (unsigned)lanes);
}

/* The first n lanes of v, or v in the first lanes of a longer vector with zeros behind. */
static LLVMValueRef resize(Emit *e, LLVMValueRef v, int from, int to) {
    LLVMValueRef mask[256];
    for (int i = 0; i < to; i++)
        mask[i] =
            LLVMConstInt(e->i32, (unsigned long long)(i < from ? i : from), 0); /* `from`: of the zeros */
    return LLVMBuildShuffleVector(e->b, v, LLVMConstNull(LLVMTypeOf(v)), LLVMConstVector(mask, (unsigned)to),
                                  "");
}

/* Machines with masks use them. Elsewhere LLVM would test lane by lane; a vector of exactly n lanes, which it
 * splits into the fitting pieces, touches the same bytes with less. */
static LLVMValueRef load_first(Emit *e, const Place *a) {
    if (!e->t->masks) {
        LLVMValueRef v = LLVMBuildLoad2(e->b, LLVMVectorType(a->elem, (unsigned)a->n), a->at, "");
        LLVMSetAlignment(v, a->align);
        return resize(e, v, a->n, a->lanes);
    }
    LLVMTypeRef t = LLVMVectorType(a->elem, (unsigned)a->lanes), over[2] = {t, e->ptr};
    LLVMValueRef args[4] = {a->at, LLVMConstInt(e->i32, a->align, 0), first_lanes(e, a->lanes, a->n),
                            LLVMConstNull(t)};
    return emit_intrinsic(e, "llvm.masked.load", over, 2, args, 4);
}

static void store_first(Emit *e, const Place *a, LLVMValueRef v) {
    if (!e->t->masks) {
        LLVMSetAlignment(LLVMBuildStore(e->b, resize(e, v, a->lanes, a->n), a->at), a->align);
        return;
    }
    LLVMTypeRef over[2] = {LLVMTypeOf(v), e->ptr};
    LLVMValueRef args[4] = {v, a->at, LLVMConstInt(e->i32, a->align, 0), first_lanes(e, a->lanes, a->n)};
    emit_intrinsic(e, "llvm.masked.store", over, 2, args, 4);
}

/* From memory's type to the compute type. */
static LLVMValueRef widen(Emit *e, DType dt, LLVMValueRef v) {
    LLVMTypeRef i32s = emit_like(e, e->i32, LLVMTypeOf(v));
    switch (dt) {
    case DT_BF16:
        return emit_widen_bf16(e, v);
    case DT_F16:
        return emit_widen_f16(e, v);
    case DT_I8:
    case DT_I16:
        return LLVMBuildSExt(e->b, v, i32s, "");
    case DT_U8:
        return LLVMBuildZExt(e->b, v, i32s, "");
    case DT_I64:
        return LLVMGetTypeKind(LLVMTypeOf(v)) == LLVMVectorTypeKind
                   ? v
                   : LLVMBuildIntCast2(e->b, v, e->index, 1, "");
    case DT_BOOL:
        return LLVMBuildICmp(e->b, LLVMIntNE, v, LLVMConstNull(LLVMTypeOf(v)), "");
    default:
        return v;
    }
}

static LLVMValueRef narrow(Emit *e, DType dt, LLVMValueRef v) {
    LLVMTypeRef t = LLVMTypeOf(v);
    switch (dt) {
    case DT_BF16:
        return emit_narrow_bf16(e, v);
    case DT_F16:
        return emit_narrow_f16(e, v);
    case DT_I8:
    case DT_U8:
        return LLVMBuildTrunc(e->b, v, emit_like(e, e->i8, t), "");
    case DT_I16:
        return LLVMBuildTrunc(e->b, v, emit_like(e, e->i16, t), "");
    case DT_I64:
        return LLVMBuildIntCast2(e->b, v, emit_like(e, e->i64, t), 1, "");
    case DT_BOOL:
        return LLVMBuildZExt(e->b, v, emit_like(e, e->i8, t), "");
    default:
        return v;
    }
}

LLVMValueRef emit_load(Emit *e, const Op *op) {
    Place a = access_of(e, op, op->out[0]->type.lanes);
    if (a.n && a.vector) return widen(e, a.dt, load_first(e, &a));
    if (a.n) return widen(e, a.dt, warp_load_first(e, a.elem, a.at, a.n));
    LLVMTypeRef t = a.vector ? LLVMVectorType(a.elem, (unsigned)a.lanes) : a.elem;
    LLVMValueRef v = LLVMBuildLoad2(e->b, t, a.at, "");
    LLVMSetAlignment(v, a.align);
    return widen(e, a.dt, v);
}

/* On a warp the lanes may run apart between two barriers of the warp, and a store may be read by other lanes
 * than the one that wrote it, or overwrite what a slow lane has not read yet: hence the barriers around it.
 * A scalar is the same in all lanes; the first one writes it. */
static void store_in_warp(Emit *e, const Place *a, LLVMValueRef v) {
    warp_sync(e);
    if (a->lanes && !a->n)
        LLVMSetAlignment(LLVMBuildStore(e->b, v, a->at), a->align);
    else
        warp_store_first(e, v, a->at, a->lanes ? a->n : 1);
    warp_sync(e);
}

void emit_store(Emit *e, const Op *op) {
    Place a = access_of(e, op, op->in[2]->type.lanes);
    LLVMValueRef v = narrow(e, a.dt, emit_value(op->in[2]));
    if (emit_on_grid(e))
        store_in_warp(e, &a, v);
    else if (a.n)
        store_first(e, &a, v);
    else
        LLVMSetAlignment(LLVMBuildStore(e->b, v, a.at), a.align);
}

void emit_prefetch(Emit *e, const Op *op) {
    if (emit_on_grid(e)) return; /* other warps hide the wait */
    Place a = access_of(e, op, 0);
    enum { READ = 0, SECOND_CACHE = 2, DATA = 1 };
    LLVMValueRef args[4] = {a.at, LLVMConstInt(e->i32, READ, 0), LLVMConstInt(e->i32, SECOND_CACHE, 0),
                            LLVMConstInt(e->i32, DATA, 0)};
    emit_intrinsic(e, "llvm.prefetch", &e->ptr, 1, args, 4);
}
