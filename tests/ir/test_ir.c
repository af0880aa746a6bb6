/* The IR: messages of signatures, the text form, calls and states in builder and interpreter, and golden
 * numbers of scan.matrix and routing computed independently in double precision. */
#include <math.h>

#include "gen.h"
#include "tools/check.h"

typedef struct Bench {
    Arena *a;
    Diag d;
    Module *m;
    Func *f;
} Bench;

static Bench bench_new(void) {
    Bench b = {.a = arena_new()};
    b.d = diag_new(b.a, NULL);
    b.m = ir_module_new(b.a, "m");
    b.f = ir_func_new(b.m, "main", LEVEL_MODEL);
    return b;
}

static Type seq(int rank, int64_t x, int64_t y) {
    return type_tensor(DT_F32, true, rank, (int64_t[]){x, y});
}
static Type fixed(int rank, int64_t x, int64_t y) {
    return type_tensor(DT_F32, false, rank, (int64_t[]){x, y});
}

static Attr *attr_of(Bench *b, Attr *list, Attr t) {
    attr_set(b->a, &list, t);
    return list;
}

static Op *build(Bench *b, const char *op, Value *const *in, int nin, Attr *attrs) {
    return ir_build(&b->d, b->f, b->f->body, op, in, nin, attrs, NULL, 0, NULL, (Loc){0});
}

/* ---- messages ---- */

static void refuses(const char *op, const Type *types, int n, Attr attr, const char *message) {
    Bench b = bench_new();
    Value *in[SIG_MAX];
    for (int i = 0; i < n; i++) in[i] = types[i].kind ? ir_param_add(b.f, "p", types[i]) : NULL;
    Attr *attrs = attr.name ? attr_of(&b, NULL, attr) : NULL;
    CHECK(!build(&b, op, in, n, attrs));
    CHECK_STR_CONTAINS(b.d.log.s, message);
    CHECK(b.f->nstates == 0 && !b.f->body->first); /* nothing is left behind */
    arena_free(b.a);
}

static void test_messages(void) {
    Type x = seq(1, 4, 0), none = {0};
    refuses("scan.expand", (Type[]){x, x, fixed(2, 4, 16), seq(1, 16, 0), seq(1, 32, 0)}, 5, (Attr){0},
            "scan.expand: dimension n is 16 in operand B but 32 in operand C");
    refuses("linear", (Type[]){x, fixed(1, 3, 0)}, 2, (Attr){0},
            "linear: operand w must be f32[o,i], is f32[3]");
    refuses("linear", (Type[]){x}, 1, (Attr){0}, "linear: operand w is missing");
    refuses("linear", (Type[]){x, x, x, x}, 4, (Attr){0}, "linear: takes 3 operands, has 4");
    refuses("linear.blocks", (Type[]){x, type_tensor(DT_F32, false, 3, (int64_t[]){2, 3, 5})}, 2, (Attr){0},
            "linear.blocks: dimension n*i of operand x must be 6, is 4");
    refuses("combine", (Type[]){seq(2, 2, 4), fixed(1, 2, 0)}, 2, (Attr){0},
            "operand x has the sequence dimension T but operand w has not");
    refuses("embed", (Type[]){x, fixed(2, 9, 4)}, 2, (Attr){0},
            "embed: operand ids must be i32[T], is f32[T,4]");
    refuses("scan.diag", (Type[]){fixed(1, 4, 0), fixed(1, 4, 0)}, 2, (Attr){0},
            "scan.diag: operand a must be f32[T,e], is f32[4]");
    refuses("add", (Type[]){x, seq(1, 3, 0)}, 2, (Attr){0}, "add: f32[T,3] does not fit beside f32[T,4]");
    refuses("norm.rms", (Type[]){x, none, none}, 3, (Attr){0}, "norm.rms: attribute eps is missing");
    refuses("reduce", (Type[]){x}, 1, (Attr){.name = "kind", .kind = AT_STR, .s = "median"},
            "attribute kind: must be one of sum|mean|max, got \"median\"");
    refuses("topk", (Type[]){x}, 1, (Attr){.name = "k", .kind = AT_STR, .s = "2"},
            "attribute k: must be an integer");
    refuses("topk", (Type[]){x}, 1, (Attr){.name = "k", .kind = AT_FLOAT, .f = 5},
            "k must be between 1 and e = 4");
    refuses("slice", (Type[]){x}, 1, (Attr){.name = "size", .kind = AT_INT, .i = 9},
            "attribute start is missing");
    refuses("softmax", (Type[]){x}, 1, (Attr){.name = "axis", .kind = AT_INT},
            "there is no attribute \"axis\"");
    refuses("attend", NULL, 0, (Attr){.name = "windw", .kind = AT_INT}, "(did you mean \"window\"?)");
    refuses("lineer", NULL, 0, (Attr){0}, "did you mean \"linear\"?");
    refuses("fma", NULL, 0, (Attr){0}, "there is no op \"fma\"");
}

