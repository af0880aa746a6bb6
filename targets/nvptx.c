/* NVIDIA GPUs: PTX text, which the driver turns into machine code. A vector is a warp. */
#include <string.h>

#include "llvm_emit.h"

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

/* Every model does all of it; newer models need a newer version of the language. */
static void describe(Probe *p, TargetInfo *t) {
    (void)p;
    t->fma = t->f16 = t->rounds = t->doubles = t->masks = true;
    t->pointer_bytes = 8;
    t->lanes = 32;
    t->l1 = 64 << 10, t->l2 = 4 << 20;
    t->cache_line = 128, t->cache_way = 4096;
    t->registers = 64; /* of the 255 that a thread may have: enough to keep many warps in flight */
    if (!strncmp(t->cpu, "sm_90", 5))
        t->features = "+ptx80";
    else if (!strcmp(t->cpu, "sm_89"))
        t->features = "+ptx78";
    else if (!strcmp(t->cpu, "sm_87"))
        t->features = "+ptx74";
}

static const Instructions instructions = {0};
static const char *const aliases[] = {"cuda", "nvidia", "ptx", NULL};
static const TargetNeed needs[] = {{NULL, 0, 0}};

static const Isa isa = {
    .aliases = aliases,
    .cpus = cpus,
    .default_cpu = "sm_80",
    .cpu_flag = "--gpu",
    .needs = needs,
    .features = "+ptx71", /* the oldest that knows sm_80 */
    .clock = "llvm.readsteadycounter",
    .round = "llvm.roundeven",
    .denormals = DENORMALS_KEPT, /* they cost nothing: no .ftz */
    .instructions = &instructions,
    .init = init,
    .describe = describe,
};

const Target target_nvptx64 = {
    .name = "nvptx64",
    .triple = "nvptx64-nvidia-cuda",
    .description = "NVIDIA GPUs, as PTX",
    .isa = &isa,
    .execution = EXECUTION_GRID,
};
