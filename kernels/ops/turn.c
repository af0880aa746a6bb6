#include "kernels/ops/turn.h"

Turn turn_new(Lower *l, Op *op, int64_t planes, bool pairs, int64_t partner) {
    const int64_t *x = op->in[0]->type.dim;
    Turn r = {.l = l, .b = &l->b, .op = op, .h = x[0], .d = x[1], .planes = planes, .pairs = pairs};
    r.partner = partner;
    r.co = lw_scratch(l, turn_entries(&r) * 4), r.si = lw_scratch(l, turn_entries(&r) * 4);
    if (pairs) r.head = lw_scratch(l, (2 * planes + 2 * l->b.lanes) * 4);
    return r;
}

int64_t turn_entries(const Turn *r) {
    return r->pairs ? 2 * r->planes : r->planes;
}

/* Element `from` + i of a head, as the stage's shape sees it. */
static Ix head_ix(const Turn *r, const Ix *span, Value *head, int64_t from) {
    Ix ix = {.row = span->row, .o = r->h > 1 ? head : NULL, .n = span->n, .O = r->h, .I = r->d};
    ix.i = lb_addi(r->b, span->i, from);
    return ix;
}

static Value *table(const Turn *r, Value *p, const Ix *span) {
    return lb_load(r->b, DT_F32, r->b->lanes, p, span->i, span->n);
}

static void copy(Turn *r, Value *row, Value *head, int64_t from, int64_t to) {
    if (from >= to) return;
    LW_SPAN (r->l, row, NULL, 1, to - from, ix) {
        Ix at = head_ix(r, &ix, head, from);
        lw_write(r->l, r->op->out[0], &at, lw_read(r->l, r->op->in[0], &at));
    }
}

static void turn_halves(Turn *r, Value *row, Value *head) {
    LB *b = r->b;
    LW_SPAN (r->l, row, NULL, 1, r->planes, ix) {
        Ix lo = head_ix(r, &ix, head, 0), hi = head_ix(r, &ix, head, r->partner);
        Value *x = lw_read(r->l, r->op->in[0], &lo), *y = lw_read(r->l, r->op->in[0], &hi);
        Value *co = table(r, r->co, &ix), *si = table(r, r->si, &ix);
        lw_write(r->l, r->op->out[0], &lo, lb_fma(b, x, co, lb_neg(b, lb_mul(b, y, si))));
        lw_write(r->l, r->op->out[0], &hi, lb_fma(b, y, co, lb_mul(b, x, si)));
    }
    copy(r, row, head, r->planes, r->partner);
    copy(r, row, head, r->partner + r->planes, r->d);
}

/* y_j = x_j cos + x_(j xor 1) (+-sin): neighbours are loads one element aside, from a copy of the head. */
static void turn_pairs(Turn *r, Value *row, Value *head) {
    LB *b = r->b;
    int w = b->lanes;
    LW_SPAN (r->l, row, NULL, 1, 2 * r->planes, ix) {
        Ix at = head_ix(r, &ix, head, 0);
        lb_store(b, DT_F32, r->head, lb_addi(b, ix.i, w), lb_splat(b, lw_read(r->l, r->op->in[0], &at)),
                 ix.n);
    }
    Value *odd = lb_cmp(b, "ne", lb_and(b, lb_iota(b), lb_i32(b, 1)), lb_i32(b, 0));
    LW_SPAN (r->l, row, NULL, 1, 2 * r->planes, ix) {
        Ix at = head_ix(r, &ix, head, 0);
        Value *x = lb_load(b, DT_F32, w, r->head, lb_addi(b, ix.i, w), 0);
        Value *before = lb_load(b, DT_F32, w, r->head, lb_addi(b, ix.i, w - 1), 0);
        Value *after = lb_load(b, DT_F32, w, r->head, lb_addi(b, ix.i, w + 1), 0);
        Value *si = table(r, r->si, &ix), *other = lb_select(b, odd, before, lb_neg(b, after));
        lw_write(r->l, r->op->out[0], &at, lb_fma(b, x, table(r, r->co, &ix), lb_mul(b, other, si)));
    }
    copy(r, row, head, 2 * r->planes, r->d);
}

void turn_head(Turn *r, Value *row, Value *head) {
    if (r->pairs)
        turn_pairs(r, row, head);
    else
        turn_halves(r, row, head);
}