/* ---- text ---- */

static void rejects(const char *text, const char *message) {
    Arena *a = arena_new();
    Diag d = diag_new(a, NULL);
    Module *m = ir_parse(&d, a, "x.btir", text);
    CHECK(!m || !ir_verify(&d, m));
    CHECK_STR_CONTAINS(d.log.s, message);
    arena_free(a);
}

static void test_text_errors(void) {
    rejects("", "x.btir:1:1: error: expected module");
    rejects("module \"m\n", "x.btir:1:10: error: the string does not end");
    rejects("module \"m\"\nfunc @f() do {\n  %a = nag %b\n}\n",
            "x.btir:3:11: error: there is no model op \"nag\"");
    rejects("module \"m\"\nfunc @f() do {\n  %a = neg %b\n}\n", "x.btir:3:12: error: %b is not defined");
    rejects("module \"m\"\nfunc @f() loop do {\n  %a = linear\n}\n", "there is no loop op \"linear\"");
    rejects("module \"m\"\nfunc @f(%x : f32[T,2,", "x.btir:2:22: error: expected a number");
    rejects("module \"m\"\nfunc @f(%x : f32[1,2,3,4,5,6]) do {\n}\n", "too many dimensions");
    rejects("module \"m\"\nfunc @f(%x : f32[T,2], %x : f32[1]) do {\n}\n", "%x is defined twice");
    rejects("module \"m\"\nfunc @f(%x : f32[T,2]) do {\n", "a } is missing");
    rejects("module \"m\"\nfunc @f(%x : f32[T,2]) do {\n  %y = neg %x : f32[T,3]\n}\n",
            "%y is f32[T,3] but must be f32[T,2]");
    rejects("module \"m\"\nfunc @f(%x : f32[T,2]) do {\n  %y = call %x {func=\"f\"} : f32[T,2]\n}\n",
            "call: @f calls itself");
    rejects("module \"m\"\nfunc @f(%x : f32[T,2]) do {\n  %y = call %x {func=\"g\"} : f32[T,2]\n}\n",
            "call: there is no function @g");
    rejects("module \"m\"\nfunc @f(%n : i64 readonly) loop do {\n}\n",
            "@f: parameter n is i64 and cannot be readonly");
    rejects("module \"m\"\nfunc @f(%p : ptr worker) loop do {\n}\n",
            "@f: parameter p is ptr and cannot be worker");
    rejects("module \"m\"\nfunc @f(%p : ptr readonly, %x : f32, %i : i64) loop do {\n"
            "  %q = offset %p, %i : ptr\n  store %q, %i, %x {dt=\"f32\"}\n}\n",
            "stores through a parameter that is readonly");
    rejects("module \"m\" {a=1, a=2}\n", "this attribute is given twice");
    rejects("module \"m\" {a=99999999999999999999}\n", "expected a number");
}

