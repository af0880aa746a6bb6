/* What a model of a machine can do, found by compiling a few lines for it. */
#ifndef BTC_LLVM_PROBE_H
#define BTC_LLVM_PROBE_H

#include "llvm_compat.h"
#include "target.h"

/* Fills lanes, registers and the abilities of t, whose names are set. */
bool llvm_probe(Diag *d, TargetInfo *t);

/* llvm_features.c: fills t->needs. */
bool llvm_features(Diag *d, TargetInfo *t, LLVMTargetMachineRef tm);

#endif
