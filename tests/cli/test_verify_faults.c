/* Faults of a compiler that verify has to find, each in one arithmetic: thorough_verify_faults.c has them in
 * all. And without any it has to find nothing.
 *     test_verify_faults [CONFORMANCE] */
#include "cli/faults.h"

int main(int argc, char **argv) {
    const char *cases = argc > 1 ? argv[1] : "tests/conformance";
    for (int i = 0; i < FAULT_COUNT; i++) {
        const Fault *f = &FAULTS[i];
        const Variant *w = &VARIANTS[i % VARIANT_COUNT];
        Arena *a = arena_new();
        Outcome o = verify_with(a, cases, f, f->model, f->form, w);
        if (!CHECK(o.seeded) || !CHECK(o.found) || !CHECK(o.named))
            fprintf(stderr, "    %s, %s: %s\n", f->name, w->name, o.said);
        arena_free(a);
    }
    return check_report("cli/verify_faults");
}