/* Everything that the grammar has, in both levels. */
static const char TEXT[] =
    "module \"all \\\"of\\\" it\" {i=-3, f=1.0, g=1e-300, h=inf, j=nan, k=-0.0, t=true, s=\"a\\n\\x01\\\\\", "
    "l=[1,-2], m=[1.0,0.1], n=[], o=[.], \"odd name\"=0.1}\n"
    "\n"
    "func @block(%x : f32[T,2]) {cost=3} do {\n"
    "  state %s : f32[2] = 0.5 \"s\"\n"
    "  %w = weight {name=\"w\", shape=[2,2]} : f32[2,2]  ; $.blocks.a[0]\n"
    "  %u = linear %x, %w, _ : f32[T,2]\n"
    "  %y, %s1 = shift %u, %s : f32[T,2], f32[2]\n"
    "  next %s = %s1\n"
    "  return %y\n"
    "}\n"
    "\n"
    "func @main(%input : f32[T,2]) chunk do {\n"
    "  %\"a b\" = call %input {func=\"block\", index=0, prefix=\"l.\"} : f32[T,2]\n"
    "  return %\"a b\" \"out\", %input\n"
    "}\n"
    "\n"
    "func @kernel(%p : ptr, %n : i64, %q : ptr readonly, %t : i64 worker, %u : i64 workers) loop step do {\n"
    "  %zero = const {v=0} : i64\n"
    "  %v = iota : i32x8\n"
    "  for %zero, %n {step=1} do (%i : i64) {  ; $.blocks.a[1]\n"
    "    %a = load %p, %i {dt=\"f32\"} : f32\n"
    "    %b = add %a, %a : f32\n"
    "    %c = cmp %i, %n {pred=\"lt\"} : bool\n"
    "    if %c do {\n"
    "      store %p, %i, %b {dt=\"f32\"}\n"
    "    } else {\n"
    "      store %p, %i, %a {dt=\"f32\"}\n"
    "    }\n"
    "  }\n"
    "}\n";

static void test_text(void) {
    Arena *a = arena_new();
    Diag d = diag_new(a, stderr);
    Module *m = ir_parse(&d, a, "x.btir", TEXT);
    if (CHECK(m)) {
        CHECK(!strcmp(ir_print_module(a, m), TEXT));
        CHECK(ir_verify(&d, m));
        const Op *w = ir_func_find(m, "block")->body->first;
        CHECK(!strcmp(w->loc.path, "$.blocks.a[0]") && w->loc.line == 5 && w->loc.col == 3);
        CHECK(ir_func_find(m, "main")->form == FORM_CHUNK && ir_func_find(m, "kernel")->level == LEVEL_LOOP);
        CHECK(ir_func_find(m, "kernel")->body->first->def == OP_TABLE[OP_loop_const]);
        CHECK(attr_find(m->attrs, "g")->f == 1e-300 && attr_find(m->attrs, "o")->kind == AT_FLOATS);
    }
    arena_free(a);
}

/* Types may be left out; inference fills them in, also those of a block from its first call. */
static void test_open_types(void) {
    Arena *a = arena_new();
    Diag d = diag_new(a, stderr);
    Module *m = ir_parse(&d, a, "x.btir",
                         "module \"m\" ; comment\n"
                         "func @b(%x : ?) do {\n"
                         "  state %h : ? = 0 \"h\" ; of another type than %x in the end\n"
                         "  %y, %h1 = scan.diag %x, %x, %h\n"
                         "  next %h = %h1\n  return %y\n}\n"
                         "func @main(%i : f32[T,3]) do {\n  %o = call %i {func=\"b\"}\n  return %o\n}\n");
    if (CHECK(m)) {
        CHECK(ir_infer_func(&d, ir_func_find(m, "main")) && ir_verify(&d, m));
        CHECK_STR_CONTAINS(ir_print_module(a, m), "state %h : f32[3] = 0.0 \"h\"");
        CHECK_STR_CONTAINS(ir_print_module(a, m), "%o = call %i {func=\"b\"} : f32[T,3]");
    }
    arena_free(a);
}

/* What passes get wrong. */
static void test_verify(void) {
    Arena *a = arena_new();
    Diag d = diag_new(a, NULL);
    Module *m = ir_parse(&d, a, "x.btir", TEXT);
    Func *f = ir_func_find(m, "block");
    Op *w = f->body->first, *u = w->next;
    ir_remove(w), ir_insert_after(u, w);
    CHECK(!ir_verify(&d, m));
    CHECK_STR_CONTAINS(d.log.s, "@block: %w is not defined before its use");
    ir_remove(w), ir_insert_before(u, w);
    CHECK(ir_verify(&d, m));
    u->out[0]->name = "x";
    CHECK(!ir_verify(&d, m));
    CHECK_STR_CONTAINS(d.log.s, "@block: two values are called %x");
    u->out[0]->name = "u", f->states[0].out = f->params[0];
    CHECK(!ir_verify(&d, m));
    CHECK_STR_CONTAINS(d.log.s, "the next value of state %s has another type");
    arena_free(a);
}

