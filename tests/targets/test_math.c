/* How good exp, log, tanh and their like are after expand_math: compiled, swept over all of f32 in
 * steps of about a thousand patterns, and compared with the C library in double. The bounds are the promises
 * in expand_math.c. */
#include <dlfcn.h>
#include <float.h>

#include "harness.h"

typedef void SweepFn(const float *x, float *y, int64_t n);

static double softplus(double x) {
    return fmax(x, 0) + log1p(exp(-fabs(x)));
}

static const struct Function {
    const char *name;
    UnaryFn *build;
    double (*want)(double);
    float lo, hi;    /* range */
    double ulp, abs; /* largest error: in units in the last place, or absolute; either suffices */
} FUNCTIONS[] = {
    {"exp", lb_exp, exp, -INFINITY, INFINITY, 1.0, 0},
    {"log", lb_log, log, -INFINITY, INFINITY, 1.0, 0},
    {"log1p", lb_log1p, log1p, -INFINITY, INFINITY, 1.0, 0},
    {"tanh", lb_tanh, tanh, -INFINITY, INFINITY, 1.3, 0},
    {"erf", lb_erf, erf, -INFINITY, INFINITY, 1.1, 0},
    {"sin", lb_sin, sin, -2e8f, 2e8f, 1.6, 0},
    {"cos", lb_cos, cos, -2e8f, 2e8f, 1.6, 0},
    {"exp2", lb_exp2, exp2, -INFINITY, INFINITY, 1.2, 0},
    {"softplus", lb_softplus, softplus, -INFINITY, INFINITY, 2.8, 0},
};
enum { COUNT = sizeof FUNCTIONS / sizeof *FUNCTIONS, STEP = 997, BATCH = 4096 };

static void build_sweep(Module *m, const struct Function *fn, int lanes) {
    Func *f = ir_func_new(m, fn->name, LEVEL_LOOP);
    Value *x = ir_param_add(f, "x", type_ptr()), *y = ir_param_add(f, "y", type_ptr());
    Value *n = ir_param_add(f, "n", type_scalar(DT_I64, 0));
    LB lb = lb_new(f, lanes), *b = &lb;
    KFOR (b, i, lb_i64(b, 0), n, lanes) {
        lb_store(b, DT_F32, y, i, fn->build(b, lb_load(b, DT_F32, lanes, x, i, 0)), 0);
    }
    expand_math(f);
}

static SweepFn **compile(Diag *d, const TargetInfo *t, const char *object) {
    Module *m = ir_module_new(d->arena, "math");
    Codegen *c = codegen_new(d, t, "math");
    CodegenEntry table[COUNT];
    for (int i = 0; i < COUNT; i++) {
        build_sweep(m, &FUNCTIONS[i], t->lanes);
        codegen_add(c, m->last, true);
        table[i] = (CodegenEntry){true, FUNCTIONS[i].name, 0};
    }
    codegen_add_table(c, "functions", table, COUNT, true);
    bool ok = CHECK(codegen_object(c, object));
    codegen_free(c);
    char *so = arena_printf(d->arena, "%s.so", object);
    /* -z defs: nothing of libm may be needed */
    const char *const argv[] = {linker(), "-shared", "-z", "defs", "-o", so, object, NULL};
    if (!ok || !CHECK(run_tool(argv))) return NULL;
    void *lib = dlopen(so, RTLD_NOW | RTLD_LOCAL);
    return CHECK(lib != NULL) ? dlsym(lib, "functions") : NULL;
}

static double normal_or_zero(double x) {
    return fabs(x) < (double)FLT_MIN ? copysign(0, x) : x;
}

/* In units of the last place of the right answer. Less than the smallest normal number is no error: that much
 * is lost when a result, or a part of it, is flushed; nothing that is left is denormal. */
static double error_ulp(float got, double want) {
    float w = (float)want;
    if (isnan(want)) return isnan(got) ? 0 : INFINITY;
    if (isinf(w)) return got == w ? 0 : INFINITY;
    if (got != 0 && fabsf(got) < FLT_MIN) return INFINITY;
    if (fabs((double)got - want) < (double)FLT_MIN) return 0;
    int e;
    frexp((double)w, &e);
    if (w == 0 || e < -125) e = -125;
    return fabs((double)got - want) / ldexp(1, e - 24);
}

