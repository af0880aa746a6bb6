/* Numbers that do not fit: weights of any size come out of every format to its precision, or keep the
 * checkpoint's type, with a warning; what is not finite is refused by name, or taken where it is allowed. */
#include <math.h>
#include <unistd.h>

#include "tools/check.h"
#include "tools/compiled.h"

enum { OUTPUTS = 40, MOST_INPUTS = 257, ROWS = 3 };

static Arena *arena;
static Diag diag;
static char folder[] = "/tmp/test_numbers.XXXXXX";
static double numbers[OUTPUTS * MOST_INPUTS];

static const char *path(const char *name) {
    return arena_printf(arena, "%s/%s", folder, name);
}

static double uniform(void) {
    static uint64_t seed = 1;
    seed = seed * 6364136223846793005u + 1442695040888963407u;
    return (double)(seed >> 11) / 0x1p52 - 1;
}

/* w [OUTPUTS, inputs] as dt, and a tensor that nobody uses, which holds NaN; a product with w. */
static void write_model(DType dt, int inputs, const char *rule) {
    static uint8_t bytes[sizeof numbers], spare[8];
    int n = OUTPUTS * inputs;
    for (int i = 0; i < n; i++) dtype_store(dt, bytes, i, numbers[i]);
    dtype_store(dt, spare, 0, NAN);
    RawTensor t[] = {
        {.name = "spare", .dt = dt, .rank = 1, .dim = {1}, .data = spare, .bytes = dtype_size(dt)},
        {.name = "w.weight", .dt = dt, .rank = 2, .dim = {OUTPUTS, inputs}, .data = bytes}};
    t[1].bytes = (size_t)n * dtype_size(dt);
    CHECK(safetensors_write(&diag, arena, path("w.safetensors"), t, 2));
    const char *text = arena_printf(
        arena,
        "{\"btc\": 1, \"name\": \"t\", \"dims\": {\"D\": %d, \"E\": %d}, \"weights\": \"w.safetensors\", "
        "\"ignore\": [\"spare\"], \"input\": {\"features\": \"D\"}, \"model\": [{\"out\": \"y\", \"op\": "
        "\"linear\", \"x\": \"input\", \"w\": \"@w.weight[E, D]\"}], \"output\": \"y\", \"quant\": {%s}}",
        inputs, OUTPUTS, rule);
    FILE *f = fopen(path("m.json"), "wb");
    if (CHECK(f != NULL)) fputs(text, f), fclose(f);
}

static bool open_model(const ModelOptions *o, Model *m) {
    diag = diag_new(arena, NULL);
    return model_open(&diag, arena, path("m.json"), o, m);
}

static const char *storage(const Model *m) {
    OPS_OF (ir_func_find(m->module, "main")->body, op)
        if (op->def == OP_TABLE[OP_weight]) return attr_format(op, "storage")->name;
    return "";
}

/* Outputs relative to their root mean square; -1: some is not finite. */
static double error_of(Model *m, int inputs, const char *math) {
    float x[ROWS * MOST_INPUTS], y[ROWS * OUTPUTS];
    double off = 0, all = 0;
    Loaded l;
    CompileOptions o = {.math = math};
    for (int i = 0; i < ROWS * inputs; i++) x[i] = (float)uniform();
    if (!CHECK(loaded_open(&diag, arena, m, o, &l))) return puts(diag.log.s), INFINITY;
    CHECK(l.api->prefill_all(&l.handle, new_state(arena, &l), new_work(arena, &l, 1), 1, x, ROWS, y) ==
          BTC_OK);
    for (int r = 0; r < ROWS; r++)
        for (int k = 0; k < OUTPUTS; k++) {
            double want = 0, got = (double)y[r * OUTPUTS + k];
            for (int i = 0; i < inputs; i++) want += (double)x[r * inputs + i] * numbers[k * inputs + i];
            off += (got - want) * (got - want), all += want * want;
        }
    loaded_close(&l);
    return isfinite(off) ? sqrt(off / all) : -1;
}

