/* btc list WORD: prints the tables of ops, passes, targets, architectures, parameters, costs and commands. */
#include <string.h>

#include "commands.h"
#include "import/import.h"
#include "kernels/op_table.h"
#include "report/machine_costs.h"

static const char USAGE[] =
    "btc list ops|passes|targets|architectures|tuning|costs|commands: prints a table of btc\n"
    "\n"
    "  ops            by family: signature, meaning, forms for chunks of tokens\n"
    "  passes         in the order of the pipeline\n"
    "  targets        machines and their models (--target, --cpu, --gpu)\n"
    "  architectures  that checkpoints may have: names, recurrence or cache, and the\n"
    "                 conformance cases that hold them, with the errors reached\n"
    "  tuning         parameters of btc tune, with their ranges\n"
    "  costs          of instructions and of kernels on --cpu, and the defaults that follow\n"
    "  commands       of btc\n";

/* ---- columns ---- */

/* Pads to column `to`; on a new line when the text before reached it. */
static void go_to(int from, int to) {
    if (from < to)
        printf("%*s", to - from, "");
    else
        printf("\n%*s", to, "");
}

/* ---- ops ---- */

/* A family begins with this op and ends before the next one's: the sections of ops.def. */
static const struct Family {
    OpId first;
    const char *title;
} FAMILIES[] = {
    {OP_weight, "leaves"},
    {OP_add, "elementwise"},
    {OP_reshape, "shapes"},
    {OP_norm_rms, "inside one token"},
    {OP_embed, "products with weights"},
    {OP_shift, "over time"},
    {OP_loop_const, "loop level (what lowering writes; not for descriptions)"},
};

static void list_op(Arena *a, const OpDef *def) {
    enum { SIG = 18, DOC = 46 };
    Text doc = text_new(a);
    text_add(&doc, "%s", def->doc);
    const OpForm *forms = op_lowering(def)->forms;
    for (const OpForm *f = forms; f && f->name; f++)
        text_add(&doc, "%s%s", f == forms ? " Forms: " : ", ", f->name);
    const char *sig = def->sig ? def->sig : def->formula ? def->formula : "";
    int n = printf("  %s", def->name);
    go_to(n, SIG);
    if (SIG + (int)strlen(sig) < DOC) {
        printf("%s", sig);
        go_to(SIG + (int)strlen(sig), DOC);
        print_wrapped(DOC, doc.s);
        return;
    }
    print_wrapped(SIG, sig);
    printf("%*s", SIG + 2, "");
    print_wrapped(SIG + 2, doc.s);
}

static void list_ops(Arena *a) {
    enum { N = sizeof FAMILIES / sizeof *FAMILIES };
    for (int k = 0; k < N; k++) {
        printf("%s%s\n", k ? "\n" : "", FAMILIES[k].title);
        OpId end = k + 1 < N ? FAMILIES[k + 1].first : OP_COUNT;
        for (OpId i = FAMILIES[k].first; i < end; i++) list_op(a, OP_TABLE[i]);
    }
    printf("\nbtc explain OP tells all about one.\n");
}

/* ---- the others ---- */

static void list_passes(Arena *a) {
    (void)a;
    for (int i = 0; i < PASS_COUNT; i++) printf("  %-18s%s\n", PASSES[i]->name, PASSES[i]->doc);
}

static void list_targets(Arena *a) {
    for (int i = 0; TARGETS[i]; i++) {
        const Target *t = TARGETS[i];
        printf("%s  %-25s%s%s\n", i ? "\n" : "", t->name, t->description,
               t == target_host() ? " (this machine; default)" : "");
        Text cpus = text_new(a);
        text_add(&cpus, "%s:", t->isa->cpu_flag);
        if (t == target_host()) text_add(&cpus, " native");
        for (int k = 0; t->isa->cpus[k]; k++) {
            bool usual = !strcmp(t->isa->cpus[k], t->isa->default_cpu) && t != target_host();
            text_add(&cpus, " %s%s", t->isa->cpus[k], usual ? " (default)" : "");
        }
        printf("%*s", 20, "");
        print_wrapped(20, cpus.s);
    }
}

enum { NAMES = 24 }; /* column behind the names of importers */

/* What the conformance tests measured (tests/e2e/test_conformance.c): largest errors as shares of tolerances;
 * step < 0: the model has no step form. */
static const struct Reached {
    const char *name;
    double interpreter, chunk, step;
} REACHED[] = {
#define REACHED(...) {__VA_ARGS__},
#include "import/reached.def"
#undef REACHED
};

