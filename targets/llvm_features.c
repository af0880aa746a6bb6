/* Which instruction sets a CPU model has. LLVM's C interface has no question for it, but its inliner knows:
 * it puts a function into another only if the other's CPU has every feature of the first. So for each feature
 * two functions are made, one for the model with that feature added, and one for the model that calls it. */
#include <string.h>

#include "llvm_compat.h"
#include "llvm_probe.h"

typedef struct Asking {
    LLVMContextRef cx;
    LLVMModuleRef module;
    LLVMBuilderRef b;
    LLVMTypeRef type;
} Asking;

static LLVMValueRef add_function(Asking *q, const char *name, const char *cpu, const char *features) {
    LLVMValueRef f = LLVMAddFunction(q->module, name, q->type);
    const char *const attrs[][2] = {{"target-cpu", cpu}, {"target-features", features}};
    for (int i = 0; i < 2; i++)
        LLVMAddAttributeAtIndex(f, (LLVMAttributeIndex)LLVMAttributeFunctionIndex,
                                LLVMCreateStringAttribute(q->cx, attrs[i][0], (unsigned)strlen(attrs[i][0]),
                                                          attrs[i][1], (unsigned)strlen(attrs[i][1])));
    LLVMPositionBuilderAtEnd(q->b, LLVMAppendBasicBlockInContext(q->cx, f, ""));
    return f;
}

/* The function that calls; when it still does after inlining, the model lacks the feature. */
static LLVMValueRef add_question(Asking *q, Arena *a, const TargetInfo *t, const char *feature, int number) {
    const char *more = arena_printf(a, "%s%s+%s", t->features, *t->features ? "," : "", feature);
    LLVMValueRef with = add_function(q, arena_printf(a, "with%d", number), t->llvm_cpu, more);
    LLVMBuildRet(q->b, LLVMConstInt(LLVMInt32TypeInContext(q->cx), 1, 0));
    LLVMValueRef without = add_function(q, arena_printf(a, "without%d", number), t->llvm_cpu, t->features);
    LLVMBuildRet(q->b, LLVMBuildCall2(q->b, q->type, with, NULL, 0, ""));
    return without;
}

static bool still_calls(LLVMValueRef f) {
    LLVMValueRef first = LLVMGetFirstInstruction(LLVMGetEntryBasicBlock(f));
    return LLVMGetInstructionOpcode(first) == LLVMCall;
}

static bool run_inliner(Diag *d, const Asking *q, LLVMTargetMachineRef tm) {
    LLVMPassBuilderOptionsRef options = LLVMCreatePassBuilderOptions();
    LLVMErrorRef error = LLVMRunPasses(q->module, "cgscc(inline)", tm, options);
    LLVMDisposePassBuilderOptions(options);
    if (!error) return true;
    char *why = LLVMGetErrorMessage(error);
    diag_error(d, (Loc){0}, "LLVM's inliner failed: %s", why);
    LLVMDisposeErrorMessage(why);
    return false;
}

bool llvm_features(Diag *d, TargetInfo *t, LLVMTargetMachineRef tm) {
    LLVMValueRef asked[MAX_TARGET_NEEDS];
    const TargetNeed *rows = t->target->isa->needs;
    Asking q = {.cx = LLVMContextCreate()};
    q.module = LLVMModuleCreateWithNameInContext("features", q.cx);
    q.b = LLVMCreateBuilderInContext(q.cx);
    q.type = LLVMFunctionType(LLVMInt32TypeInContext(q.cx), NULL, 0, 0);
    LLVMSetTarget(q.module, t->triple);
    int n = 0;
    for (; rows[n].feature; n++) {
        if (n == MAX_TARGET_NEEDS) BTC_BUG("too many features of %s", t->target->name);
        asked[n] = add_question(&q, d->arena, t, rows[n].feature, n);
    }
    bool ok = run_inliner(d, &q, tm);
    t->needs = 0;
    for (int i = 0; ok && i < n; i++) t->needs |= (uint64_t)!still_calls(asked[i]) << i;
    LLVMDisposeBuilder(q.b);
    LLVMDisposeModule(q.module);
    LLVMContextDispose(q.cx);
    return ok;
}
