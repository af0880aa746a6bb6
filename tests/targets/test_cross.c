/* The same cases on machines that are not here: aarch64 and riscv64 run under an emulator and must leave the
 * interpreter's bytes; PTX must be accepted by NVIDIA's assembler. Missing tools are a printed skip. */
#include "base/file.h"
#include "harness.h"

/* Reads the buffers, runs case after case on a fresh copy, but for the one named last, writes each `out`. */
static const char DRIVER[] =
    "#include <stdio.h>\n#include <stdlib.h>\n#include <string.h>\n#include \"runtime/float_env.h\"\n"
    "typedef void Case(void *, void *, void *, long);\n"
    "extern Case *const cases[];\n"
    "enum { N = BUFFER };\n"
    "static unsigned char from[3][N], a[N], b[N], out[N];\n"
    "int main(int argc, char **argv) {\n"
    "    FILE *in = fopen(argv[1], \"rb\"), *to = fopen(argv[2], \"wb\");\n"
    "    if (argc < 4 || !in || !to || fread(from, N, 3, in) != 3) return 1;\n"
    "    for (int i = 0; i < COUNT; i++) {\n"
    "        memcpy(a, from[0], N), memcpy(b, from[1], N), memcpy(out, from[2], N);\n"
    "        uint64_t env = float_env_enter();\n"
    "        if (i != atoi(argv[3])) cases[i](a, b, out, 37);\n"
    "        float_env_leave(env);\n"
    "        if (fwrite(out, N, 1, to) != 1 || memcmp(a, from[0], N) || memcmp(b, from[1], N)) return 2;\n"
    "    }\n"
    "    return fclose(to);\n"
    "}\n";

static bool write_file(const char *name, const void *data, size_t n) {
    FILE *f = fopen(name, "wb");
    return f && fwrite(data, 1, n, f) == n && !fclose(f);
}

static bool build_driver(Arena *a, const char *gcc, const char *folder, const char *object,
                         const char *program) {
    const char *source = arena_printf(a, "%s/driver.c", folder);
    if (!write_file(source, DRIVER, strlen(DRIVER))) return false;
    const char *const argv[] = {gcc,
                                "-static",
                                "-no-pie",
                                "-I.",
                                arena_printf(a, "-DBUFFER=%d", BUFFER),
                                arena_printf(a, "-DCOUNT=%d", CASE_COUNT),
                                source,
                                object,
                                "-o",
                                program,
                                NULL};
    return run_tool(argv);
}

/* The case that this emulator cannot run, or -1: QEMU 7.2 stops (an assertion of its own) at the second of two
 * conversions of vectors to whole numbers. */
static int beyond_emulator(Arena *a, const char *emulator, const TargetInfo *t) {
    if (strcmp(t->cpu, "rv64gcv") ||
        system(arena_printf(a, "%s --version | grep -q 'version 7[.]'", emulator)))
        return -1;
    for (int i = 0; i < CASE_COUNT; i++)
        if (!strcmp(CASES[i].name, "casts")) {
            printf("skip: casts on %s: QEMU 7 cannot run them\n", t->cpu);
            return i;
        }
    return -1;
}

static void test_emulated(Arena *a, const char *folder, const Target *target, const char *cpu) {
    const char *gcc = arena_printf(a, "%s-gcc", target->name),
               *emulator = arena_printf(a, "%s-static", target->emulator);
    if (!have_tool(gcc) || !have_tool(emulator)) {
        printf("skip: %s needs %s and %s\n", target->name, gcc, emulator);
        return;
    }
    Diag d = diag_new(a, stderr);
    TargetInfo t;
    if (!CHECK(target_select(&d, target->name, cpu, &t))) return;
    Module *m = build_cases(a, t.lanes);
    const char *object = arena_printf(a, "%s/cases.o", folder),
               *program = arena_printf(a, "%s/cases", folder);
    const char *from = arena_printf(a, "%s/in", folder), *to = arena_printf(a, "%s/out", folder);
    if (!CHECK(compile_cases(&d, &t, m, object)) || !CHECK(build_driver(a, gcc, folder, object, program)))
        return;
    Buffers x = new_buffers();
    unsigned char *all = arena_alloc(a, 3 * (size_t)BUFFER);
    memcpy(all, x.a, BUFFER), memcpy(all + BUFFER, x.b, BUFFER), memcpy(all + 2 * BUFFER, x.out, BUFFER);
    CHECK(write_file(from, all, 3 * (size_t)BUFFER));
    const char *model = target->isa->emulated_cpu ? target->isa->emulated_cpu(&t) : NULL;
    if (model) setenv("QEMU_CPU", model, 1);
    int without = beyond_emulator(a, emulator, &t);
    const char *const argv[] = {emulator, program, from, to, arena_printf(a, "%d", without), NULL};
    size_t size = 0;
    bool ran = CHECK(run_tool(argv));
    unsetenv("QEMU_CPU");
    if (!ran) return;
    const char *out = file_read_text(&d, a, to, &size);
    if (!CHECK(out && size == (size_t)BUFFER * CASE_COUNT)) return;
    for (int i = 0; i < CASE_COUNT; i++) {
        if (i == without) continue;
        fill(&x);
        CHECK(interpret(&d, m, arena_printf(a, "case_%s", CASES[i].name), &t, &x));
        CHECK(same_bytes(arena_printf(a, "%s %s, %s", target->name, cpu, CASES[i].name), x.out,
                         (const unsigned char *)out + (size_t)i * BUFFER));
    }
}

