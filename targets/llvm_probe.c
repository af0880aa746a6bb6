/* Asks LLVM what a CPU model can do. The C API has no query for features, and a table of all models would be
 * wrong some day; so some one-line functions are compiled and the assembly is read: a call to fmaf means that
 * there is no such instruction, and the names of the registers tell their width. ARM's dot products LLVM
 * never chooses by itself; there the assembler is asked whether it takes them (x86's takes everything). All
 * of it takes a few milliseconds. */
#include "llvm_probe.h"

#include <string.h>

#include "llvm_compat.h"

typedef struct Probe {
    LLVMContextRef cx;
    LLVMModuleRef module;
    LLVMBuilderRef b;
} Probe;

static LLVMValueRef begin(Probe *p, const char *name, const TargetInfo *t) {
    LLVMTypeRef ptr = LLVMPointerTypeInContext(p->cx, 0);
    LLVMTypeRef type = LLVMFunctionType(LLVMVoidTypeInContext(p->cx), &ptr, 1, 0);
    LLVMValueRef f = LLVMAddFunction(p->module, name, type);
    const char *const attrs[][2] = {
        {"target-cpu", t->cpu}, {"target-features", t->features}, {"prefer-vector-width", "512"}};
    for (int i = 0; i < 3; i++)
        LLVMAddAttributeAtIndex(f, (LLVMAttributeIndex)LLVMAttributeFunctionIndex,
                                LLVMCreateStringAttribute(p->cx, attrs[i][0], (unsigned)strlen(attrs[i][0]),
                                                          attrs[i][1], (unsigned)strlen(attrs[i][1])));
    LLVMPositionBuilderAtEnd(p->b, LLVMAppendBasicBlockInContext(p->cx, f, ""));
    return LLVMGetParam(f, 0);
}

static void end(Probe *p, LLVMValueRef v, LLVMValueRef ptr) {
    LLVMSetAlignment(LLVMBuildStore(p->b, v, ptr), 4);
    LLVMBuildRetVoid(p->b);
}

static LLVMValueRef load(Probe *p, LLVMTypeRef t, LLVMValueRef ptr) {
    LLVMValueRef v = LLVMBuildLoad2(p->b, t, ptr, "");
    LLVMSetAlignment(v, 2);
    LLVMSetVolatile(v, 1); /* three loads stay three */
    return v;
}

static LLVMValueRef intrinsic(Probe *p, const char *name, LLVMTypeRef t, LLVMValueRef *args, unsigned n) {
    unsigned id = LLVMLookupIntrinsicID(name, strlen(name));
    LLVMValueRef f = LLVMGetIntrinsicDeclaration(p->module, id, &t, 1);
    return LLVMBuildCall2(p->b, LLVMIntrinsicGetType(p->cx, id, &t, 1), f, args, n, "");
}

static void build(Probe *p, const TargetInfo *t) {
    LLVMTypeRef f32 = LLVMFloatTypeInContext(p->cx), v4 = LLVMVectorType(f32, 4),
                v16 = LLVMVectorType(f32, 16);
    LLVMTypeRef h4 = LLVMVectorType(LLVMHalfTypeInContext(p->cx), 4);

    LLVMValueRef ptr = begin(p, "a", t);
    LLVMValueRef x[3] = {load(p, v4, ptr), load(p, v4, ptr), load(p, v4, ptr)};
    end(p, intrinsic(p, "llvm.fma", v4, x, 3), ptr);

    ptr = begin(p, "b", t);
    end(p, LLVMBuildFPExt(p->b, load(p, h4, ptr), v4, ""), ptr);

    ptr = begin(p, "c", t);
    x[0] = load(p, v4, ptr);
    end(p, intrinsic(p, "llvm.roundeven", v4, x, 1), ptr);

    ptr = begin(p, "d", t);
    end(p, LLVMBuildFAdd(p->b, load(p, v16, ptr), load(p, v16, ptr), ""), ptr);
    if (t->target != &target_x86_64) return;

    LLVMTypeRef bytes = LLVMVectorType(LLVMInt8TypeInContext(p->cx), 64),
                ints = LLVMVectorType(LLVMInt32TypeInContext(p->cx), 64);
    ptr = begin(p, "e", t);
    x[0] = LLVMBuildZExt(p->b, load(p, bytes, ptr), ints, "");
    x[1] = LLVMBuildMul(p->b, x[0], LLVMBuildSExt(p->b, load(p, bytes, ptr), ints, ""), "");
    end(p, intrinsic(p, "llvm.vector.reduce.add", ints, &x[1], 1), ptr);

    ptr = begin(p, "g", t);
    LLVMValueRef mask[64];
    for (unsigned i = 0; i < 64; i++)
        mask[i] = LLVMConstInt(LLVMInt32TypeInContext(p->cx), i / 16 * 16 + 7 * i % 16, 0);
    x[0] = load(p, bytes, ptr);
    end(p, LLVMBuildShuffleVector(p->b, x[0], LLVMGetPoison(bytes), LLVMConstVector(mask, 64), ""), ptr);

    ptr = begin(p, "f", t);
    end(p, LLVMBuildFPTrunc(p->b, load(p, v16, ptr), LLVMVectorType(LLVMBFloatTypeInContext(p->cx), 16), ""),
        ptr);
}

/* Whether bytes are looked up in whole vectors: pshufb of the widest registers. */
static bool looks_up_bytes(const char *text, int lanes) {
    const char *line = strstr(text, "pshufb");
    const char *wide = line && lanes > 4 ? strstr(line, lanes == 16 ? "zmm" : "ymm") : line;
    return wide && wide - line <= (ptrdiff_t)strcspn(line, "\n");
}

