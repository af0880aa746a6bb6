/* NVIDIA GPUs: PTX text, which the driver turns into machine code. A vector is a warp. */
#include "llvm_compat.h"
#include "target.h"

/* Models that LLVM 19 knows (llc -mcpu=help); it has no call to list them, and it takes an unknown
 * name silently for the oldest model, so the list is here. */
static const char *const cpus[] = {"sm_70", "sm_72", "sm_75", "sm_80",  "sm_86",
                                   "sm_87", "sm_89", "sm_90", "sm_90a", NULL};

static void init(void) {
    LLVMInitializeNVPTXTargetInfo();
    LLVMInitializeNVPTXTarget();
    LLVMInitializeNVPTXTargetMC();
    LLVMInitializeNVPTXAsmPrinter();
}

const Target target_nvptx64 = {
    .name = "nvptx64",
    .triple = "nvptx64-nvidia-cuda",
    .description = "NVIDIA GPUs, as PTX",
    .default_cpu = "sm_80",
    .cpu_flag = "--gpu",
    .vectors = TARGET_WARP,
    .denormals = DENORMALS_KEPT, /* they cost nothing: no .ftz */
    .pointer_bytes = 8,
    .elf_machine = 0,
    .cpus = cpus,
    .clock = "llvm.readsteadycounter",
    .features = "+ptx71", /* the oldest that knows sm_80; llvm_probe.c raises it for newer models */
    .init = init,
};
