/* Dot products of packed pieces: dot4 (bytes) and dot2 (bf16, which pair makes), by the machine's instruction
 * where it has one, else spelt out in arithmetic that gives the same bits. A vector that is wider than a
 * register goes through piece by piece. */
#include "llvm_emit.h"

#include <stdio.h>

typedef struct Dot {
    LLVMValueRef acc, x, y;
} Dot;

static int lanes_of(LLVMValueRef v) {
    LLVMTypeRef t = LLVMTypeOf(v);
    return LLVMGetTypeKind(t) == LLVMVectorTypeKind ? (int)LLVMGetVectorSize(t) : 0;
}

static LLVMTypeRef vector(LLVMTypeRef elem, int n) {
    return LLVMVectorType(elem, (unsigned)n);
}

static LLVMValueRef as(Emit *e, LLVMValueRef v, LLVMTypeRef t) {
    return LLVMBuildBitCast(e->b, v, t, "");
}

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

/* x86 without VNNI: even and odd bytes as i16, whose pair products one instruction adds without overflow. */
static LLVMValueRef dot4_by_pairs(Emit *e, Dot d, int lanes) {
    const char *name = lanes == 16  ? "llvm.x86.avx512.pmaddw.d.512"
                       : lanes == 8 ? "llvm.x86.avx2.pmadd.wd"
                                    : "llvm.x86.sse2.pmadd.wd";
    LLVMTypeRef i16s = vector(e->i16, 2 * lanes);
    LLVMValueRef x = as(e, d.x, i16s), y = as(e, d.y, i16s);
    LLVMValueRef even[2] = {emit_int_op(e, LLVMAnd, x, 255),
                            emit_int_op(e, LLVMAShr, emit_int_op(e, LLVMShl, y, 8), 8)};
    LLVMValueRef odd[2] = {emit_int_op(e, LLVMLShr, x, 8), emit_int_op(e, LLVMAShr, y, 8)};
    LLVMValueRef sum = LLVMBuildAdd(e->b, emit_intrinsic(e, name, NULL, 0, even, 2),
                                    emit_intrinsic(e, name, NULL, 0, odd, 2), "");
    return LLVMBuildAdd(e->b, d.acc, sum, "");
}

/* ARM: unsigned times signed where there is such an instruction, else x - 128 is signed and 128 sum(y) is put
 * back. */
static LLVMValueRef dot4_arm(Emit *e, Dot d) {
    LLVMTypeRef bytes = vector(e->i8, 16), over[2] = {vector(e->i32, 4), bytes};
    LLVMValueRef args[3] = {d.acc, as(e, d.x, bytes), as(e, d.y, bytes)};
    if (e->t->mixed_dots) return emit_intrinsic(e, "llvm.aarch64.neon.usdot", over, 2, args, 3);
    LLVMValueRef back[3] = {args[0], emit_const_int(e, bytes, 64), args[2]};
    for (int i = 0; i < 2; i++) back[0] = emit_intrinsic(e, "llvm.aarch64.neon.sdot", over, 2, back, 3);
    args[0] = back[0], args[1] = emit_int_op(e, LLVMXor, args[1], 128);
    return emit_intrinsic(e, "llvm.aarch64.neon.sdot", over, 2, args, 3);
}

static LLVMValueRef dot4(Emit *e, Dot d) {
    int lanes = lanes_of(d.acc);
    bool x86 = e->t->target == &target_x86_64;
    if (lanes != e->t->lanes || lanes < 4) return dot4_by_shifts(e, d);
    if (!x86) return e->t->byte_dots ? dot4_arm(e, d) : dot4_by_shifts(e, d);
    if (!e->t->byte_dots) return dot4_by_pairs(e, d, lanes);
    char name[64];
    snprintf(name, sizeof name, "llvm.x86.avx512.vpdpbusd.%d", 32 * lanes);
    LLVMValueRef args[3] = {d.acc, d.x, d.y};
    return emit_intrinsic(e, name, NULL, 0, args, 3);
}

/* ---- bf16 ---- */

