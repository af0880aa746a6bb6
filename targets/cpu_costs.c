/* See cpu_costs.h. Entries are those of LLVM 19's scheduling models, as llvm-mca prints them (tests/targets/costs.py
 * compares); where a measurement or the maker's manual says otherwise, a correction replaces them, with its source.
 * `tests/bench/instructions.py` measures the instructions of the machine that it runs on.
 *
 * Ports: digits compute, a to c load, d and e store. LLVM's 512-bit units of Intel's CPUs are those of their small
 * models, with one multiplier; the servers have two. */
#include "cpu_costs.h"

#include <string.h>

#define ONE(ports, cycles, latency, uops)                                                                    \
    { ports, cycles, NULL, 0, latency, uops, 0 }
#define TWO(ports, cycles, also, also_cycles, latency, uops)                                                 \
    { ports, cycles, also, also_cycles, latency, uops, 0 }
#define SUM(ports, cycles, latency, uops, carry)                                                             \
    { ports, cycles, NULL, 0, latency, uops, carry }

static const char MEASURED_ZEN4[] = "measured: tests/bench/instructions.py",
                  MEASURED_ZEN5[] = "measured: peaks of FMA, bf16 and int8 dots",
                  MANUAL_ZEN5[] = "AMD 58455, Optimization Guide for Zen 5",
                  MEASURED_ICX[] = "measured: peak of FMA",
                  MEASURED_EMR[] = "measured on Emerald Rapids: peaks",
                  MANUAL_INTEL[] = "Intel 248966, Optimization Manual",
                  MANUAL_A76[] = "Arm PJDOC-466751330-7215, Optimization Guide";

/* ---- AMD ---- */

static const InstructionCost zen4[INSTR_COUNT] = {
    [INSTR_FMA] = ONE("01", 2, 4, 1),
    [INSTR_DOT2] = ONE("23", 6, 6, 2),
    [INSTR_DOT4] = ONE("01", 4, 4, 1),
    [INSTR_INT] = ONE("0123", 2, 1, 1),
    [INSTR_SHIFT] = ONE("01", 1, 1, 1),
    [INSTR_MUL32] = ONE("03", 2, 3, 1),
    [INSTR_CONVERT] = ONE("23", 2, 3, 2),
    [INSTR_LOOKUP] = ONE("01", 2, 2, 1),
    [INSTR_ZIP] = ONE("12", 2, 1, 1),
    [INSTR_LOAD] = ONE("ab", 1, 8, 1),
    [INSTR_BROADCAST] = TWO("1", 1, "ab", 1, 9, 3),
    [INSTR_WIDEN] = TWO("12", 3, "ab", 1, 11, 1),
    [INSTR_HALF] = TWO("23", 4, "ab", 1, 11, 3),
    [INSTR_STORE] = ONE("d", 1, 1, 1),
};
static const Correction zen4_corrections[] = {
    {INSTR_DOT2, ONE("01", 2, 6, 1), MEASURED_ZEN4},
    {INSTR_DOT4, ONE("01", 2, 4, 1), MEASURED_ZEN4},
    {INSTR_SHIFT, ONE("23", 2, 1, 1), MEASURED_ZEN4},
    {INSTR_MUL32, ONE("01", 2, 3, 1), MEASURED_ZEN4},
    {INSTR_LOOKUP, ONE("12", 2, 2, 1), MEASURED_ZEN4},
    {INSTR_ZIP, ONE("123", 2, 1, 1), MEASURED_ZEN4},
    {INSTR_LOAD, ONE("ab", 2, 8, 1), MEASURED_ZEN4},
    {INSTR_BROADCAST, ONE("ab", 2, 8, 1), MEASURED_ZEN4},
    {INSTR_WIDEN, TWO("12", 2, "ab", 2, 9, 1), MEASURED_ZEN4},
    {INSTR_HALF, TWO("123", 4, "ab", 2, 11, 2), MEASURED_ZEN4},
    {INSTR_STORE, ONE("d", 2, 1, 1), MEASURED_ZEN4},
    {0},
};
static const Correction zen5_corrections[] = {
    {INSTR_FMA, ONE("01", 1, 4, 1), MEASURED_ZEN5},
    {INSTR_DOT2, ONE("01", 1, 6, 1), MEASURED_ZEN5},
    {INSTR_DOT4, ONE("01", 1, 4, 1), MEASURED_ZEN5},
    {INSTR_INT, ONE("0123", 1, 1, 1), MANUAL_ZEN5},
    {INSTR_SHIFT, ONE("23", 1, 1, 1), MANUAL_ZEN5},
    {INSTR_MUL32, ONE("01", 1, 3, 1), MANUAL_ZEN5},
    {INSTR_CONVERT, ONE("23", 1, 3, 1), MANUAL_ZEN5},
    {INSTR_LOOKUP, ONE("12", 1, 2, 1), MANUAL_ZEN5},
    {INSTR_ZIP, ONE("12", 1, 1, 1), MANUAL_ZEN5},
    {INSTR_BROADCAST, ONE("ab", 1, 8, 1), MANUAL_ZEN5},
    {INSTR_WIDEN, TWO("12", 1, "ab", 1, 9, 1), MANUAL_ZEN5},
    {INSTR_HALF, TWO("23", 2, "ab", 1, 11, 2), MANUAL_ZEN5},
    {0},
};
static const InstructionCost zen3[INSTR_COUNT] = {
    [INSTR_FMA] = ONE("01", 1, 4, 1),
    [INSTR_INT] = ONE("0123", 1, 1, 1),
    [INSTR_SHIFT] = ONE("12", 1, 1, 1),
    [INSTR_MUL32] = ONE("03", 1, 3, 1),
    [INSTR_CONVERT] = ONE("23", 1, 3, 1),
    [INSTR_LOOKUP] = ONE("12", 1, 1, 1),
    [INSTR_ZIP] = ONE("12", 1, 1, 1),
    [INSTR_LOAD] = ONE("ab", 1, 8, 1),
    [INSTR_BROADCAST] = TWO("12", 1, "ab", 1, 8, 1),
    [INSTR_WIDEN] = TWO("12", 3, "ab", 1, 11, 1),
    [INSTR_HALF] = TWO("23", 2, "ab", 1, 11, 1),
    [INSTR_STORE] = ONE("d", 1, 1, 1),
};

