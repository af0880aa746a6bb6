/* See kernel_write.h; layouts are in panel.h. */
#include "kernel_write.h"

static Value *mask(LB *b, Value *x, int bits) {
    return lb_and(b, x, lb_i32(b, (1 << bits) - 1));
}

Value *quant_codes(Kernel *k, int c, Value *at, int g) {
    LB *b = &k->b;
    const QuantFormat *f = k->s.w.quant;
    int64_t row = 4 * k->t->panel;
    if (f->bits == 8) return kernel_load(k, DT_I32, c, at, g * row);
    Value *x = kernel_load(k, DT_I32, c, at, g % 4 * row);
    if (g >= 4) x = lb_shr(b, x, lb_i32(b, 4));
    x = lb_and(b, x, lb_i32(b, 0x0f0f0f0f));
    if (f->bits == 4) return x;
    Value *up = kernel_load(k, DT_I32, c, at, (4 + g / 4) * row);
    int shift = 4 - 2 * (g % 4);
    if (shift > 0) up = lb_shl(b, up, lb_i32(b, shift));
    if (shift < 0) up = lb_shr(b, up, lb_i32(b, -shift));
    return lb_or(b, x, lb_and(b, up, lb_i32(b, 0x30303030)));
}

void quant_scales(Kernel *k, Value *group, Vectors *d) {
    for (int c = 0; c < kernel_columns(k); c++) d->v[c] = kernel_load(k, QUANT_SCALE, c, group, 0);
}

void quant_factors(Kernel *k, Value *group, int u, Vectors *f) {
    LB *b = &k->b;
    int64_t row = (2 + u / 2) * k->t->panel;
    for (int c = 0; c < kernel_columns(k); c++) {
        Value *both = kernel_load(k, DT_U8, c, group, row);
        f->v[c] =
            lb_sub(b, u % 2 ? lb_shr(b, both, lb_i32(b, 4)) : mask(b, both, 4), lb_i32(b, QUANT_FACTOR));
    }
}

/* (code - zero) * scale as code * scale - zero * scale: all of it exact. */
static void part_numbers(Kernel *k, const Part *p) {
    LB *b = &k->b;
    Vectors d = *p->scales, low, four, w;
    if (k->s.w.quant->factors) quant_factors(k, p->group, p->u, &four);
    for (int c = 0; c < kernel_columns(k); c++) {
        if (k->s.w.quant->factors) d.v[c] = lb_mul(b, d.v[c], lb_cast(b, four.v[c], DT_F32));
        low.v[c] = lb_mul(b, d.v[c], lb_f32(b, -k->s.w.quant->zero));
    }
    for (int g = 0; g < QUANT_PART / 4; g++) {
        for (int c = 0; c < kernel_columns(k); c++) four.v[c] = quant_codes(k, c, p->at, g);
        for (int j = 0; j < 4; j++) {
            for (int c = 0; c < kernel_columns(k); c++) {
                Value *u = j ? lb_shr(b, four.v[c], lb_i32(b, 8 * j)) : four.v[c];
                if (j < 3) u = mask(b, u, 8);
                w.v[c] = lb_fma(b, lb_cast(b, u, DT_F32), d.v[c], low.v[c]);
            }
            k->use(k, &w, lb_addi(b, p->input, 4 * g + j));
        }
    }
}

void quant_block_parts(Kernel *k, Value *g, Value *left, const Vectors *scales, PartUse *use) {
    LB *b = &k->b;
    int parts = k->s.w.quant->block / QUANT_PART;
    int64_t bytes = panel_part_bytes(k->s.w, k->t->panel);
    Value *group = kernel_group_at(k, g), *input = lb_muli(b, g, k->s.w.quant->block);
    for (int u = 0; u < (left ? parts - 1 : parts); u++) {
        int64_t behind = panel_scales_bytes(k->s.w, k->t->panel) + u * bytes;
        Part p = {group, u, lb_addi(b, group, behind), lb_addi(b, input, u * QUANT_PART), scales};
        if (left && u) lb_if_begin(b, lb_cmp(b, "gt", left, lb_i64(b, u)));
        kernel_prefetch(k, u ? p.at : group, u ? bytes : behind + bytes);
        use(k, &p);
        if (left && u) lb_if_end(b);
    }
}

void quant_numbers(Kernel *k, Value *g, Value *left) {
    Vectors scales;
    quant_scales(k, kernel_group_at(k, g), &scales);
    quant_block_parts(k, g, left, &scales, part_numbers);
}

void quant_blocks(Kernel *k, BlockUse *each) {
    LB *b = &k->b;
    int parts = k->s.w.quant->block / QUANT_PART;
    Value *whole = lb_div(b, k->parts, lb_i64(b, parts));
    KFOR (b, g, lb_i64(b, 0), whole, 1) each(k, g, NULL);
    if (parts == 1) return;
    Value *left = lb_rem(b, k->parts, lb_i64(b, parts));
    lb_if_begin(b, lb_cmp(b, "gt", left, lb_i64(b, 0)));
    each(k, whole, left);
    lb_if_end(b);
}
