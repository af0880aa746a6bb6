/* 64-bit ARM CPUs with NEON, which all of them have. SVE is not used: vectors have a fixed width here. */
#include "btc_call.h"
#include "cpu_costs.h"
#include "llvm_emit.h"
#include "llvm_probe.h"

/* 64-bit models that LLVM 19 knows (llc -mcpu=help); it has no call to list them, and it takes an unknown
 * name silently for the oldest model, so the list is here. */
static const char *const cpus[] = {"a64fx",
                                   "ampere1",
                                   "ampere1a",
                                   "ampere1b",
                                   "apple-a10",
                                   "apple-a11",
                                   "apple-a12",
                                   "apple-a13",
                                   "apple-a14",
                                   "apple-a15",
                                   "apple-a16",
                                   "apple-a17",
                                   "apple-a7",
                                   "apple-m4",
                                   "carmel",
                                   "cortex-a34",
                                   "cortex-a35",
                                   "cortex-a510",
                                   "cortex-a520",
                                   "cortex-a520ae",
                                   "cortex-a53",
                                   "cortex-a55",
                                   "cortex-a57",
                                   "cortex-a65",
                                   "cortex-a65ae",
                                   "cortex-a710",
                                   "cortex-a715",
                                   "cortex-a72",
                                   "cortex-a720",
                                   "cortex-a720ae",
                                   "cortex-a725",
                                   "cortex-a73",
                                   "cortex-a75",
                                   "cortex-a76",
                                   "cortex-a76ae",
                                   "cortex-a77",
                                   "cortex-a78",
                                   "cortex-a78ae",
                                   "cortex-a78c",
                                   "cortex-x1",
                                   "cortex-x1c",
                                   "cortex-x2",
                                   "cortex-x3",
                                   "cortex-x4",
                                   "cortex-x925",
                                   "exynos-m3",
                                   "exynos-m4",
                                   "exynos-m5",
                                   "falkor",
                                   "generic",
                                   "kryo",
                                   "neoverse-512tvb",
                                   "neoverse-e1",
                                   "neoverse-n1",
                                   "neoverse-n2",
                                   "neoverse-n3",
                                   "neoverse-v1",
                                   "neoverse-v2",
                                   "neoverse-v3",
                                   "neoverse-v3ae",
                                   "oryon-1",
                                   "saphira",
                                   "thunderx",
                                   "thunderx2t99",
                                   "thunderx3t110",
                                   "tsv110",
                                   NULL};

/* What LLVM makes of plain loops, and the instructions of llvm_dot.c. */
static const TargetNeed needs[] = {
    {"sve2", BTC_CPU_HWCAP2, 1u << 1},
    {"sve", BTC_CPU_HWCAP, 1u << 22},
    {"i8mm", BTC_CPU_HWCAP2, 1u << 13},
    {"bf16", BTC_CPU_HWCAP2, 1u << 14},
    {"dotprod", BTC_CPU_HWCAP, 1u << 20},
    {"fullfp16", BTC_CPU_HWCAP, 1u << 9 | 1u << 10},
    {"fp16fml", BTC_CPU_HWCAP, 1u << 23},
    {"rdm", BTC_CPU_HWCAP, 1u << 12},
    {"complxnum", BTC_CPU_HWCAP, 1u << 14},
    {"lse", BTC_CPU_HWCAP, 1u << 8},
    {"sha3", BTC_CPU_HWCAP, 1u << 17},
    {"jsconv", BTC_CPU_HWCAP, 1u << 13},
    {"flagm", BTC_CPU_HWCAP, 1u << 27},
    {"altnzcv", BTC_CPU_HWCAP2, 1u << 7},
    {"fptoint", BTC_CPU_HWCAP2, 1u << 8},
    {"cssc", BTC_CPU_HWCAP2, 1ull << 34},
    {"mops", BTC_CPU_HWCAP2, 1ull << 43},
    {"hbc", BTC_CPU_HWCAP2, 1ull << 44},
    {"rcpc", BTC_CPU_HWCAP, 1u << 15},
    {"sve2p1", BTC_CPU_HWCAP2, 1ull << 36},
    {NULL, 0, 0},
};

