/* See kernel_write.h: int8 dot products of weights in blocks. A sum of integers covers format_sum inputs: a block, or the
 * inputs that share a factor. */
#include "kernel_write.h"

/* ---- bytes ---- */

/* Where factors fold into bytes, each byte is factor * code + (128 - zero * factor), from 0 to 255, so one product of
 * 32 bits makes all four. */
typedef struct Fold {
    Vectors factor, base;
} Fold;

static void begin_fold(Kernel *k, const Part *p, Fold *y) {
    LB *b = &k->b;
    const NumberFormat *f = k->s.w;
    if (!f->fold) return;
    block_factors(k, p->block, p->u * PANEL_READ / f->sub, false, &y->factor);
    for (int c = 0; c < kernel_columns(k); c++) {
        Value *zeros = lb_mul(b, y->factor.v[c], lb_i32(b, 0x01010101 * f->zero));
        y->base.v[c] = lb_sub(b, lb_i32(b, (int32_t)0x80808080), zeros);
    }
}

/* Four bytes for each of the inputs 4g .. 4g+3 of a part. */
static Value *four_bytes(Kernel *k, const Part *p, const Fold *y, int c, int g) {
    LB *b = &k->b;
    Value *four = block_codes(k, c, p->at, g);
    if (!k->s.w->fold) return four;
    return lb_add(b, lb_mul(b, four, y->factor.v[c]), y->base.v[c]);
}

/* ---- sums ---- */

/* What stands beside the inputs of sum number `index`: its scale (0), and where it begins (1). */
static Value *beside(Kernel *k, int r, Value *index, int which) {
    LB *b = &k->b;
    Value *at = lb_addi(b, lb_muli(b, index, k->s.math->scale_bytes / 4), which);
    return lb_load(b, which ? DT_I32 : DT_F32, 0, k->sp[r], at, 0);
}

/* Sums of integers begin with -zero * sum(x): so bytes count as byte - zero. */
static void begin_ints(Kernel *k, Value *index) {
    LB *b = &k->b;
    RegisterTile ints = kernel_ints(k);
    for (int r = 0; r < k->s.rows; r++) {
        Value *first = lb_splat(b, k->s.w->minimum ? lb_i32(b, 0) : beside(k, r, index, 1));
        for (int c = 0; c < kernel_columns(k); c++) register_tile_set(&ints, r, c, first);
    }
}

/* sum * scale of the weights * scale of the inputs; and minimum * (sum of the inputs). */
static void end_ints(Kernel *k, Value *index, const Scales *s) {
    LB *b = &k->b;
    RegisterTile ints = kernel_ints(k), sums = kernel_sums(k);
    int cols = kernel_columns(k);
    for (int c = 0; c < cols; c++)
        for (int r = 0; r < k->s.rows; r++) {
            Value *dx = lb_splat(b, beside(k, r, index, 0));
            Value *y = lb_mul(b, lb_cast(b, register_tile_get(&ints, r, c), DT_F32), s->scale.v[c]);
            Value *sum = lb_fma(b, y, dx, register_tile_get(&sums, r, c));
            if (k->s.w->minimum) {
                Value *inputs = lb_mul(b, lb_cast(b, lb_splat(b, beside(k, r, index, 1)), DT_F32), dx);
                sum = lb_fma(b, inputs, s->low.v[c], sum);
            }
            register_tile_set(&sums, r, c, sum);
        }
}

static void dot_fours(Kernel *k, const Part *p, const Fold *y, int g, int end) {
    LB *b = &k->b;
    RegisterTile ints = kernel_ints(k);
    for (; g < end; g++) {
        Vectors w;
        for (int c = 0; c < kernel_columns(k); c++) w.v[c] = four_bytes(k, p, y, c, g);
        for (int r = 0; r < k->s.rows; r++) {
            Value *at = lb_offset(b, k->xp[r], p->input);
            Value *x = lb_splat(b, lb_load(b, DT_I32, 0, at, lb_i64(b, g), 0));
            register_tile_add(&ints, r, w.v, x, lb_dot4);
        }
    }
}

static void dot_part(Kernel *k, const Part *p) {
    LB *b = &k->b;
    int each = format_sum(k->s.w);
    Fold y;
    begin_fold(k, p, &y);
    if (each == k->s.w->block) {
        dot_fours(k, p, &y, 0, PANEL_READ / 4);
        return;
    }
    for (int first = 0; first < PANEL_READ; first += each) { /* several sums in a block, none beyond a part */
        Value *index =
            lb_addi(b, lb_muli(b, p->index, k->s.w->block / each), (p->u * PANEL_READ + first) / each);
        Scales s;
        part_scales(k, p, first, &s);
        begin_ints(k, index);
        dot_fours(k, p, &y, first / 4, (first + each) / 4);
        end_ints(k, index, &s);
    }
}

void int8_dot(Kernel *k, Value *g, Value *left) {
    bool one_sum = format_sum(k->s.w) == k->s.w->block;
    Scales scales;
    block_scales(k, kernel_group_at(k, g), &scales);
    if (one_sum) begin_ints(k, g);
    block_parts(k, g, left, &scales, dot_part);
    if (one_sum) end_ints(k, g, &scales);
}

/* ---- dequantizing ---- */

static Value *bytes_at(Kernel *k, Value *g, int64_t behind) {
    LB *b = &k->b;
    const NumberFormat *as = kernel_dequantized(k->s.w, k->s.math);
    return lb_offset(b, k->sums, lb_addi(b, lb_muli(b, g, panel_group_bytes(as, k->t->panel)), behind));
}

static void store_bytes(Kernel *k, const Part *p) {
    LB *b = &k->b;
    const NumberFormat *as = kernel_dequantized(k->s.w, k->s.math);
    int64_t behind = panel_scales_bytes(as, k->t->panel) + p->u * panel_part_bytes(as, k->t->panel);
    Value *to = bytes_at(k, p->index, behind);
    Fold y;
    begin_fold(k, p, &y);
    for (int g = 0; g < PANEL_READ / 4; g++)
        for (int c = 0; c < kernel_columns(k); c++)
            lb_store(b, DT_I32, to, lb_i64(b, (int64_t)g * k->t->panel + (int64_t)c * b->lanes),
                     four_bytes(k, p, &y, c, g), 0);
}

void int8_dequantize(Kernel *k, Value *g, Value *left) {
    LB *b = &k->b;
    Scales scales;
    block_scales(k, kernel_group_at(k, g), &scales);
    for (int c = 0; c < kernel_columns(k); c++)
        lb_store(b, DT_BF16, bytes_at(k, g, 0), lb_i64(b, (int64_t)c * b->lanes), scales.scale.v[c], 0);
    block_parts(k, g, left, &scales, store_bytes);
}