static int next_batch(const struct Function *fn, uint64_t *at, float *x) {
    int n = 0;
    for (; n < BATCH && *at < 1ull << 32; *at += STEP) {
        uint32_t u = (uint32_t)*at;
        memcpy(&x[n], &u, 4);
        n += isnan(x[n]) || (x[n] >= fn->lo && x[n] <= fn->hi);
    }
    for (int i = n; i < BATCH; i++) x[i] = 1;
    return n;
}

static void run(SweepFn *compiled, const float *x, float *y, int64_t n) {
    uint64_t env = float_env_enter();
    compiled(x, y, n);
    float_env_leave(env);
}

static void sweep(const struct Function *fn, SweepFn *compiled, const char *cpu) {
    static float x[BATCH], y[BATCH];
    double worst = 0;
    float worst_x = 0;
    for (uint64_t at = 0; at < 1ull << 32;) {
        int n = next_batch(fn, &at, x);
        run(compiled, x, y, BATCH);
        for (int i = 0; i < n; i++) {
            double want = fn->want(normal_or_zero((double)x[i])), e = error_ulp(y[i], want);
            if (!(e <= worst) && !(fabs((double)y[i] - want) <= fn->abs)) worst = e, worst_x = x[i];
        }
    }
    if (!CHECK(worst <= fn->ulp))
        fprintf(stderr, "    %s(%a) is %g ULP off on %s\n", fn->name, (double)worst_x, worst, cpu);
}

/* What the sweep may step over: exact edges. */
static void edges(SweepFn **fns) {
    static const struct {
        int fn;
        float x, y;
    } table[] = {
        {0, 0, 1},
        {0, INFINITY, INFINITY},
        {0, -INFINITY, 0},
        {0, 88.72284f, INFINITY},
        {0, -104, 0},
        {0, -103.9f, 0},
        {0, -87.34f, 0},
        {1, 1, 0},
        {1, 0, -INFINITY},
        {1, INFINITY, INFINITY},
        {1, 0x1p-126f, -87.33654475f},
        {1, 0x1p-149f, -INFINITY},
        {1, -0x1p-149f, -INFINITY},
        {2, 0, 0},
        {2, -1, -INFINITY},
        {2, INFINITY, INFINITY},
        {2, 0x1p-126f, 0x1p-126f},
        {2, 0x1p-149f, 0},
        {3, INFINITY, 1},
        {3, -INFINITY, -1},
        {3, 0x1p-126f, 0x1p-126f},
        {3, 0x1p-149f, 0},
        {4, INFINITY, 1},
        {4, -INFINITY, -1},
        {5, 0, 0},
        {6, 0, 1},
        {5, 3e38f, NAN},
        {5, INFINITY, NAN},
        {6, -2.0001e8f, NAN},
        {6, 3e38f, NAN},
        {7, 3, 8},
        {7, -126, 0x1p-126f},
        {7, -127, 0},
        {7, -149, 0},
        {7, -151, 0},
        {7, -INFINITY, 0},
        {7, 128, INFINITY},
        {7, INFINITY, INFINITY},
        {8, -INFINITY, 0},
        {8, INFINITY, INFINITY},
        {8, 100, 100},
    };
    float x[64] = {0}, y[64];
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        x[0] = table[i].x;
        run(fns[table[i].fn], x, y, 64);
        if (!CHECK(isnan(table[i].y) ? isnan(y[0]) : y[0] == table[i].y))
            fprintf(stderr, "    %s(%g) = %g\n", FUNCTIONS[table[i].fn].name, (double)x[0], (double)y[0]);
    }
    for (int i = 0; i < COUNT; i++) {
        x[0] = NAN;
        run(fns[i], x, y, 64);
        CHECK(isnan(y[0]));
    }
}

int main(void) {
    static const char *const cpus[] = {"native", "x86-64", "x86-64-v3"};
    Arena *a = arena_new();
    const char *folder = temp_folder(a);
    for (int i = 0; i < (target_host() == &target_x86_64 ? 3 : 1); i++) {
        Diag d = diag_new(a, stderr);
        TargetInfo t;
        if (!target_host() || !CHECK(target_select(&d, NULL, cpus[i], &t))) break;
        if (target_lacks_here(&t)) {
            printf("skip: this machine cannot run %s\n", cpus[i]);
            continue;
        }
        SweepFn **fns = compile(&d, &t, arena_printf(a, "%s/math%d.o", folder, i));
        if (!CHECK(fns != NULL)) break;
        edges(fns);
        for (int k = 0; k < COUNT; k++) sweep(&FUNCTIONS[k], fns[k], cpus[i]);
    }
    remove_folder(folder);
    arena_free(a);
    return check_report("targets/math");
}