static const struct {
    const char *dtype, *quant, *math;
    double error, lowest, highest; /* of rows and blocks, for which the format holds them */
} formats[] = {
    {NULL, NULL, "f32", 1e-5, 0, 1e39},       {NULL, "q8", "f32", 0.01, 1e-30, 1e37},
    {NULL, "q6", "f32", 0.04, 1e-30, 1e37},   {NULL, "q4", "f32", 0.15, 1e-30, 1e37},
    {NULL, "q8", "int8", 0.02, 1e-30, 1e37},  {NULL, "q4", "int8", 0.15, 1e-30, 1e37},
    {"f16", NULL, "f32", 0.005, 1.6e-5, 6e4}, {"bf16", NULL, "f32", 0.005, 2e-38, 3e38},
};

/* All numbers of one size, or rows of it among others. */
static void check_sizes(void) {
    static const double sizes[] = {1e-32, 1e-26, 1e-12, 1e-6, 3e-5, 1, 1e5, 1e7, 1e18, 1e36};
    static const int widths[] = {5, 32, 100, 257};
    int n = 0;
    for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++)
        for (size_t k = 0; k < sizeof formats / sizeof *formats; k++, n++) {
            if (n % 3) continue; /* by pairs: every size, and every format, often enough */
            int inputs = widths[n / 3 % 4];
            for (int i = 0; i < OUTPUTS * inputs; i++)
                numbers[i] = (double)(float)(sizes[s] * (uniform() + (i % inputs ? 0 : 1)));
            memset(numbers + 7 * inputs, 0, sizeof *numbers * (size_t)inputs); /* a row of zeros */
            write_model(DT_F32, inputs, "");
            ModelOptions o = {.dtype = formats[k].dtype, .quant = formats[k].quant};
            Model m;
            if (!CHECK(open_model(&o, &m))) continue;
            bool fits = sizes[s] >= formats[k].lowest && sizes[s] <= formats[k].highest;
            const char *asked = formats[k].quant   ? formats[k].quant
                                : formats[k].dtype ? formats[k].dtype
                                                   : "f32";
            bool same = !strcmp(storage(&m), fits ? asked : "f32") && diag.warnings == !fits;
            double error = error_of(&m, inputs, formats[k].math);
            if (!CHECK(same && error >= 0 && error < (fits ? formats[k].error : 1e-5)))
                printf("    %g x %d as %s, %s: stored as %s, error %g\n%s", sizes[s], inputs, asked,
                       formats[k].math, storage(&m), error, diag.log.s ? diag.log.s : "");
            model_close(&m);
        }
}

static void draw(int inputs) {
    for (int i = 0; i < OUTPUTS * inputs; i++) numbers[i] = uniform();
}