/* ---- Intel ---- */

static const InstructionCost haswell[INSTR_COUNT] = {
    [INSTR_FMA] = ONE("01", 1, 5, 1),          [INSTR_INT] = ONE("015", 1, 1, 1),
    [INSTR_SHIFT] = ONE("0", 1, 1, 1),         [INSTR_MUL32] = ONE("0", 2, 10, 2),
    [INSTR_CONVERT] = ONE("1", 1, 3, 1),       [INSTR_LOOKUP] = ONE("5", 1, 1, 1),
    [INSTR_ZIP] = ONE("5", 1, 1, 1),           [INSTR_LOAD] = ONE("ab", 1, 7, 1),
    [INSTR_BROADCAST] = ONE("ab", 1, 7, 1),    [INSTR_WIDEN] = TWO("5", 1, "ab", 1, 9, 2),
    [INSTR_HALF] = TWO("0", 1, "ab", 1, 7, 2), [INSTR_STORE] = ONE("d", 1, 1, 2),
};
static const InstructionCost alderlake[INSTR_COUNT] = {
    [INSTR_FMA] = ONE("01", 1, 4, 1),
    [INSTR_DOT4] = ONE("01", 1, 5, 1),
    [INSTR_INT] = ONE("015", 1, 1, 1),
    [INSTR_SHIFT] = ONE("01", 1, 1, 1),
    [INSTR_MUL32] = ONE("01", 2, 10, 2),
    [INSTR_CONVERT] = ONE("01", 1, 4, 1),
    [INSTR_LOOKUP] = ONE("15", 1, 1, 1),
    [INSTR_ZIP] = ONE("15", 1, 1, 1),
    [INSTR_LOAD] = ONE("abc", 1, 8, 1),
    [INSTR_BROADCAST] = ONE("abc", 1, 8, 1),
    [INSTR_WIDEN] = TWO("5", 1, "abc", 1, 11, 2),
    [INSTR_HALF] = TWO("01", 1, "abc", 1, 12, 2),
    [INSTR_STORE] = ONE("de", 1, 12, 2),
};
static const InstructionCost icelake[INSTR_COUNT] = {
    [INSTR_FMA] = ONE("0", 1, 4, 1),
    [INSTR_DOT4] = ONE("05", 1, 5, 1),
    [INSTR_INT] = ONE("05", 1, 1, 1),
    [INSTR_SHIFT] = ONE("0", 1, 1, 1),
    [INSTR_MUL32] = ONE("05", 2, 10, 2),
    [INSTR_CONVERT] = ONE("05", 1, 4, 1),
    [INSTR_LOOKUP] = ONE("5", 1, 1, 1),
    [INSTR_ZIP] = ONE("5", 1, 1, 1),
    [INSTR_LOAD] = TWO("015", 1, "ab", 1, 8, 2),
    [INSTR_BROADCAST] = TWO("015", 1, "ab", 1, 8, 2),
    [INSTR_WIDEN] = TWO("5", 1, "ab", 1, 10, 2),
    [INSTR_HALF] = TWO("01", 1, "ab", 1, 11, 2),
    [INSTR_STORE] = ONE("de", 1, 1, 2),
};
static const Correction icelake_corrections[] = {
    {INSTR_FMA, ONE("05", 1, 4, 1), MEASURED_ICX},
    {INSTR_LOAD, ONE("ab", 1, 8, 1), MANUAL_INTEL},
    {INSTR_BROADCAST, ONE("ab", 1, 8, 1), MANUAL_INTEL},
    {0},
};
static const InstructionCost golden_cove[INSTR_COUNT] = {
    [INSTR_FMA] = ONE("0", 1, 4, 1),
    [INSTR_DOT2] = ONE("05", 4, 8, 4),
    [INSTR_DOT4] = ONE("0", 1, 5, 1),
    [INSTR_INT] = ONE("05", 1, 1, 1),
    [INSTR_SHIFT] = ONE("0", 1, 1, 1),
    [INSTR_MUL32] = ONE("0", 2, 10, 2),
    [INSTR_CONVERT] = ONE("0", 1, 4, 1),
    [INSTR_LOOKUP] = ONE("5", 1, 1, 1),
    [INSTR_ZIP] = ONE("5", 1, 1, 1),
    [INSTR_LOAD] = ONE("abc", 1, 8, 1),
    [INSTR_BROADCAST] = ONE("abc", 1, 8, 1),
    [INSTR_WIDEN] = TWO("5", 1, "abc", 1, 11, 2),
    [INSTR_HALF] = TWO("05", 2, "abc", 1, 13, 3),
    [INSTR_STORE] = ONE("de", 1, 12, 2),
};
static const Correction golden_cove_corrections[] = {
    {INSTR_FMA, ONE("05", 1, 4, 1), MEASURED_EMR},
    {INSTR_DOT4, ONE("05", 1, 5, 1), MEASURED_EMR},
    {INSTR_LOAD, ONE("ab", 1, 8, 1), MANUAL_INTEL},
    {0},
};

