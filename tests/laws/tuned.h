/* Modules for the promises of plan/tuning.def, and how one is compiled with given numbers. What depends
 * on the numbers is there in shapes that tiles do not divide: products of many panels with one that is not
 * full, of experts and of blocks, attention and recurrences of several heads, chunks
 * shorter and longer than a prompt. agree.h compares chunks, pieces of chunks, threads and steps of several
 * sequences with the interpreter. */
#ifndef BTC_TESTS_LAWS_TUNED_H
#define BTC_TESTS_LAWS_TUNED_H

#include "ops/wide.h"

/* A way to store weights, and arithmetic for it. */
typedef struct Stored {
    DType dt;
    const char *quant, *math; /* NULL: as they are; f32 */
} Stored;
static const Stored STORED[] = {
    {DT_F32, NULL, NULL},       {DT_F16, NULL, NULL},         {DT_BF16, NULL, NULL}, {DT_BF16, NULL, "bf16"},
    {DT_BF16, "bf16_12", NULL}, {DT_BF16, "bf16_12", "bf16"}, {DT_F32, "q8", NULL},  {DT_F32, "q8", "int8"},
    {DT_F32, "q6", NULL},       {DT_BF16, "q6", "int8"},      {DT_F32, "q4", NULL},  {DT_F32, "q4", "int8"},
};
enum { STORED_COUNT = sizeof STORED / sizeof *STORED };

/* the last with dot products of bf16 and of bytes */
static const char *const CPUS[] = {"x86-64-v2", "x86-64-v3", "x86-64-v4", "znver4"};
enum { CPU_COUNT = sizeof CPUS / sizeof *CPUS };

static inline bool have_cpu(int i) {
    const bool has[] = {true, __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"),
                        __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl"),
                        __builtin_cpu_supports("avx512bf16") && __builtin_cpu_supports("avx512vnni")};
    return has[i];
}

static inline const char *stored_text(Arena *a, const Stored *s) {
    return arena_printf(a, "%s in %s", s->quant ? s->quant : dtype_name(s->dt), s->math ? s->math : "f32");
}

/* ---- shapes ---- */

static inline int64_t draw_tuned(Rng *r, const char *name) {
    static const int64_t inputs[] = {100, 129, 256, 300}, outputs[] = {40, 150, 187, 290};
    if (one_of(name, " i ")) return inputs[rng_int(r, 0, 3)];
    if (one_of(name, " o ")) return outputs[rng_int(r, 0, 3)];
    return draw_size(r, name);
}

static inline int64_t draw_heads(Rng *r, const char *name) {
    static const int64_t widths[] = {17, 33, 64, 72};
    if (one_of(name, " h g ")) return rng_int(r, 1, 4);
    if (one_of(name, " writes reads ")) return rng_int(r, 0, 2) ? 1 : 2;
    if (one_of(name, " n p ")) return 64 + 8 * rng_int(r, 0, 1);
    return widths[rng_int(r, 0, 3)];
}

/* Small blocks with remainders: there are many of each kind. */
static inline int64_t draw_several(Rng *r, const char *name) {
    static const int64_t widths[] = {17, 24, 48, 65};
    if (one_of(name, " n e h g ")) return rng_int(r, 2, 4);
    if (one_of(name, " k ")) return rng_int(r, 1, 3);
    if (one_of(name, " l ")) return 67;
    return widths[rng_int(r, 0, 3)];
}

static inline void draw_some(Case *c, const OpDef *def, int n, DrawSize *size) {
    for (int got = 0, draw = 0; got < n && draw < 200 * n; draw++) got += kit_draw(&c->k, def, size);
}

/* What the numbers of products, and those of all else, act upon. */
typedef enum Part { PART_PRODUCTS, PART_OTHERS, PARTS } Part;

static inline Case tuned_case(const Stored *s, Part part, uint64_t seed) {
    Case c = {.k = kit_new(arena_new(), seed, s->dt, false), .slack = 1};
    Variant v = {.quant = s->quant, .math = s->math};
    if (part == PART_PRODUCTS) {
        draw_some(&c, &op_linear, 2, draw_tuned);
        draw_some(&c, &op_linear_experts, 1, draw_several);
        draw_some(&c, &op_linear_blocks, 1, draw_several);
        Value *bias = kit_weight(&c.k, type_tensor(DT_F32, false, 1, (int64_t[]){187}), LIVELY, 0);
        ir_result_add(c.k.main, "linear#biased", wide_product(&c.k, wide_input(&c.k, 448), 187, bias, &v));
    } else {
        draw_some(&c, &op_attend, 2, draw_several);
        draw_some(&c, &op_scan_matrix, 2, draw_heads);
        draw_some(&c, &op_scan_expand, 1, draw_several);
        draw_some(&c, &op_conv_long, 1, draw_several);
        draw_some(&c, &op_norm_rms, 1, draw_several);
    }
    return c;
}

