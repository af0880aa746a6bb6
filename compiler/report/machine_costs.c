/* See machine_costs.h. */
#include "machine_costs.h"

#include <string.h>

#include "desc/json.h"
#include "kernels/cost_model.h"

/* A kernel's cost by LLVM's entries alone, and corrected. */
typedef struct Both {
    KernelCost llvm, best;
} Both;

typedef bool EachKernel(void *user, const char *what, const NumberFormat *w, const Arithmetic *math,
                        const Both *k);

static bool both_products(const LowerTarget *t, KernelSpec s, Both *out) {
    return kernel_cost(t, s, COSTS_LLVM, &out->llvm) && kernel_cost(t, s, COSTS_CORRECTED, &out->best);
}

static bool both_dequantize(const LowerTarget *t, const NumberFormat *w, const Arithmetic *math, Both *out) {
    return kernel_dequantize_cost(t, w, math, COSTS_LLVM, &out->llvm) &&
           kernel_dequantize_cost(t, w, math, COSTS_CORRECTED, &out->best);
}

/* All kernels of products of one sequence and of chunks, but those that need an instruction that the CPU lacks. */
static void each_kernel(const Compiled *c, EachKernel *each, void *user) {
    const LowerTarget *t = &c->lower;
    for (const NumberFormat *const *f = FORMATS; *f; f++)
        for (const Arithmetic *const *m = ARITHMETICS; *m; m++) {
            const NumberFormat *w = *f;
            if (!arithmetic_takes(*m, w) || !cost_model_can(t, *m) ||
                (format_is_compressed(w) && !t->byte_tables))
                continue;
            Both k;
            KernelSpec chunk = kernel_of_chunk(t, w, *m);
            if (both_products(t, kernel_of_step(t, w, *m), &k)) each(user, "step", w, *m, &k);
            if (both_products(t, chunk, &k)) each(user, "chunk", w, *m, &k);
            if (chunk.w != w && both_dequantize(t, w, *m, &k)) each(user, "dequantize", w, *m, &k);
        }
}

/* ---- text ---- */

static const char *bound_of(const LoopCost *c) {
    return c->cycles <= c->ports ? "ports" : c->cycles <= c->issue ? "issue" : "chain";
}

static void add_instructions(Arena *a, Text *t, const MachineCosts *m) {
    text_add(t, "\ninstruction  ports    cycles latency   LLVM says   source\n");
    for (int i = 0; i < INSTR_COUNT; i++) {
        InstructionCost c = costs_of(m, COSTS_CORRECTED, (Instruction)i), llvm = m->llvm[i];
        const Correction *why = costs_correction(m, (Instruction)i);
        if (!c.ports) {
            text_add(t, "%-12s there is none\n", INSTRUCTIONS[i].name);
            continue;
        }
        text_add(t, "%-12s %-8s %6.2f %7d   ", INSTRUCTIONS[i].name,
                 c.also ? arena_printf(a, "%s %s", c.ports, c.also) : c.ports, costs_cycles(&c), c.latency);
        if (why)
            text_add(t, "%5.2f %4d   %s\n", costs_cycles(&llvm), llvm.latency, why->source);
        else
            text_add(t, "the same     LLVM 19\n");
    }
}

typedef struct Rows {
    Text *t;
    const LowerTarget *machine;
    const char *what;
} Rows;

static void add_products(Rows *r, const NumberFormat *w, const Arithmetic *math, const KernelCost *k) {
    double cycles = k->turn.cycles / k->multiply_adds;
    text_add(r->t, "%-9s %-5s %-32s %8.3f %9.1f   %s\n", w->name, math->name, k->name, cycles,
             r->machine->lanes / cycles, bound_of(&k->turn));
}

static bool add_row(void *user, const char *what, const NumberFormat *w, const Arithmetic *math,
                    const Both *both) {
    Rows *r = user;
    const KernelCost *k = &both->best;
    if (strcmp(what, r->what)) return true;
    if (!strcmp(what, "step"))
        text_add(r->t, "%-9s %-5s %-32s %8.3f %9.1f   %s\n", w->name, math->name, k->name,
                 k->turn.cycles / k->numbers * r->machine->lanes,
                 k->numbers / k->turn.cycles * format_bits(w) / 8, bound_of(&k->turn));
    else if (!strcmp(what, "chunk"))
        add_products(r, w, math, k);
    else
        text_add(r->t, "%-9s %-5s %-32s %8.3f\n", w->name, math->name, k->name,
                 k->turn.cycles / k->numbers * r->machine->lanes);
    return true;
}

static void add_kernels(Text *t, const Compiled *c, const char *what, const char *head) {
    Rows r = {t, &c->lower, what};
    text_add(t, "\n%s\n", head);
    each_kernel(c, add_row, &r);
}

