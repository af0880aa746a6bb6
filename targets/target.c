/* Choosing a machine: names of targets and models, the host's own model, the nearest name for a typo. */
#include "target.h"

#include <string.h>

#include "llvm_compat.h"
#include "llvm_no_memory.h"
#include "llvm_probe.h"

const Target *const TARGETS[] = {
#define TARGET(id) &target_##id,
#include "targets.def"
#undef TARGET
    NULL,
};

static bool starts_with(const char *s, const char *prefix) {
    return !strncmp(s, prefix, strlen(prefix));
}

const Target *target_host(void) {
#if defined(__x86_64__) && defined(__linux__)
    return &target_x86_64;
#elif defined(__aarch64__) && defined(__linux__)
    return &target_aarch64;
#else
    return NULL;
#endif
}

/* A name of the table, its architecture alone ("aarch64"), or its triple. */
static const Target *find_target(Diag *d, const char *name) {
    const char *names[8];
    int n = 0;
    for (const Target *const *t = TARGETS; *t; t++) {
        size_t arch = strcspn((*t)->name, "-");
        if (!strcmp(name, (*t)->name) || !strcmp(name, (*t)->triple)) return *t;
        if (strlen(name) == arch && !strncmp(name, (*t)->name, arch)) return *t;
        names[n++] = (*t)->name;
    }
    const char *hint = diag_did_you_mean(d->arena, name, names, n);
    Text all = text_new(d->arena);
    for (int i = 0; i < n; i++) text_add(&all, "%s%s", i ? ", " : "", names[i]);
    diag_usage(d, (Loc){0}, "--target: unknown target \"%s\"%s", name, hint);
    diag_note(d, (Loc){0}, "targets are %s", all.s);
    return NULL;
}

/* "v3" is short for "x86-64-v3". */
static const char *full_cpu_name(Diag *d, const Target *t, const char *cpu) {
    if (t == &target_x86_64 && starts_with(cpu, "v") && strlen(cpu) == 2)
        return arena_printf(d->arena, "x86-64-%s", cpu);
    return cpu;
}

static bool check_cpu(Diag *d, const Target *t, const char *cpu) {
    int n = 0;
    for (; t->cpus[n]; n++)
        if (!strcmp(t->cpus[n], cpu)) return true;
    return diag_usage(d, (Loc){0}, "%s: %s has no model \"%s\"%s; btc list targets names them", t->cpu_flag,
                      t->name, cpu, diag_did_you_mean(d->arena, cpu, t->cpus, n));
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
    t->init();
    *out = (TargetInfo){.target = t, .features = t->features};
    out->triple = take_message(d->arena, LLVMNormalizeTargetTriple(t->triple));
    if (!cpu) cpu = t == target_host() ? "native" : t->default_cpu;
    if (strcmp(cpu, "native")) {
        out->cpu = full_cpu_name(d, t, cpu);
        return check_cpu(d, t, out->cpu) && llvm_probe(d, out);
    }
    if (t != target_host())
        return diag_usage(d, (Loc){0}, "%s=native: this machine is no %s", t->cpu_flag, t->name);
    out->cpu = take_message(d->arena, LLVMGetHostCPUName());
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
    return lacks ? t->target->needs[__builtin_ctzll(lacks)].feature : NULL;
}
