/* The pass runner: says it, runs it, checks it, prints it. */
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

bool op_is_constant(const Op *op) {
    if (op->def->pattern == PAT_CALL || op->nout == 0) return false;
    for (int i = 0; i < op->nin; i++)
        if (op->in[i] && (!op->in[i]->def || op->in[i]->type.seq)) return false;
    for (int i = 0; i < op->nout; i++)
        if (op->out[i]->type.seq || op->out[i]->type.kind != TY_TENSOR) return false;
    return true;
}

Op *build_before(PassCtx *cx, Func *f, Op *at, const char *name, Value *const *in, int nin, Attr *attrs) {
    Op *op = ir_build(cx->diag, f, f->body, name, in, nin, attrs, NULL, 1, NULL, at->loc);
    if (!op) return NULL;
    ir_remove(op);
    ir_insert_before(at, op);
    return op;
}

void use_result(PassCtx *cx, Func *f, Op *op, int k, Op *made, const char *suffix) {
    const char *name = arena_printf(f->module->arena, "%s.%s", op->in[0]->name, suffix);
    made->out[0]->name = ir_fresh_name(f, name);
    op->in[k] = made->out[0];
    cx->changed++;
}

void drop_states(Func *f, const Op *op) {
    int kept = 0;
    for (int i = 0; i < f->nstates; i++) {
        bool owned = false;
        for (int k = op->nin - op_state_count(op->def); k < op->nin; k++)
            owned |= f->states[i].in == op->in[k];
        if (!owned) f->states[kept++] = f->states[i];
    }
    f->nstates = kept;
}
