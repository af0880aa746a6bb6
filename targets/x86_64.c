/* x86-64 CPUs, from SSE2 to AVX-512. The width of a vector and all abilities come from the model. */
#include <stdio.h>
#include <string.h>

#include "btc_call.h"
#include "cpu_costs.h"
#include "llvm_emit.h"
#include "llvm_probe.h"

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

/* What LLVM makes of plain loops, and the intrinsics of llvm_dot.c. Two rows of one name: what the processor
 * has, and whether the operating system keeps its registers. */
static const TargetNeed needs[] = {
    {"avx512f", BTC_CPU_XCR0, 0xe6},
    {"avx512f", BTC_CPU_7_EBX, 1u << 16},
    {"avx512vl", BTC_CPU_7_EBX, 1u << 31},
    {"avx512bw", BTC_CPU_7_EBX, 1u << 30},
    {"avx512dq", BTC_CPU_7_EBX, 1u << 17},
    {"avx512cd", BTC_CPU_7_EBX, 1u << 28},
    {"avx512vnni", BTC_CPU_7_ECX, 1u << 11},
    {"avx512bf16", BTC_CPU_7_1_EAX, 1u << 5},
    {"avx512fp16", BTC_CPU_7_EDX, 1u << 23},
    {"avx512vbmi", BTC_CPU_7_ECX, 1u << 1},
    {"avx512vbmi2", BTC_CPU_7_ECX, 1u << 6},
    {"avx512ifma", BTC_CPU_7_EBX, 1u << 21},
    {"avx512bitalg", BTC_CPU_7_ECX, 1u << 12},
    {"avx512vpopcntdq", BTC_CPU_7_ECX, 1u << 14},
    {"avx", BTC_CPU_XCR0, 0x6},
    {"avx2", BTC_CPU_7_EBX, 1u << 5},
    {"avx", BTC_CPU_1_ECX, 1u << 28},
    {"fma", BTC_CPU_1_ECX, 1u << 12},
    {"f16c", BTC_CPU_1_ECX, 1u << 29},
    {"avxvnni", BTC_CPU_7_1_EAX, 1u << 4},
    {"avxvnniint8", BTC_CPU_7_1_EDX, 1u << 4},
    {"avxvnniint16", BTC_CPU_7_1_EDX, 1u << 10},
    {"avxneconvert", BTC_CPU_7_1_EDX, 1u << 5},
    {"avxifma", BTC_CPU_7_1_EAX, 1u << 23},
    {"gfni", BTC_CPU_7_ECX, 1u << 8},
    {"bmi2", BTC_CPU_7_EBX, 1u << 8},
    {"bmi", BTC_CPU_7_EBX, 1u << 3},
    {"lzcnt", BTC_CPU_EXT_ECX, 1u << 5},
    {"movbe", BTC_CPU_1_ECX, 1u << 22},
    {"sse4.2", BTC_CPU_1_ECX, 1u << 20},
    {"popcnt", BTC_CPU_1_ECX, 1u << 23},
    {"sse4.1", BTC_CPU_1_ECX, 1u << 19},
    {"ssse3", BTC_CPU_1_ECX, 1u << 9},
    {"sse3", BTC_CPU_1_ECX, 1u << 0},
    {"sse4a", BTC_CPU_EXT_ECX, 1u << 6},
    {"xop", BTC_CPU_EXT_ECX, 1u << 11},
    {"fma4", BTC_CPU_EXT_ECX, 1u << 16},
    {"tbm", BTC_CPU_EXT_ECX, 1u << 21},
    {"egpr", BTC_CPU_XCR0, 1u << 19},
    {"egpr", BTC_CPU_7_1_EDX, 1u << 21},
    {"ndd", BTC_CPU_7_1_EDX, 1u << 21},
    {"push2pop2", BTC_CPU_7_1_EDX, 1u << 21},
    {"ppx", BTC_CPU_7_1_EDX, 1u << 21},
    {"ccmp", BTC_CPU_7_1_EDX, 1u << 21},
    {"cf", BTC_CPU_7_1_EDX, 1u << 21},
    {"nf", BTC_CPU_7_1_EDX, 1u << 21},
    {NULL, 0, 0},
};

static void init(void) {
    LLVMInitializeX86TargetInfo();
    LLVMInitializeX86Target();
    LLVMInitializeX86TargetMC();
    LLVMInitializeX86AsmPrinter();
    LLVMInitializeX86AsmParser(); /* data is written in assembly */
}

/* "v3" is short for "x86-64-v3". */
static void choose(Arena *a, const char *cpu, TargetInfo *t) {
    t->cpu = cpu[0] == 'v' && strlen(cpu) == 2 ? arena_printf(a, "x86-64-%s", cpu) : cpu;
}

