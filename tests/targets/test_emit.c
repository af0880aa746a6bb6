/* Compiled loops against the interpreter, bit for bit, on the models of CPU that this machine can run; and
 * the door of target.h: names, data, determinism. */
#include <dlfcn.h>

#include "harness.h"

typedef void CaseFn(void *a, void *b, void *out, int64_t n);

static void *load_library(Arena *a, const char *object) {
    char *so = arena_printf(a, "%s.so", object);
    const char *const argv[] = {linker(), "-shared", "-z", "defs", "-o", so, object, NULL};
    if (!CHECK(run_tool(argv))) return NULL;
    void *lib = dlopen(so, RTLD_NOW | RTLD_LOCAL);
    if (!lib) fprintf(stderr, "%s\n", dlerror());
    CHECK(lib != NULL);
    return lib;
}

static void compare_case(Diag *d, Module *m, int i, CaseFn *compiled, const TargetInfo *t) {
    const char *name = arena_printf(d->arena, "case_%s", CASES[i].name);
    Buffers want = new_buffers(), got = new_buffers();
    CHECK(interpret(d, m, name, t, &want));
    uint64_t env = float_env_enter();
    compiled(got.a, got.b, got.out, 37);
    float_env_leave(env);
    const char *what = arena_printf(d->arena, "%s, %s", m->name, CASES[i].name);
    CHECK(same_bytes(what, want.out, got.out));
    CHECK(!memcmp(want.a, got.a, BUFFER) && !memcmp(want.b, got.b, BUFFER));
    unsigned char *all[] = {want.a, want.b, want.out, got.a, got.b, got.out};
    for (int k = 0; k < 6; k++) munmap(all[k], BUFFER + 65536);
}

static void test_cpu(Arena *a, const char *folder, const char *cpu, int times) {
    Diag d = diag_new(a, stderr);
    TargetInfo t;
    if (!CHECK(target_select(&d, NULL, cpu, &t))) return;
    if (target_lacks_here(&t)) {
        printf("skip: this machine cannot run %s\n", cpu);
        return;
    }
    Module *m = build_cases(a, t.lanes * times);
    m->name = arena_printf(a, "%s x%d", cpu, times);
    const char *object = arena_printf(a, "%s/%s-%d.o", folder, cpu, times);
    if (!CHECK(compile_cases(&d, &t, m, object))) return;
    void *lib = load_library(a, object);
    CaseFn **cases = lib ? dlsym(lib, "cases") : NULL;
    if (!CHECK(cases != NULL)) return;
    for (int i = 0; i < CASE_COUNT; i++) compare_case(&d, m, i, cases[i], &t);
    dlclose(lib);
}

static void test_same_input_same_bytes(Arena *a) {
    Diag d = diag_new(a, stderr);
    TargetInfo t;
    if (!CHECK(target_select(&d, NULL, NULL, &t))) return;
    char *text[2] = {NULL, NULL};
    for (int k = 0; k < 2; k++) {
        Module *m = build_cases(a, t.lanes);
        Codegen *c = codegen_new(&d, &t, "twice");
        size_t n;
        for (Func *f = m->first; f; f = f->next) codegen_add(c, f, true);
        CHECK(codegen_assembly_text(c, &text[k], &n));
        codegen_free(c);
    }
    CHECK(text[0] && text[1] && !strcmp(text[0], text[1]));
}

