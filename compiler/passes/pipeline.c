/* The pass runner: runs, verifies, times and prints. */
#include <string.h>
#include <time.h>

#include "pass.h"

const Pass *const PASSES[] = {
#define PASS(id) &pass_##id,
#include "pipeline.def"
#undef PASS
};
const int PASS_COUNT = sizeof PASSES / sizeof *PASSES;

static double seconds(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static bool known(Diag *d, const char *name, const char *option) {
    const char **names = ARENA_ARRAY(d->arena, const char *, PASS_COUNT);
    for (int i = 0; i < PASS_COUNT; i++) {
        names[i] = PASSES[i]->name;
        if (!strcmp(names[i], name)) return true;
    }
    return diag_usage(d, (Loc){0}, "%s=%s: there is no such pass%s; `btc list passes` shows them", option,
                      name, diag_did_you_mean(d->arena, name, names, PASS_COUNT));
}

bool check_pass_names(Diag *d, const PassOptions *o) {
    if (o->print_after && strcmp(o->print_after, "all") && !known(d, o->print_after, "--print-after"))
        return false;
    return !o->stop_after || known(d, o->stop_after, "--stop-after");
}

bool run_passes(Diag *d, Module *m, const PassOptions *o) {
    if (!check_pass_names(d, o)) return false;
    for (int i = 0; i < PASS_COUNT; i++) {
        const Pass *p = PASSES[i];
        PassCtx cx = {.diag = d, .options = o};
        double start = seconds();
        if (!p->run(&cx, m)) return false;
        if (o->time)
            fprintf(stderr, "%8.3f ms  %-16s %d changes\n", 1e3 * (seconds() - start), p->name, cx.changed);
        if (o->verify && !ir_verify(d, m))
            BTC_BUG("the module is not valid after pass %s:\n%s", p->name, ir_print_module(m->arena, m));
        if (o->print_after && (!strcmp(o->print_after, "all") || !strcmp(o->print_after, p->name))) {
            fprintf(o->print_to, "; after %s%s\n", p->name, cx.changed ? "" : " (unchanged)");
            if (cx.changed || strcmp(o->print_after, "all")) fputs(ir_print_module(m->arena, m), o->print_to);
        }
        if (o->stop_after && !strcmp(o->stop_after, p->name)) break;
    }
    return true;
}
