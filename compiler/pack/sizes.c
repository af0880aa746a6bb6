/* Sizes that no machine has are refused before anything is compiled: the user gives chunk, batch and context as plain
 * numbers, and memory for them is only allocated when the model runs. */
#include "sizes.h"

#include "base/units.h"

/* Bytes of one value or state; of the memory of a call with one thread; of a sequence's state. */
static const int64_t MOST_VALUE = (int64_t)1 << 40, MOST_WORK = (int64_t)1 << 36,
                     MOST_STATE = (int64_t)1 << 40;

/* What a call needs follows from the numbers of tokens and of sequences. The larger one is named, as it was
 * given: an option, or a number of a tuning file. most: about how many would do. */
static bool too_much(Diag *d, const CompileOptions *o, const Compiled *c, const char *need, double share) {
    bool batch = c->lower.max_rows_step > c->lower.chunk, file = !batch && !o->chunk && c->tuning_from;
    int rows = batch ? c->lower.max_rows_step : c->lower.chunk, fit = (int)(rows * share);
    Loc loc = {.file = file ? c->tuning_from : NULL, .path = file ? "numbers.chunk" : NULL};
    return diag_error(
        d, loc, "%s%d: a call would need %s, and at most %s can be had; for this model at most about %d",
        file    ? ""
        : batch ? "--batch="
                : "--chunk=",
        rows, need, units_bytes(d->arena, (double)MOST_WORK), fit > 0 ? fit : 1);
}

static bool check_value(Diag *d, const CompileOptions *o, const Compiled *c, const Op *op, Type t, int rows) {
    int64_t n = t.kind == TY_TENSOR && t.seq ? type_count(t) : 0;
    double bytes = 4.0 * (double)n * rows;
    if (bytes <= (double)MOST_VALUE) return true;
    if (4.0 * (double)n > (double)MOST_VALUE)
        return diag_error(d, op->loc, "%s: %s for every token is more than can be had", op->def->name,
                          units_bytes(d->arena, 4.0 * (double)n));
    return too_much(d, o, c, units_bytes(d->arena, bytes), (double)MOST_WORK / bytes);
}

static bool check_state(Diag *d, const Func *f, const State *s) {
    double bytes = 4.0 * (double)type_count(s->type);
    return bytes <= (double)MOST_STATE ||
           diag_error(d, f->loc,
                      "state %s of @%s takes %s, and at most %s can be had: give a shorter context", s->name,
                      f->name, units_bytes(d->arena, bytes), units_bytes(d->arena, (double)MOST_STATE));
}

bool sizes_check_values(Diag *d, const Model *m, const CompileOptions *o, const Compiled *c) {
    for (const Func *f = m->module->first; f; f = f->next) {
        int rows = f->form == FORM_STEP ? c->lower.max_rows_step : c->lower.chunk;
        for (int k = 0; k < f->nstates; k++)
            if (!check_state(d, f, &f->states[k])) return false;
        OPS_OF (f->body, op)
            for (int i = 0; i < op->nout; i++)
                if (!check_value(d, o, c, op, op->out[i]->type, rows)) return false;
    }
    return true;
}

/* Indices are as wide as addresses. */
static bool check_addresses(Diag *d, const Model *m, const Compiled *c, double most) {
    return c->target.pointer_bytes > 4 || most <= INT32_MAX ||
           diag_error(d, (Loc){.file = m->path}, "%s would have to address %s, which 32 bits do not",
                      c->target.target->name, units_bytes(d->arena, most));
}

bool sizes_check_blocks(Diag *d, const Model *m, const CompileOptions *o, const Compiled *c) {
    const Schedule *l = &c->lowered.schedule;
    double work = (double)l->shared_bytes + (double)l->worker_bytes;
    if (work > (double)MOST_WORK)
        return too_much(d, o, c, units_bytes(d->arena, work), (double)MOST_WORK / work);
    double most = (double)(l->state_bytes > l->weight_bytes ? l->state_bytes : l->weight_bytes);
    if (!check_addresses(d, m, c, work > most ? work : most)) return false;
    return l->state_bytes <= MOST_STATE ||
           diag_error(
               d, (Loc){.file = m->path},
               "a sequence's state would take %s, and at most %s can be had: give a shorter context, or "
               "--state=bf16",
               units_bytes(d->arena, (double)l->state_bytes), units_bytes(d->arena, (double)MOST_STATE));
}