static bool print_case(void *user, const char *word) {
    (void)user;
    for (size_t i = 0; i < sizeof REACHED / sizeof *REACHED; i++) {
        const struct Reached *r = &REACHED[i];
        if (strcmp(r->name, word)) continue;
        printf("%*s%-26s %9.2g %9.2g", NAMES, "", word, r->interpreter, r->chunk);
        printf(r->step < 0 ? "  whole sequences\n" : " %9.2g\n", r->step);
    }
    return false;
}

static void list_architectures(Arena *a) {
    printf("Largest errors against the original implementations, as parts of "
           "the tolerance:\n%*s%-26s %9s %9s %9s\n\n",
           NAMES, "", "case", "double", "chunk", "step");
    for (int i = 0; i < IMPORTER_COUNT; i++) {
        const Importer *m = IMPORTERS[i];
        printf("%s  %-22s", i ? "\n" : "", m->name);
        print_wrapped(NAMES, m->doc);
        printf("%*s", NAMES, "");
        print_wrapped(NAMES, arena_printf(a, "accepts: %s", m->accepts));
        printf("%*s", NAMES, "");
        print_wrapped(NAMES, arena_printf(a, "recurrence: %s", m->recurrence));
        import_find_word(a, m->cases, print_case, NULL);
    }
}

static void list_tuning(Arena *a) {
    enum { DOC = 36 };
    for (int i = 0; i < TUNING_COUNT; i++) {
        const TuningField *f = &TUNING_FIELDS[i];
        const char *mark = f->effect == TUNING_CUTS ? " (*)" : "";
        go_to(printf("  %-16s%5d to %d", f->name, f->least, f->most), DOC);
        print_wrapped(DOC, arena_printf(a, "%s%s", f->doc, mark));
    }
    printf("\n(*) it decides where long sums are cut: results differ in their last bits\n");
}

static void list_commands(Arena *a) {
    (void)a;
    for (int i = 0; i < COMMAND_COUNT; i++) printf("  %-18s%s\n", COMMANDS[i].name, COMMANDS[i].doc);
}

/* ---- costs ---- */

static bool list_costs(Diag *d, const CompileOptions *o, bool json) {
    Compiled c;
    if (!compile_machine(d, NULL, o, &c)) return false;
    printf("%s", json ? machine_costs_json(d->arena, &c) : machine_costs_text(d->arena, &c));
    return true;
}

/* ---- the command ---- */

static const struct List {
    const char *word;
    void (*print)(Arena *a);
} LISTS[] = {
    {"ops", list_ops},           {"passes", list_passes},
    {"targets", list_targets},   {"architectures", list_architectures},
    {"tuning", list_tuning},     {"costs", NULL},
    {"commands", list_commands},
};

static bool list(Diag *d, const char *word, const CompileOptions *machine, bool json) {
    enum { N = sizeof LISTS / sizeof *LISTS };
    const char *words[N];
    int k = N;
    for (int i = 0; i < N; i++) {
        words[i] = LISTS[i].word;
        if (word && !strcmp(word, words[i])) k = i;
    }
    if (!word)
        return diag_usage(d, (Loc){0},
                          "list what? ops, passes, targets, architectures, tuning, costs or commands");
    if (k == N)
        return diag_usage(
            d, (Loc){0},
            "cannot list \"%s\"%s; lists are: ops, passes, targets, architectures, tuning, costs, commands",
            word, diag_did_you_mean(d->arena, word, words, N));
    if (!LISTS[k].print) return list_costs(d, machine, json);
    const char *given = machine->target ? "--target" : machine->cpu ? "--cpu" : json ? "--json" : NULL;
    if (given) return diag_usage(d, (Loc){0}, "%s: is for btc list costs; leave it out", given);
    LISTS[k].print(d->arena);
    return true;
}

int command_list(int argc, char **argv) {
    const char *word = NULL;
    CompileOptions machine = {0};
    bool json = false;
    const Option own[] = {
        {"target", "NAME", "costs: the machine (default: this one)", &machine.target, OPT_STR, 0},
        {"cpu", "NAME", "costs: its model (default: native)", &machine.cpu, OPT_STR, 0},
        {"json", NULL, "costs: for programs", &json, OPT_ON, 0},
        {0},
    };
    Option options[MAX_OPTIONS];
    Diag d;
    int status = command_begin(argc, argv, USAGE, options, 0, own, &word, &d);
    if (status >= 0) return status;
    return command_end(&d, list(&d, word, &machine, json));
}
