/* From a schedule to loop functions: see module.h. */
#include "module.h"

#include <string.h>

#include "lower.h"
#include "op_table.h"
#include "threads.h"
#include "worker.h"

/* Loads what the API hands out: rows, this worker's part of rows and units, memory. tile: of a tile loop. */
static void open_stage(Lower *l, Value *tile) {
    LB *b = &l->b;
    const Stage *s = l->stage;
    worker_load_call(l);
    l->worker_memory = lw_worker_memory(l);
    Share part = worker_share(l, s);
    if (tile) {
        part.lo = lb_add(b, part.lo, lb_muli(b, tile, s->tile));
        part.hi = lw_min_i64(l, part.hi, lb_addi(b, part.lo, s->tile));
    }
    bool channels = s->axis == AXIS_CHANNELS;
    l->row_lo = channels ? s->out_rows ? l->out_begin : lb_i64(b, 0) : part.lo;
    l->row_hi = channels ? stage_rows(l, s) : part.hi;
    l->unit_lo = channels ? lb_muli(b, part.lo, s->units / s->shares) : lb_i64(b, 0);
    l->unit_hi = channels ? lb_muli(b, part.hi, s->units / s->shares)
                          : lb_i64(b, s->access.units ? s->access.units : 1);
}

static void lower_stage(Lower *l, Func *lf, Stage *s) {
    l->stage = s;
    l->scratch_used = l->scratch_peak = 0;
    l->plan->gen++; /* vectors at hand belong to the function that was written before */
    worker_open(l, lf);
    open_stage(l, s->tile ? ir_param_add(lf, "tile", type_scalar(DT_I64, 0)) : NULL);
    l->b.loc = s->anchor ? s->anchor->loc : s->epilogue[0]->loc;
    if (s->deferred_store) {
        op_lowering(s->anchor->def)->store_state(l, s->anchor);
    } else if (s->anchor) {
        const char *form = attr_str(s->anchor, "form", NULL);
        const OpLowering *lowering = op_lowering(s->anchor->def);
        void (*lower)(Lower *, Op *) = lowering->lower;
        for (const OpForm *f = lowering->forms; f && f->name && form; f++)
            if (!strcmp(f->name, form)) lower = f->lower;
        if (!lower) BTC_BUG("op %s has no lowering", s->anchor->def->name);
        lower(l, s->anchor);
    } else {
        LW_ROWS (l, row)
            LW_EACH (l, row, ix) {
                l->plan->gen++;
                lower_epilogue(l, &ix);
            }
    }
    s->scratch_bytes = l->scratch_peak;
}

static void lower_stages(Diag *d, Schedule *s, FuncPlan *p, Module *loops) {
    Arena *a = p->arena;
    Lower l = {.diag = d, .arena = a, .t = s->machine, .form = p->f->form, .plan = p};
    l.packs = schedule_packs(s, form_base_name(a, p->f));
    for (int k = 0; k < p->n; k++) {
        Stage *stage = p->stages[k];
        if (stage->is_call) continue;
        Func *lf = ir_func_new(loops, stage->function, LEVEL_LOOP);
        attr_set(a, &lf->attrs, (Attr){.name = "stage", .kind = AT_BOOL, .i = 1});
        lower_stage(&l, lf, stage);
    }
}

bool lower_module(Diag *d, Module *m, const LowerTarget *t, Lowered *out) {
    *out = (Lowered){.loops = ir_module_new(m->arena, m->name)};
    Schedule *s = &out->schedule;
    if (!schedule_plan(d, m, OP_LOWERINGS, t, s)) return false;
    for (int i = 0; i < s->plans.n; i++) lower_stages(d, s, s->plans.plans[i], out->loops);
    schedule_place(s);
    threads_lower(d, s, out->loops);
    return d->errors == 0;
}
