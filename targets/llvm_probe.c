/* Asks LLVM what a CPU model can do. The C API has no query for features, and a table of all models would be
 * wrong some day; so some one-line functions are compiled and the assembly is read: a call to fmaf means that
 * there is no such instruction, and the names of the registers tell their width. What LLVM never chooses by
 * itself, the assembler is asked for. All of it takes a few milliseconds. */
#include "llvm_probe.h"

#include <string.h>

#include "cpu_costs.h"

LLVMValueRef probe_begin(Probe *p, const char *name) {
    LLVMTypeRef ptr = LLVMPointerTypeInContext(p->cx, 0);
    LLVMTypeRef type = LLVMFunctionType(LLVMVoidTypeInContext(p->cx), &ptr, 1, 0);
    LLVMValueRef f = LLVMAddFunction(p->module, name, type);
    const char *const attrs[][2] = {
        {"target-cpu", p->t->llvm_cpu}, {"target-features", p->t->features}, {"prefer-vector-width", "512"}};
    for (int i = 0; i < 3; i++)
        LLVMAddAttributeAtIndex(f, (LLVMAttributeIndex)LLVMAttributeFunctionIndex,
                                LLVMCreateStringAttribute(p->cx, attrs[i][0], (unsigned)strlen(attrs[i][0]),
                                                          attrs[i][1], (unsigned)strlen(attrs[i][1])));
    LLVMPositionBuilderAtEnd(p->b, LLVMAppendBasicBlockInContext(p->cx, f, ""));
    return LLVMGetParam(f, 0);
}

void probe_end(Probe *p, LLVMValueRef v, LLVMValueRef ptr) {
    LLVMSetAlignment(LLVMBuildStore(p->b, v, ptr), 4);
    LLVMBuildRetVoid(p->b);
}

LLVMValueRef probe_load(Probe *p, LLVMTypeRef t, LLVMValueRef ptr) {
    LLVMValueRef v = LLVMBuildLoad2(p->b, t, ptr, "");
    LLVMSetAlignment(v, 2);
    LLVMSetVolatile(v, 1); /* three loads stay three */
    return v;
}

LLVMValueRef probe_intrinsic(Probe *p, const char *name, LLVMTypeRef t, LLVMValueRef *args, unsigned n) {
    unsigned id = LLVMLookupIntrinsicID(name, strlen(name));
    LLVMValueRef f = LLVMGetIntrinsicDeclaration(p->module, id, &t, 1);
    return LLVMBuildCall2(p->b, LLVMIntrinsicGetType(p->cx, id, &t, 1), f, args, n, "");
}

/* What every machine is asked: x*y + z, f16 to f32, rounding to a whole number, the sum of wide vectors and of
 * doubles. */
static void ask(Probe *p) {
    LLVMTypeRef f32 = LLVMFloatTypeInContext(p->cx), v4 = LLVMVectorType(f32, 4),
                v16 = LLVMVectorType(f32, 16);
    LLVMTypeRef h4 = LLVMVectorType(LLVMHalfTypeInContext(p->cx), 4);

    LLVMValueRef ptr = probe_begin(p, "a");
    LLVMValueRef x[3] = {probe_load(p, v4, ptr), probe_load(p, v4, ptr), probe_load(p, v4, ptr)};
    probe_end(p, probe_intrinsic(p, "llvm.fma", v4, x, 3), ptr);

    ptr = probe_begin(p, "b");
    probe_end(p, LLVMBuildFPExt(p->b, probe_load(p, h4, ptr), v4, ""), ptr);

    ptr = probe_begin(p, "c");
    x[0] = probe_load(p, v4, ptr);
    probe_end(p, probe_intrinsic(p, p->t->target->isa->round, v4, x, 1), ptr);

    ptr = probe_begin(p, "d");
    probe_end(p, LLVMBuildFAdd(p->b, probe_load(p, v16, ptr), probe_load(p, v16, ptr), ""), ptr);

    ptr = probe_begin(p, "h");
    LLVMTypeRef f64 = LLVMDoubleTypeInContext(p->cx);
    probe_end(p, LLVMBuildFAdd(p->b, probe_load(p, f64, ptr), probe_load(p, f64, ptr), ""), ptr);
    if (p->t->target->isa->ask) p->t->target->isa->ask(p);
}

bool probe_says(const Probe *p, const char *word) {
    return strstr(p->text, word) != NULL;
}

static void note_error(LLVMDiagnosticInfoRef info, void *user) {
    if (LLVMGetDiagInfoSeverity(info) == LLVMDSError) *(bool *)user = true;
}

