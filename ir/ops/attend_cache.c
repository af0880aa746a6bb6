/* See attend_cache.h. */
#include "attend_cache.h"

#include "attend_lower.h"

LwCells attend_cached_keys(const Attend *a, Value *row, Value *kv) {
    LwCells k = lw_state(a->l, a->op, 0, row);
    return lw_cells_from(a->l, k, lb_muli(a->b, kv, attend_round_up(a->context, ATTEND_PANEL) * a->d));
}

LwCells attend_cached_values(const Attend *a, Value *row, Value *kv) {
    LwCells v = lw_state(a->l, a->op, 1, row);
    return lw_cells_from(a->l, v, lb_muli(a->b, kv, a->context * a->p));
}

void attend_put_key(const Attend *a, LwCells panels, Value *slot, Value *row, Value *kv) {
    LB *b = a->b;
    enum { UNROLL = 8 };
    Value *k = lb_offset(b, lw_row_ptr(a->l, a->op->in[1], row), lb_muli(b, kv, a->d * 4));
    Value *panel = lb_and(b, slot, lb_i64(b, -ATTEND_PANEL)),
          *lane = lb_and(b, slot, lb_i64(b, ATTEND_PANEL - 1));
    LwCells to = lw_cells_from(a->l, panels, lb_add(b, lb_muli(b, panel, a->d), lane));
    int64_t whole = a->d / UNROLL * UNROLL;
    KFOR (b, i, lb_i64(b, 0), lb_i64(b, whole), UNROLL)
        for (int j = 0; j < UNROLL; j++) {
            Value *at = lb_addi(b, i, j);
            lw_cells_store(a->l, to, lb_muli(b, at, ATTEND_PANEL), lb_load(b, DT_F32, 0, k, at, 0), 0);
        }
    for (int64_t i = whole; i < a->d; i++)
        lw_cells_store(a->l, to, lb_i64(b, i * ATTEND_PANEL), lb_load(b, DT_F32, 0, k, lb_i64(b, i), 0), 0);
}

void attend_keep(const Attend *a, Value *lo, Value *hi) {
    LB *b = a->b;
    Lower *l = a->l;
    Value *first = l->row_lo;
    if (l->form != FORM_STEP) /* of one slot's tokens, the last */
        first = lb_max(b, first, lb_addi(b, l->rows, -a->context));
    KFOR (b, row, first, l->row_hi, 1) {
        Value *slot = lb_rem(b, lw_position(l, row), lb_i64(b, a->context));
        KFOR (b, kv, lo, hi, 1) {
            attend_put_key(a, attend_cached_keys(a, row, kv), slot, row, kv);
            LwCells v = attend_cached_values(a, row, kv);
            Value *from = lb_muli(b, kv, a->p), *to = lb_muli(b, slot, a->p);
            LW_SPAN (l, row, NULL, 1, a->p, ix) {
                Value *x = lw_read_flat(l, a->op->in[2], row, lb_add(b, from, ix.i), ix.n);
                lw_cells_store(l, v, lb_add(b, to, ix.i), x, ix.n);
            }
        }
    }
}

int64_t attend_state_elements(const Op *op, int slot, const LowerTarget *t) {
    (void)t;
    Type k = op->in[1]->type, v = op->in[2]->type;
    int64_t context = attr_int(op, "context", 0);
    if (slot == 0) return k.dim[0] * attend_round_up(context, ATTEND_PANEL) * k.dim[1];
    return v.dim[0] * context * v.dim[1];
}

/* To k[context,g,d] and v[context,g,p]. */
void attend_state_unpack(const Op *op, int slot, const LowerTarget *t, int64_t position,
                         const float *physical, double *logical) {
    (void)t, (void)position;
    enum { PANEL = ATTEND_PANEL };
    Type ty = op->in[slot ? 2 : 1]->type;
    int64_t context = attr_int(op, "context", 0), g = ty.dim[0], d = ty.dim[1];
    int64_t slots = slot ? context : attend_round_up(context, PANEL);
    for (int64_t s = 0; s < context; s++)
        for (int64_t j = 0; j < g; j++)
            for (int64_t i = 0; i < d; i++) {
                int64_t at = slot ? s * d + i : s / PANEL * PANEL * d + i * PANEL + s % PANEL;
                logical[(s * g + j) * d + i] = physical[j * slots * d + at];
            }
}
