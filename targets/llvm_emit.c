/* Loop-level functions to LLVM: functions, blocks, variables, control flow, and which file does what else.
 *
 * One loop op becomes a handful of instructions; no decision is taken here that lowering could take.
 * Variables are allocas, which LLVM's sroa turns into SSA; loops test at the top. There are no fast-math
 * flags: what is computed is what the loop IR says, on every target, whatever the version of LLVM. While a
 * function is being written, Value.aux holds its LLVM value. */
#include "llvm_emit.h"

#include "btc_call.h"

#include <string.h>

/* ---- ops ---- */

static LLVMValueRef emit_constant(Emit *e, const Op *op) {
    LLVMTypeRef t = emit_type(e, op->out[0]->type);
    DType dt = op->out[0]->type.dt;
    if (dt == DT_F32 || dt == DT_F64) return LLVMConstReal(t, attr_float(op, "v", 0));
    return LLVMConstInt(t, (unsigned long long)attr_int(op, "v", 0), 1);
}

static LLVMValueRef emit_iota(Emit *e, int lanes) {
    LLVMValueRef all[256];
    if (emit_on_grid(e)) return warp_lane(e);
    if (lanes > 256) BTC_BUG("vector of %d lanes", lanes);
    for (int i = 0; i < lanes; i++) all[i] = LLVMConstInt(e->i32, (unsigned long long)i, 0);
    return LLVMConstVector(all, (unsigned)lanes);
}

/* In the entry block, where sroa looks for it. */
static LLVMValueRef emit_var(Emit *e, const Op *op) {
    LLVMBasicBlockRef here = LLVMGetInsertBlock(e->b);
    LLVMPositionBuilderAtEnd(e->b, e->entry);
    LLVMValueRef place = LLVMBuildAlloca(e->b, emit_type(e, op->out[0]->type), "");
    LLVMPositionBuilderAtEnd(e->b, here);
    LLVMBuildStore(e->b, emit_value(op->in[0]), place);
    return place;
}

static void emit_body(Emit *e, const Block *b);

static void emit_for(Emit *e, const Op *op) {
    LLVMValueRef lo = emit_value(op->in[0]), hi = emit_value(op->in[1]);
    LLVMBasicBlockRef before = LLVMGetInsertBlock(e->b);
    LLVMBasicBlockRef head = emit_block(e, "for"), body = emit_block(e, "body"), exit = emit_block(e, "done");
    LLVMBuildBr(e->b, head);
    LLVMPositionBuilderAtEnd(e->b, head);
    LLVMValueRef i = LLVMBuildPhi(e->b, e->index, "i");
    LLVMBuildCondBr(e->b, LLVMBuildICmp(e->b, LLVMIntSLT, i, hi, ""), body, exit);
    LLVMPositionBuilderAtEnd(e->b, body);
    op->body[0]->args[0]->aux = i;
    emit_body(e, op->body[0]);
    LLVMValueRef step = LLVMConstInt(e->index, (unsigned long long)attr_int(op, "step", 1), 1);
    LLVMValueRef next = LLVMBuildNSWAdd(e->b, i, step, "");
    LLVMBasicBlockRef from[2] = {before, LLVMGetInsertBlock(e->b)};
    LLVMBuildBr(e->b, head);
    LLVMAddIncoming(i, (LLVMValueRef[]){lo, next}, from, 2);
    LLVMPositionBuilderAtEnd(e->b, exit);
}

static void emit_if(Emit *e, const Op *op) {
    LLVMBasicBlockRef yes = emit_block(e, "then"), no = op->body[1] ? emit_block(e, "else") : NULL;
    LLVMBasicBlockRef join = emit_block(e, "join");
    LLVMBuildCondBr(e->b, emit_value(op->in[0]), yes, no ? no : join);
    LLVMPositionBuilderAtEnd(e->b, yes);
    emit_body(e, op->body[0]);
    LLVMBuildBr(e->b, join);
    if (no) {
        LLVMPositionBuilderAtEnd(e->b, no);
        emit_body(e, op->body[1]);
        LLVMBuildBr(e->b, join);
    }
    LLVMPositionBuilderAtEnd(e->b, join);
}

/* The function that `name` will be, from the operands' types: it may be built later. */
static LLVMValueRef declare(Emit *e, const char *name, LLVMTypeRef type) {
    LLVMValueRef f = LLVMGetNamedFunction(e->module, name);
    if (f) return f;
    f = LLVMAddFunction(e->module, name, type);
    LLVMSetVisibility(f, LLVMHiddenVisibility);
    return f;
}