/* A kernel that divides rows among warps: row tid, tid + nt, ... */
static void build_kernel(Module *m) {
    Func *f = ir_func_new(m, "rows_by_warp", LEVEL_LOOP);
    Value *w = ir_param_as(f, PARAM_READONLY, "w", type_ptr()), *y = ir_param_add(f, "y", type_ptr());
    Value *tid = ir_param_as(f, PARAM_WORKER, "tid", type_scalar(DT_I64, 0)),
          *nt = ir_param_as(f, PARAM_WORKERS, "nt", type_scalar(DT_I64, 0));
    LB lb = lb_new(f, 32), *b = &lb;
    Value *row = lb_var(b, tid);
    KFOR (b, i, lb_i64(b, 0), lb_i64(b, 1000), 1) {
        lb_if_begin(b, lb_cmp(b, "lt", lb_get(b, row), lb_i64(b, 1000)));
        Value *x = lb_load(b, DT_BF16, 32, w, lb_muli(b, lb_get(b, row), 32), 0);
        lb_store(b, DT_F32, y, lb_get(b, row), lb_reduce(b, "add", lb_mul(b, x, x)), 0);
        lb_set(b, row, lb_add(b, lb_get(b, row), nt));
        lb_if_end(b);
    }
}

static bool has_barrier(const Func *f) {
    return !strcmp(f->name, "case_calls");
}

static void test_nvptx(Arena *a, const char *folder, const char *gpu) {
    Diag d = diag_new(a, stderr);
    TargetInfo t;
    if (!CHECK(target_select(&d, "nvptx64", gpu, &t))) return;
    Module *m = build_cases(a, t.lanes);
    build_kernel(m);
    Codegen *c = codegen_new(&d, &t, "cases");
    for (Func *f = m->first; f; f = f->next)
        if (!has_barrier(f)) codegen_add(c, f, strcmp(f->name, "squares") != 0);
    char *text = NULL;
    size_t n = 0;
    bool ok = CHECK(codegen_assembly_text(c, &text, &n));
    codegen_free(c);
    if (!ok) return;
    CHECK_STR_CONTAINS(text, ".visible .entry case_matvec(");
    CHECK_STR_CONTAINS(text, "shfl.sync.bfly.b32");
    CHECK(strstr(text, "rows_by_warp_param_1") &&
          !strstr(text, "rows_by_warp_param_2")); /* tid, nt are gone */
    CHECK(!strstr(text, ".ftz") && !strstr(text, "approx"));
    if (!have_tool("ptxas")) {
        printf("skip: PTX is not assembled without ptxas\n");
        return;
    }
    const char *file = arena_printf(a, "%s/cases.ptx", folder);
    CHECK(write_file(file, text, n));
    /* the toolkit's oldest machine may be newer than the text's */
    const char *arch = !strcmp(gpu, "sm_70") ? "sm_80" : gpu;
    const char *const argv[] = {"ptxas", arena_printf(a, "-arch=%s", arch), "-o", "/dev/null", file, NULL};
    CHECK(run_tool(argv));
}

int main(void) {
    Arena *a = arena_new();
    const char *folder = temp_folder(a);
    test_emulated(a, folder, &target_aarch64, "generic");
    test_emulated(a, folder, &target_aarch64, "neoverse-v1");
    test_emulated(a, folder, &target_riscv64, "rv64gc");
    test_emulated(a, folder, &target_riscv64, "rv64gcv");
    test_nvptx(a, folder, "sm_70");
    test_nvptx(a, folder, "sm_80");
    test_nvptx(a, folder, "sm_90");
    remove_folder(folder);
    arena_free(a);
    return check_report("targets/cross");
}