static void init(void) {
    LLVMInitializeAArch64TargetInfo();
    LLVMInitializeAArch64Target();
    LLVMInitializeAArch64TargetMC();
    LLVMInitializeAArch64AsmPrinter();
    LLVMInitializeAArch64AsmParser();
}

/* Caches: see x86_64.c. */
static void describe(Probe *p, TargetInfo *t) {
    t->lanes = 4;
    t->registers = 32;
    t->byte_tables = true;
    t->byte_dots = probe_assembles(p, "sdot v0.4s, v0.16b, v0.16b");
    t->mixed_dots = probe_assembles(p, "usdot v0.4s, v0.16b, v0.16b");
    t->l1 = 32 << 10;
    t->l2 = 512 << 10;
    t->cache_line = 64, t->cache_way = 4096;
}

/* Unsigned times signed where there is such an instruction, else x - 128 is signed and 128 sum(y) is put
 * back. */
static LLVMValueRef dot4(Emit *e, Dot d) {
    if (!e->t->byte_dots) return NULL;
    LLVMTypeRef bytes = LLVMVectorType(e->i8, 16), over[2] = {LLVMVectorType(e->i32, 4), bytes};
    LLVMValueRef args[3] = {d.acc, emit_bits(e, d.x, bytes), emit_bits(e, d.y, bytes)};
    if (e->t->mixed_dots) return emit_intrinsic(e, "llvm.aarch64.neon.usdot", over, 2, args, 3);
    LLVMValueRef back[3] = {args[0], emit_const_int(e, bytes, 64), args[2]};
    for (int i = 0; i < 2; i++) back[0] = emit_intrinsic(e, "llvm.aarch64.neon.sdot", over, 2, back, 3);
    args[0] = back[0], args[1] = emit_int_op(e, LLVMXor, args[1], 128);
    return emit_intrinsic(e, "llvm.aarch64.neon.sdot", over, 2, args, 3);
}

static LLVMValueRef lookup(Emit *e, LLVMValueRef x, LLVMValueRef table, int n) {
    (void)n;
    LLVMTypeRef over = LLVMTypeOf(x);
    LLVMValueRef args[2] = {table, x};
    return emit_intrinsic(e, "llvm.aarch64.neon.tbl1", &over, 1, args, 2);
}

static const Instructions instructions = {.dot4 = dot4, .lookup = lookup};
static const char *const aliases[] = {"arm64", NULL};

static const Isa isa = {
    .aliases = aliases,
    .cpus = cpus,
    .default_cpu = "generic",
    .cpu_flag = "--cpu",
    .needs = needs,
    .features = "",
    .clock = "llvm.readsteadycounter",
    .round = "llvm.roundeven",
    .denormals = DENORMALS_FLUSHED_EXACT,
    .costs = costs_aarch64,
    .instructions = &instructions,
    .init = init,
    .describe = describe,
};

const Target target_aarch64 = {
    .name = "aarch64-linux-gnu",
    .triple = "aarch64-unknown-linux-gnu",
    .description = "64-bit ARM CPUs under Linux",
    .isa = &isa,
    .execution = EXECUTION_THREADS,
    .linked = true,
    .loader = "/lib/ld-linux-aarch64.so.1",
    .weights = ".weights",
    .flags = "a",
    .emulator = "qemu-aarch64",
    .sysroot = "/usr/aarch64-linux-gnu",
};

const Target target_aarch64_none = {
    .name = "aarch64-none",
    .triple = "aarch64-unknown-none-elf",
    .description = "64-bit ARM CPUs without libc: objects, and static programs for Linux",
    .isa = &isa,
    .execution = EXECUTION_SINGLE,
    .linked = true,
    .weights = ".weights",
    .flags = "a",
    .emulator = "qemu-aarch64",
};
