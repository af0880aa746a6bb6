/* Gives every op with several forms over a chunk the first form that does not refuse, or the one that --algorithm names,
 * and records why better ones did; `btc report` prints that. */
#include <string.h>

#include "kernels/op_table.h"
#include "pass.h"

/* One OP:FORM of the list that --algorithm gives; "next" moves on. */
typedef struct Wish {
    const char *op, *form, *next; /* form NULL: there is no colon */
} Wish;

static bool wish_next(Arena *a, Wish *w) {
    if (!w->next || !*w->next) return false;
    size_t n = strcspn(w->next, ","), colon = strcspn(w->next, ":,");
    w->op = arena_strndup(a, w->next, colon);
    w->form = colon < n ? arena_strndup(a, w->next + colon + 1, n - colon - 1) : NULL;
    w->next += n + (w->next[n] == ',');
    return true;
}

static const OpForm *forms_of(const OpDef *def) {
    const OpForm *forms = def ? op_lowering(def)->forms : NULL;
    return forms && forms->name ? forms : NULL;
}

static bool check_wish(Diag *d, const Wish *w) {
    const OpForm *forms = forms_of(op_find(w->op));
    Text names = text_new(d->arena);
    d->usage = true;
    if (!w->form) return diag_error(d, (Loc){0}, "--algorithm: \"%s\" must be OP:FORM", w->op);
    if (!forms)
        return diag_error(d, (Loc){0},
                          "--algorithm: there is no op \"%s\" with forms for chunks (btc list ops)", w->op);
    for (const OpForm *f = forms; f->name; f++) {
        if (!strcmp(f->name, w->form)) return d->usage = false, true;
        text_add(&names, "%s\"%s\"", f == forms ? "" : ", ", f->name);
    }
    return diag_error(d, (Loc){0}, "--algorithm: %s has no form \"%s\"; there are: %s", w->op, w->form,
                      names.s);
}

bool check_form_names(Diag *d, const PassOptions *o) {
    Wish w = {.next = o->algorithm};
    while (wish_next(d->arena, &w))
        if (!check_wish(d, &w)) return false;
    return true;
}

static const char *cannot(PassCtx *cx, const OpForm *form, const Op *op, Arena *a) {
    return form->cannot ? form->cannot(op, cx->options->machine, a) : NULL;
}

static bool choose_wished(PassCtx *cx, Func *f, Op *op, const char *name) {
    for (const OpForm *form = op_lowering(op->def)->forms; form->name; form++) {
        if (strcmp(form->name, name) != 0) continue;
        const char *no = cannot(cx, form, op, f->module->arena);
        if (no)
            return diag_error(cx->diag, op->loc, "%s cannot be %s, as --algorithm asks: %s", op->def->name,
                              name, no);
        op_set_str(f, op, "form", name);
        op_set_str(f, op, "why", "--algorithm asks for it");
        return cx->changed++, true;
    }
    return true;
}

static void choose(PassCtx *cx, Func *f, Op *op) {
    Arena *a = f->module->arena;
    const char *why = NULL;
    for (const OpForm *form = op_lowering(op->def)->forms; form->name; form++) {
        const char *no = cannot(cx, form, op, a);
        if (!no && form->refuse) no = form->refuse(op, cx->options->machine, a);
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

/* The form that is wished for an op, or NULL. */
static const char *wished(PassCtx *cx, const Op *op) {
    Wish w = {.next = cx->options->algorithm};
    const char *form = NULL;
    while (wish_next(cx->diag->arena, &w))
        if (!strcmp(w.op, op->def->name)) form = w.form;
    return form;
}

static bool run(PassCtx *cx, Module *m) {
    for (Func *f = m->first; f; f = f->next)
        OPS_OF (f->body, op) {
            if (f->form != FORM_CHUNK || !op_lowering(op->def)->forms) continue;
            if (!cx->options->machine) BTC_BUG("choose-form: for which machine?");
            const char *form = wished(cx, op);
            if (!form)
                choose(cx, f, op);
            else if (!choose_wished(cx, f, op, form))
                return false;
        }
    return true;
}

const Pass pass_choose_form = {"choose-form", "gives each recurrence the best form that is legal for it",
                               run};