const char *machine_costs_text(Arena *a, const Compiled *c) {
    const LowerTarget *m = &c->lower;
    const Tuning *u = &m->tuning;
    Text t = text_new(a);
    text_add(&t, "%s: costs of %s; %d instructions a cycle, vectors of %d, %d registers\n", c->target.cpu,
             m->costs->name, m->costs->issue, m->lanes, m->vregs);
    add_instructions(a, &t, m->costs);
    add_kernels(&t, c, "step",
                "one token                                        cycles a vector, bytes a cycle, bound by");
    add_kernels(
        &t, c, "chunk",
        "many tokens                                      cycles a vector, products a cycle, bound by");
    add_kernels(&t, c, "dequantize", "dequantizing for them                            cycles a vector");
    double gain = m->defaults.gain_of_compressing;
    const char *gains =
        arena_printf(a, "%s: decoding is %.2f times as fast (%s)", gain > 1 ? "yes" : "no", gain,
                     m->costs->compressed_gain > 0 ? m->costs->compressed_source : "by these costs");
    text_add(&t,
             "\nwhat follows\n"
             "  products of bf16 weights        %s\n"
             "  products of q8 and q4 weights   %s\n"
             "  bf16 weights in 12 bits         %s\n"
             "  runs of weights in a step       %d (%s)\n"
             "  tiles of a chunk                %d rows by %d vectors; in int8 %d by %d\n",
             m->defaults.bf16->name, m->defaults.blocks->name,
             gain > 0 ? gains : "no: there is no lookup of bytes", u->streams, m->costs->streams_source,
             u->tile_rows, u->tile_columns, u->dot_rows, u->dot_columns);
    return t.s;
}

/* ---- JSON ---- */

static cJSON *instruction_json(const InstructionCost *c) {
    cJSON *x = cJSON_CreateObject();
    cJSON_AddStringToObject(x, "ports", c->ports);
    cJSON_AddNumberToObject(x, "cycles", costs_cycles(c));
    cJSON_AddNumberToObject(x, "latency", c->latency);
    cJSON_AddNumberToObject(x, "uops", c->uops);
    return x;
}

static cJSON *instructions_json(const MachineCosts *m) {
    cJSON *all = cJSON_CreateObject();
    for (int i = 0; i < INSTR_COUNT; i++) {
        const Correction *why = costs_correction(m, (Instruction)i);
        cJSON *x = cJSON_AddObjectToObject(all, INSTRUCTIONS[i].name);
        if (m->llvm[i].ports) cJSON_AddItemToObject(x, "llvm", instruction_json(&m->llvm[i]));
        if (!why) continue;
        cJSON_AddItemToObject(x, "corrected", instruction_json(&why->cost));
        cJSON_AddStringToObject(x, "source", why->source);
    }
    return all;
}

static bool kernel_json(void *user, const char *what, const NumberFormat *w, const Arithmetic *math,
                        const Both *k) {
    cJSON *x = cJSON_CreateObject();
    cJSON_AddStringToObject(x, "kernel", k->best.name);
    cJSON_AddStringToObject(x, "for", what);
    cJSON_AddStringToObject(x, "weights", w->name);
    cJSON_AddStringToObject(x, "arithmetic", math->name);
    cJSON_AddNumberToObject(x, "llvm", k->llvm.turn.cycles);
    cJSON_AddNumberToObject(x, "cycles", k->best.turn.cycles);
    cJSON_AddNumberToObject(x, "numbers", k->best.numbers);
    cJSON_AddNumberToObject(x, "multiply_adds", k->best.multiply_adds);
    const int *n = k->best.turn.count;
    cJSON_AddNumberToObject(x, "products", n[INSTR_FMA] + n[INSTR_DOT2] + n[INSTR_DOT4]);
    cJSON_AddNumberToObject(x, "registers", k->best.turn.registers);
    return cJSON_AddItemToArray(user, x);
}

static cJSON *defaults_json(const Defaults *u) {
    cJSON *x = cJSON_CreateObject();
    cJSON_AddStringToObject(x, "bf16", u->bf16->name);
    cJSON_AddStringToObject(x, "blocks", u->blocks->name);
    cJSON_AddNumberToObject(x, "gain_of_compressing", u->gain_of_compressing);
    Tuning t = u->tuning;
    for (int i = 0; i < TUNING_COUNT; i++)
        cJSON_AddNumberToObject(x, TUNING_FIELDS[i].name, *tuning_at(&t, i));
    return x;
}

const char *machine_costs_json(Arena *a, const Compiled *c) {
    const MachineCosts *m = c->lower.costs;
    cJSON *root = cJSON_CreateObject(), *kernels;
    cJSON_AddStringToObject(root, "cpu", c->target.cpu);
    cJSON_AddStringToObject(root, "costs", m->name);
    cJSON_AddNumberToObject(root, "lanes", c->lower.lanes);
    cJSON_AddItemToObject(root, "defaults", defaults_json(&c->lower.defaults));
    cJSON_AddItemToObject(root, "instructions", instructions_json(m));
    kernels = cJSON_AddArrayToObject(root, "kernels");
    each_kernel(c, kernel_json, kernels);
    char *text = json_print(a, root);
    cJSON_Delete(root);
    return text;
}
