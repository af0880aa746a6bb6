/* Gives every op with several forms over a chunk the first form that does not refuse, and records why better ones
 * did; `btc report` prints that. */
#include "kernels/op_table.h"
#include "pass.h"

static void choose(PassCtx *cx, Func *f, Op *op) {
    Arena *a = f->module->arena;
    const char *why = NULL;
    if (!cx->options->machine) BTC_BUG("choose-form: for which machine?");
    for (const OpForm *form = op_lowering(op->def)->forms; form->name; form++) {
        const char *no = form->refuse ? form->refuse(op, cx->options->machine, a) : NULL;
        if (no) {
            why = arena_printf(a, "%s%snot %s: %s", why ? why : "", why ? "; " : "", form->name, no);
            continue;
        }
        op_set_str(f, op, "form", form->name);
        if (why) op_set_str(f, op, "why", why);
        cx->changed++;
        return;
    }
}

static bool run(PassCtx *cx, Module *m) {
    for (Func *f = m->first; f; f = f->next)
        OPS_OF (f->body, op) {
            if (f->form == FORM_CHUNK && op_lowering(op->def)->forms) choose(cx, f, op);
        }
    return true;
}

const Pass pass_choose_form = {"choose-form", "gives each recurrence the best form that is legal for it",
                               run};
