/* Every conformance case, every tensor of it: in the interpreter, in compiled step form, and in compiled
 * chunk form with chunks of several sizes, by one thread and by two. */
#include "case.h"

/* The interpreter computes in double precision, so it has no rounding to excuse it. */
static const double INTERPRETER_SHARE = 0.1;

static void test_interpreter(Case *c, const char *model) {
    VerifyOptions o = {.form = "interpret"};
    Session s;
    TensorList got = {0};
    if (CHECK(session_open(&s, &c->diag, c->arena, model, &o, TAPS_HIDDEN)) &&
        CHECK(session_run(&s, o.form, 1, c->input, &got))) {
        printf("  %-12s %8.2g\n", "interpreter", case_compare(c, "interpreter", &got, INTERPRETER_SHARE));
        case_greedy(c, &s, o.form, 1);
    }
    session_close(&s);
}

static void run(Case *c, Session *s, const char *form, int threads, int chunk) {
    TensorList got = {0};
    const char *how = !strcmp(form, "step") ? form : arena_printf(c->arena, "chunk of %d", chunk);
    if (!CHECK(session_run(s, form, threads, c->input, &got))) return;
    printf("  %-12s %8.2g   %d thread%s\n", how, case_compare(c, how, &got, 1), threads,
           threads > 1 ? "s" : "");
}

/* Compiled once with everything visible: chunks and steps. */
static void test_compiled(Case *c, const char *model, int chunk, int threads, bool step) {
    VerifyOptions o = {.form = "chunk", .threads = threads, .compile = {.chunk = chunk}};
    Session s;
    if (CHECK(session_open(&s, &c->diag, c->arena, model, &o, TAPS_HIDDEN))) {
        run(c, &s, "chunk", threads, chunk);
        if (step) run(c, &s, "step", 3 - threads, chunk);
        case_greedy(c, &s, step ? "step" : "chunk", threads);
    }
    session_close(&s);
}

/* As it is shipped: what is not asked for is fused away. */
static void test_plain(Case *c, const char *model, int chunk) {
    VerifyOptions o = {.form = "chunk", .threads = 1, .compile = {.chunk = chunk}};
    Session s;
    if (!c->prompt) return;
    if (CHECK(session_open(&s, &c->diag, c->arena, model, &o, TAPS_NONE))) {
        case_greedy(c, &s, "chunk", 2);
        case_greedy(c, &s, "step", 1);
    }
    session_close(&s);
}

static void test_case(const char *root, const char *name) {
    Case c;
    double started = case_seconds();
    printf("%s: largest error as a share of its tolerance\n", name);
    if (case_open(&c, root, name)) {
        test_interpreter(&c, c.folder);
        test_compiled(&c, c.folder, 1, 1, false);
        test_compiled(&c, c.folder, 7, 2, true);
        test_compiled(&c, c.folder, 16, 1, true);
        test_compiled(&c, c.folder, 64, 2, false);
        test_plain(&c, c.folder, 7);
        if (c.same) {
            printf("  %s:\n", strrchr(c.same, '/') + 1);
            test_interpreter(&c, c.same);
            test_compiled(&c, c.same, 7, 1, true);
        }
    }
    case_close(&c);
    printf("  %.1f s\n", case_seconds() - started);
    fflush(stdout);
}

int main(int argc, char **argv) {
    const char *root = argc > 1 ? argv[1] : "tests/conformance";
    Arena *a = arena_new();
    for (const char **name = case_list(a, root); *name; name++) test_case(root, *name);
    arena_free(a);
    return check_report("e2e/conformance");
}
