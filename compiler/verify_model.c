/* Making the inside of a model visible: taps are further results of main. */
#include "verify_model.h"

#include <string.h>

void taps_add_hidden(Module *m) {
    Func *f = ir_func_find(m, "main");
    int k = 0;
    OPS_OF (f->body, op) {
        if (op->def->pattern != PAT_CALL) continue;
        if (k == 0) ir_result_add(f, "hidden.0", op->in[0]);
        ir_result_add(f, arena_printf(m->arena, "hidden.%d", ++k), op->out[0]);
    }
}

/* Appends results to a call for the results that its block has gained. */
static void widen_call(Func *f, Op *op, const Func *callee) {
    Arena *a = f->module->arena;
    Value **out = ARENA_ARRAY(a, Value *, callee->nresults);
    for (int i = 0; i < callee->nresults; i++) {
        if (i < op->nout) {
            out[i] = op->out[i];
            continue;
        }
        out[i] = ir_value_new(f, callee->results[i]->name, callee->results[i]->type);
        out[i]->def = op, out[i]->index = i;
    }
    op->out = out, op->nout = callee->nresults;
}

int taps_add_values(Module *m, const char *block, int call) {
    Func *g = ir_func_find(m, block), *f = ir_func_find(m, "main");
    int first = g->nresults, k = 0, added = 0;
    OPS_OF (g->body, op) {
        for (int i = 0; i < op->nout && i < 1; i++) {
            Value *v = op->out[i];
            if (!v->type.seq || v->type.dt != DT_F32 || op->def->pattern == PAT_LEAF) continue;
            if (g->nresults < 48) ir_result_add(g, v->name, v);
        }
    }
    OPS_OF (f->body, op) {
        if (op->def->pattern != PAT_CALL) continue;
        bool mine = !strcmp(attr_str(op, "func", ""), block);
        if (mine) widen_call(f, op, g);
        for (int i = first; mine && k == call && i < g->nresults; i++, added++) {
            const Op *maker = g->results[i]->def;
            const char *name =
                arena_printf(m->arena, "op %d: %%%s = %s", added, g->results[i]->name, maker->def->name);
            ir_result_add(f, name, op->out[i]);
        }
        k++;
    }
    return added;
}
