/* Every conformance case, every tensor of it: in the interpreter, in compiled step form, and in compiled
 * chunk form, by one thread and by two. Sizes of chunks take turns from case to case; with --thorough each
 * case meets all of them.
 *
 * With BTC_RECORD=FILE in the environment the largest errors are written there; compiler/import/reached.def is
 * such a file. */
#include "case.h"

/* The largest error of each form so far, as a share of its tolerance; negative: the form did not run. */
typedef struct Reached {
    double interpreter, chunk, step;
} Reached;

/* The interpreter computes in double precision: it has no rounding to excuse it. */
static const double INTERPRETER_SHARE = 0.1, INTERPRETER_SHARE_ROUNDED = 0.25;

static void test_interpreter(Case *c, const char *model, Reached *worst) {
    VerifyOptions o = {.form = "interpret", .compile = {.math = "f32"}};
    double share = case_forms_differ(c) ? 1
                   : case_is_rounded(c) ? INTERPRETER_SHARE_ROUNDED
                                        : INTERPRETER_SHARE;
    Session s;
    TensorList got = {0};
    if (CHECK(session_open(&s, &c->diag, c->arena, model, &o, PROBES_HIDDEN)) &&
        CHECK(session_run(&s, o.form, 1, c->input, &got))) {
        double error = case_compare(c, "interpreter", &got, share, PROBES_HIDDEN);
        printf("  %-12s %8.2g\n", "interpreter", error);
        worst->interpreter = fmax(worst->interpreter, error);
        case_greedy(c, &s, o.form, 1);
    }
    session_close(&s);
}

static void run(Case *c, Session *s, const char *form, int threads, double *worst) {
    TensorList got = {0};
    const char *how =
        !strcmp(form, "step") ? form : arena_printf(c->arena, "chunk of %d", s->o.compile.chunk);
    if (CHECK(session_run(s, form, threads, c->input, &got))) {
        double error = case_compare(c, how, &got, 1, s->probes);
        printf("  %-12s %8.2g   %s%s\n", how, error, threads > 1 ? "2 threads" : "1 thread",
               s->probes == PROBES_NONE ? ", as shipped" : "");
        *worst = fmax(*worst, error);
    }
    case_greedy(c, s, form, threads);
}

/* Compiled once, run in both forms. Without probes it is as shipped: what is not asked for is fused away. */
static void test_compiled(Case *c, const char *model, int chunk, SessionProbes probes, int chunk_threads,
                          int step_threads, Reached *worst) {
    VerifyOptions o = {.form = "chunk", .compile = {.chunk = chunk, .math = "f32"}};
    Session s;
    if (CHECK(session_open(&s, &c->diag, c->arena, model, &o, probes))) {
        run(c, &s, "chunk", chunk_threads, &worst->chunk);
        if (case_has_steps(&s)) run(c, &s, "step", step_threads, &worst->step);
    }
    session_close(&s);
}

/* How a case is compiled; the first row always, the others in turn. */
static const struct {
    int chunk;
    SessionProbes probes;
    int chunk_threads, step_threads;
} SETTINGS[] = {
    {7, PROBES_HIDDEN, 2, 1},
    {1, PROBES_HIDDEN, 1, 1},
    {64, PROBES_HIDDEN, 1, 2},
    {16, PROBES_NONE, 2, 2},
};
enum { SETTING_COUNT = sizeof SETTINGS / sizeof *SETTINGS };

/* number: of the case in the list. */
static Reached test_case(const char *root, const char *name, int number) {
    Reached worst = {-1, -1, -1};
    Case c;
    double started = case_seconds();
    printf("%s: largest error as a share of its tolerance\n", name);
    if (case_open(&c, root, name)) {
        test_interpreter(&c, c.model, &worst);
        for (int i = 0; i < SETTING_COUNT; i++)
            if (i == 0 || check_meets(number + i, SETTING_COUNT - 1, SETTING_COUNT - 1))
                test_compiled(&c, c.model, SETTINGS[i].chunk, SETTINGS[i].probes, SETTINGS[i].chunk_threads,
                              SETTINGS[i].step_threads, &worst);
        if (c.same) {
            printf("  %s:\n", strrchr(c.same, '/') + 1);
            test_interpreter(&c, c.same, &worst);
            test_compiled(&c, c.same, 16, PROBES_HIDDEN, 1, 1, &worst);
        }
    }
    case_close(&c);
    printf("  %.1f s\n", case_seconds() - started);
    fflush(stdout);
    return worst;
}

static FILE *open_record(void) {
    const char *file = getenv("BTC_RECORD");
    FILE *f = file ? fopen(file, "w") : NULL;
    if (file && CHECK(f != NULL)) setvbuf(f, NULL, _IOLBF, BUFSIZ);
    if (f)
        fputs("/* The largest error of each conformance case as a share of its tolerance: in the "
              "interpreter, in "
              "chunk\n * form, in step form (-1: there is none). Written by tests/e2e/test_conformance with "
              "BTC_RECORD=FILE. */\n",
              f);
    return f;
}

int main(int argc, char **argv) {
    const char *root = argc > 1 ? argv[1] : "tests/conformance";
    Arena *a = arena_new();
    const char **names = case_list(a, root);
    FILE *record = open_record();
    for (int i = 0; names[i]; i++) {
        Reached r = test_case(root, names[i], i);
        if (record)
            fprintf(record, "REACHED(\"%s\", %.2g, %.2g, %.2g)\n", names[i], r.interpreter, r.chunk, r.step);
    }
    if (record) CHECK(fclose(record) == 0);
    arena_free(a);
    return check_report("e2e/conformance");
}
