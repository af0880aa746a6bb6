/* ARM Cortex-M processors with floating point: Armv7E-M (Cortex-M4, M7) and Armv8-M (M33, M55, M85). LLVM takes
 * vectors of four apart. There is no operating system: what comes out is an object or an archive for a firmware, or
 * a program for one of Arm's boards as QEMU emulates them. */
#include <string.h>

#include "llvm_emit.h"
#include "llvm_probe.h"

static const char *const armv7em[] = {"cortex-m4", "cortex-m7", NULL};
static const char *const armv8m[] = {"cortex-m33", "cortex-m55", "cortex-m85", NULL};
static const char *const no_aliases[] = {NULL};
static const TargetNeed needs[] = {{NULL, 0, 0}}; /* who builds a firmware knows the processor */

static void init(void) {
    LLVMInitializeARMTargetInfo();
    LLVMInitializeARMTarget();
    LLVMInitializeARMTargetMC();
    LLVMInitializeARMAsmPrinter();
    LLVMInitializeARMAsmParser();
}

/* 32 registers of one number are 8 of four. There are no caches, or small ones. */
static void describe(Probe *p, TargetInfo *t) {
    (void)p;
    t->lanes = 4;
    t->registers = 8;
    t->l1 = t->l2 = 32 << 10;
}

static const Board *board(const TargetInfo *t) {
    static const Board an386 = {"mps2-an386", "mps2.ld"}, an500 = {"mps2-an500", "mps2.ld"},
                       an547 = {"mps3-an547", "mps3.ld"};
    return !strcmp(t->cpu, "cortex-m4")    ? &an386
           : !strcmp(t->cpu, "cortex-m7")  ? &an500
           : !strcmp(t->cpu, "cortex-m55") ? &an547
                                           : NULL;
}

static const Instructions instructions = {0};

#define CORTEX_M                                                                                             \
    .aliases = no_aliases, .cpu_flag = "--cpu", .needs = needs, .clock = "llvm.readcyclecounter",            \
    .round = "llvm.rint", .denormals = DENORMALS_FLUSHED_EXACT, .instructions = &instructions, .init = init, \
    .describe = describe, .board = board

/* Without the vectors of MVE: LLVM 19 corrupts its memory over nested loops with selections by vectors (in its
 * pass for low-overhead loops), and without that pass it forgets copies of vectors. */
static const Isa isa_v7em = {CORTEX_M, .cpus = armv7em, .default_cpu = "cortex-m4", .features = ""},
                 isa_v8m = {CORTEX_M, .cpus = armv8m, .default_cpu = "cortex-m55",
                            .features = "-mve.fp,-mve"};

#define FIRMWARE                                                                                             \
    .execution = EXECUTION_SINGLE, .linked = true, .fixed = true, .weights = ".weights", .flags = "a",       \
    .emulator = "qemu-system-arm"

/* LLVM's names end in gnueabi: with the plain memcpy and memset, not those of Arm's run-time ABI. */
const Target target_thumbv7em_none_eabi = {
    FIRMWARE,
    .name = "thumbv7em-none-eabi",
    .triple = "thumbv7em-none-unknown-gnueabi",
    .description = "Cortex-M4 and M7, without an operating system",
    .isa = &isa_v7em,
};

const Target target_thumbv8m_main_none_eabi = {
    FIRMWARE,
    .name = "thumbv8m.main-none-eabi",
    .triple = "thumbv8m.main-none-unknown-gnueabi",
    .description = "Cortex-M33, M55 and M85, without an operating system",
    .isa = &isa_v8m,
};