/* ---- interpreter ---- */

typedef struct Log {
    Text t;
} Log;

static bool count_weight(void *user, Diag *d, Loc loc, const char *name, Type type, double *data) {
    (void)d, (void)loc;
    text_add(&((Log *)user)->t, "%s:%lld ", name, (long long)type_count(type));
    for (int64_t i = 0; i < type_count(type); i++) data[i] = 1;
    return true;
}

static void watch(void *user, const char *path, const Op *op, const Tensor *out) {
    if (op->def == &op_shift) text_add(&((Log *)user)->t, "[%s %g] ", path, out[0].data[0]);
}

static void test_calls(void) {
    Arena *a = arena_new();
    Diag d = diag_new(a, stderr);
    Module *m = ir_parse(&d, a, "x.btir",
                         "module \"m\"\n"
                         "func @b(%x : f32[T,1]) do {\n"
                         "  state %s : f32[1] = 7 \"slot\"\n"
                         "  %w = weight {name=\"w.{1..3}\", shape=[2]}\n"
                         "  %g = weight {name=\"/g\", shape=[]}\n"
                         "  %k = reduce %w {kind=\"sum\"}\n"
                         "  %u = mul %x, %k\n"
                         "  %v = mul %u, %g\n"
                         "  %y, %s1 = shift %v, %s\n"
                         "  next %s = %s1\n  return %y\n}\n"
                         "func @main(%i : f32[T,1]) do {\n"
                         "  %a = call %i {func=\"b\", index=4, prefix=\"l0.\"}\n"
                         "  %b = call %a {func=\"b\", index=4, prefix=\"l1.\"}\n  return %b\n}\n");
    if (CHECK(m && ir_infer_func(&d, ir_func_find(m, "main")) && ir_verify(&d, m))) {
        Log log = {.t = text_new(a)};
        Env env = {.user = &log, .weight = count_weight};
        InterpState *s = interp_state_new(a, m);
        double data[] = {1, 2};
        Tensor in = {.type = seq(1, 1, 0), .rows = 1, .data = data}, out;
        CHECK(interp_run(&d, a, m, &env, s, &in, 1, &out, watch, &log) && out.data[0] == 7);
        CHECK(!strcmp(log.t.s, "l0.w.1:1 l0.w.2:1 g:1 [4 7] l1.w.1:1 l1.w.2:1 g:1 [4#2 7] "));
        in.data++; /* weights are not asked for again; the state goes on */
        CHECK(interp_run(&d, a, m, &env, s, &in, 1, &out, watch, &log) && out.data[0] == 14);
        CHECK_STR_CONTAINS(log.t.s, "[4 2] [4#2 14] ");
        CHECK(interp_position(s) == 2 && interp_state_slot(s, "4", "slot")->data[0] == 4);
        CHECK(interp_state_slot(s, "4#2", "slot")->data[0] == 4 && !interp_state_slot(s, "5", "slot"));
        const Func *b = ir_func_find(m, "b");
        Tensor k;
        CHECK(interp_constant(&d, a, &env, b, b->body->first->next->next->out[0], "l5.", &k) &&
              k.data[0] == 2);
        d.out = NULL;
        CHECK(!interp_constant(&d, a, &env, b, b->results[0], "", &k));
        CHECK_STR_CONTAINS(d.log.s, "depends on the input");
    }
    arena_free(a);
}