static void test_names(Arena *a) {
    TargetInfo t;
    Diag d = diag_new(a, NULL);
    CHECK(!target_select(&d, "aarch64-linux-gno", NULL, &t));
    CHECK_STR_CONTAINS(d.log.s, "did you mean \"aarch64-linux-gnu\"?");
    CHECK_STR_CONTAINS(d.log.s, "nvptx64");
    d = diag_new(a, NULL);
    CHECK(!target_select(&d, "x86_64", "skylak", &t));
    CHECK_STR_CONTAINS(d.log.s, "did you mean \"skylake\"?");
    d = diag_new(a, NULL);
    CHECK(!target_select(&d, "nvptx64", "sm_81", &t));
    CHECK_STR_CONTAINS(d.log.s, "--gpu");
    d = diag_new(a, NULL);
    CHECK(!target_select(&d, "nvptx64", "native", &t));
    d = diag_new(a, stderr);
    CHECK(target_select(&d, "x86_64", "v3", &t) && t.lanes == 8 && t.registers == 16 && t.fma && !t.masks);
    CHECK(target_select(&d, "x86_64", "x86-64-v4", &t) && t.lanes == 16 && t.registers == 32 && t.masks);
    CHECK(target_select(&d, "x86_64", "x86-64", &t) && t.lanes == 4 && !t.fma && !t.f16 && !t.rounds);
    CHECK(target_select(&d, "aarch64", "neoverse-n1", &t) && t.lanes == 4 && t.registers == 32 && t.fma);
    static const char *const with_tables[] = {"x86-64-v2", "x86-64-v3", "x86-64-v4", "znver4",
                                              "skylake-avx512"};
    for (size_t i = 0; i < sizeof with_tables / sizeof *with_tables; i++)
        CHECK(target_select(&d, "x86_64", with_tables[i], &t) && t.byte_tables);
    CHECK(target_select(&d, "x86_64", "x86-64", &t) && !t.byte_tables);
    CHECK(target_select(&d, "aarch64", "generic", &t) && t.byte_tables);
    CHECK(target_select(&d, "nvptx64", NULL, &t) && t.lanes == 32 && !strcmp(t.cpu, "sm_80"));
}

static void test_data(Arena *a, const char *folder) {
    Diag d = diag_new(a, stderr);
    TargetInfo t;
    if (!CHECK(target_select(&d, NULL, NULL, &t))) return;
    Codegen *c = codegen_new(&d, &t, "data");
    CodegenEntry entries[] = {{true, "late", 0}, {false, NULL, -5}, {true, "room", 1}, {true, NULL, 0}};
    codegen_add_table(c, "table", entries, 4, true); /* names "late" before it is there */
    codegen_add_bytes(c, "late", "a\0b", 3, 64);
    codegen_add_room(c, "room", 5 << 20, 4096);
    const char *object = arena_printf(a, "%s/data.o", folder);
    CHECK(codegen_object(c, object));
    codegen_free(c);
    void *lib = load_library(a, object);
    int64_t *table = lib ? dlsym(lib, "table") : NULL;
    if (!CHECK(table && table[1] == -5 && table[0] % 64 == 0)) return;
    CHECK(!memcmp((const void *)(uintptr_t)table[0], "a\0b", 3) && !dlsym(lib, "late"));
    dlclose(lib);
}

/* Pointers from tables; the barrier is field 7 of the call, and is passed by a thread that is alone. */
static void test_pointers_and_barrier(Arena *a, const char *folder) {
    Diag d = diag_new(a, stderr);
    TargetInfo t;
    if (!CHECK(target_select(&d, NULL, NULL, &t))) return;
    Module *m = ir_module_new(a, "pointers");
    Func *wait = ir_func_new(m, "btc_barrier_wait", LEVEL_LOOP), *f = ir_func_new(m, "main", LEVEL_LOOP);
    LB b = lb_new(wait, t.lanes);
    Value *sum = ir_param_add(wait, "barrier", type_ptr()), *zero = lb_i64(&b, 0);
    Value *more =
        lb_add(&b, lb_load(&b, DT_I64, 0, sum, zero, 0), ir_param_add(wait, "n", type_scalar(DT_I64, 0)));
    lb_store(&b, DT_I64, sum, zero, more, 0);
    Value *call = ir_param_add(f, "call", type_ptr()), *table = ir_param_add(f, "table", type_ptr());
    b = lb_new(f, t.lanes);
    for (int n = 1; n <= 3; n++) lb_barrier(&b, call, lb_i64(&b, n));
    Value *from = lb_loadp(&b, table, lb_i64(&b, 2)), *to = lb_loadp(&b, table, lb_i64(&b, 1));
    lb_store(&b, DT_F32, to, lb_i64(&b, 3), lb_load(&b, DT_F32, 0, from, lb_i64(&b, 1), 0), 0);
    Codegen *c = codegen_new(&d, &t, "pointers");
    codegen_add(c, f, true), codegen_add(c, wait, true);
    codegen_add_table(c, "entry", &(CodegenEntry){true, "main", 0}, 1, true);
    const char *object = arena_printf(a, "%s/pointers.o", folder);
    CHECK(codegen_object(c, object));
    codegen_free(c);
    void *lib = load_library(a, object);
    void (**entry)(void *, void *) = lib ? dlsym(lib, "entry") : NULL;
    if (!CHECK(entry != NULL)) return;
    int64_t met = 0;
    void *fields[8] = {[7] = &met};
    float x[4] = {1, 2, 3, 4}, y[4] = {0};
    (*entry)(fields, (void *[]){NULL, y, x});
    CHECK(met == 2 + 3 && y[3] == 2 && y[0] == 0);
    CHECK(interp_loop(&d, f, (LoopArg[]){{.p = fields}, {.p = (void *[]){NULL, x, y}}}, &(LoopRun){0}));
    CHECK(x[3] == y[1]);
    dlclose(lib);
}

