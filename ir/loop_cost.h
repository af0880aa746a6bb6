/* The time that loops take on a machine, as far as instructions decide it: the machine's table of costs, and counting a
 * loop with it.
 *
 * A machine has ports, each of which takes one instruction at a time. An instruction says which ports may take it, and
 * for how many cycles it keeps one of them (an instruction that is split in two keeps two: its cycles are the sum). A
 * turn of a loop takes as long as the busiest set of ports, as long as it takes to issue its instructions, and as long
 * as the longest chain of results that leads from one turn to the next: whichever is longest. A machine that works in
 * order waits, too, for what an instruction needs, and for slower ones before it. */
#ifndef BTC_LOOP_COST_H
#define BTC_LOOP_COST_H

#include "op.h"

typedef enum Instruction {
#define INSTRUCTION(id, name, doc) INSTR_##id,
#include "instructions.def"
#undef INSTRUCTION
    INSTR_COUNT
} Instruction;

typedef struct InstructionName {
    const char *name, *doc;
} InstructionName;
extern const InstructionName INSTRUCTIONS[INSTR_COUNT];

typedef struct InstructionCost {
    const char *ports; /* a letter each; NULL: there is no such instruction */
    double cycles;
    const char *also; /* ports of a second part, or NULL */
    double also_cycles;
    int latency, uops;
    int carry; /* latency from the sum that it adds to; 0: the same */
} InstructionCost;

/* What replaces an entry of LLVM's. */
typedef struct Correction {
    Instruction of;
    InstructionCost cost;
    const char *source; /* who says so; NULL ends a list */
} Correction;

/* A machine, and all CPUs that are taken for it. */
typedef struct MachineCosts {
    const char *name;
    int lanes;                   /* f32 in its vectors */
    const char *const *cpus;     /* as LLVM names them; ends with NULL */
    int issue, llvm_issue;       /* instructions that begin in a cycle at most */
    bool in_order;               /* they begin and end in the order of the program */
    const InstructionCost *llvm; /* [INSTR_COUNT]: what LLVM's scheduling model says */
    const Correction *corrections;
    /* Memory: runs of weights that one worker reads best side by side, and how much faster bf16 weights in 12 bits are
     * read than in 16 (0: as many more as fit into the same bytes). Each with its source. */
    int streams;
    double compressed_gain;
    const char *streams_source, *compressed_source;
} MachineCosts;

/* LLVM's entries alone, or with what is known better. */
typedef enum CostsFrom { COSTS_LLVM, COSTS_CORRECTED } CostsFrom;
const Correction *costs_correction(const MachineCosts *m, Instruction i); /* NULL: there is none */
InstructionCost costs_of(const MachineCosts *m, CostsFrom from, Instruction i);
/* Cycles of one after another, when nothing else runs; 0: there is no such instruction. */
double costs_cycles(const InstructionCost *c);

/* A turn of the innermost loop that has the most ops. */
typedef struct LoopCost {
    double ports, issue, chain;
    double cycles; /* the most of them */
    int64_t step;  /* of its index */
    int64_t bytes; /* of vectors loaded */
    int registers; /* vectors alive at once */
    int spilled;   /* those that find no register */
    int count[INSTR_COUNT];
} LoopCost;

/* registers: that the machine has; what finds none is stored and loaded again. false: f has no loop, or the machine lacks
 * an instruction. */
bool loop_cost(const Func *f, const MachineCosts *m, CostsFrom from, int registers, LoopCost *out);

#endif
