/* x86-64 CPUs, from SSE2 to AVX-512. The width of a vector and all abilities come from the model. */
#include "llvm_compat.h"
#include "target.h"

/* 64-bit models that LLVM 19 knows (llc -mcpu=help); it has no call to list them, and it takes an unknown
 * name silently for the oldest model, so the list is here. */
static const char *const cpus[] = {"alderlake",
                                   "arrowlake",
                                   "arrowlake-s",
                                   "atom",
                                   "barcelona",
                                   "bdver1",
                                   "bdver2",
                                   "bdver3",
                                   "bdver4",
                                   "bonnell",
                                   "broadwell",
                                   "btver1",
                                   "btver2",
                                   "cannonlake",
                                   "cascadelake",
                                   "clearwaterforest",
                                   "cooperlake",
                                   "core2",
                                   "corei7",
                                   "corei7-avx",
                                   "emeraldrapids",
                                   "goldmont",
                                   "goldmont-plus",
                                   "gracemont",
                                   "grandridge",
                                   "graniterapids",
                                   "graniterapids-d",
                                   "haswell",
                                   "icelake-client",
                                   "icelake-server",
                                   "ivybridge",
                                   "knl",
                                   "knm",
                                   "lunarlake",
                                   "meteorlake",
                                   "nehalem",
                                   "nocona",
                                   "pantherlake",
                                   "penryn",
                                   "raptorlake",
                                   "rocketlake",
                                   "sandybridge",
                                   "sapphirerapids",
                                   "sierraforest",
                                   "silvermont",
                                   "skylake",
                                   "skylake-avx512",
                                   "tigerlake",
                                   "tremont",
                                   "westmere",
                                   "x86-64",
                                   "x86-64-v2",
                                   "x86-64-v3",
                                   "x86-64-v4",
                                   "znver1",
                                   "znver2",
                                   "znver3",
                                   "znver4",
                                   "znver5",
                                   NULL};

static void init(void) {
    LLVMInitializeX86TargetInfo();
    LLVMInitializeX86Target();
    LLVMInitializeX86TargetMC();
    LLVMInitializeX86AsmPrinter();
}

const Target target_x86_64 = {
    .name = "x86_64-linux-gnu",
    .triple = "x86_64-unknown-linux-gnu",
    .description = "x86-64 CPUs under Linux",
    .default_cpu = "x86-64-v3",
    .cpu_flag = "--cpu",
    .vectors = TARGET_REGISTER,
    .denormals = DENORMALS_FLUSHED_ROUNDED,
    .pointer_bytes = 8,
    .elf_machine = 62, /* EM_X86_64 */
    .cpus = cpus,
    .clock = "llvm.readcyclecounter",
    .features = "",
    .init = init,
};
