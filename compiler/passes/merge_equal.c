/* Common subexpressions: a stateless op with the same operands and attributes as an earlier op is replaced by it. */
#include <string.h>

#include "pass.h"

static bool same_attr(const Attr *a, const Attr *b) {
    if (a->kind != b->kind || a->i != b->i || a->n != b->n) return false;
    if (memcmp(&a->f, &b->f, sizeof a->f)) return false;
    if ((a->s == NULL) != (b->s == NULL) || (a->s && strcmp(a->s, b->s))) return false;
    if (a->ints && memcmp(a->ints, b->ints, sizeof *a->ints * (size_t)a->n)) return false;
    return !a->floats || !memcmp(a->floats, b->floats, sizeof *a->floats * (size_t)a->n);
}

static bool same_op(const Op *a, const Op *b) {
    if (a->def != b->def || a->nin != b->nin || a->nout != b->nout) return false;
    for (int i = 0; i < a->nin; i++)
        if (a->in[i] != b->in[i]) return false;
    int na = 0, nb = 0;
    for (const Attr *t = a->attrs; t; t = t->next, na++) {
        const Attr *u = attr_find(b->attrs, t->name);
        if (!u || !same_attr(t, u)) return false;
    }
    for (const Attr *t = b->attrs; t; t = t->next) nb++;
    return na == nb;
}

static bool run(PassCtx *cx, Module *m) {
    for (Func *f = m->first; f; f = f->next)
        for (Op *op = f->body->first, *next; op; op = next) {
            next = op->next;
            if (op->def->pattern == PAT_CALL || op->def->state) continue;
            for (Op *e = f->body->first; e != op; e = e->next) {
                if (!same_op(e, op)) continue;
                for (int i = 0; i < op->nout; i++) ir_replace_uses(f, op->out[i], e->out[i]);
                ir_remove(op);
                cx->changed++;
                break;
            }
        }
    return true;
}

const Pass pass_merge_equal = {"merge-equal", "makes equal ops one", run};
