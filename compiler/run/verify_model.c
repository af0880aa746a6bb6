/* See verify_model.h. */
#include "verify_model.h"

#include <string.h>

void probes_add_hidden(Module *m) {
    Func *f = ir_func_find(m, "main");
    int k = 0;
    OPS_OF (f->body, op) {
        if (op->def->pattern != PAT_CALL) continue;
        if (k == 0) ir_result_add(f, "hidden.0", op->in[0]);
        ir_result_add(f, arena_printf(m->arena, "hidden.%d", ++k), op->out[0]);
    }
}

bool probe_is_possible(const Value *v) {
    return v->def && v->type.seq && (v->type.dt == DT_F32 || v->type.dt == DT_I32) &&
           v->def->def->pattern != PAT_VIEW;
}

static bool is_result(const Func *f, const Value *v) {
    for (int i = 0; i < f->nresults; i++)
        if (f->results[i] == v) return true;
    return false;
}

static const Value *find_in(const Func *f, const char *name) {
    OPS_OF (f->body, op)
        for (int i = 0; i < op->nout; i++)
            if (!strcmp(op->out[i]->name, name)) return op->out[i];
    return NULL;
}

/* Whether the filter shows v in any call of its function. */
static bool shown_in_any(const Func *main_func, const Func *g, const ProbeFilter *filter, const Value *v) {
    int k = 0;
    OPS_OF (main_func->body, op) {
        if (op->def->pattern != PAT_CALL) continue;
        if (!strcmp(attr_str(op, "func", ""), g->name) && filter->shows(filter->user, k, v)) return true;
        k++;
    }
    return false;
}

/* What is shown of v: itself, or where it has whole numbers a copy of them as f32. */
static Value *shown_value(Diag *d, Func *f, Value *v) {
    if (v->type.dt == DT_F32) return v;
    Op *op = ir_build(d, f, f->body, "copy", &v, 1, NULL, NULL, 1, NULL, v->def->loc);
    return op ? op->out[0] : NULL;
}

static void widen_block(Diag *d, const Func *main_func, Func *g, const ProbeFilter *filter) {
    OPS_OF (g->body, op)
        for (int i = 0; i < op->nout; i++) {
            Value *v = op->out[i];
            if (probe_is_possible(v) && !is_result(g, v) && shown_in_any(main_func, g, filter, v))
                ir_result_add(g, v->name, shown_value(d, g, v));
        }
}

/* Appends results to a call for the results that its block has gained. */
static void widen_call(Func *f, Op *op, const Func *callee) {
    Value **out = ARENA_ARRAY(f->module->arena, Value *, callee->nresults);
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

/* The results that call number k has gained, as far as they are shown in it. */
static void show_call(Func *f, Op *call, int k, const ProbeFilter *filter, ProbeList *probes) {
    Arena *a = f->module->arena;
    const Func *g = ir_func_find(f->module, attr_str(call, "func", ""));
    int had = call->nout;
    widen_call(f, call, g);
    for (int i = had; i < call->nout; i++) {
        const char *name = g->result_names[i];
        if (!filter->shows(filter->user, k, find_in(g, name))) continue;
        ir_result_add(f, arena_printf(a, "block %d: %%%s", k + 1, name), call->out[i]);
        Probe probe = {k, name};
        ARENA_PUSH(a, probes->items, probes->n, probes->cap, probe);
    }
}

void probes_add_values(Diag *d, Module *m, const ProbeFilter *filter, ProbeList *probes) {
    Func *f = ir_func_find(m, "main");
    *probes = (ProbeList){0};
    probes_add_hidden(m);
    for (int i = 1; i < f->nresults; i++) {
        Probe probe = {-1, f->results[i]->name};
        ARENA_PUSH(m->arena, probes->items, probes->n, probes->cap, probe);
    }
    for (Func *g = m->first; g; g = g->next)
        if (g != f) widen_block(d, f, g, filter);
    int k = 0;
    OPS_OF (f->body, op) {
        int own = op->nout;
        if (op->def->pattern == PAT_CALL) show_call(f, op, k++, filter, probes);
        for (int i = 0; i < own; i++) {
            Value *v = op->out[i];
            if (!probe_is_possible(v) || is_result(f, v) || !filter->shows(filter->user, -1, v)) continue;
            ir_result_add(f, arena_printf(m->arena, "%%%s", v->name), shown_value(d, f, v));
            Probe probe = {-1, v->name};
            ARENA_PUSH(m->arena, probes->items, probes->n, probes->cap, probe);
        }
    }
}

const Value *probe_find(const Module *m, const Probe *t) {
    const Func *f = ir_func_find(m, "main");
    if (t->call < 0) return find_in(f, t->value);
    int k = 0;
    OPS_OF (f->body, op)
        if (op->def->pattern == PAT_CALL && k++ == t->call)
            return find_in(ir_func_find(m, attr_str(op, "func", "")), t->value);
    return NULL;
}
