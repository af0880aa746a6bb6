/* Makes two forms of every function: a step (one token of several sequences) and a chunk (many tokens of one
 * sequence). The text is the same; a row is a sequence in a step and a token in a chunk, and recurrences take other
 * forms. Descriptions never contain a step. A model that reads whole sequences has chunks only.
 *
 *     @main, @mamba   ->   @main, @mamba (kept as written), @main.step, @mamba.step, @main.chunk, @mamba.chunk */
#include <string.h>

#include "pass.h"

static void split(PassCtx *cx, Func *f, Form form) {
    Arena *a = f->module->arena;
    Func *g = ir_func_clone(f, arena_printf(a, "%s.%s", f->name, form_name(form)));
    g->form = form;
    if (!strcmp(f->name, "main")) attr_set(a, &g->attrs, (Attr){.name = "main", .kind = AT_BOOL, .i = 1});
    OPS_OF (g->body, op) {
        if (op->def->pattern == PAT_CALL)
            op_set_str(g, op, "func", arena_printf(a, "%s.%s", attr_str(op, "func", ""), form_name(form)));
    }
    cx->changed++;
}

static bool run(PassCtx *cx, Module *m) {
    for (Func *f = m->first, *last = m->last; f; f = f == last ? NULL : f->next) {
        if (f->nparams == 0) continue; /* constants of a function */
        if (!cx->options->chunk_only) split(cx, f, FORM_STEP);
        if (!cx->options->step_only) split(cx, f, FORM_CHUNK);
    }
    return true;
}

const Pass pass_split_entry = {"split-entry", "makes of every function a one-token step and a chunk", run};
