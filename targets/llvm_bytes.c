/* Bytes within each 128 bits of a vector: by the machine's instruction where it has one, else spelt out. */
#include "llvm_emit.h"

static LLVMValueRef index_list(Emit *e, const int *from, int n) {
    LLVMValueRef mask[256];
    for (int i = 0; i < n; i++) mask[i] = LLVMConstInt(e->i32, (unsigned long long)from[i], 0);
    return LLVMConstVector(mask, (unsigned)n);
}

static LLVMValueRef shuffled(Emit *e, LLVMValueRef x, LLVMValueRef y, const int *from, int n) {
    return LLVMBuildShuffleVector(e->b, x, y, index_list(e, from, n), "");
}

/* ---- registers: x, y are vectors of n bytes ---- */

static LLVMValueRef zip(Emit *e, LLVMValueRef x, LLVMValueRef y, int n, int first) {
    int from[256];
    for (int i = 0; i < n; i++) from[i] = i / 16 * 16 + first + i % 16 / 2 + (i % 2 ? n : 0);
    return shuffled(e, x, y, from, n);
}

/* Byte by byte of the table: sixteen comparisons. */
static LLVMValueRef lookup_by_choice(Emit *e, LLVMValueRef x, LLVMValueRef table, int n) {
    LLVMValueRef out = LLVMConstNull(LLVMTypeOf(x));
    for (int j = 0; j < 16; j++) {
        int from[256];
        for (int i = 0; i < n; i++) from[i] = i / 16 * 16 + j;
        LLVMValueRef hit = LLVMBuildICmp(e->b, LLVMIntEQ, x, emit_const_int(e, LLVMTypeOf(x), j), "");
        out = LLVMBuildSelect(e->b, hit, shuffled(e, table, table, from, n), out, "");
    }
    return out;
}

static LLVMValueRef lookup(Emit *e, LLVMValueRef x, LLVMValueRef table, int n) {
    const Instructions *has = e->t->target->isa->instructions;
    bool fits = e->t->byte_tables && (n == 16 || n == 4 * e->t->lanes);
    x = emit_int_op(e, LLVMAnd, x, 15);
    return fits ? has->lookup(e, x, table, n) : lookup_by_choice(e, x, table, n);
}

/* ---- a warp: four lanes are four threads, x and y i32 ---- */

static LLVMValueRef beside(Emit *e, LLVMValueRef x, LLVMValueRef which) {
    return warp_from(e, x, LLVMBuildAdd(e->b, emit_int_op(e, LLVMAnd, warp_lane(e), ~3), which, ""));
}

static LLVMValueRef warp_zip(Emit *e, LLVMValueRef x, LLVMValueRef y, int first) {
    LLVMValueRef lane = emit_int_op(e, LLVMAnd, warp_lane(e), 3);
    LLVMValueRef word = emit_int_op(e, LLVMAdd, emit_int_op(e, LLVMLShr, lane, 1), first / 4);
    LLVMValueRef shift = emit_int_op(e, LLVMShl, emit_int_op(e, LLVMAnd, lane, 1), 4);
    LLVMValueRef out = LLVMConstInt(e->i32, 0, 0), from[2] = {beside(e, x, word), beside(e, y, word)};
    for (int j = 0; j < 4; j++) {
        LLVMValueRef half = LLVMBuildLShr(e->b, from[j % 2], shift, "");
        LLVMValueRef byte = emit_int_op(e, LLVMAnd, emit_int_op(e, LLVMLShr, half, j / 2 * 8), 255);
        out = LLVMBuildOr(e->b, out, emit_int_op(e, LLVMShl, byte, 8 * j), "");
    }
    return out;
}

static LLVMValueRef warp_lookup(Emit *e, LLVMValueRef x, LLVMValueRef table) {
    LLVMValueRef words[4], out = LLVMConstInt(e->i32, 0, 0);
    for (int j = 0; j < 4; j++) words[j] = beside(e, table, LLVMConstInt(e->i32, (unsigned long long)j, 0));
    for (int j = 0; j < 4; j++) {
        LLVMValueRef at = emit_int_op(e, LLVMAnd, emit_int_op(e, LLVMLShr, x, 8 * j), 15), word = words[0];
        for (int k = 1; k < 4; k++) {
            LLVMValueRef later = LLVMBuildICmp(e->b, LLVMIntUGE, at, emit_const_int(e, e->i32, 4 * k), "");
            word = LLVMBuildSelect(e->b, later, words[k], word, "");
        }
        LLVMValueRef shift = emit_int_op(e, LLVMShl, emit_int_op(e, LLVMAnd, at, 3), 3);
        LLVMValueRef byte = emit_int_op(e, LLVMAnd, LLVMBuildLShr(e->b, word, shift, ""), 255);
        out = LLVMBuildOr(e->b, out, emit_int_op(e, LLVMShl, byte, 8 * j), "");
    }
    return out;
}

LLVMValueRef emit_bytes(Emit *e, const Op *op) {
    LLVMValueRef x = emit_value(op->in[0]), y = emit_value(op->in[1]);
    OpId id = loop_op_id(op->def);
    int first = id == OP_loop_zip_low ? 0 : 8;
    LLVMTypeRef type = LLVMTypeOf(x);
    if (LLVMGetTypeKind(type) != LLVMVectorTypeKind)
        return id == OP_loop_lookup ? warp_lookup(e, x, y) : warp_zip(e, x, y, first);
    int n = 4 * (int)LLVMGetVectorSize(type);
    LLVMTypeRef bytes = LLVMVectorType(e->i8, (unsigned)n);
    x = LLVMBuildBitCast(e->b, x, bytes, ""), y = LLVMBuildBitCast(e->b, y, bytes, "");
    return LLVMBuildBitCast(e->b, id == OP_loop_lookup ? lookup(e, x, y, n) : zip(e, x, y, n, first), type,
                            "");
}