/* ---- Arm ---- */

static const InstructionCost neoverse_v2[INSTR_COUNT] = {
    [INSTR_FMA] = SUM("0123", 1, 4, 1, 2),        [INSTR_DOT4] = SUM("0123", 1, 3, 1, 1),
    [INSTR_INT] = ONE("0123", 1, 2, 1),           [INSTR_SHIFT] = ONE("13", 1, 2, 1),
    [INSTR_MUL32] = ONE("02", 1, 4, 1),           [INSTR_CONVERT] = ONE("02", 2, 4, 2),
    [INSTR_LOOKUP] = ONE("01", 1, 2, 1),          [INSTR_ZIP] = ONE("0123", 1, 2, 1),
    [INSTR_LOAD] = ONE("abc", 1, 6, 1),           [INSTR_BROADCAST] = TWO("0123", 1, "abc", 1, 8, 2),
    [INSTR_WIDEN] = TWO("13", 1, "abc", 1, 8, 2), [INSTR_HALF] = TWO("02", 2, "abc", 1, 10, 3),
    [INSTR_STORE] = TWO("01", 1, "ab", 1, 2, 2),
};
static const InstructionCost cortex_a76[INSTR_COUNT] = {
    [INSTR_FMA] = ONE("01", 2, 10, 1),          [INSTR_DOT4] = ONE("01", 4, 9, 4),
    [INSTR_INT] = ONE("01", 1, 3, 1),           [INSTR_SHIFT] = ONE("01", 1, 3, 1),
    [INSTR_MUL32] = ONE("0", 2, 6, 2),          [INSTR_CONVERT] = TWO("01", 1, "a", 1, 10, 2),
    [INSTR_LOOKUP] = ONE("01", 3, 6, 3),        [INSTR_ZIP] = ONE("01", 3, 6, 3),
    [INSTR_LOAD] = ONE("a", 1, 5, 1),           [INSTR_BROADCAST] = TWO("01", 1, "a", 1, 8, 2),
    [INSTR_WIDEN] = TWO("01", 1, "a", 1, 8, 2), [INSTR_HALF] = TWO("01", 3, "a", 1, 13, 4),
    [INSTR_STORE] = ONE("d", 2, 2, 3),
};
static const Correction cortex_a76_corrections[] = {
    {INSTR_FMA, SUM("01", 1, 4, 1, 2), MANUAL_A76},
    {INSTR_DOT4, SUM("01", 4, 6, 4, 3), MANUAL_A76},
    {INSTR_INT, ONE("01", 1, 2, 1), MANUAL_A76},
    {INSTR_SHIFT, ONE("1", 1, 2, 1), MANUAL_A76},
    {INSTR_MUL32, ONE("0", 2, 5, 2), MANUAL_A76},
    {INSTR_CONVERT, ONE("0", 2, 4, 2), MANUAL_A76},
    {INSTR_LOOKUP, ONE("01", 1, 2, 1), MANUAL_A76},
    {INSTR_ZIP, ONE("01", 1, 2, 1), MANUAL_A76},
    {INSTR_LOAD, ONE("ab", 1, 5, 1), MANUAL_A76},
    {INSTR_BROADCAST, TWO("01", 1, "ab", 1, 7, 2), MANUAL_A76},
    {INSTR_WIDEN, TWO("1", 1, "ab", 1, 7, 2), MANUAL_A76},
    {INSTR_HALF, TWO("0", 2, "ab", 1, 9, 3), MANUAL_A76},
    {INSTR_STORE, TWO("01", 1, "ab", 1, 2, 2), MANUAL_A76},
    {0},
};
static const InstructionCost cortex_a53[INSTR_COUNT] = {
    [INSTR_FMA] = ONE("0", 1, 10, 1),          [INSTR_INT] = ONE("1", 1, 6, 1),
    [INSTR_SHIFT] = ONE("1", 1, 6, 1),         [INSTR_MUL32] = ONE("1", 1, 6, 1),
    [INSTR_CONVERT] = ONE("1", 1, 6, 1),       [INSTR_LOOKUP] = ONE("1", 1, 6, 1),
    [INSTR_ZIP] = ONE("1", 1, 6, 1),           [INSTR_LOAD] = ONE("a", 1, 4, 1),
    [INSTR_BROADCAST] = ONE("a", 1, 4, 1),     [INSTR_WIDEN] = TWO("1", 1, "a", 1, 10, 2),
    [INSTR_HALF] = TWO("1", 1, "a", 1, 10, 2), [INSTR_STORE] = ONE("a", 1, 4, 1),
};