/* One block, or number, that does not fit; what is said of it. */
static void check_warnings(void) {
    static const struct {
        const char *dtype, *quant, *rule;
        DType from;
        int at, n;
        double value;
        const char *storage, *said; /* NULL: nothing */
    } cases[] = {
        {NULL, "q8", "", DT_F32, 3 * 257 + 128, 128, 1e-33, "f32",
         "w.weight: the block from [3,128] on is at most 1e-33, too small for q8: it is stored as f32"},
        {NULL, "q8", "", DT_BF16, 3 * 257 + 128, 128, 1e-33, "bf16",
         "too small for q8: it is stored as bf16"},
        {NULL, "q4", "", DT_F32, 3 * 257 + 128, 127, 1e-33, "q4", NULL}, /* beside a number of usual size */
        {NULL, NULL, "\"w\": \"q6\"", DT_F32, 39 * 257 + 256, 1, 1e-33, "f32",
         "the block from [39,256] on is at most 1e-33, too small for q6"},
        {"f16", NULL, "", DT_F32, 5 * 257 + 9, 1, -7e4, "f32",
         "w.weight: [5,9] is -70000, too large for f16: it is stored as f32"},
        {"f16", NULL, "", DT_BF16, 5 * 257 + 9, 1, -65536, "bf16", "too large for f16: it is stored as bf16"},
        {NULL, NULL, "\"w\": \"f16\"", DT_F32, 257, 257, 1e-6, "f32",
         "the row from [1,0] on is at most 1e-06"},
        {"f16", NULL, "", DT_F32, 5 * 257 + 9, 1, 1e-9, "f16", NULL},
        {"f16", NULL, "", DT_F32, 5 * 257 + 9, 1, 65504, "f16", NULL},
        {"bf16", NULL, "", DT_F32, 9, 1, 3.4e38, "f32", "[0,9] is 3.4e+38, too large for bf16"},
        {NULL, NULL, "", DT_F64, 9, 1, 1e300, NULL,
         "[0,9] is 1e+300, too large for f32, and there is no wider type"},
        {NULL, NULL, "", DT_F64, 257, 257, 1e-100, NULL,
         "the row from [1,0] on is at most 1e-100, too small for f32"},
        {NULL, NULL, "", DT_F32, 0, 40 * 257, 1e-39, "f32", "all its numbers are below 1.2e-38"},
        {NULL, "none", "\"w\": \"q6\"", DT_F32, 0, 40 * 257, 1e-33, "f32", NULL},
    };
    for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
        draw(257);
        for (int i = 0; i < cases[k].n; i++) numbers[cases[k].at + i] = cases[k].value;
        write_model(cases[k].from, 257, cases[k].rule);
        ModelOptions o = {.dtype = cases[k].dtype, .quant = cases[k].quant};
        Model m;
        bool open = open_model(&o, &m);
        const char *log = diag.log.s ? diag.log.s : "";
        if (!CHECK(open == (cases[k].storage != NULL) && (!open || !strcmp(storage(&m), cases[k].storage)) &&
                   (cases[k].said ? strstr(log, cases[k].said) != NULL : !*log)))
            printf("    case %d: stored as %s; %s\n", (int)k, open ? storage(&m) : "nothing", log);
        model_close(&m);
    }
}

static void check_not_finite(void) {
    static const DType types[] = {DT_F32, DT_F16, DT_BF16, DT_F64};
    static const double bad[] = {NAN, INFINITY, -INFINITY};
    for (size_t k = 0; k < 12; k++) {
        int inputs = k % 2 ? 257 : 5, at = (int)k * 11 + inputs;
        draw(inputs);
        numbers[at] = numbers[OUTPUTS * inputs - 1] = bad[k % 3];
        write_model(types[k % 4], inputs, "");
        Model m;
        CHECK(!open_model(&(ModelOptions){0}, &m) && diag.errors == 1);
        CHECK_STR_CONTAINS(diag.log.s, "w.safetensors: error: w.weight: ");
        CHECK_STR_CONTAINS(diag.log.s, arena_printf(arena, "[%d,%d] is %g: 2 of %d numbers", at / inputs,
                                                    at % inputs, bad[k % 3], OUTPUTS * inputs));
        CHECK_STR_CONTAINS(diag.log.s, "--allow-nonfinite");
        model_close(&m);
        CHECK(open_model(&(ModelOptions){.unread = true}, &m));
        model_close(&m);
        ModelOptions allow = {.allow_nonfinite = true, .quant = k % 3 ? "q8" : "q4"};
        CHECK(open_model(&allow, &m) && strcmp(storage(&m), allow.quant) && diag.warnings == 1);
        if (k < 2) CHECK(error_of(&m, inputs, NULL) == -1);
        model_close(&m);
    }
}

int main(void) {
    arena = arena_new();
    if (!CHECK(mkdtemp(folder))) return 1;
    check_warnings();
    check_not_finite();
    check_sizes();
    unlink(path("w.safetensors")), unlink(path("m.json"));
    rmdir(folder);
    arena_free(arena);
    return check_report("numbers");
}
