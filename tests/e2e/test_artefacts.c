/* Everything that btc makes, made from real models by the command line and used as a user would: .so .a .o
 * .h, a program, weights beside it, without threads; the same bytes twice; every --emit. */
#include "case.h"

#define BTC_SOURCE_DIR "."
#include "link/kit.h"

static const char *btc, *root;
static Case model;
static const char *prompt, *comma_prompt, *want; /* "1 2 3", "1,2,3", and what follows, with commas */

static const char *ids_text(const RawTensor *t, const char *between) {
    Text s = text_new(arena);
    for (int64_t i = 0; i < raw_tensor_count(t); i++)
        text_add(&s, "%s%.0f", i ? between : "", dtype_load(t->dt, t->data, i));
    return s.s;
}

static void compile(const char *options, const char *output) {
    run("%s %s --name=thing --quiet %s -o %s", btc, model.folder, options, output);
}

/* What a command printed is the expected continuation (after some prefix). */
static void check_said(const char *said, const char *prefix) {
    CHECK_STR_CONTAINS(said, arena_printf(arena, "%s%s\n", prefix, want));
}

static int tokens(void) {
    return (int)raw_tensor_count(model.ids);
}

static void check_program(const char *file, const char *more) {
    check_said(run("%s --ids=%s --temperature=0 --tokens=%d --quiet %s", file, comma_prompt, tokens(), more),
               "");
}

static void check_host(const char *sources, const char *arguments, const char *prefix) {
    run("gcc -std=c11 -Wall -Wextra -Werror -pedantic -I %s tests/e2e/greedy_host.c %s -o %s", folder,
        sources, path("host"));
    check_said(run("%s %s %d %s", path("host"), arguments, tokens(), prompt), prefix);
}

static void test_kinds(void) {
    compile("", path("thing.h"));
    compile("", path("thing.so"));
    compile("", path("thing.o"));
    compile("", path("thing.a"));
    compile("", path("thing"));
    check_program(path("thing"), "--threads=2");
    CHECK_STR_CONTAINS(run("%s --info", path("thing")), "name           thing");
    check_host("-DBY_DLOPEN -ldl", path("thing.so"), "");
    check_host(arena_printf(arena, "%s -lgomp", path("thing.o")), "", "");
    check_host(arena_printf(arena, "%s -lgomp", path("thing.a")), "", "");
    /* one symbol each, so two models fit into one program */
    CHECK(!strcmp(run("nm -g --defined-only %s | awk '{print $3}'", path("thing.o")), "thing_btc_query\n"));
    CHECK_STR_CONTAINS(run("nm -D --defined-only %s", path("thing.so")), "btc_query");
    run("%s %s/hf-llama --name=other -o %s --quiet", btc, root, path("other.h"));
    run("%s %s/hf-llama --name=other -o %s --quiet", btc, root, path("other.a"));
    check_host(arena_printf(arena, "-DOTHER %s %s -lgomp", path("thing.o"), path("other.a")), "", "other ");
}

static void test_weights_file(void) {
    compile("--weights=file", path("side.so"));
    compile("--weights=file", path("side"));
    CHECK(file_exists(path("side.so.weights")) && file_exists(path("side.weights")));
    compile("", path("thing.h"));
    check_host("-DBY_DLOPEN -ldl", path("side.so"), "");
    check_program(path("side"), "");
    run("mv %s %s", path("side.weights"), path("elsewhere"));
    check_program(path("side"), arena_printf(arena, "--weights=%s", path("elsewhere")));
    int status;
    CHECK_STR_CONTAINS(shell(&status, "%s --ids=1 --tokens=1 2>&1", path("side")), "weights");
    CHECK(status == 1);
    run("head -c 4096 %s > %s", path("elsewhere"), path("side.weights")); /* cut off */
    CHECK_STR_CONTAINS(shell(&status, "%s --ids=1 --tokens=1 2>&1", path("side")), "weights");
    CHECK(status == 1);
}

static void test_threads(void) {
    compile("--threads=none", path("serial"));
    compile("--threads=none", path("serial.so"));
    check_program(path("serial"), "");
    check_host("-DBY_DLOPEN -ldl", path("serial.so"), "");
    int status;
    CHECK(!strstr(run("readelf -d %s %s", path("serial"), path("serial.so")), "libgomp"));
    CHECK_STR_CONTAINS(run("readelf -d %s", path("thing.so")), "libgomp");
    shell(&status, "readelf -W -l %s | grep GNU_STACK | grep -q RWE", path("thing.so"));
    CHECK(status == 1); /* nothing on the stack is code */
}