/* ---- numbers ---- */

/* Chunks as long as the range allows only take memory: longer than any prompt is as good. */
static inline int tuning_most(int field) {
    const TuningField *f = &TUNING_FIELDS[field];
    return f->most > 1 << 14 ? 100 : f->most;
}

/* The least, the most, or one that is drawn from what lies between. */
enum { LEVELS = 3 };
static inline void set_level(Tuning *t, int field, int level, Rng *r) {
    int least = TUNING_FIELDS[field].least, most = tuning_most(field);
    int between = (int)rng_int(r, least, most);
    *tuning_at(t, field) = level == 0 ? least : level == 1 ? most : between;
}

/* ---- runs ---- */

/* The module with these numbers agrees with the interpreter; *bits: the outputs of a whole prompt. */
static inline bool tuned_agrees(const Stored *s, Part part, uint64_t seed, const char *cpu, const Tuning *t,
                                uint64_t *bits) {
    Case c = tuned_case(s, part, seed);
    Variant v = {.cpu = cpu, .storage = s->dt, .quant = s->quant, .math = s->math};
    c.tuning = t;
    bool ok = agrees(&c, &v, compared);
    *bits = 0xcbf29ce484222325u;
    for (int i = 0; ok && i < c.n; i++)
        for (int64_t k = 0; k < TOKENS * count_of(&c, i); k++) {
            uint32_t word;
            memcpy(&word, &c.whole[i][k], sizeof word);
            *bits = (*bits ^ word) * 0x100000001b3u;
        }
    arena_free(c.k.a);
    return ok;
}

static inline bool usual_tuning(const char *cpu, Tuning *t) {
    Arena *a = arena_new();
    Diag d = diag_new(a, stderr);
    CompileOptions o = {.cpu = cpu};
    Compiled c;
    bool ok = compile_machine(&d, NULL, &o, &c);
    *t = c.lower.tuning;
    arena_free(a);
    return ok;
}

/* What is held against each other: this module with these numbers. */
typedef struct TunedRun {
    const Stored *stored;
    Part part;
    int cpu;
    uint64_t seed;
    bool bits; /* also with the cost model's numbers in place of those that promise the same bits */
    Tuning t;
} TunedRun;

static inline bool tuned_run(const TunedRun *r) {
    Tuning usual;
    uint64_t bits, want;
    const char *cpu = CPUS[r->cpu];
    if (!tuned_agrees(r->stored, r->part, r->seed, cpu, &r->t, &bits)) return false;
    if (!r->bits) return true;
    if (!usual_tuning(cpu, &usual)) return false;
    Tuning t = r->t;
    for (int i = 0; i < TUNING_COUNT; i++)
        if (TUNING_FIELDS[i].effect == TUNING_CUTS) *tuning_at(&usual, i) = *tuning_at(&t, i);
    if (!tuned_agrees(r->stored, r->part, r->seed, cpu, &usual, &want)) return false;
    if (bits != want) fprintf(stderr, "    other bits than with the cost model's numbers\n");
    return bits == want;
}

/* In a process of its own; says what failed. */
static inline bool tuning_holds(const TunedRun *r) {
    bool ok;
    if (in_child(&ok)) _exit(tuned_run(r) ? 0 : 1);
    if (ok) return true;
    Tuning t = r->t;
    Arena *a = arena_new();
    fprintf(stderr, "    %s, %s, %s, seed %d:", CPUS[r->cpu], stored_text(a, r->stored),
            r->part == PART_PRODUCTS ? "products" : "others", (int)r->seed);
    for (int i = 0; i < TUNING_COUNT; i++)
        fprintf(stderr, " %s %d", TUNING_FIELDS[i].name, *tuning_at(&t, i));
    fprintf(stderr, "\n");
    arena_free(a);
    return false;
}

#endif