/* A denormal becomes a zero of its sign: for what is not computed with, and for machines that keep them. */
static LLVMValueRef flushed(Emit *e, LLVMValueRef x) {
    LLVMTypeRef t = LLVMTypeOf(x), ints = emit_like(e, e->i32, t);
    LLVMValueRef bits = as(e, x, ints), mag = emit_int_op(e, LLVMAnd, bits, 0x7fffffff);
    LLVMValueRef tiny = LLVMBuildICmp(e->b, LLVMIntULT, mag, emit_const_int(e, ints, 0x800000), "");
    LLVMValueRef zero = as(e, emit_int_op(e, LLVMAnd, bits, (int64_t)0x80000000), t);
    return LLVMBuildSelect(e->b, tiny, zero, x, "");
}

static LLVMValueRef half(Emit *e, LLVMValueRef pair, LLVMTypeRef floats, int j) {
    LLVMValueRef bits =
        j ? emit_int_op(e, LLVMAnd, pair, (int64_t)0xffff0000) : emit_int_op(e, LLVMShl, pair, 16);
    return as(e, bits, floats);
}

static LLVMValueRef flushed_unless_machine_does(Emit *e, LLVMValueRef x) {
    return e->t->target->denormals == DENORMALS_KEPT ? flushed(e, x) : x;
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
    int lanes = lanes_of(d.acc);
    if (lanes != e->t->lanes || !e->t->bf16_dots) return dot2_by_fma(e, d);
    char name[64];
    snprintf(name, sizeof name, "llvm.x86.avx512bf16.dpbf16ps.%d", 32 * lanes);
    LLVMTypeRef pairs = vector(LLVMBFloatTypeInContext(e->cx), 2 * lanes);
    LLVMValueRef args[3] = {d.acc, as(e, d.x, pairs), as(e, d.y, pairs)};
    return emit_intrinsic(e, name, NULL, 0, args, 3);
}

static LLVMValueRef pair_by_shifts(Emit *e, LLVMValueRef x, LLVMValueRef y) {
    LLVMTypeRef ints = emit_like(e, e->i32, LLVMTypeOf(x));
    LLVMValueRef low = LLVMBuildZExt(e->b, emit_narrow_bf16(e, flushed(e, x)), ints, ""),
                 high = LLVMBuildZExt(e->b, emit_narrow_bf16(e, flushed(e, y)), ints, "");
    return LLVMBuildOr(e->b, low, emit_int_op(e, LLVMShl, high, 16), "");
}

/* The instruction rounds both, one behind the other. */
LLVMValueRef emit_pair(Emit *e, LLVMValueRef x, LLVMValueRef y) {
    bool vector_of_machine =
        LLVMGetTypeKind(LLVMTypeOf(x)) == LLVMVectorTypeKind && lanes_of(x) == e->t->lanes;
    if (!e->t->bf16_dots || !vector_of_machine) return pair_by_shifts(e, x, y);
    int n = e->t->lanes;
    char name[64];
    snprintf(name, sizeof name, "llvm.x86.avx512bf16.cvtne2ps2bf16.%d", 32 * n);
    LLVMValueRef args[2] = {y, x}, mask[64];
    LLVMValueRef halves = emit_intrinsic(e, name, NULL, 0, args, 2);
    for (int i = 0; i < 2 * n; i++)
        mask[i] = LLVMConstInt(e->i32, (unsigned long long)(i / 2 + i % 2 * n), 0);
    LLVMValueRef pairs = LLVMBuildShuffleVector(e->b, halves, LLVMGetPoison(LLVMTypeOf(halves)),
                                                LLVMConstVector(mask, (unsigned)(2 * n)), "");
    return as(e, pairs, emit_like(e, e->i32, LLVMTypeOf(x)));
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
    int n = 2 * lanes_of(x);
    for (int i = 0; i < n; i++) mask[i] = LLVMConstInt(e->i32, (unsigned long long)i, 0);
    return LLVMBuildShuffleVector(e->b, x, y, LLVMConstVector(mask, (unsigned)n), "");
}

static LLVMValueRef by_registers(Emit *e, Dot d, LLVMValueRef (*dot)(Emit *, Dot)) {
    int n = lanes_of(d.acc);
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