/* The same command, in two folders. */
static void test_same_bytes(void) {
    static const char *const names[] = {"x.so", "x.a", "x.o", "x.h", "x"};
    run("mkdir %s %s", path("one"), path("two"));
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        const char *one = path(arena_printf(arena, "one/%s", names[i]));
        const char *two = path(arena_printf(arena, "two/%s", names[i]));
        compile("", one);
        compile("", two);
        run("cmp %s %s", one, two);
    }
    CHECK(!strcmp(run("ls -A %s", path("one")),
                  "x\nx.a\nx.h\nx.o\nx.so\n")); /* and nothing left lying around */
}

static void test_emit(void) {
    static const struct {
        const char *what, *holds;
    } kinds[] = {{"description", "\"blocks\""}, {"ir", "module \""}, {"stages", "barrier"},
                 {"loops", "func @"},           {"llvm", "define "}, {"asm", ".text"}};
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        const char *file = path(arena_printf(arena, "emitted.%s", kinds[i].what));
        compile(arena_printf(arena, "--emit=%s", kinds[i].what), file);
        const char *text = file_read_text(&diag, arena, file, NULL);
        CHECK_STR_CONTAINS(text, kinds[i].holds);
        run("%s %s --name=thing --emit=%s | cmp - %s", btc, model.folder, kinds[i].what,
            file); /* to stdout */
        if (strcmp(kinds[i].what, "ir") && strcmp(kinds[i].what, "loops")) continue;
        Module *m = text ? ir_parse(&diag, arena, file, text) : NULL;
        CHECK(m && !strcmp(ir_print_module(arena, m), text));
    }
}

static void test_other_machine(void) {
    static const char *const names[] = {"arm.so", "arm.o", "arm"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        compile("--target=aarch64-linux-gnu", path(names[i]));
        CHECK_STR_CONTAINS(run("readelf -h %s", path(names[i])), "AArch64");
    }
}

/* Rows in, rows out. */
static void test_features(void) {
    Case c;
    if (!case_open(&c, root, "hyena-order2")) return;
    const RawTensor *out = weights_find(&c.expect, "output");
    int64_t n = c.input->dim[1] * c.input->dim[2], outs = out->dim[1] * out->dim[2];
    FILE *f = fopen(path("in.f32"), "wb"); /* the first sequence */
    CHECK(c.input->dt == DT_F32 && f && fwrite(c.input->data, sizeof(float), (size_t)n, f) == (size_t)n);
    if (f) fclose(f);
    run("%s %s -o %s --quiet", btc, c.folder, path("layer"));
    run("%s --quiet < %s > %s", path("layer"), path("in.f32"), path("out.f32"));
    run("%s --quiet --input=%s --output=%s --threads=2", path("layer"), path("in.f32"), path("again.f32"));
    run("cmp %s %s", path("out.f32"), path("again.f32"));
    size_t size = 0;
    const char *got = file_read_text(&c.diag, c.arena, path("out.f32"), &size);
    if (CHECK(got && size == sizeof(float) * (size_t)outs)) {
        RawTensor g = *out, w = *out;
        g.data = (const uint8_t *)got, g.bytes = size, g.dt = DT_F32;
        g.dim[0] = w.dim[0] = 1;
        const cJSON *tolerance = cJSON_GetObjectItemCaseSensitive(c.json, "tolerance");
        double most = cJSON_GetNumberValue(cJSON_GetObjectItemCaseSensitive(tolerance, "output"));
        CHECK(tensor_difference(&g, &w).max_error <= most);
    }
    case_close(&c);
}

static void test_refused(void) {
    static const struct {
        const char *options, *message;
        int status;
    } wrong[] = {{"-o x.txt", "cannot tell from this name", 2},
                 {"", "-o OUTPUT", 2},
                 {"--emit=pictures", "--emit=pictures", 2},
                 {"-o /nonexistent/x.so", "cannot write", 1}};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        int status;
        CHECK_STR_CONTAINS(shell(&status, "%s %s %s", btc, model.folder, wrong[i].options), wrong[i].message);
        CHECK(status == wrong[i].status);
    }
}

int main(int argc, char **argv) {
    root = argc > 1 ? argv[1] : "tests/conformance";
    btc = argc > 2 ? argv[2] : "build/btc";
    if (!kit_open()) return 1;
    if (case_open(&model, root, "hf-mamba") && CHECK(model.prompt && model.ids)) {
        prompt = ids_text(model.prompt, " "), comma_prompt = ids_text(model.prompt, ",");
        want = ids_text(model.ids, ",");
        test_kinds();
        test_weights_file();
        test_threads();
        test_same_bytes();
        test_emit();
        test_other_machine();
        test_features();
        test_refused();
    }
    case_close(&model);
    kit_close();
    return check_report("e2e/artefacts");
}
