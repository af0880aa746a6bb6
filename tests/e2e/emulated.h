/* A conformance case compiled for another machine and run under QEMU: chunks and steps, all tensors. */
#ifndef BTC_TESTS_EMULATED_H
#define BTC_TESTS_EMULATED_H

#include "case.h"

enum { CHUNK = 16 };

static inline void emulated_form(Case *c, Session *s, const char *form) {
    TensorList got = {0};
    if (CHECK(session_run(s, form, s->o.threads, c->input, &got)))
        printf("  %-6s %8.2g   %s\n", form, case_compare(c, form, &got, 1, s->probes),
               s->o.threads > 1 ? "2 threads" : "1 thread");
}

/* The case in both forms, and with `greedy` the tokens that it chooses. cpu: NULL for the usual one. */
static inline void emulated_case(const char *root, const char *name, const Target *target, const char *cpu,
                                 int threads, bool greedy) {
    Case c;
    Session s;
    VerifyOptions o = {.form = "chunk", .threads = threads};
    o.compile = (CompileOptions){.target = target->name, .cpu = cpu, .chunk = CHUNK};
    double started = case_seconds();
    printf("%s%s%s: largest error as a share of its tolerance\n", name, cpu ? " for " : "", cpu ? cpu : "");
    if (case_open(&c, root, name)) {
        if (CHECK(session_open(&s, &c.diag, c.arena, c.model, &o, PROBES_HIDDEN))) {
            emulated_form(&c, &s, "chunk");
            if (case_has_steps(&s)) emulated_form(&c, &s, "step");
        }
        session_close(&s);
        if (greedy && CHECK(session_open(&s, &c.diag, c.arena, c.model, &o, PROBES_NONE)))
            case_greedy(&c, &s, "chunk", threads);
        if (greedy) session_close(&s);
    }
    case_close(&c);
    printf("  %.1f s\n", case_seconds() - started);
    fflush(stdout);
}

/* Whether programs for the target can be run; else says that they are skipped. */
static inline bool emulated_here(const Target *target) {
    Arena *a = arena_new();
    Diag quiet = diag_new(a, NULL);
    bool yes = emulated_check(&quiet, a, target);
    if (!yes) printf("skipped: %s", quiet.log.s);
    arena_free(a);
    return yes;
}

#endif