/* ---- what a model can do ---- */

/* Dot products of bytes, bytes within 128 bits in another order, f32 to bf16. */
static void ask(Probe *p) {
    LLVMTypeRef i32 = LLVMInt32TypeInContext(p->cx), v16 = LLVMVectorType(LLVMFloatTypeInContext(p->cx), 16);
    LLVMTypeRef bytes = LLVMVectorType(LLVMInt8TypeInContext(p->cx), 64), ints = LLVMVectorType(i32, 64);
    LLVMValueRef ptr = probe_begin(p, "e");
    LLVMValueRef x = LLVMBuildZExt(p->b, probe_load(p, bytes, ptr), ints, "");
    x = LLVMBuildMul(p->b, x, LLVMBuildSExt(p->b, probe_load(p, bytes, ptr), ints, ""), "");
    probe_end(p, probe_intrinsic(p, "llvm.vector.reduce.add", ints, &x, 1), ptr);

    ptr = probe_begin(p, "g");
    LLVMValueRef mask[64];
    for (unsigned i = 0; i < 64; i++) mask[i] = LLVMConstInt(i32, i / 16 * 16 + 7 * i % 16, 0);
    x = probe_load(p, bytes, ptr);
    probe_end(p, LLVMBuildShuffleVector(p->b, x, LLVMGetPoison(bytes), LLVMConstVector(mask, 64), ""), ptr);

    ptr = probe_begin(p, "f");
    LLVMTypeRef bf16s = LLVMVectorType(LLVMBFloatTypeInContext(p->cx), 16);
    probe_end(p, LLVMBuildFPTrunc(p->b, probe_load(p, v16, ptr), bf16s, ""), ptr);
}

/* Whether bytes are looked up in whole vectors: pshufb of the widest registers. */
static bool looks_up_bytes(const char *text, int lanes) {
    const char *line = strstr(text, "pshufb");
    const char *wide = line && lanes > 4 ? strstr(line, lanes == 16 ? "zmm" : "ymm") : line;
    return wide && wide - line <= (ptrdiff_t)strcspn(line, "\n");
}

/* LLVM does not tell the caches. These are what CPUs of the kind have at least; blocking that fits in them
 * fits in more. Not read from the machine, so that the same options give the same code everywhere. */
static void describe(Probe *p, TargetInfo *t) {
    t->masks = probe_says(p, "zmm");
    t->lanes = t->masks ? 16 : probe_says(p, "ymm") ? 8 : 4;
    t->registers = t->masks ? 32 : 16;
    t->byte_dots = t->mixed_dots = t->lanes >= 8 && probe_says(p, "vpdpbusd");
    t->byte_tables = looks_up_bytes(p->text, t->lanes);
    t->bf16_dots = t->masks && probe_says(p, "vcvtneps2bf16");
    t->l1 = 32 << 10;
    t->l2 = t->masks ? 1 << 20 : t->lanes == 8 ? 512 << 10 : 256 << 10;
    t->cache_line = 64, t->cache_way = 4096;
}

/* ---- instructions ---- */

/* Without VNNI: even and odd bytes as i16, whose pair products one instruction adds without overflow. */
static LLVMValueRef dot4_by_pairs(Emit *e, Dot d, int lanes) {
    const char *name = lanes == 16  ? "llvm.x86.avx512.pmaddw.d.512"
                       : lanes == 8 ? "llvm.x86.avx2.pmadd.wd"
                                    : "llvm.x86.sse2.pmadd.wd";
    LLVMTypeRef i16s = LLVMVectorType(e->i16, 2 * (unsigned)lanes);
    LLVMValueRef x = emit_bits(e, d.x, i16s), y = emit_bits(e, d.y, i16s);
    LLVMValueRef even[2] = {emit_int_op(e, LLVMAnd, x, 255),
                            emit_int_op(e, LLVMAShr, emit_int_op(e, LLVMShl, y, 8), 8)};
    LLVMValueRef odd[2] = {emit_int_op(e, LLVMLShr, x, 8), emit_int_op(e, LLVMAShr, y, 8)};
    LLVMValueRef sum = LLVMBuildAdd(e->b, emit_intrinsic(e, name, NULL, 0, even, 2),
                                    emit_intrinsic(e, name, NULL, 0, odd, 2), "");
    return LLVMBuildAdd(e->b, d.acc, sum, "");
}

