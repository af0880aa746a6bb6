/* One LLVM module from functions and data to an object file, assembly (or PTX) or LLVM text. The module is
 * always verified; passes are few, because blocking and vectors were chosen before. */
#include "target.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/file.h"
#include "llvm_emit.h"

/* sroa makes variables SSA again; licm and early-cse clear up what the builder repeats; loop-rotate moves the
 * test to the bottom. Nothing here may unroll or vectorise: lowering has decided that. */
#define PASSES                                                                                               \
    "function(sroa,early-cse<memssa>,simplifycfg,instcombine<no-verify-fixpoint>,loop-simplify,lcssa,"       \
    "loop-mssa(loop-rotate,licm),early-cse<memssa>,instcombine<no-verify-fixpoint>,simplifycfg,adce)"

/* A worker that is alone: what every function is told of it is known. */
static const char SINGLE_PASSES[] = "ipsccp,deadargelim," PASSES ",globaldce";

struct Codegen {
    Diag *d;
    TargetInfo t;
    Emit e;
    LLVMTargetMachineRef machine;
    bool finished;
    double seconds;
};

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* LLVM ends the process after this returns. Its reason names the function where it can; the handler gets no
 * context, so what was being compiled is kept per thread. */
static _Thread_local const char *compiling;

static void on_fatal(const char *reason) {
    fprintf(stderr, "btc: internal error: LLVM gave up%s%s: %s\n", compiling ? " while compiling " : "",
            compiling ? compiling : "", reason);
    fputs("btc: this is a bug in btc, not in your model; please report it with the command line\n", stderr);
}

static void say_compiling(Codegen *c, const char *what) {
    compiling = arena_printf(c->d->arena, "%s for %s (%s)", what, c->t.cpu, c->t.triple);
}

static void set_types(Emit *e) {
    e->i1 = LLVMInt1TypeInContext(e->cx), e->i8 = LLVMInt8TypeInContext(e->cx);
    e->i16 = LLVMInt16TypeInContext(e->cx), e->i32 = LLVMInt32TypeInContext(e->cx);
    e->i64 = LLVMInt64TypeInContext(e->cx), e->f16 = LLVMHalfTypeInContext(e->cx);
    e->f32 = LLVMFloatTypeInContext(e->cx), e->f64 = LLVMDoubleTypeInContext(e->cx);
    e->ptr = LLVMPointerTypeInContext(e->cx, 0), e->none = LLVMVoidTypeInContext(e->cx);
}

Codegen *codegen_new(Diag *d, const TargetInfo *t, const char *module_name) {
    LLVMTargetRef target;
    char *why = NULL;
    LLVMResetFatalErrorHandler();
    LLVMInstallFatalErrorHandler(on_fatal);
    t->target->isa->init();
    if (LLVMGetTargetFromTriple(t->triple, &target, &why)) {
        diag_error(d, (Loc){0}, "LLVM does not know %s: %s", t->triple, why);
        LLVMDisposeMessage(why);
        return NULL;
    }
    Codegen *c = ARENA_NEW(d->arena, Codegen);
    c->d = d, c->t = *t;
    c->machine =
        LLVMCreateTargetMachine(target, t->triple, t->llvm_cpu, t->features, LLVMCodeGenLevelDefault,
                                t->target->fixed ? LLVMRelocStatic : LLVMRelocPIC, LLVMCodeModelDefault);
    Emit *e = &c->e;
    e->t = &c->t;
    e->arena = d->arena;
    e->cx = LLVMContextCreate();
    e->module = LLVMModuleCreateWithNameInContext(module_name, e->cx);
    e->b = LLVMCreateBuilderInContext(e->cx);
    set_types(e);
    LLVMSetTarget(e->module, t->triple);
    LLVMTargetDataRef layout = LLVMCreateTargetDataLayout(c->machine);
    LLVMSetModuleDataLayout(e->module, layout);
    e->index = LLVMIntPtrTypeInContext(e->cx, layout);
    LLVMDisposeTargetData(layout);
    return c;
}

bool codegen_add(Codegen *c, const Func *f, bool external) {
    if (c->finished) BTC_BUG("@%s is added to a finished module", f->name);
    double start = now();
    emit_function(&c->e, f, external);
    c->seconds += now() - start;
    return true;
}

/* ---- data ---- */

static void set_visible(LLVMValueRef g, bool exported) {
    LLVMSetLinkage(g, LLVMExternalLinkage);
    LLVMSetVisibility(g, exported ? LLVMDefaultVisibility : LLVMHiddenVisibility);
}

static void define(Codegen *c, const char *symbol, LLVMValueRef value, int align, bool exported) {
    LLVMValueRef g = LLVMAddGlobal(c->e.module, LLVMTypeOf(value), symbol);
    LLVMValueRef before = LLVMGetNamedGlobal(c->e.module, symbol);
    if (before != g) { /* a table named it first */
        LLVMReplaceAllUsesWith(before, g);
        LLVMDeleteGlobal(before);
        LLVMSetValueName2(g, symbol, strlen(symbol));
    }
    LLVMSetInitializer(g, value);
    LLVMSetGlobalConstant(g, 1);
    LLVMSetAlignment(g, (unsigned)align);
    set_visible(g, exported);
}

void codegen_add_bytes(Codegen *c, const char *symbol, const void *bytes, size_t n, int align) {
    define(c, symbol, LLVMConstStringInContext2(c->e.cx, bytes, n, 1), align, false);
}

