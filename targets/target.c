/* Choosing a machine: names of targets and models, the host's own model, the nearest name for a typo. */
#include "target.h"

#include <string.h>

#include "llvm_compat.h"
#include "llvm_no_memory.h"
#include "llvm_probe.h"
#include "runtime/distance.h"

const Target *const TARGETS[] = {
#define TARGET(id) &target_##id,
#include "targets.def"
#undef TARGET
    NULL,
};

static bool starts_with(const char *s, const char *prefix) {
    return !strncmp(s, prefix, strlen(prefix));
}

/* BTC_HOST: this machine as --target= would spell it, from CMake. */
const Target *target_host(void) {
    for (const Target *const *t = TARGETS; *t; t++)
        if (!strcmp((*t)->name, BTC_HOST)) return *t;
    return NULL;
}

static bool is_called(const Target *t, const char *name) {
    size_t arch = strcspn(t->name, "-"), n = strcspn(name, "-");
    if (!strcmp(name, t->name) || !strcmp(name, t->triple)) return true;
    return !name[n] && n == arch && !strncmp(name, t->name, arch);
}

/* "aarch64" of "aarch64-linux-gnu" */
static const char *arch_of(Arena *a, const char *name) {
    return arena_strndup(a, name, strcspn(name, "-"));
}

/* Another machine of the same system is not what was meant: only names of this one, spelt nearly alike. */
static const char *meant(Arena *a, const char *name) {
    for (const Target *const *t = TARGETS; *t; t++) {
        for (const char *const *alias = (*t)->isa->aliases; *alias; alias++) {
            size_t n = strlen(*alias);
            if (starts_with(name, *alias) && (!name[n] || name[n] == '-'))
                return arena_printf(a, " (did you mean \"%s\"?)", arch_of(a, (*t)->name));
        }
    }
    const char *first = arch_of(a, name);
    for (const Target *const *t = TARGETS; *t; t++) {
        const char *arch = arch_of(a, (*t)->name);
        bool near = word_distance(first, arch) <= 1, same = !word_distance(first, arch);
        if (near && (same || word_distance(name, (*t)->name) <= 2 || !strchr(name, '-')))
            return arena_printf(a, " (did you mean \"%s\"?)", (*t)->name);
    }
    return "";
}

/* A name of the table, its architecture alone ("aarch64"), or its triple. */
static const Target *find_target(Diag *d, const char *name) {
    Text all = text_new(d->arena);
    for (const Target *const *t = TARGETS; *t; t++) {
        if (is_called(*t, name)) return *t;
        text_add(&all, "%s%s", all.n ? ", " : "", (*t)->name);
    }
    diag_usage(d, (Loc){0}, "--target: unknown target \"%s\"%s", name, meant(d->arena, name));
    diag_note(d, (Loc){0},
              "targets are %s, whose runtimes btc has; for another machine "
              "--emit=llvm gives code that llc compiles, without a runtime",
              all.s);
    return NULL;
}

static bool check_cpu(Diag *d, const Target *t, const char *cpu) {
    const Isa *isa = t->isa;
    int n = 0;
    for (; isa->cpus[n]; n++)
        if (!strcmp(isa->cpus[n], cpu)) return true;
    return diag_usage(d, (Loc){0}, "%s: %s has no model \"%s\"%s; btc list targets names them", isa->cpu_flag,
                      t->name, cpu, diag_did_you_mean(d->arena, cpu, isa->cpus, n));
}

/* LLVM's messages are its own to free. */
static const char *take_message(Arena *a, char *m) {
    const char *copy = arena_strdup(a, m);
    LLVMDisposeMessage(m);
    return copy;
}

bool target_select(Diag *d, const char *target, const char *cpu, TargetInfo *out) {
    const Target *t = target ? find_target(d, target) : target_host();
    if (!t && !target)
        return diag_usage(d, (Loc){0}, "--target: this machine is not a target; name one, e.g. %s",
                          TARGETS[0]->name);
    if (!t) return false;
    llvm_no_memory_ends();
    const Isa *isa = t->isa;
    isa->init();
    *out = (TargetInfo){.target = t, .features = isa->features};
    out->triple = take_message(d->arena, LLVMNormalizeTargetTriple(t->triple));
    if (!cpu) cpu = t == target_host() ? "native" : isa->default_cpu;
    if (strcmp(cpu, "native")) {
        out->cpu = cpu;
        if (isa->choose) isa->choose(d->arena, cpu, out);
        if (!out->llvm_cpu) out->llvm_cpu = out->cpu;
        return check_cpu(d, t, out->cpu) && llvm_probe(d, out);
    }
    if (t != target_host())
        return diag_usage(d, (Loc){0}, "%s=native: this machine is no %s", isa->cpu_flag, t->name);
    out->cpu = out->llvm_cpu = take_message(d->arena, LLVMGetHostCPUName());
    out->features = take_message(d->arena, LLVMGetHostCPUFeatures());
    return llvm_probe(d, out);
}

const char *target_lacks_here(const TargetInfo *t) {
    if (t->target != target_host()) return t->target->name;
    Arena *a = arena_new();
    Diag d = diag_new(a, NULL);
    TargetInfo host;
    uint64_t lacks = target_select(&d, NULL, "native", &host) ? t->needs & ~host.needs : t->needs;
    arena_free(a);
    return lacks ? t->target->isa->needs[__builtin_ctzll(lacks)].feature : NULL;
}
