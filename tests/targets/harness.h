/* What the target tests share: buffers, comparing them, running tools. */
#ifndef BTC_TESTS_HARNESS_H
#define BTC_TESTS_HARNESS_H

#include <math.h>
#include <spawn.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cases.h"
#include "float_env.h"
#include "interp_loop.h"
#include "tools/check.h"

extern char **environ;

typedef struct Buffers {
    unsigned char *a, *b, *out; /* BUFFER bytes each, an unreadable page behind */
} Buffers;

static inline unsigned char *guarded(void) {
    unsigned char *p = mmap(NULL, BUFFER + 65536, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (p == MAP_FAILED || mprotect(p + BUFFER, 65536, PROT_NONE)) abort();
    return p;
}

static inline uint32_t next_random(uint32_t *state) {
    return *state = *state * 1664525u + 1013904223u;
}

/* a: edges of f32 first, then any bits; b: numbers in -4 .. 4; out: a pattern. */
static inline void fill(Buffers *x) {
    static const uint32_t edges[] = {0x00000000, 0x80000000, 0x7f800000, 0xff800000, 0x7fc00000, 0x00000001,
                                     0x807fffff, 0x00800000, 0x7f7fffff, 0x3f800000, 0x3effffff, 0x4b000001,
                                     0xc0200000, 0x3f000000, 0xbfc00000, 0x42b17217};
    uint32_t state = 1;
    for (int i = 0; i < BUFFER / 4; i++) {
        uint32_t u = i < 16 ? edges[i] : next_random(&state) ^ next_random(&state) >> 16;
        if ((u & 0x7f800000) == 0x7f800000 && i >= 16) u &= 0x0fffffff;
        float f = (float)(next_random(&state) >> 8) / (float)(1 << 21) - 4;
        memcpy(x->a + 4 * i, &u, 4), memcpy(x->b + 4 * i, &f, 4);
    }
    memset(x->out, 0x5a, BUFFER);
}

static inline Buffers new_buffers(void) {
    Buffers x = {guarded(), guarded(), guarded()};
    fill(&x);
    return x;
}

static inline bool is_nan32(uint32_t u) {
    return (u & 0x7fffffff) > 0x7f800000;
}
static inline bool is_nan16(uint32_t u) {
    return (u & 0x7fff) > 0x7c00;
}

/* The same bits; NaNs may differ in sign and payload, which machines choose. */
static inline bool same_word(uint32_t x, uint32_t y) {
    if (x == y || (is_nan32(x) && is_nan32(y))) return true;
    for (int s = 0; s < 32; s += 16)
        if ((x >> s & 0xffff) != (y >> s & 0xffff) && !(is_nan16(x >> s) && is_nan16(y >> s))) return false;
    return true;
}

static inline bool same_bytes(const char *what, const unsigned char *x, const unsigned char *y) {
    for (int i = 0; i < BUFFER; i += 4) {
        uint32_t u, v;
        memcpy(&u, x + i, 4), memcpy(&v, y + i, 4);
        if (same_word(u, v)) continue;
        fprintf(stderr, "%s: byte %d: interpreter %08x, compiled %08x\n", what, i, u, v);
        return false;
    }
    return true;
}

static inline bool run_tool(const char *const *argv) {
    pid_t pid;
    int status;
    if (posix_spawnp(&pid, argv[0], NULL, NULL, (char *const *)(uintptr_t)argv, environ)) return false;
    return waitpid(pid, &status, 0) == pid && WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

/* Whether `tool` is on the PATH. */
static inline bool have_tool(const char *tool) {
    char path[4096], *save = NULL;
    snprintf(path, sizeof path, "%s", getenv("PATH") ? getenv("PATH") : "");
    for (char *p = strtok_r(path, ":", &save); p; p = strtok_r(NULL, ":", &save)) {
        char file[4352];
        snprintf(file, sizeof file, "%s/%s", p, tool);
        if (!access(file, X_OK)) return true;
    }
    return false;
}

static inline const char *linker(void) {
    return have_tool("ld.lld-19") ? "ld.lld-19" : "ld.lld";
}

/* A folder for one run of a test. */
static inline const char *temp_folder(Arena *a) {
    const char *base = getenv("TMPDIR");
    char *name = arena_printf(a, "%s/btc-test-XXXXXX", base ? base : "/tmp");
    if (!mkdtemp(name)) abort();
    return name;
}

static inline void remove_folder(const char *name) {
    const char *const argv[] = {"rm", "-r", name, NULL};
    run_tool(argv);
}

static inline bool interpret(Diag *d, Module *m, const char *name, const TargetInfo *t, Buffers *x) {
    LoopRegion regions[] = {{"a", x->a, BUFFER}, {"b", x->b, BUFFER}, {"out", x->out, BUFFER}};
    LoopArg args[] = {{.p = x->a}, {.p = x->b}, {.p = x->out}, {.i = 37}};
    LoopRun run = {
        .regions = regions, .nregions = 3, .fused = t->fma, .denormals = t->target->isa->denormals};
    return interp_loop(d, ir_func_find(m, name), args, &run);
}

/* The object of all cases, with a table "cases" of their addresses in order. */
static inline bool compile_cases(Diag *d, const TargetInfo *t, Module *m, const char *file) {
    CodegenEntry table[CASE_COUNT];
    Codegen *c = codegen_new(d, t, m->name);
    if (!c) return false;
    bool ok = true;
    for (Func *f = m->first; f; f = f->next) {
        ok = ok && CHECK(ir_verify_loop(d, f));
        codegen_add(c, f, strcmp(f->name, "squares") != 0);
    }
    for (int i = 0; i < CASE_COUNT; i++)
        table[i] = (CodegenEntry){true, arena_printf(d->arena, "case_%s", CASES[i].name), 0};
    codegen_add_table(c, "cases", table, CASE_COUNT, true);
    ok = ok && codegen_object(c, file);
    codegen_free(c);
    return ok;
}

#endif