static void emit_invoke(Emit *e, const Op *op) {
    LLVMTypeRef *types = ARENA_ARRAY(e->arena, LLVMTypeRef, op->nin);
    LLVMValueRef *args = ARENA_ARRAY(e->arena, LLVMValueRef, op->nin);
    for (int i = 0; i < op->nin; i++) {
        types[i] = emit_type(e, op->in[i]->type);
        args[i] = emit_value(op->in[i]);
    }
    LLVMTypeRef type = LLVMFunctionType(e->none, types, (unsigned)op->nin, 0);
    LLVMValueRef f = declare(e, attr_str(op, "func", ""), type);
    LLVMBuildCall2(e->b, type, f, args, (unsigned)op->nin, "");
}

/* A thread that is alone meets nobody. */
static void emit_barrier(Emit *e, const Op *op) {
    if (emit_on_grid(e)) BTC_BUG("a barrier inside of a kernel");
    LLVMValueRef n = emit_value(op->in[1]);
    LLVMBasicBlockRef meet = emit_block(e, "meet"), met = emit_block(e, "met");
    LLVMValueRef many = LLVMBuildICmp(e->b, LLVMIntNE, n, LLVMConstInt(e->index, 1, 0), "");
    LLVMBuildCondBr(e->b, many, meet, met);
    LLVMPositionBuilderAtEnd(e->b, meet);
    LLVMValueRef at =
        emit_address(e, e->i64, emit_value(op->in[0]), LLVMConstInt(e->index, BTC_CALL_BARRIER, 0));
    LLVMTypeRef params[2] = {e->ptr, e->index};
    LLVMTypeRef type = LLVMFunctionType(e->none, params, 2, 0);
    LLVMValueRef args[2] = {LLVMBuildLoad2(e->b, e->ptr, at, ""), n};
    LLVMBuildCall2(e->b, type, declare(e, "btc_barrier_wait", type), args, 2, "");
    LLVMBuildBr(e->b, met);
    LLVMPositionBuilderAtEnd(e->b, met);
}

static LLVMValueRef emit_clock(Emit *e) {
    return emit_intrinsic(e, e->t->target->isa->clock, NULL, 0, NULL, 0);
}

/* Fixed order, so that the bits of a sum do not depend on LLVM: halves are combined until one lane is left.
 */
static LLVMValueRef emit_reduce(Emit *e, const Op *op) {
    const char *kind = attr_str(op, "kind", "add");
    LLVMValueRef v = emit_value(op->in[0]), mask[128];
    if (!emit_lanes(v)) return warp_reduce(e, kind, v);
    for (unsigned n = LLVMGetVectorSize(LLVMTypeOf(v)) / 2; n; n /= 2) {
        LLVMValueRef half[2], undef = LLVMGetPoison(LLVMTypeOf(v));
        for (unsigned h = 0; h < 2; h++) {
            for (unsigned i = 0; i < n; i++) mask[i] = LLVMConstInt(e->i32, h * n + i, 0);
            half[h] = LLVMBuildShuffleVector(e->b, v, undef, LLVMConstVector(mask, n), "");
        }
        v = emit_combine(e, kind, half[0], half[1]);
    }
    return LLVMBuildExtractElement(e->b, v, LLVMConstInt(e->i32, 0, 0), "");
}

static void emit_op(Emit *e, const Op *op) {
    LLVMValueRef r = NULL;
    switch (loop_op_id(op->def)) {
    case OP_loop_const:
        r = emit_constant(e, op);
        break;
    case OP_loop_splat:
        r = emit_splat(e, emit_value(op->in[0]), op->out[0]->type.lanes);
        break;
    case OP_loop_iota:
        r = emit_iota(e, op->out[0]->type.lanes);
        break;
    case OP_loop_reduce:
        r = emit_reduce(e, op);
        break;
    case OP_loop_offset:
        r = emit_address(e, e->i8, emit_value(op->in[0]), emit_value(op->in[1]));
        break;
    case OP_loop_loadp:
        r = LLVMBuildLoad2(e->b, e->ptr,
                           emit_address(e, e->ptr, emit_value(op->in[0]), emit_value(op->in[1])), "");
        break;
    case OP_loop_load:
        r = emit_load(e, op);
        break;
    case OP_loop_store:
        emit_store(e, op);
        break;
    case OP_loop_prefetch:
        emit_prefetch(e, op);
        break;
    case OP_loop_var:
        r = emit_var(e, op);
        break;
    case OP_loop_get:
        r = LLVMBuildLoad2(e->b, emit_type(e, op->out[0]->type), emit_value(op->in[0]), "");
        break;
    case OP_loop_set:
        LLVMBuildStore(e->b, emit_value(op->in[1]), emit_value(op->in[0]));
        break;
    case OP_loop_for:
        emit_for(e, op);
        break;
    case OP_loop_if:
        emit_if(e, op);
        break;
    case OP_loop_invoke:
        emit_invoke(e, op);
        break;
    case OP_loop_barrier:
        emit_barrier(e, op);
        break;
    case OP_loop_clock:
        r = emit_clock(e);
        break;
    default:
        r = emit_math(e, op);
        if (!r) BTC_BUG("no instructions for %s (was the math expanded?)", op->def->name);
    }
    if (op->nout) op->out[0]->aux = r;
}