/* ---- others ---- */

/* A machine of which nothing is known: an instruction of each kind in a cycle. */
#define PLAIN ONE("0", 1, 4, 1)
#define PLAIN_LOAD ONE("a", 1, 4, 1)
static const InstructionCost plain[INSTR_COUNT] = {
    [INSTR_FMA] = PLAIN,       [INSTR_DOT2] = PLAIN,           [INSTR_DOT4] = PLAIN,
    [INSTR_INT] = PLAIN,       [INSTR_SHIFT] = PLAIN,          [INSTR_MUL32] = PLAIN,
    [INSTR_CONVERT] = PLAIN,   [INSTR_LOOKUP] = PLAIN,         [INSTR_ZIP] = PLAIN,
    [INSTR_LOAD] = PLAIN_LOAD, [INSTR_BROADCAST] = PLAIN_LOAD, [INSTR_WIDEN] = PLAIN_LOAD,
    [INSTR_HALF] = PLAIN_LOAD, [INSTR_STORE] = PLAIN_LOAD,
};

/* ---- machines ---- */

#define CPUS(...)                                                                                            \
    (const char *const[]) {                                                                                  \
        __VA_ARGS__, NULL                                                                                    \
    }
#define NO_SOURCE "nothing else was measured"
static const char READS_ZEN4[] = "measured on Zen 4",
                  READS_EMR[] = "measured on Emerald Rapids: q4 gains 16 %",
                  READS_FOUR[] = "measured on Zen 5 and Ice Lake",
                  COMPRESSED_EMR[] = "measured on Emerald Rapids", COMPRESSED_ZEN4[] = "measured on Zen 4";

