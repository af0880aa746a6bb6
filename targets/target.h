/* Machines, and the door to code generation. Everything about LLVM stays behind this header: the compiler
 * sees a TargetInfo (what the chosen machine can do) and a Codegen (a module that becomes an object file). */
#ifndef BTC_TARGET_H
#define BTC_TARGET_H

#include "loop.h"
#include "loop_cost.h"

/* An instruction set that LLVM uses by itself where the model has it, and where a processor says that it has
 * it: bits of a word of runtime/btc_call.h. */
enum { MAX_TARGET_NEEDS = 64 };
typedef struct TargetNeed {
    const char *feature; /* LLVM's name, which is also what people are told; NULL ends the table */
    int word;            /* BTC_CPU_... */
    uint64_t bits;       /* all of them */
} TargetNeed;

typedef struct TargetInfo TargetInfo;
typedef struct Probe Probe;               /* llvm_probe.h */
typedef struct Instructions Instructions; /* llvm_emit.h */

/* A board that QEMU emulates, for programs of processors without an operating system. */
typedef struct Board {
    const char *name;   /* QEMU's */
    const char *script; /* where its memory lies: a linker script of the runtime */
} Board;

/* A family of processors: what its targets have in common, in one file with them. */
typedef struct Isa {
    const char *const *aliases; /* what others call it; ends with NULL */
    const char *const *cpus;    /* known models; ends with NULL */
    const char *default_cpu;    /* when none is given and it is not the host's own kind */
    const char *cpu_flag;       /* the option that chooses the model: "--cpu" or "--gpu" */
    const TargetNeed *needs;    /* most telling first; MAX_TARGET_NEEDS at most; ends with a row of NULL */
    const char *features;       /* always given to LLVM; "" for none */
    const char *clock;          /* LLVM's name for reading a clock that ticks steadily, at any speed */
    const char *round;          /* LLVM's name for rounding to the nearest whole number, halves to even */
    Denormals denormals;
    const MachineCosts *costs;        /* cpu_costs.h: of its CPUs; NULL: of none */
    const Instructions *instructions; /* those that LLVM does not choose by itself */
    void (*init)(void);               /* registers it with LLVM; may be called again */
    /* Fills cpu, and llvm_cpu and features where they are not the usual, from the name of a model. NULL: there
     * are no short names, and LLVM knows all of them. */
    void (*choose)(Arena *a, const char *cpu, TargetInfo *t);
    void (*ask)(Probe *p);                            /* adds questions to the probe, or NULL */
    void (*describe)(Probe *p, TargetInfo *t);        /* fills t from the answers; p: NULL for a grid */
    const char *(*emulated_cpu)(const TargetInfo *t); /* QEMU's name for the model; NULL: its usual one */
    const Board *(*board)(const TargetInfo *t);       /* NULL: programs run under Linux */
} Isa;

/* A machine that btc compiles for: a row of targets.def. */
typedef struct Target {
    const char *name;   /* as --target= spells it */
    const char *triple; /* as LLVM spells it */
    const char *description;
    const Isa *isa;
    Execution execution;
    bool linked;          /* there may be a runtime for it in btc; else objects are texts (PTX) */
    bool fixed;           /* code stands at a fixed address, and need not be independent of it */
    const char *loader;   /* the dynamic linker that programs ask for; NULL: there are no shared libraries */
    const char *weights;  /* the section of weights, */
    const char *flags;    /* and its flags, as the assembler spells them */
    const char *emulator; /* QEMU's name for it, "qemu-aarch64" */
    const char *sysroot;  /* where Debian and its kin put the libc that emulated programs load */
} Target;

#define TARGET(id) extern const Target target_##id;
#include "targets.def"
#undef TARGET
extern const Target *const TARGETS[]; /* ends with NULL */
const Target *target_host(void);      /* NULL: the machine we run on is no target */

/* A machine in full: what lowering and emission need to know. Capabilities are found by asking LLVM (see
 * llvm_probe.c), so any model that LLVM knows is treated rightly. */
