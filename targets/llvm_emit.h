/* From loop-level IR to LLVM instructions: what the files llvm_build.c (types, constants),
 * llvm_emit.c (functions, control), llvm_emit_math.c (arithmetic), llvm_memory.c (loads and stores) and
 * llvm_warp.c (vectors as warps) share. */
#ifndef BTC_LLVM_EMIT_H
#define BTC_LLVM_EMIT_H

#include "llvm_compat.h"
#include "loop.h"
#include "target.h"

typedef struct Emit {
    LLVMContextRef cx;
    LLVMModuleRef module;
    LLVMBuilderRef b;
    const TargetInfo *t;
    Arena *arena;
    LLVMValueRef fn;         /* being written */
    LLVMBasicBlockRef entry; /* holds the allocas; branches to the first block at the end */
    LLVMValueRef lane;       /* warp: the number of this thread in its warp, i32 */
    LLVMTypeRef i1, i8, i16, i32, i64, f16, f32, f64, ptr, none;
    LLVMTypeRef index; /* what a scalar i64 of the loop level is: as wide as addresses */
} Emit;

/* A dot product of packed pieces: acc + x . y. */
typedef struct Dot {
    LLVMValueRef acc, x, y;
} Dot;

/* What an Isa does by instructions of its own that LLVM does not choose by itself. Each may be absent, and
 * each gives NULL where the model lacks the instruction; then the op is spelt out in plain arithmetic that
 * gives the same bits. Vectors have the machine's number of lanes. */
struct Instructions {
    LLVMValueRef (*dot4)(Emit *e, Dot d);
    LLVMValueRef (*dot2)(Emit *e, Dot d);
    LLVMValueRef (*pair)(Emit *e, LLVMValueRef x, LLVMValueRef y);
    /* Bytes 0 .. 15 looked up in the table of their 128 bits; n: bytes of a vector. */
    LLVMValueRef (*lookup)(Emit *e, LLVMValueRef x, LLVMValueRef table, int n);
    LLVMValueRef (*scale)(Emit *e, LLVMValueRef x, LLVMValueRef n); /* x 2^n */
};

/* ---- llvm_emit.c: functions and control ---- */
/* Builds the body of `f`; external as in codegen_add. */
void emit_function(Emit *e, const Func *f, bool external);

/* ---- llvm_build.c: types, constants, intrinsics ---- */
bool emit_on_grid(const Emit *e); /* a vector is a warp */
/* Types: of an element, of n lanes of it (a scalar when n is 0, and always on a warp). */
LLVMTypeRef emit_type(const Emit *e, Type t); /* of a value */
LLVMTypeRef emit_elem_type(const Emit *e, DType dt);
LLVMTypeRef emit_lanes_type(const Emit *e, LLVMTypeRef elem, int lanes);
/* The LLVM value of an IR value. */
LLVMValueRef emit_value(const Value *v);
/* Constants, as wide as `like` (a scalar or vector type). */
LLVMValueRef emit_const_int(const Emit *e, LLVMTypeRef like, int64_t v);
LLVMValueRef emit_const_float(const Emit *e, LLVMTypeRef like, double v);
int emit_lanes(LLVMValueRef v);                                           /* of a vector; 0: a scalar */
LLVMTypeRef emit_like(const Emit *e, LLVMTypeRef elem, LLVMTypeRef like); /* elem, with the lanes of like */
LLVMValueRef emit_splat(Emit *e, LLVMValueRef scalar, int lanes);
/* Calls an intrinsic by name; `over` are the types that it is overloaded on. */
LLVMValueRef emit_bits(Emit *e, LLVMValueRef v, LLVMTypeRef t); /* the same bits as another type */
LLVMValueRef emit_intrinsic(Emit *e, const char *name, LLVMTypeRef *over, int nover, LLVMValueRef *args,
                            int nargs);
LLVMBasicBlockRef emit_block(Emit *e, const char *name);
LLVMValueRef emit_combine(Emit *e, const char *kind, LLVMValueRef x, LLVMValueRef y); /* of reduce */
/* min and max as a comparison and a choice: x86's instructions do that, and it fixes NaN. */
LLVMValueRef emit_pick(Emit *e, bool flt, bool max, LLVMValueRef x, LLVMValueRef y);
LLVMValueRef emit_int_op(Emit *e, LLVMOpcode op, LLVMValueRef x, int64_t c); /* with a constant */
LLVMValueRef emit_fma(Emit *e, LLVMValueRef x, LLVMValueRef y, LLVMValueRef z);

/* ---- llvm_emit_math.c ---- */
/* The value of an arithmetic op; NULL when op is none. */
LLVMValueRef emit_math(Emit *e, const Op *op);

/* ---- llvm_dot.c ---- */
LLVMValueRef emit_dot(Emit *e, const Op *op); /* dot4, dot2 */
LLVMValueRef emit_pair(Emit *e, LLVMValueRef x, LLVMValueRef y);

/* ---- llvm_bytes.c ---- */
LLVMValueRef emit_bytes(Emit *e, const Op *op); /* lookup, zip.low, zip.high */

/* ---- llvm_memory.c ---- */
LLVMValueRef emit_load(Emit *e, const Op *op);
void emit_store(Emit *e, const Op *op);
void emit_prefetch(Emit *e, const Op *op);
LLVMValueRef emit_address(Emit *e, LLVMTypeRef elem, LLVMValueRef ptr, LLVMValueRef index);

/* ---- llvm_half.c: 16-bit floats by integer arithmetic ---- */
LLVMValueRef emit_widen_bf16(Emit *e, LLVMValueRef i16s);
LLVMValueRef emit_narrow_bf16(Emit *e, LLVMValueRef floats);
LLVMValueRef emit_widen_f16(Emit *e, LLVMValueRef i16s);
LLVMValueRef emit_narrow_f16(Emit *e, LLVMValueRef floats);

/* ---- llvm_warp.c ---- */
LLVMValueRef warp_lane(Emit *e);
void warp_sync(Emit *e);
LLVMValueRef warp_reduce(Emit *e, const char *kind, LLVMValueRef x);
LLVMValueRef warp_from(Emit *e, LLVMValueRef x, LLVMValueRef lane); /* x of another lane, f32 or i32 */
/* Loads or stores in the lanes below n only; elem is what lies in memory. */
LLVMValueRef warp_load_first(Emit *e, LLVMTypeRef elem, LLVMValueRef at, int n);
void warp_store_first(Emit *e, LLVMValueRef v, LLVMValueRef at, int n);
/* worker and workers of a kernel: this warp's number in the grid and the count of warps, i64. */
LLVMValueRef warp_number(Emit *e);
LLVMValueRef warp_count(Emit *e);
void warp_mark_kernel(Emit *e, LLVMValueRef fn);

#endif