/* Errors of values: nothing is written out of bounds, the message names the op. */
static void test_value_errors(void) {
    Bench b = bench_new();
    Value *ids = ir_param_add(b.f, "ids", type_tensor(DT_I32, true, 0, NULL));
    Value *table = ir_param_add(b.f, "table", fixed(2, 3, 2));
    Op *op = build(&b, "embed", (Value *[]){ids, table}, 2, NULL);
    ir_result_add(b.f, NULL, op->out[0]);
    double id[] = {2, -1}, rows[6] = {0};
    Tensor in[] = {{.type = ids->type, .rows = 2, .data = id},
                   {.type = table->type, .rows = 1, .data = rows}},
           out;
    CHECK(!interp_run(&b.d, b.a, b.m, NULL, interp_state_new(b.a, b.m), in, 2, &out, NULL, NULL));
    CHECK_STR_CONTAINS(b.d.log.s, "embed: id -1 of token 1 is outside 0..2");
    arena_free(b.a);
}

/* ---- golden numbers ---- */

static bool close_to(const double *x, const double *y, int n, double tolerance) {
    for (int i = 0; i < n; i++)
        if (!(fabs(x[i] - y[i]) <= tolerance)) return false;
    return true;
}

/* Runs one scan.matrix with one head of two by two over three tokens. Absent operands: NULL. */
static void run_scan(const double *q, const double *k, const double *v, const double *decay, const double *a,
                     const double *b, double *y, double *S) {
    Bench n = bench_new();
    const double *data[] = {q, k, v, decay, a, b, NULL};
    const int width[] = {2, 2, 2, 1, 2, 2, 2};
    Value *in[7] = {0};
    Tensor t[7];
    for (int i = 0; i < 7; i++) {
        if (!data[i]) continue;
        in[i] = ir_param_add(n.f, "p", seq(2, 1, width[i]));
        double *copy = arena_copy(n.a, data[i], sizeof(double) * 3 * (size_t)width[i]);
        t[n.f->nparams - 1] = (Tensor){.type = in[i]->type, .rows = 3, .data = copy};
    }
    Op *op = build(&n, "scan.matrix", in, 7, NULL);
    if (CHECK(op)) {
        ir_result_add(n.f, NULL, op->out[0]);
        ir_result_add(n.f, NULL, op->out[1]);
        Tensor out[2];
        CHECK(interp_run(&n.d, n.a, n.m, NULL, interp_state_new(n.a, n.m), t, 3, out, NULL, NULL));
        memcpy(y, out[0].data, sizeof(double) * 6), memcpy(S, out[1].data, sizeof(double) * 4);
    }
    arena_free(n.a);
}

static void test_mamba2(void) {
    static const double x[] = {1, -1, 0.5, 2, -1, 0.25}, B[] = {1, 0.5, -0.5, 1, 0.25, -1};
    static const double C[] = {0.5, 1, 1, -1, 2, 0.5}, dt_raw[] = {0.1, -0.3, 0.7};
    static const double want[] = {0.8411539, -0.8411539, 0.1963238, 0.1498945, -0.2400553, -0.2880130};
    static const double state[] = {-0.0400654, 0.6801511, -0.2169445, 0.0417520};
    double v[6], decay[3], y[6] = {0}, S[4] = {0};
    for (int t = 0; t < 3; t++) {
        double dt = log1p(exp(dt_raw[t] - 1));
        decay[t] = -exp(0.2) * dt;
        for (int i = 0; i < 2; i++) v[2 * t + i] = dt * x[2 * t + i];
    }
    run_scan(C, B, v, decay, NULL, NULL, y, S);
    for (int i = 0; i < 6; i++) y[i] += 0.5 * x[i];
    CHECK(close_to(y, want, 6, 1e-7) && close_to(S, state, 4, 1e-7));
}