struct TargetInfo {
    const Target *target;
    const char *triple; /* normalised */
    const char *cpu;
    const char *llvm_cpu;       /* LLVM's name for it */
    const char *features;       /* "+avx2,-avx512f,..." or "" */
    int lanes;                  /* f32 in a vector */
    int registers;              /* vector registers */
    int64_t l1, l2;             /* bytes of data cache near a core */
    int cache_line;             /* bytes; 0: there is no cache */
    int cache_way;              /* bytes of l1 in which an address has one place */
    int workers;                /* threads that a call has, as a rule; 1: all run by itself */
    double barrier_ns;          /* until all of them have met */
    double worker_bytes_per_ns; /* that one reads from memory */
    const MachineCosts *costs;  /* of its instructions */
    bool fma;                   /* x*y+z with one rounding is an instruction */
    bool f16;                   /* f16 <-> f32 are instructions */
    bool rounds;                /* floor and round are instructions */
    bool byte_dots;             /* four products of bytes and their sum are one instruction */
    bool mixed_dots;            /* of unsigned with signed bytes (else of signed bytes only) */
    bool bf16_dots;             /* two products of bf16 and their sum are one instruction */
    bool byte_tables;           /* looking up each byte of a vector in a table of 16 is one instruction */
    bool doubles;               /* arithmetic of f64 is instructions */
    int pointer_bytes;
    bool masks;     /* part of a vector can be loaded and stored by a mask */
    bool small;     /* code is made for its size; set by the caller */
    uint64_t needs; /* what code for it may use: bit i for row i of isa->needs */
};

/* target: a name of targets.def or NULL (the host's kind). cpu: a model, "native", or NULL (native for the
 * host's kind, else the default). Unknown names are errors that name the nearest. Texts live in d->arena. */
bool target_select(Diag *d, const char *target, const char *cpu, TargetInfo *out);
/* What this machine lacks to run code for `t`, by name; NULL: nothing. */
const char *target_lacks_here(const TargetInfo *t);

/* ---- code generation (llvm_object.c): one module, one object ---- */
typedef struct Codegen Codegen;
Codegen *codegen_new(Diag *d, const TargetInfo *t, const char *module_name);
/* Adds a loop-level function (math expanded, verified). external: a hidden symbol that other objects of the
 * artefact may call; otherwise internal to the module. On a warp target an external function is a kernel:
 * its parameters PARAM_WORKER and PARAM_WORKERS are left out of the kernel's and are the number of the warp and the
 * count of warps in the grid. */
bool codegen_add(Codegen *c, const Func *f, bool external);
/* Bytes under a symbol that other objects of the artefact see. */
void codegen_add_bytes(Codegen *c, const char *symbol, const void *bytes, size_t n, int align);
/* A struct as C lays it out on that machine: numbers of 64 bits, and pointers. exported: visible outside of the
 * artefact, too. */
typedef struct CodegenEntry {
    bool pointer;
    const char *symbol; /* of a pointer; NULL: it is null */
    int64_t value;      /* the number, or how many bytes behind the symbol the pointer points */
} CodegenEntry;
void codegen_add_table(Codegen *c, const char *symbol, const CodegenEntry *entries, int n, bool exported);
/* Room for n bytes under a symbol, in the target's section for weights. It takes no room in the object: the
 * bytes are put into what is linked from it. */
void codegen_add_room(Codegen *c, const char *symbol, int64_t n, int align);
/* Each of these first verifies and optimises the module (once). Nothing may be added afterwards. */
bool codegen_object(Codegen *c, const char *file);
bool codegen_assembly_text(Codegen *c, char **text, size_t *n); /* of a CPU, or PTX; in the Diag's arena */
bool codegen_llvm_text(Codegen *c, char **text, size_t *n);
double codegen_seconds(const Codegen *c); /* spent in LLVM so far */
void codegen_free(Codegen *c);

#endif
