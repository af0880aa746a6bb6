/* Whole models as PTX: one kernel for every stage, and NVIDIA's assembler takes them. Without ptxas that part
 * is a printed skip. */
#include "compile.h"
#include "harness.h"

static int stages_of(const Compiled *c) {
    int n = 0;
    for (int i = 0; i < c->lowered.schedule.plans.n; i++)
        for (int k = 0; k < c->lowered.schedule.plans.plans[i]->n; k++)
            n += !c->lowered.schedule.plans.plans[i]->stages[k]->is_call;
    return n;
}

static int count(const char *text, const char *what) {
    int n = 0;
    for (const char *p = text; (p = strstr(p, what)); p += strlen(what)) n++;
    return n;
}

static void test_model(const char *root, const char *name, const char *state, const char *folder,
                       bool assemble) {
    Arena *a = arena_new();
    Diag d = diag_new(a, stderr);
    const char *file = arena_printf(a, "%s/%s.ptx", folder, name);
    CompileOptions o = {.target = "nvptx64", .cpu = "sm_80", .emit = "asm", .output = file, .quiet = true};
    o.state = state;
    ModelOptions m = {0};
    Model model;
    Compiled c;
    if (CHECK(model_open(&d, a, arena_printf(a, "%s/%s", root, name), &m, &model)) &&
        CHECK(compile_artifact(&d, &model, &o, &c))) {
        const char *text = file_read_text(&d, a, file, NULL);
        int kernels = text ? count(text, ".visible .entry ") : 0;
        CHECK(kernels > 0 && kernels == stages_of(&c));
        CHECK_STR_CONTAINS(text, ".target sm_80");
        CHECK_STR_CONTAINS(text, "_chunk__");
        CHECK_STR_CONTAINS(text, "_step__");
        CHECK(text && !strstr(text, "btc_barrier_wait")); /* the end of a kernel is the barrier */
        const char *const argv[] = {"ptxas", "-arch=sm_80", "-o", "/dev/null", file, NULL};
        if (assemble && CHECK(run_tool(argv))) printf("  %-20s %3d kernels accepted\n", name, kernels);
    }
    model_close(&model);
    arena_free(a);
}

/* There is nothing that PTX could be linked with: every kind of artefact is an error that says what to do. */
static void test_artefacts(const char *root, const char *folder) {
    static const char *const names[] = {"x.so", "x.a", "x.o", "x.h", "x"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        Arena *a = arena_new();
        Diag d = diag_new(a, NULL);
        CompileOptions o = {
            .target = "nvptx64", .output = arena_printf(a, "%s/%s", folder, names[i]), .quiet = true};
        ModelOptions m = {0};
        Model model;
        Compiled c;
        CHECK(model_open(&d, a, arena_printf(a, "%s/hyena-order2", root), &m, &model));
        CHECK(!compile_artifact(&d, &model, &o, &c));
        CHECK_STR_CONTAINS(d.log.s, "--emit=asm");
        CHECK(!file_exists(o.output));
        model_close(&model);
        arena_free(a);
    }
}

int main(int argc, char **argv) {
    static const char *const names[] = {"hf-mamba", "rwkv7", "hf-llama", "hf-recurrent-gemma",
                                        "hyena-order2"};
    const char *root = argc > 1 ? argv[1] : "tests/conformance";
    Arena *a = arena_new();
    const char *folder = temp_folder(a);
    bool assemble = have_tool("ptxas");
    if (!assemble) printf("skipped: PTX is not assembled without ptxas\n");
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        test_model(root, names[i], NULL, folder, assemble);
        test_model(root, names[i], i % 2 ? "bf16" : "f16", folder, assemble); /* states */
    }
    test_artefacts(root, folder);
    remove_folder(folder);
    arena_free(a);
    return check_report("targets/ptx");
}