/* The interpreter notices what would go wrong silently in compiled code. */
static void test_interpreter_checks(Arena *a) {
    Module *m = ir_module_new(a, "bad");
    Func *f = ir_func_new(m, "bad", LEVEL_LOOP);
    Value *x = ir_param_add(f, "x", type_ptr()), *i = ir_param_add(f, "i", type_scalar(DT_I64, 0));
    LB b = lb_new(f, 8);
    lb_store(&b, DT_F32, x, i, lb_load(&b, DT_F32, 8, x, lb_div(&b, lb_i64(&b, 8), i), 0), 0);
    float data[16] = {0};
    LoopRegion region = {"x", data, sizeof data};
    LoopRun run = {.regions = &region, .nregions = 1, .fused = true};
    Diag d = diag_new(a, NULL);
    CHECK(ir_verify_loop(&d, f));
    CHECK(interp_loop(&d, f, (LoopArg[]){{.p = data}, {.i = 8}}, &run));
    CHECK(!interp_loop(&d, f, (LoopArg[]){{.p = data}, {.i = 0}}, &run));
    CHECK_STR_CONTAINS(d.log.s, "undefined for these numbers");
    CHECK(!interp_loop(&d, f, (LoopArg[]){{.p = data}, {.i = 9}}, &run));
    CHECK_STR_CONTAINS(d.log.s, "store: 4 bytes at x+64 are outside of its 64 bytes");
}

static void test_verifier(Arena *a) {
    Module *m = ir_module_new(a, "wrong");
    Func *f = ir_func_new(m, "wrong", LEVEL_LOOP);
    Value *x = ir_param_add(f, "x", type_ptr());
    LB b = lb_new(f, 8);
    Value *var = lb_var(&b, lb_i64(&b, 0)), *v = lb_load(&b, DT_F32, 8, x, lb_i64(&b, 0), 3);
    Diag d = diag_new(a, NULL);
    CHECK(ir_verify_loop(&d, f));
    lb_add(&b, var, lb_i64(&b, 1));
    op_set_int(f, v->def, "n", 9);
    lb_cmp(&b, "less", v, v);
    lb_store(&b, DT_I32, x, lb_i64(&b, 0), v, 0);
    lb_invoke(&b, "nowhere", &x, 1);
    CHECK(!ir_verify_loop(&d, f) && d.errors == 5);
    CHECK_STR_CONTAINS(d.log.s, "a variable is read by get");
    CHECK_STR_CONTAINS(d.log.s, "n is more than the lanes");
    CHECK_STR_CONTAINS(d.log.s, "must be one of lt|le|eq|ne|gt|ge, got \"less\"");
    CHECK_STR_CONTAINS(d.log.s, "value does not fit dt");
    CHECK_STR_CONTAINS(d.log.s, "unknown loop function \"nowhere\"");
}

int main(void) {
    Arena *a = arena_new();
    const char *folder = temp_folder(a);
    test_names(a);
    test_verifier(a);
    test_interpreter_checks(a);
    test_data(a, folder);
    test_pointers_and_barrier(a, folder);
    test_same_input_same_bytes(a);
    if (target_host()) test_cpu(a, folder, "native", 1), test_cpu(a, folder, "native", 2);
    if (target_host() == &target_x86_64) {
        static const char *const cpus[] = {"x86-64", "x86-64-v2", "x86-64-v3", "x86-64-v4"};
        for (int i = 0; i < 4; i++) test_cpu(a, folder, cpus[i], 1);
        test_cpu(a, folder, "x86-64-v2", 4);
    }
    remove_folder(folder);
    arena_free(a);
    return check_report("targets/emit");
}