static Probe open_probe(const TargetInfo *t, LLVMTargetMachineRef tm) {
    Probe p = {.cx = LLVMContextCreate(), .tm = tm, .t = t};
    p.module = LLVMModuleCreateWithNameInContext("probe", p.cx);
    p.b = LLVMCreateBuilderInContext(p.cx);
    LLVMSetTarget(p.module, t->triple);
    return p;
}

static void close_probe(Probe *p) {
    LLVMDisposeBuilder(p->b);
    LLVMDisposeModule(p->module);
    LLVMContextDispose(p->cx);
}

bool probe_assembles(const Probe *asked, const char *instruction) {
    bool refused = false;
    Probe p = open_probe(asked->t, asked->tm);
    LLVMContextSetDiagnosticHandler(p.cx, note_error, &refused);
    probe_begin(&p, "a");
    LLVMTypeRef type = LLVMFunctionType(LLVMVoidTypeInContext(p.cx), NULL, 0, 0);
    LLVMValueRef line =
        LLVMGetInlineAsm(type, instruction, strlen(instruction), "", 0, 1, 0, LLVMInlineAsmDialectATT, 0);
    LLVMBuildCall2(p.b, type, line, NULL, 0, "");
    LLVMBuildRetVoid(p.b);
    LLVMMemoryBufferRef object = NULL;
    char *why = NULL;
    bool failed = LLVMTargetMachineEmitToMemoryBuffer(p.tm, p.module, LLVMObjectFile, &why, &object);
    if (failed) LLVMDisposeMessage(why);
    if (object) LLVMDisposeMemoryBuffer(object);
    close_probe(&p);
    return !failed && !refused;
}

/* What the answers mean on every machine; its Isa knows the rest. */
static void conclude(Probe *p, TargetInfo *t) {
    t->fma = !probe_says(p, "fmaf");
    t->f16 = !probe_says(p, "__extendhfsf2") && !probe_says(p, "h2f");
    t->rounds = !probe_says(p, "roundevenf") && !probe_says(p, "rintf");
    t->doubles = !probe_says(p, "__adddf3") && !probe_says(p, "__aeabi_dadd");
    LLVMTargetDataRef layout = LLVMCreateTargetDataLayout(p->tm);
    t->pointer_bytes = (int)LLVMPointerSize(layout);
    LLVMDisposeTargetData(layout);
    t->target->isa->describe(p, t);
}

/* Threads meet in some 4 us, most of it waiting for the slower of them (docs/performance.md, Barriers), and
 * each of a few reads 16 GB/s: on servers of two memory channels a core, as on boards with one. */
static void describe_execution(TargetInfo *t) {
    bool threads = t->target->execution == EXECUTION_THREADS;
    t->workers = threads ? 4 : 1;
    t->barrier_ns = threads ? 4096 : 0;
    t->worker_bytes_per_ns = 16;
}

bool llvm_probe(Diag *d, TargetInfo *t) {
    const Target *of = t->target;
    describe_execution(t);
    if (of->execution == EXECUTION_GRID) return of->isa->describe(NULL, t), t->costs = costs_for(t), true;
    LLVMTargetRef target;
    char *why = NULL;
    if (LLVMGetTargetFromTriple(t->triple, &target, &why)) {
        diag_error(d, (Loc){0}, "LLVM does not know %s: %s", t->triple, why);
        return LLVMDisposeMessage(why), false;
    }
    LLVMTargetMachineRef tm =
        LLVMCreateTargetMachine(target, t->triple, t->llvm_cpu, t->features, LLVMCodeGenLevelDefault,
                                LLVMRelocPIC, LLVMCodeModelDefault);
    Probe p = open_probe(t, tm);
    ask(&p);
    LLVMMemoryBufferRef text;
    bool ok = !LLVMTargetMachineEmitToMemoryBuffer(tm, p.module, LLVMAssemblyFile, &why, &text);
    if (ok) {
        /* not NUL-terminated by promise */
        p.text = arena_strndup(d->arena, LLVMGetBufferStart(text), LLVMGetBufferSize(text));
        LLVMDisposeMemoryBuffer(text);
        conclude(&p, t);
        t->costs = costs_for(t);
        ok = llvm_features(d, t, tm);
    } else {
        diag_error(d, (Loc){0}, "LLVM cannot compile for %s: %s", t->cpu, why);
        LLVMDisposeMessage(why);
    }
    close_probe(&p);
    LLVMDisposeTargetMachine(tm);
    return ok;
}
