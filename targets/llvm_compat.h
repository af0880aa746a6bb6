/* The one header that includes LLVM and knows its version. */
#ifndef BTC_LLVM_COMPAT_H
#define BTC_LLVM_COMPAT_H

#include <llvm-c/Analysis.h>
#include <llvm-c/Core.h>
#include <llvm-c/ErrorHandling.h>
#include <llvm-c/Target.h>
#include <llvm-c/TargetMachine.h>
#include <llvm-c/Transforms/PassBuilder.h>
#include <llvm/Config/llvm-config.h>

#if LLVM_VERSION_MAJOR != 19
#error "btc is written for LLVM 19: run cmake with -DLLVM_CONFIG=llvm-config-19"
#endif

/* Calling convention of a PTX kernel (llvm/IR/CallingConv.h: PTX_Kernel). */
enum { CC_PTX_KERNEL = 71 };
/* Address space of global memory on NVPTX. */
enum { NVPTX_GLOBAL = 1 };

#endif
