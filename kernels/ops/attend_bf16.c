/* Operands of attention as pairs of bf16, for bf16 dot products (attend_block.h). */
#include "attend_block.h"

int64_t attend_round_up(int64_t x, int64_t to) {
    return (x + to - 1) / to * to;
}

Value *attend_whole_panels(const Attend *a, Value *count) {
    return lb_and(a->b, count, lb_i64(a->b, -ATTEND_PANEL));
}

/* Pair t of a query or a key holds the numbers 2t and 2t + 1. Pair t of the values of a panel holds those of the keys t
 * and t + half a panel, so that weights become pairs vector by vector. */

void attend_pack_bf16(const Attend *a, Value *to, Value *from) {
    LB *b = a->b;
    if (a->d % 2) lb_store(b, DT_BF16, to, lb_i64(b, a->d), lb_f32(b, 0), 0);
    TILES_OF (a->l, c, a->d, b->lanes, 1)
        lb_store(b, DT_BF16, to, c.at, lb_load(b, DT_F32, b->lanes, from, c.at, c.tail), c.tail);
}

Value *attend_bf16_row(const Attend *a, Value *key) {
    LB *b = a->b;
    Value *panel = attend_whole_panels(a, key), *in_panel = lb_and(b, key, lb_i64(b, ATTEND_HALF - 1));
    return lb_add(b, lb_div(b, panel, lb_i64(b, 2)), in_panel);
}

Value *attend_bf16_rows(const Attend *a, Value *count) {
    LB *b = a->b;
    Value *whole = attend_whole_panels(a, count), *rest = lb_sub(b, count, whole);
    return lb_add(b, lb_div(b, whole, lb_i64(b, 2)), lw_min_i64(a->l, rest, lb_i64(b, ATTEND_HALF)));
}

void attend_put_value(const Attend *a, Mat pairs, Value *slot, Value *row, Value *kv) {
    LB *b = a->b;
    Value *to = attend_bf16_row(a, slot), *from = lb_muli(b, kv, a->p);
    Value *second = lb_cmp(b, "ge", lb_and(b, slot, lb_i64(b, ATTEND_PANEL - 1)), lb_i64(b, ATTEND_HALF));
    Value *shift = lb_select(b, second, lb_i32(b, 16), lb_i32(b, 0));
    Value *keep = lb_select(b, second, lb_i32(b, 0xffff), lb_i32(b, (int32_t)0xffff0000));
    LW_SPAN (a->l, row, NULL, 1, a->p, ix) {
        Value *x = lw_read_flat(a->l, a->op->in[2], row, lb_add(b, from, ix.i), ix.n);
        Value *half = lb_shl(b, lb_pair(b, x, lw_zero(a->l)), shift);
        Value *other = lb_and(b, mat_load(a->l, pairs, to, ix.i, ix.n), keep);
        mat_store(a->l, pairs, to, ix.i, lb_or(b, other, half), ix.n);
    }
}

/* Values of the call's token `low` and, if there is one, of that half a panel behind it. */
static void put_two(const Attend *a, Mat pairs, Mat values, Value *low, bool both) {
    Lower *l = a->l;
    LB *b = a->b;
    Value *to = attend_bf16_row(a, low);
    TILES_OF (l, c, a->p, b->lanes, 1) {
        Value *x = mat_load(l, values, low, c.at, c.tail), *y = lw_zero(l);
        if (both) y = mat_load(l, values, lb_addi(b, low, ATTEND_HALF), c.at, c.tail);
        mat_store(l, pairs, to, c.at, lb_pair(b, x, y), c.tail);
    }
}

void attend_put_values(const Attend *a, Mat pairs, Mat values, Value *count) {
    LB *b = a->b;
    KFOR (b, s, lb_i64(b, 0), count, ATTEND_PANEL) {
        Value *end = lw_min_i64(a->l, count, lb_addi(b, s, ATTEND_HALF));
        Value *both = lb_addi(b, lw_min_i64(a->l, count, lb_addi(b, s, ATTEND_PANEL)), -ATTEND_HALF);
        both = lb_max(b, s, both);
        KFOR (b, low, s, both, 1) put_two(a, pairs, values, low, true);
        KFOR (b, low, both, end, 1) put_two(a, pairs, values, low, false);
    }
}