static LLVMValueRef dot4(Emit *e, Dot d) {
    char name[64];
    if (!e->t->byte_dots) return dot4_by_pairs(e, d, e->t->lanes);
    snprintf(name, sizeof name, "llvm.x86.avx512.vpdpbusd.%d", 32 * e->t->lanes);
    LLVMValueRef args[3] = {d.acc, d.x, d.y};
    return emit_intrinsic(e, name, NULL, 0, args, 3);
}

static LLVMValueRef dot2(Emit *e, Dot d) {
    char name[64];
    if (!e->t->bf16_dots) return NULL;
    snprintf(name, sizeof name, "llvm.x86.avx512bf16.dpbf16ps.%d", 32 * e->t->lanes);
    LLVMTypeRef pairs = LLVMVectorType(LLVMBFloatTypeInContext(e->cx), 2 * (unsigned)e->t->lanes);
    LLVMValueRef args[3] = {d.acc, emit_bits(e, d.x, pairs), emit_bits(e, d.y, pairs)};
    return emit_intrinsic(e, name, NULL, 0, args, 3);
}

/* The instruction rounds both, one behind the other. */
static LLVMValueRef pair(Emit *e, LLVMValueRef x, LLVMValueRef y) {
    int n = e->t->lanes;
    char name[64];
    if (!e->t->bf16_dots) return NULL;
    snprintf(name, sizeof name, "llvm.x86.avx512bf16.cvtne2ps2bf16.%d", 32 * n);
    LLVMValueRef args[2] = {y, x}, mask[64];
    LLVMValueRef halves = emit_intrinsic(e, name, NULL, 0, args, 2);
    for (int i = 0; i < 2 * n; i++)
        mask[i] = LLVMConstInt(e->i32, (unsigned long long)(i / 2 + i % 2 * n), 0);
    LLVMValueRef pairs = LLVMBuildShuffleVector(e->b, halves, LLVMGetPoison(LLVMTypeOf(halves)),
                                                LLVMConstVector(mask, (unsigned)(2 * n)), "");
    return emit_bits(e, pairs, emit_like(e, e->i32, LLVMTypeOf(x)));
}

static LLVMValueRef lookup(Emit *e, LLVMValueRef x, LLVMValueRef table, int n) {
    LLVMValueRef args[2] = {table, x};
    const char *name = n == 64   ? "llvm.x86.avx512.pshuf.b.512"
                       : n == 32 ? "llvm.x86.avx2.pshuf.b"
                                 : "llvm.x86.ssse3.pshuf.b.128";
    return emit_intrinsic(e, name, NULL, 0, args, 2);
}

static LLVMValueRef scale(Emit *e, LLVMValueRef x, LLVMValueRef n) {
    if (!e->t->masks || emit_lanes(x) != 16) return NULL;
    LLVMValueRef all = LLVMConstInt(e->i16, 0xffff, 0);
    LLVMValueRef as_set = LLVMConstInt(e->i32, 4, 0); /* the rounding mode in force */
    LLVMValueRef args[5] = {x, n, x, all, as_set};
    return emit_intrinsic(e, "llvm.x86.avx512.mask.scalef.ps.512", NULL, 0, args, 5);
}

static const Instructions instructions = {
    .dot4 = dot4, .dot2 = dot2, .pair = pair, .lookup = lookup, .scale = scale};
static const char *const aliases[] = {"amd64", "x64", "x86-64", NULL};

static const Isa isa = {
    .aliases = aliases,
    .cpus = cpus,
    .default_cpu = "x86-64-v3",
    .cpu_flag = "--cpu",
    .needs = needs,
    .features = "",
    .clock = "llvm.readcyclecounter",
    .round = "llvm.roundeven",
    .denormals = DENORMALS_FLUSHED_ROUNDED,
    .costs = costs_x86_64,
    .instructions = &instructions,
    .init = init,
    .choose = choose,
    .ask = ask,
    .describe = describe,
};

const Target target_x86_64 = {
    .name = "x86_64-linux-gnu",
    .triple = "x86_64-unknown-linux-gnu",
    .description = "x86-64 CPUs under Linux",
    .isa = &isa,
    .execution = EXECUTION_THREADS,
    .linked = true,
    .loader = "/lib64/ld-linux-x86-64.so.2",
    .weights = ".lrodata", /* the linker knows it and puts it far from all code */
    .flags = "al",
    .emulator = "qemu-x86_64",
    .sysroot = "/usr/x86_64-linux-gnu",
};

const Target target_x86_64_none = {
    .name = "x86_64-none",
    .triple = "x86_64-unknown-none-elf",
    .description = "x86-64 CPUs without libc: objects, and static programs for Linux",
    .isa = &isa,
    .execution = EXECUTION_SINGLE,
    .linked = true,
    .weights = ".lrodata",
    .flags = "al",
    .emulator = "qemu-x86_64",
};