static LLVMValueRef address_of(Codegen *c, const CodegenEntry *entry) {
    if (!entry->symbol) return LLVMConstNull(c->e.ptr);
    LLVMValueRef g = LLVMGetNamedFunction(c->e.module, entry->symbol);
    if (!g) g = LLVMGetNamedGlobal(c->e.module, entry->symbol);
    if (!g) {
        g = LLVMAddGlobal(c->e.module, c->e.i8, entry->symbol);
        set_visible(g, false);
    }
    LLVMValueRef at = LLVMConstInt(c->e.i64, (unsigned long long)entry->value, 1);
    return entry->value ? LLVMConstGEP2(c->e.i8, g, &at, 1) : g;
}

void codegen_add_table(Codegen *c, const char *symbol, const CodegenEntry *entries, int n, bool exported) {
    LLVMValueRef *values = ARENA_ARRAY(c->d->arena, LLVMValueRef, n);
    for (int i = 0; i < n; i++)
        values[i] = entries[i].pointer ? address_of(c, &entries[i])
                                       : LLVMConstInt(c->e.i64, (unsigned long long)entries[i].value, 1);
    define(c, symbol, LLVMConstStructInContext(c->e.cx, values, (unsigned)n, 0), 8, exported);
}

/* LLVM has no global variable without bytes that is constant; its assembler has. */
void codegen_add_room(Codegen *c, const char *symbol, int64_t n, int align) {
    const Target *t = c->t.target;
    Text s = text_new(c->d->arena);
    text_add(&s, ".section %s,\"%s\",%%nobits\n", t->weights, t->flags);
    text_add(&s, ".globl %s\n.hidden %s\n.type %s,%%object\n.size %s,%lld\n", symbol, symbol, symbol, symbol,
             (long long)n);
    text_add(&s, ".balign %d\n%s:\n.zero %lld\n", align, symbol, (long long)n);
    LLVMAppendModuleInlineAsm(c->e.module, s.s, s.n);
}

/* ---- finishing ---- */

/* Always, also in release builds: it costs a hundredth of the compilation and turns a crash into a message.
 */
static void verify(Codegen *c) {
    char *why = NULL;
    if (!LLVMVerifyModule(c->e.module, LLVMReturnStatusAction, &why)) return LLVMDisposeMessage(why);
    char *at = NULL;
    LLVMPrintModuleToFile(c->e.module, "btc-crash.ll", &at);
    BTC_BUG("the LLVM module is wrong (written to btc-crash.ll): %s", why);
}

static bool finish(Codegen *c) {
    if (c->finished) return true;
    c->finished = true;
    verify(c);
    LLVMPassBuilderOptionsRef options = LLVMCreatePassBuilderOptions();
    bool single = c->t.target->execution == EXECUTION_SINGLE;
    LLVMErrorRef err = LLVMRunPasses(c->e.module, single ? SINGLE_PASSES : PASSES, c->machine, options);
    LLVMDisposePassBuilderOptions(options);
    if (!err) return true;
    char *why = LLVMGetErrorMessage(err);
    diag_error(c->d, (Loc){0}, "LLVM's passes failed: %s", why);
    LLVMDisposeErrorMessage(why);
    return false;
}

static bool generate(Codegen *c, LLVMCodeGenFileType kind, LLVMMemoryBufferRef *out) {
    size_t n;
    double start = now();
    char *why = NULL;
    say_compiling(c, LLVMGetModuleIdentifier(c->e.module, &n));
    bool ok = finish(c);
    if (ok && LLVMTargetMachineEmitToMemoryBuffer(c->machine, c->e.module, kind, &why, out)) {
        ok = diag_error(c->d, (Loc){0}, "LLVM cannot emit code for %s: %s", c->t.cpu, why);
        LLVMDisposeMessage(why);
    }
    compiling = NULL;
    c->seconds += now() - start;
    return ok;
}

bool codegen_object(Codegen *c, const char *file) {
    LLVMMemoryBufferRef buffer;
    OutFile out;
    if (!generate(c, LLVMObjectFile, &buffer)) return false;
    bool ok = out_open(c->d, c->d->arena, file, &out);
    if (ok) {
        ok = out_write(&out, LLVMGetBufferStart(buffer), LLVMGetBufferSize(buffer));
        ok = out_commit(&out, false) && ok;
    }
    LLVMDisposeMemoryBuffer(buffer);
    return ok;
}

bool codegen_assembly_text(Codegen *c, char **text, size_t *n) {
    LLVMMemoryBufferRef buffer;
    if (!generate(c, LLVMAssemblyFile, &buffer)) return false;
    *n = LLVMGetBufferSize(buffer);
    *text = arena_strndup(c->d->arena, LLVMGetBufferStart(buffer), *n);
    LLVMDisposeMemoryBuffer(buffer);
    return true;
}

bool codegen_llvm_text(Codegen *c, char **text, size_t *n) {
    double start = now();
    if (!finish(c)) return false;
    char *s = LLVMPrintModuleToString(c->e.module);
    *text = arena_strdup(c->d->arena, s);
    *n = strlen(s);
    LLVMDisposeMessage(s);
    c->seconds += now() - start;
    return true;
}

double codegen_seconds(const Codegen *c) {
    return c->seconds;
}

void codegen_free(Codegen *c) {
    if (!c) return;
    LLVMDisposeBuilder(c->e.b);
    LLVMDisposeModule(c->e.module);
    LLVMContextDispose(c->e.cx);
    LLVMDisposeTargetMachine(c->machine);
}