static void emit_body(Emit *e, const Block *b) {
    OPS_OF (b, op) emit_op(e, op);
}

/* ---- functions ---- */

static LLVMAttributeRef word_attr(const Emit *e, const char *name) {
    unsigned kind = LLVMGetEnumAttributeKindForName(name, strlen(name));
    return LLVMCreateEnumAttribute(e->cx, kind, 0);
}

static void set_attr(const Emit *e, const char *name, const char *value) {
    LLVMAttributeRef attr =
        LLVMCreateStringAttribute(e->cx, name, (unsigned)strlen(name), value, (unsigned)strlen(value));
    LLVMAddAttributeAtIndex(e->fn, (LLVMAttributeIndex)LLVMAttributeFunctionIndex, attr);
}

static void set_attrs(Emit *e) {
    LLVMAddAttributeAtIndex(e->fn, (LLVMAttributeIndex)LLVMAttributeFunctionIndex, word_attr(e, "nounwind"));
    for (int i = 0; e->t->small && i < 2; i++)
        LLVMAddAttributeAtIndex(e->fn, (LLVMAttributeIndex)LLVMAttributeFunctionIndex,
                                word_attr(e, i ? "minsize" : "optsize"));
    set_attr(e, "target-cpu", e->t->llvm_cpu);
    set_attr(e, "target-features", e->t->features);
    /* LLVM prefers half of the width on some models; lanes were chosen with the whole in mind. */
    if (!emit_on_grid(e) && e->t->lanes >= 16) set_attr(e, "prefer-vector-width", "512");
    /* What LLVM computes by itself is flushed as the machine's is. */
    if (e->t->target->isa->denormals != DENORMALS_KEPT)
        set_attr(e, "denormal-fp-math", "preserve-sign,preserve-sign");
}

/* What a kernel computes for itself instead of being told. */
static bool is_grid_param(const Emit *e, const Value *p, bool external) {
    return emit_on_grid(e) && external && (p->role == PARAM_WORKER || p->role == PARAM_WORKERS);
}

/* Values of an earlier emission of the same function must not leak into this one. */
static void clear_values(const Block *b) {
    for (int i = 0; i < b->nargs; i++) b->args[i]->aux = NULL;
    OPS_OF (b, op) {
        for (int i = 0; i < op->nout; i++) op->out[i]->aux = NULL;
        for (int i = 0; i < 2; i++)
            if (op->body[i]) clear_values(op->body[i]);
    }
}

static void add_function(Emit *e, const Func *f, bool external) {
    LLVMTypeRef *types = ARENA_ARRAY(e->arena, LLVMTypeRef, f->nparams + 1);
    unsigned n = 0;
    for (int i = 0; i < f->nparams; i++)
        if (!is_grid_param(e, f->params[i], external)) types[n++] = emit_type(e, f->params[i]->type);
    e->fn = declare(e, f->name, LLVMFunctionType(e->none, types, n, 0));
    if (LLVMCountBasicBlocks(e->fn)) BTC_BUG("@%s is added twice", f->name);
    LLVMSetLinkage(e->fn, external ? LLVMExternalLinkage : LLVMInternalLinkage);
    bool kernel = external && emit_on_grid(e);
    LLVMSetVisibility(e->fn, external && !kernel ? LLVMHiddenVisibility : LLVMDefaultVisibility);
    if (kernel) warp_mark_kernel(e, e->fn);
}

static void bind_params(Emit *e, const Func *f, bool external) {
    unsigned n = 0;
    for (int i = 0; i < f->nparams; i++) {
        Value *p = f->params[i];
        if (is_grid_param(e, p, external)) {
            p->aux = p->role == PARAM_WORKER ? warp_number(e) : warp_count(e);
            continue;
        }
        p->aux = LLVMGetParam(e->fn, n++);
        if (p->role != PARAM_READONLY) continue;
        LLVMAddAttributeAtIndex(e->fn, n, word_attr(e, "readonly"));
        LLVMAddAttributeAtIndex(e->fn, n, word_attr(e, "nocapture"));
    }
}

void emit_function(Emit *e, const Func *f, bool external) {
    clear_values(f->body);
    add_function(e, f, external);
    e->lane = NULL;
    e->entry = emit_block(e, "vars");
    LLVMBasicBlockRef first = emit_block(e, "begin");
    LLVMPositionBuilderAtEnd(e->b, e->entry);
    if (emit_on_grid(e)) warp_lane(e);
    bind_params(e, f, external);
    set_attrs(e);
    LLVMPositionBuilderAtEnd(e->b, first);
    emit_body(e, f->body);
    LLVMBuildRetVoid(e->b);
    LLVMPositionBuilderAtEnd(e->b, e->entry);
    LLVMBuildBr(e->b, first);
}
