/* What attention multiplies, as pairs of bf16 (attend_block.h). */
#include "attend_block.h"

/* Of a query and a key pair t has the numbers 2t and 2t + 1; of the keys of a panel it has t and half a panel
 * + t, so that weights become pairs vector by vector. */

void attend_query_pairs(const Attend *a, Value *slot, Value *q) {
    LB *b = a->b;
    Value *to = lb_offset(b, a->q, lb_muli(b, slot, a->depth * 4));
    if (a->d % 2) lb_store(b, DT_BF16, to, lb_i64(b, a->d), lb_f32(b, 0), 0);
    TILES_OF (a->l, c, a->d, b->lanes, 1)
        lb_store(b, DT_BF16, to, c.at, lb_load(b, DT_F32, b->lanes, q, c.at, c.tail), c.tail);
}

/* Row t of a panel's pairs; the last number of an odd d stands alone. */
static void key_row(const Attend *a, LwCells from, Value *to, Value *t, bool alone) {
    LB *b = a->b;
    Lower *l = a->l;
    for (int64_t c = 0; c < ATTEND_PANEL; c += b->lanes) {
        Value *at = lb_addi(b, lb_muli(b, t, 2 * ATTEND_PANEL), c), *x = lw_cells_load(l, from, at, 0);
        Value *y = alone ? lw_zero(l) : lw_cells_load(l, from, lb_addi(b, at, ATTEND_PANEL), 0);
        lb_store(b, DT_I32, to, lb_addi(b, lb_muli(b, t, ATTEND_PANEL), c), lb_pair(b, x, y), 0);
    }
}

static void key_pairs(const Attend *a, const Keys *k, Value *padded) {
    LB *b = a->b;
    Value *zero = lb_i64(b, 0);
    KFOR (b, s, zero, padded, ATTEND_PANEL) {
        LwCells from = lw_cells_from(a->l, k->k, lb_muli(b, s, a->d));
        Value *to = lb_offset(b, a->pairs_k, lb_muli(b, s, a->depth * 4));
        KFOR (b, t, zero, lb_i64(b, a->d / 2), 1) key_row(a, from, to, t, false);
        if (a->d % 2) key_row(a, from, to, lb_i64(b, a->d / 2), true);
    }
}

/* A row of pairs of values, of the keys `low` and, if there is one, half a panel behind it. */
static void value_pair(const Attend *a, const Keys *k, Value *low, bool both) {
    LB *b = a->b;
    Lower *l = a->l;
    Value *panel = lb_and(b, low, lb_i64(b, -ATTEND_PANEL)), *zero = lb_i64(b, 0);
    Value *t = lb_sub(b, low, lb_div(b, panel, lb_i64(b, 2))); /* its number */
    Value *to = lb_offset(b, a->pairs_v, lb_muli(b, t, a->width * 4));
    TILES_OF (l, c, a->p, b->lanes, 1) {
        Value *x = mat_load(l, mat_from(l, k->v, low), zero, c.at, c.tail), *y = lw_zero(l);
        if (both) y = mat_load(l, mat_from(l, k->v, lb_addi(b, low, ATTEND_HALF)), zero, c.at, c.tail);
        lb_store(b, DT_I32, to, c.at, lb_pair(b, x, y), 0);
    }
}

/* Of the panels from `first` on. */
static void value_pairs(const Attend *a, const Keys *k, Value *first, Value *count) {
    LB *b = a->b;
    KFOR (b, s, first, count, ATTEND_PANEL) {
        Value *end = lw_min_i64(a->l, count, lb_addi(b, s, ATTEND_HALF));
        Value *both = lb_addi(b, lw_min_i64(a->l, count, lb_addi(b, s, ATTEND_PANEL)), -ATTEND_HALF);
        both = lb_max(b, s, both);
        KFOR (b, low, s, both, 1) value_pair(a, k, low, true);
        KFOR (b, low, both, end, 1) value_pair(a, k, low, false);
    }
}

Mat attend_pairs_of_values(const Attend *a) {
    return mat_of(a->l, (LwCells){a->pairs_v, DT_I32}, a->width);
}

Keys attend_multiplied(const Attend *a, const Keys *block, bool many) {
    LB *b = a->b;
    Keys k = *block;
    if (!a->pairs) return k;
    Value *count = lb_sub(b, k.end, k.from);
    if (!many && a->d % 2 == 0) { /* what may have no partner in memory */
        value_pairs(a, &k, attend_whole_panels(a, count), count);
        return k;
    }
    key_pairs(a, &k, attend_panels(a, count));
    value_pairs(a, &k, lb_i64(b, 0), count);
    k.k = (LwCells){a->pairs_k, DT_I32}, k.v = attend_pairs_of_values(a), k.pairs = true;
    return k;
}
