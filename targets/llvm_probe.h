/* What a model of a machine can do, found by compiling a few lines for it. The questions that every register
 * machine is asked are in llvm_probe.c; an Isa adds its own and draws the conclusions. */
#ifndef BTC_LLVM_PROBE_H
#define BTC_LLVM_PROBE_H

#include "llvm_compat.h"
#include "target.h"

struct Probe {
    LLVMContextRef cx;
    LLVMModuleRef module;
    LLVMBuilderRef b;
    LLVMTargetMachineRef tm;
    const TargetInfo *t;
    const char *text; /* the assembly of all questions */
};

/* Fills what t->target->isa describes, and t->needs; the names in t are set. */
bool llvm_probe(Diag *d, TargetInfo *t);

/* ---- for Isa.ask: a question is a function of one pointer, which loads through it and stores a value ---- */
LLVMValueRef probe_begin(Probe *p, const char *name); /* the pointer */
LLVMValueRef probe_load(Probe *p, LLVMTypeRef t, LLVMValueRef ptr);
LLVMValueRef probe_intrinsic(Probe *p, const char *name, LLVMTypeRef over, LLVMValueRef *args, unsigned n);
void probe_end(Probe *p, LLVMValueRef v, LLVMValueRef ptr);

/* ---- for Isa.describe ---- */
bool probe_says(const Probe *p, const char *word); /* the assembly holds this word */
/* Whether the assembler takes an instruction for this model. (x86's takes all.) */
bool probe_assembles(const Probe *p, const char *instruction);

/* llvm_features.c: fills t->needs. */
bool llvm_features(Diag *d, TargetInfo *t, LLVMTargetMachineRef tm);

#endif