static void read_answers(TargetInfo *t, const char *text) {
    t->fma = !strstr(text, "fmaf");
    t->f16 = !strstr(text, "__extendhfsf2") && !strstr(text, "__gnu_h2f");
    t->rounds = !strstr(text, "roundevenf");
    t->masks = strstr(text, "zmm") != NULL;
    t->lanes = strstr(text, "zmm") ? 16 : strstr(text, "ymm") ? 8 : 4;
    t->byte_dots = t->mixed_dots = t->lanes >= 8 && strstr(text, "vpdpbusd");
    t->byte_tables = t->target == &target_aarch64 || looks_up_bytes(text, t->lanes);
    t->bf16_dots = t->masks && strstr(text, "vcvtneps2bf16");
    t->registers = t->target == &target_x86_64 && !t->masks ? 16 : 32;
}

/* LLVM does not tell. These are what CPUs of the kind have at least; blocking that fits in them fits in more.
 * Not read from the machine, so that the same options give the same code everywhere. */
static void guess_caches(TargetInfo *t) {
    t->l1 = 32 << 10;
    t->l2 = t->masks ? 1 << 20 : t->lanes == 8 || t->target == &target_aarch64 ? 512 << 10 : 256 << 10;
}

/* PTX: every model does all of it; newer models need a newer version of the language. */
static void know_warp(TargetInfo *t) {
    t->fma = t->f16 = t->rounds = t->masks = true;
    t->lanes = 32;
    t->l1 = 64 << 10, t->l2 = 4 << 20;
    t->registers = 64; /* of the 255 that a thread may have: enough to keep many warps in flight */
    if (!strncmp(t->cpu, "sm_90", 5))
        t->features = "+ptx80";
    else if (!strcmp(t->cpu, "sm_89"))
        t->features = "+ptx78";
    else if (!strcmp(t->cpu, "sm_87"))
        t->features = "+ptx74";
}

/* ---- what the assembler takes ---- */

static void note_error(LLVMDiagnosticInfoRef info, void *user) {
    if (LLVMGetDiagInfoSeverity(info) == LLVMDSError) *(bool *)user = true;
}

static bool assembles(LLVMTargetMachineRef tm, const TargetInfo *t, const char *instruction) {
    bool refused = false;
    Probe p = {.cx = LLVMContextCreate()};
    LLVMContextSetDiagnosticHandler(p.cx, note_error, &refused);
    p.module = LLVMModuleCreateWithNameInContext("probe", p.cx);
    p.b = LLVMCreateBuilderInContext(p.cx);
    LLVMSetTarget(p.module, t->triple);
    begin(&p, "a", t);
    LLVMTypeRef type = LLVMFunctionType(LLVMVoidTypeInContext(p.cx), NULL, 0, 0);
    LLVMValueRef line =
        LLVMGetInlineAsm(type, instruction, strlen(instruction), "", 0, 1, 0, LLVMInlineAsmDialectATT, 0);
    LLVMBuildCall2(p.b, type, line, NULL, 0, "");
    LLVMBuildRetVoid(p.b);
    LLVMMemoryBufferRef object = NULL;
    char *why = NULL;
    bool failed = LLVMTargetMachineEmitToMemoryBuffer(tm, p.module, LLVMObjectFile, &why, &object);
    if (failed) LLVMDisposeMessage(why);
    if (object) LLVMDisposeMemoryBuffer(object);
    LLVMDisposeBuilder(p.b);
    LLVMDisposeModule(p.module);
    LLVMContextDispose(p.cx);
    return !failed && !refused;
}

static void ask_assembler(LLVMTargetMachineRef tm, TargetInfo *t) {
    if (t->target == &target_x86_64) return;
    t->byte_dots = assembles(tm, t, "sdot v0.4s, v0.16b, v0.16b");
    t->mixed_dots = assembles(tm, t, "usdot v0.4s, v0.16b, v0.16b");
}

bool llvm_probe(Diag *d, TargetInfo *t) {
    if (t->target->vectors == TARGET_WARP) return know_warp(t), true;
    LLVMTargetRef target;
    char *why = NULL;
    if (LLVMGetTargetFromTriple(t->triple, &target, &why)) {
        diag_error(d, (Loc){0}, "LLVM does not know %s: %s", t->triple, why);
        return LLVMDisposeMessage(why), false;
    }
    LLVMTargetMachineRef tm = LLVMCreateTargetMachine(
        target, t->triple, t->cpu, t->features, LLVMCodeGenLevelDefault, LLVMRelocPIC, LLVMCodeModelDefault);
    Probe p = {.cx = LLVMContextCreate()};
    p.module = LLVMModuleCreateWithNameInContext("probe", p.cx);
    p.b = LLVMCreateBuilderInContext(p.cx);
    LLVMSetTarget(p.module, t->triple);
    build(&p, t);
    LLVMMemoryBufferRef text;
    bool ok = !LLVMTargetMachineEmitToMemoryBuffer(tm, p.module, LLVMAssemblyFile, &why, &text);
    if (ok) {
        /* not NUL-terminated by promise */
        read_answers(t, arena_strndup(d->arena, LLVMGetBufferStart(text), LLVMGetBufferSize(text)));
        guess_caches(t);
        ask_assembler(tm, t);
        ok = llvm_features(d, t, tm);
        LLVMDisposeMemoryBuffer(text);
    } else {
        diag_error(d, (Loc){0}, "LLVM cannot compile for %s: %s", t->cpu, why);
        LLVMDisposeMessage(why);
    }
    LLVMDisposeBuilder(p.b);
    LLVMDisposeModule(p.module);
    LLVMContextDispose(p.cx);
    LLVMDisposeTargetMachine(tm);
    return ok;
}
