/* A vector as a warp: lane l of the vector is a number in thread l of 32. Scalars have the same value in all
 * threads, so branches on scalars keep the warp together. */
#include "llvm_emit.h"

#include <stdio.h>
#include <string.h>

enum { WARP = 32 };

static LLVMValueRef special_register(Emit *e, const char *name) {
    return emit_intrinsic(e, name, NULL, 0, NULL, 0);
}

/* Read once, at the top of the function. */
LLVMValueRef warp_lane(Emit *e) {
    if (!e->lane) e->lane = special_register(e, "llvm.nvvm.read.ptx.sreg.laneid");
    return e->lane;
}

void warp_sync(Emit *e) {
    LLVMValueRef all = LLVMConstInt(e->i32, 0xffffffffu, 0);
    emit_intrinsic(e, "llvm.nvvm.bar.warp.sync", NULL, 0, &all, 1);
}

/* x of the lane that `mode` ("bfly", "idx") and `which` say. */
static LLVMValueRef shuffle(Emit *e, const char *mode, LLVMValueRef x, LLVMValueRef which) {
    LLVMTypeRef t = LLVMTypeOf(x);
    if (t != e->f32 && t != e->i32) BTC_BUG("64-bit numbers do not travel through a warp");
    LLVMValueRef args[4] = {LLVMConstInt(e->i32, 0xffffffffu, 0), x, which,
                            LLVMConstInt(e->i32, WARP - 1, 0)};
    char name[64];
    snprintf(name, sizeof name, "llvm.nvvm.shfl.sync.%s.%s", mode, t == e->f32 ? "f32" : "i32");
    return emit_intrinsic(e, name, NULL, 0, args, 4);
}

LLVMValueRef warp_from(Emit *e, LLVMValueRef x, LLVMValueRef lane) {
    return shuffle(e, "idx", x, lane);
}

/* A butterfly: after the step of distance n, lane l holds what the tree of halves has in lane l mod n. The
 * lower lane's number stands first, as in the tree, so NaN and -0 come out alike in all lanes. */
LLVMValueRef warp_reduce(Emit *e, const char *kind, LLVMValueRef x) {
    for (int n = WARP / 2; n; n /= 2) {
        LLVMValueRef other = shuffle(e, "bfly", x, LLVMConstInt(e->i32, (unsigned long long)n, 0));
        LLVMValueRef bit =
            LLVMBuildAnd(e->b, warp_lane(e), LLVMConstInt(e->i32, (unsigned long long)n, 0), "");
        LLVMValueRef upper = LLVMBuildICmp(e->b, LLVMIntNE, bit, LLVMConstInt(e->i32, 0, 0), "");
        bool swaps = !strcmp(kind, "max"); /* sums do not care */
        LLVMValueRef lo = swaps ? LLVMBuildSelect(e->b, upper, other, x, "") : x;
        LLVMValueRef hi = swaps ? LLVMBuildSelect(e->b, upper, x, other, "") : other;
        x = emit_combine(e, kind, lo, hi);
    }
    return x;
}

static LLVMValueRef is_active(Emit *e, int n) {
    return LLVMBuildICmp(e->b, LLVMIntULT, warp_lane(e), LLVMConstInt(e->i32, (unsigned long long)n, 0), "");
}

LLVMValueRef warp_load_first(Emit *e, LLVMTypeRef elem, LLVMValueRef at, int n) {
    LLVMBasicBlockRef before = LLVMGetInsertBlock(e->b);
    LLVMBasicBlockRef some = emit_block(e, "some"), all = emit_block(e, "all");
    LLVMBuildCondBr(e->b, is_active(e, n), some, all);
    LLVMPositionBuilderAtEnd(e->b, some);
    LLVMValueRef v = LLVMBuildLoad2(e->b, elem, at, "");
    LLVMBuildBr(e->b, all);
    LLVMPositionBuilderAtEnd(e->b, all);
    LLVMValueRef phi = LLVMBuildPhi(e->b, elem, "");
    LLVMValueRef values[2] = {v, LLVMConstNull(elem)};
    LLVMBasicBlockRef from[2] = {some, before};
    LLVMAddIncoming(phi, values, from, 2);
    return phi;
}

void warp_store_first(Emit *e, LLVMValueRef v, LLVMValueRef at, int n) {
    LLVMBasicBlockRef some = emit_block(e, "some"), all = emit_block(e, "all");
    LLVMBuildCondBr(e->b, is_active(e, n), some, all);
    LLVMPositionBuilderAtEnd(e->b, some);
    LLVMBuildStore(e->b, v, at);
    LLVMBuildBr(e->b, all);
    LLVMPositionBuilderAtEnd(e->b, all);
}

/* Blocks have one dimension and a multiple of 32 threads. */
static LLVMValueRef warps_per_block(Emit *e) {
    LLVMValueRef threads = special_register(e, "llvm.nvvm.read.ptx.sreg.ntid.x");
    return LLVMBuildLShr(e->b, threads, LLVMConstInt(e->i32, 5, 0), "");
}

LLVMValueRef warp_number(Emit *e) {
    LLVMValueRef block = special_register(e, "llvm.nvvm.read.ptx.sreg.ctaid.x");
    LLVMValueRef thread = special_register(e, "llvm.nvvm.read.ptx.sreg.tid.x");
    LLVMValueRef warp = LLVMBuildLShr(e->b, thread, LLVMConstInt(e->i32, 5, 0), "");
    LLVMValueRef n = LLVMBuildAdd(e->b, LLVMBuildMul(e->b, block, warps_per_block(e), ""), warp, "");
    return LLVMBuildZExt(e->b, n, e->i64, "");
}

LLVMValueRef warp_count(Emit *e) {
    LLVMValueRef blocks = special_register(e, "llvm.nvvm.read.ptx.sreg.nctaid.x");
    LLVMValueRef n = LLVMBuildMul(e->b, blocks, warps_per_block(e), "");
    return LLVMBuildZExt(e->b, n, e->i64, "");
}

void warp_mark_kernel(Emit *e, LLVMValueRef fn) {
    (void)e;
    LLVMSetFunctionCallConv(fn, CC_PTX_KERNEL);
}