/* Where a CPU has no row, the first with the same vectors stands for it. */
const MachineCosts costs_x86_64[] = {
    {"Ice Lake", 16,
     CPUS("icelake-server", "icelake-client", "cannonlake", "tigerlake", "rocketlake", "skylake-avx512",
          "cascadelake", "cooperlake", "x86-64-v4"),
     6, 6, false, icelake, icelake_corrections, 4, 0, READS_FOUR, NO_SOURCE},
    {"Sapphire Rapids", 16, CPUS("sapphirerapids", "emeraldrapids", "graniterapids", "graniterapids-d"), 6, 6,
     false, golden_cove, golden_cove_corrections, 3, 0.93, READS_EMR, COMPRESSED_EMR},
    {"Zen 4", 16, CPUS("znver4"), 6, 6, false, zen4, zen4_corrections, 2, 0, READS_ZEN4, COMPRESSED_ZEN4},
    {"Zen 5", 16, CPUS("znver5"), 8, 6, false, zen4, zen5_corrections, 4, 0, READS_FOUR, NO_SOURCE},
    {"Haswell", 8, CPUS("haswell", "broadwell", "skylake", "x86-64-v3"), 4, 4, false, haswell, NULL, 2, 0,
     NO_SOURCE, NO_SOURCE},
    {"Zen 3", 8, CPUS("znver3", "znver2", "znver1"), 6, 6, false, zen3, NULL, 2, 0, NO_SOURCE, NO_SOURCE},
    {"Alder Lake", 8,
     CPUS("alderlake", "raptorlake", "meteorlake", "arrowlake", "arrowlake-s", "lunarlake", "pantherlake"), 6,
     6, false, alderlake, NULL, 2, 0, NO_SOURCE, NO_SOURCE},
    {0},
};
const MachineCosts costs_aarch64[] = {
    {"Cortex-A76", 4,
     CPUS("cortex-a76", "cortex-a76ae", "cortex-a77", "cortex-a78", "cortex-a78ae", "cortex-a78c",
          "cortex-a710", "cortex-a715", "cortex-a720", "cortex-a720ae", "cortex-a725", "neoverse-n1",
          "generic"),
     4, 3, false, cortex_a76, cortex_a76_corrections, 2, 0, NO_SOURCE, NO_SOURCE},
    {"Cortex-A53", 4,
     CPUS("cortex-a53", "cortex-a55", "cortex-a34", "cortex-a35", "cortex-a510", "cortex-a520",
          "cortex-a520ae"),
     2, 2, true, cortex_a53, NULL, 2, 0, NO_SOURCE, NO_SOURCE},
    {"Neoverse V2", 4,
     CPUS("neoverse-v2", "neoverse-v1", "neoverse-v3", "neoverse-v3ae", "neoverse-n2", "neoverse-n3",
          "neoverse-512tvb", "cortex-x1", "cortex-x1c", "cortex-x2", "cortex-x3", "cortex-x4", "cortex-x925"),
     16, 16, false, neoverse_v2, NULL, 2, 0, NO_SOURCE, NO_SOURCE},
    {0},
};
static const MachineCosts unknown = {"any", 0,    CPUS(NULL), 2, 2,         false,
                                     plain, NULL, 2,          0, NO_SOURCE, NO_SOURCE};

static bool has_cpu(const MachineCosts *m, const char *cpu) {
    for (const char *const *c = m->cpus; *c; c++)
        if (!strcmp(*c, cpu)) return true;
    return false;
}

const MachineCosts *costs_for(const TargetInfo *t) {
    const MachineCosts *rows = t->target->isa->costs, *alike = NULL;
    for (const MachineCosts *m = rows; m && m->name; m++) {
        if (m->lanes != t->lanes) continue;
        if (has_cpu(m, t->llvm_cpu)) return m;
        if (!alike) alike = m;
    }
    return alike ? alike : &unknown;
}
