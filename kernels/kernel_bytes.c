/* See kernel_write.h: quantised weights as bytes, for products of bytes. A block is one sum in integers. */
#include "kernel_write.h"

int kernel_zero(Storage w) {
    return w.quant->factors ? 128 : w.quant->zero;
}

/* Four bytes for each of the inputs 4g .. 4g+3 of a part, kernel_zero standing for 0. With factors, each byte
 * is factor * code + (128 - 8 * factor), from 0 to 255, so one product of 32 bits makes all four. */
typedef struct Bytes {
    Vectors factor, base;
} Bytes;

static void begin_bytes(Kernel *k, const Part *p, Bytes *y) {
    LB *b = &k->b;
    if (!k->s.w.quant->factors) return;
    quant_factors(k, p->group, p->u, &y->factor);
    for (int c = 0; c < kernel_columns(k); c++) {
        Value *eights = lb_mul(b, y->factor.v[c], lb_i32(b, 0x08080808));
        y->base.v[c] = lb_sub(b, lb_i32(b, (int32_t)0x80808080), eights);
    }
}

static Value *four_bytes(Kernel *k, const Part *p, const Bytes *y, int c, int g) {
    LB *b = &k->b;
    Value *four = quant_codes(k, c, p->at, g);
    if (!k->s.w.quant->factors) return four;
    return lb_add(b, lb_mul(b, four, y->factor.v[c]), y->base.v[c]);
}

/* Sums of a block in integers begin with -zero * sum(x): so bytes count as byte - zero. */
static void begin_ints(Kernel *k, Value *group) {
    LB *b = &k->b;
    RegisterTile ints = kernel_ints(k);
    for (int r = 0; r < k->s.rows; r++) {
        Value *first = lb_splat(b, lb_load(b, DT_I32, 0, k->sp[r], lb_addi(b, lb_muli(b, group, 2), 1), 0));
        for (int c = 0; c < kernel_columns(k); c++) register_tile_set(&ints, r, c, first);
    }
}

static void dot_part(Kernel *k, const Part *p) {
    LB *b = &k->b;
    int cols = kernel_columns(k);
    RegisterTile ints = kernel_ints(k);
    Bytes y;
    begin_bytes(k, p, &y);
    for (int g = 0; g < QUANT_PART / 4; g++) {
        Vectors w;
        for (int c = 0; c < cols; c++) w.v[c] = four_bytes(k, p, &y, c, g);
        for (int r = 0; r < k->s.rows; r++) {
            Value *at = lb_offset(b, k->xp[r], p->input);
            Value *x = lb_splat(b, lb_load(b, DT_I32, 0, at, lb_i64(b, g), 0));
            register_tile_add(&ints, r, w.v, x, lb_dot4);
        }
    }
}

static void end_ints(Kernel *k, Value *group, const Vectors *scales) {
    LB *b = &k->b;
    RegisterTile ints = kernel_ints(k), sums = kernel_sums(k);
    int cols = kernel_columns(k);
    for (int c = 0; c < cols; c++)
        for (int r = 0; r < k->s.rows; r++) {
            Value *dx = lb_splat(b, lb_load(b, DT_F32, 0, k->sp[r], lb_muli(b, group, 2), 0));
            Value *y = lb_mul(b, lb_cast(b, register_tile_get(&ints, r, c), DT_F32), scales->v[c]);
            register_tile_set(&sums, r, c, lb_fma(b, y, dx, register_tile_get(&sums, r, c)));
        }
}

void bytes_dot(Kernel *k, Value *g, Value *left) {
    Vectors scales;
    quant_scales(k, kernel_group_at(k, g), &scales);
    begin_ints(k, g);
    quant_block_parts(k, g, left, &scales, dot_part);
    end_ints(k, g, &scales);
}

/* ---- unpacking ---- */

static Value *bytes_at(Kernel *k, Value *g, int64_t behind) {
    LB *b = &k->b;
    Storage as = kernel_unpacked(k->s.w, MATH_INT8);
    return lb_offset(b, k->sums, lb_addi(b, lb_muli(b, g, panel_group_bytes(as, k->t->panel)), behind));
}

static void store_bytes(Kernel *k, const Part *p) {
    LB *b = &k->b;
    Storage as = kernel_unpacked(k->s.w, MATH_INT8);
    int64_t behind = panel_scales_bytes(as, k->t->panel) + p->u * panel_part_bytes(as, k->t->panel);
    Value *to = bytes_at(k, lb_div(b, p->input, lb_i64(b, k->s.w.quant->block)), behind);
    Bytes y;
    begin_bytes(k, p, &y);
    for (int g = 0; g < QUANT_PART / 4; g++)
        for (int c = 0; c < kernel_columns(k); c++)
            lb_store(b, DT_I32, to, lb_i64(b, (int64_t)g * k->t->panel + (int64_t)c * b->lanes),
                     four_bytes(k, p, &y, c, g), 0);
}

void bytes_unpack(Kernel *k, Value *g, Value *left) {
    LB *b = &k->b;
    Vectors scales;
    quant_scales(k, kernel_group_at(k, g), &scales);
    for (int c = 0; c < kernel_columns(k); c++)
        lb_store(b, QUANT_SCALE, bytes_at(k, g, 0), lb_i64(b, (int64_t)c * b->lanes), scales.v[c], 0);
    quant_block_parts(k, g, left, &scales, store_bytes);
}
