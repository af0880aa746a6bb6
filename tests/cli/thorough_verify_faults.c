/* Every fault of faults.h in every arithmetic; the table of what was found. At least 19 of 20 must be found
 * in each, with the right block and op. thorough_verify_faults [CONFORMANCE] */
#include "cli/faults.h"

int main(int argc, char **argv) {
    const char *cases = argc > 1 ? argv[1] : "tests/conformance";
    const char *only = getenv("BTC_FAULT");
    for (const Variant *w = VARIANTS; w < VARIANTS + VARIANT_COUNT; w++) {
        int found = 0, named = 0, all = 0;
        for (const Fault *f = FAULTS; f < FAULTS + FAULT_COUNT; f++) {
            if (only && !strstr(f->name, only)) continue;
            Arena *a = arena_new();
            Outcome o = verify_with(a, cases, f, f->model, f->form, w);
            CHECK(o.seeded);
            all++, found += o.found, named += o.named;
            printf("  %-10s %-40s %-10s %s\n", w->name, f->name,
                   !o.seeded ? "not seeded"
                   : o.named ? "named"
                   : o.found ? "found"
                             : "MISSED",
                   o.said);
            fflush(stdout);
            arena_free(a);
        }
        printf("%s: %d of %d found, %d with block and op\n", w->name, found, all, named);
        CHECK(found >= all - 1 && named >= all - 1);
    }
    return check_report("cli/verify_faults");
}
