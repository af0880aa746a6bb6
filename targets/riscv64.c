/* 64-bit RISC-V CPUs with floating point (RV64GC), and with vectors (V). A vector of the loop level is 128 bits,
 * which every CPU with V has; without V, LLVM splits vectors into scalars. */
#include <string.h>

#include "btc_call.h"
#include "llvm_emit.h"
#include "llvm_probe.h"

/* 64-bit models with IMAFDC that LLVM 19 knows (llc -mcpu=help); it has no call to list them, and it takes an
 * unknown name silently for the oldest model, so the list is here. Before them, what all have that call
 * themselves so. */
static const char *const cpus[] = {"rv64gc",     "rv64gcv",         "sifive-p450", "sifive-p670",
                                   "sifive-u54", "sifive-u74",      "sifive-x280", "spacemit-x60",
                                   "veyron-v1",  "xiangshan-nanhu", NULL};

/* What LLVM makes of plain loops. Linux tells of the one-letter extensions in a word, and of others since 6.4
 * when it is asked (riscv_hwprobe). */
static const TargetNeed needs[] = {
    {"v", BTC_CPU_HWCAP, 1u << ('v' - 'a')},
    {"zvfh", BTC_CPU_HWPROBE, 1u << 30},
    {"zvfhmin", BTC_CPU_HWPROBE, 1u << 31},
    {"zfa", BTC_CPU_HWPROBE, 1ull << 32},
    {"zfh", BTC_CPU_HWPROBE, 1u << 27},
    {"zfhmin", BTC_CPU_HWPROBE, 1u << 28},
    {"zbb", BTC_CPU_HWPROBE, 1u << 4},
    {"zba", BTC_CPU_HWPROBE, 1u << 3},
    {"zbs", BTC_CPU_HWPROBE, 1u << 5},
    {"zicond", BTC_CPU_HWPROBE, 1ull << 35},
    {NULL, 0, 0},
};

static void init(void) {
    LLVMInitializeRISCVTargetInfo();
    LLVMInitializeRISCVTarget();
    LLVMInitializeRISCVTargetMC();
    LLVMInitializeRISCVAsmPrinter();
    LLVMInitializeRISCVAsmParser();
}

static void choose(Arena *a, const char *cpu, TargetInfo *t) {
    (void)a;
    t->cpu = cpu;
    if (strncmp(cpu, "rv64gc", 6)) return;
    t->llvm_cpu = "generic-rv64";
    t->features = !strcmp(cpu, "rv64gcv") ? "+m,+a,+f,+d,+c,+v" : "+m,+a,+f,+d,+c";
}

/* Caches: see x86_64.c. */
static void describe(Probe *p, TargetInfo *t) {
    t->rounds = probe_says(p, "fround"); /* LLVM's own way without it is a call in code made for its size */
    t->lanes = 4;
    t->registers = 32;
    t->l1 = 32 << 10;
    t->l2 = 256 << 10;
    t->cache_line = 64, t->cache_way = 4096;
}

static const char *emulated_cpu(const TargetInfo *t) {
    return t->needs & 1 ? "rv64,v=true,vext_spec=v1.0" : NULL;
}

static const Instructions instructions = {0};
static const char *const aliases[] = {"riscv", "rv64", NULL};

static const Isa isa = {
    .aliases = aliases,
    .cpus = cpus,
    .default_cpu = "rv64gc",
    .cpu_flag = "--cpu",
    .needs = needs,
    .features = "",
    .clock = "llvm.readsteadycounter",
    .round = "llvm.roundeven",
    .denormals = DENORMALS_KEPT, /* there is no setting that flushes them */
    .instructions = &instructions,
    .init = init,
    .choose = choose,
    .describe = describe,
    .emulated_cpu = emulated_cpu,
};

const Target target_riscv64 = {
    .name = "riscv64-linux-gnu",
    .triple = "riscv64-unknown-linux-gnu",
    .description = "64-bit RISC-V CPUs under Linux",
    .isa = &isa,
    .execution = EXECUTION_THREADS,
    .linked = true,
    .loader = "/lib/ld-linux-riscv64-lp64d.so.1",
    .weights = ".weights",
    .flags = "a",
    .emulator = "qemu-riscv64",
    .sysroot = "/usr/riscv64-linux-gnu",
};

const Target target_riscv64_none = {
    .name = "riscv64-none",
    .triple = "riscv64-unknown-none-elf",
    .description = "64-bit RISC-V CPUs without libc: objects, and static programs for Linux",
    .isa = &isa,
    .execution = EXECUTION_SINGLE,
    .linked = true,
    .weights = ".weights",
    .flags = "a",
    .emulator = "qemu-riscv64",
};