static void test_gated_delta(void) {
    double q[] = {1, 2, 0.3, -0.7, 2, 1}, k[] = {0.5, -1, 1, 1, 0.5, -1}, v[] = {1, 0.5, -0.5, 2, 0, 1};
    static const double g[] = {-0.1, -0.5, -0.2}, beta[] = {0.8, 0.6, 0.9};
    static const double want[] = {-0.3394111, -0.1697055, 0.3971194, -0.1559673, -0.1142024, 0.6843473};
    static const double state[] = {-0.1242818, -0.1125762, 1.2625864, -0.3610766}; /* [value, key] */
    double a[6], b[6], y[6] = {0}, S[4] = {0};
    for (int t = 0; t < 3; t++) {
        double nq = sqrt(q[2 * t] * q[2 * t] + q[2 * t + 1] * q[2 * t + 1] + 1e-6);
        double nk = sqrt(k[2 * t] * k[2 * t] + k[2 * t + 1] * k[2 * t + 1] + 1e-6);
        for (int i = 2 * t; i < 2 * t + 2; i++) {
            q[i] *= sqrt(0.5) / nq, k[i] /= nk, v[i] *= beta[t];
            a[i] = -exp(g[t]) * k[i], b[i] = beta[t] * k[i];
        }
    }
    run_scan(q, k, v, g, a, b, y, S);
    CHECK(close_to(y, want, 6, 1e-7) && close_to(S, state, 4, 1e-7));
}

static void test_router(void) {
    static double z[] = {1, 2, 0.5, -1, 1.5, 0, -0.5, 0.25};
    static const double p[] = {0.139426, 0.379000, 0.084566, 0.018869,
                               0.229875, 0.051292, 0.031110, 0.065860};
    Bench b = bench_new();
    Value *x = ir_param_add(b.f, "z", seq(1, 8, 0));
    Attr k = {.name = "k", .kind = AT_INT, .i = 2}, norm = {.name = "normalize", .kind = AT_BOOL, .i = 1};
    Op *soft = build(&b, "softmax", &x, 1, NULL);
    Op *top = build(&b, "topk", soft->out, 1, attr_of(&b, NULL, k));
    Op *scaled = build(&b, "topk", soft->out, 1, attr_of(&b, attr_of(&b, NULL, k), norm));
    Value *results[] = {soft->out[0], top->out[0], top->out[1], scaled->out[0]};
    for (int i = 0; i < 4; i++) ir_result_add(b.f, NULL, results[i]);
    Tensor in = {.type = x->type, .rows = 1, .data = z}, out[4];
    CHECK(interp_run(&b.d, b.a, b.m, NULL, interp_state_new(b.a, b.m), &in, 1, out, NULL, NULL));
    CHECK(close_to(out[0].data, p, 8, 1e-6));
    CHECK(close_to(out[1].data, (double[]){0.379000, 0.229875}, 2, 1e-6));
    CHECK(out[2].data[0] == 1 && out[2].data[1] == 4);
    CHECK(close_to(out[3].data, (double[]){0.622459, 0.377541}, 2, 1e-6));
    arena_free(b.a);
}

/* Elementwise functions where formulas break first. */
static void test_extremes(void) {
    static const struct {
        const char *op;
        double x, y;
    } rows[] = {
        {"softplus", 800, 800},
        {"softplus", -40, 4.248354255291589e-18},
        {"sigmoid", -800, 0},
        {"sigmoid", 800, 1},
        {"sigmoid", -40, 4.248354255291589e-18},
        {"silu", -800, 0},
        {"gelu", -10, -7.619853024160525e-23},
        {"gelu", 3, 2.9959503101},
        {"gelu_tanh", 3, 2.9963627},
        {"tanh", 400, 1},
        {"rsqrt", 4, 0.5},
        {"relu", -3, 0},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        Bench b = bench_new();
        Value *x = ir_param_add(b.f, "x", fixed(0, 0, 0));
        ir_result_add(b.f, NULL, build(&b, rows[i].op, &x, 1, NULL)->out[0]);
        double v = rows[i].x;
        Tensor in = {.type = x->type, .rows = 1, .data = &v}, out;
        CHECK(interp_run(&b.d, b.a, b.m, NULL, interp_state_new(b.a, b.m), &in, 0, &out, NULL, NULL));
        if (!CHECK(fabs(out.data[0] - rows[i].y) <= 1e-6 * fabs(rows[i].y)))
            fprintf(stderr, "    %s(%g) = %.17g\n", rows[i].op, v, out.data[0]);
        arena_free(b.a);
    }
}

int main(void) {
    test_messages();
    test_text_errors();
    test_text();
    test_open_types();
    test_verify();
    test_calls();
    test_value_errors();
    test_mamba2();
    test_gated_delta();
    test_router();
    test_extremes();
    return check_report("ir");
}
