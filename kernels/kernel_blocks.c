/* See kernel_write.h: weights in blocks, whatever their format; layouts are in formats/panel.h. */
#include "kernel_write.h"

/* ---- codes ---- */

/* `bits` bits of each byte, from bit `first` on, moved to bit `to`. */
static Value *bits_of_bytes(LB *b, Value *x, int bits, int first, int to) {
    int shift = to - first;
    if (shift > 0) x = lb_shl(b, x, lb_i32(b, shift));
    if (shift < 0) x = lb_shr(b, x, lb_i32(b, -shift));
    return bits == 8 ? x
                     : lb_and(b, x, lb_i32(b, (int32_t)(0x01010101u * (uint32_t)((1 << bits) - 1) << to)));
}

/* As lb_lookup, on a machine of few lanes: byte by byte. */
static Value *lookup_bytes(LB *b, Value *x, const uint8_t *table) {
    Value *out = NULL;
    for (int j = 0; j < 4; j++) {
        Value *at = lb_and(b, lb_shr(b, x, lb_i32(b, 8 * j)), lb_i32(b, 15)), *word = NULL;
        for (int i = 0; i < 4; i++) {
            int32_t bits = (int32_t)((uint32_t)table[4 * i] | (uint32_t)table[4 * i + 1] << 8 |
                                     (uint32_t)table[4 * i + 2] << 16 | (uint32_t)table[4 * i + 3] << 24);
            Value *here = lb_splat(b, lb_i32(b, bits));
            word = word ? lb_select(b, lb_cmp(b, "ge", at, lb_i32(b, 4 * i)), here, word) : here;
        }
        Value *shift = lb_shl(b, lb_and(b, at, lb_i32(b, 3)), lb_i32(b, 3));
        Value *byte = lb_shl(b, lb_and(b, lb_shr(b, word, shift), lb_i32(b, 255)), lb_i32(b, 8 * j));
        out = out ? lb_or(b, out, byte) : byte;
    }
    return out;
}

Value *block_codes(Kernel *k, int c, Value *at, int g) {
    LB *b = &k->b;
    const NumberFormat *f = k->s.w;
    Plane planes[3];
    Value *codes = NULL;
    for (int i = 0, n = panel_planes(f, planes); i < n; i++) {
        int bits = planes[i].bits;
        Value *x = kernel_load(k, DT_I32, c, at, (planes[i].row + g % bits) * 4 * k->t->panel);
        x = bits_of_bytes(b, x, bits, g / bits * bits, planes[i].first);
        codes = codes ? lb_or(b, codes, x) : x;
    }
    if (!f->table) return codes;
    return k->table[c] ? lb_lookup(b, codes, k->table[c]) : lookup_bytes(b, codes, f->table);
}

/* ---- scales ---- */

static Value *load_scale(Kernel *k, int c, Value *at, int64_t i) {
    LB *b = &k->b;
    ScaleKind kind = k->s.w->scale;
    if (kind != SCALE_EXPONENT) return kernel_load(k, kind == SCALE_F16 ? DT_F16 : DT_BF16, c, at, i);
    return lb_bits(b, lb_shl(b, kernel_load(k, DT_U8, c, at, i), lb_i32(b, 23)), DT_F32);
}

void block_scales(Kernel *k, Value *block, Scales *s) {
    int64_t next = (int64_t)format_scale_bytes(k->s.w->scale) * k->t->panel;
    for (int c = 0; c < kernel_columns(k); c++) {
        s->scale.v[c] = load_scale(k, c, block, 0);
        s->low.v[c] = k->s.w->minimum ? load_scale(k, c, block, next) : NULL;
    }
}

void block_factors(Kernel *k, Value *block, int i, bool minimum, Vectors *f) {
    LB *b = &k->b;
    const NumberFormat *format = k->s.w;
    FactorPlace at = panel_factor(format, i, minimum, k->t->panel);
    for (int c = 0; c < kernel_columns(k); c++) {
        Value *x = kernel_load(k, DT_U8, c, block, at.row);
        if (at.bit) x = lb_shr(b, x, lb_i32(b, at.bit));
        if (!at.bit && format->factor_bits < 8) x = lb_and(b, x, lb_i32(b, (1 << format->factor_bits) - 1));
        f->v[c] = format->factor_zero ? lb_sub(b, x, lb_i32(b, format->factor_zero)) : x;
    }
}

static void scale_by_factors(Kernel *k, Value *block, int i, bool minimum, Vectors *v) {
    LB *b = &k->b;
    Vectors factors;
    block_factors(k, block, i, minimum, &factors);
    for (int c = 0; c < kernel_columns(k); c++)
        v->v[c] = lb_mul(b, v->v[c], lb_cast(b, factors.v[c], DT_F32));
}

void part_scales(Kernel *k, const Part *p, int first, Scales *s) {
    const NumberFormat *f = k->s.w;
    int i = (p->u * PANEL_READ + first) / f->sub;
    *s = *p->of_block;
    if (!f->factor_bits) return;
    scale_by_factors(k, p->block, i, false, &s->scale);
    if (f->minimum) scale_by_factors(k, p->block, i, true, &s->low);
}

/* ---- numbers ---- */

/* Four inputs: (code - zero) * scale as code * scale - zero * scale, all of it exact; or code * scale + minimum. */
static void four_numbers(Kernel *k, const Part *p, int g, const Scales *s) {
    LB *b = &k->b;
    Vectors four, w;
    for (int c = 0; c < kernel_columns(k); c++) four.v[c] = block_codes(k, c, p->at, g);
    for (int j = 0; j < 4; j++) {
        for (int c = 0; c < kernel_columns(k); c++) {
            Value *u = j ? lb_shr(b, four.v[c], lb_i32(b, 8 * j)) : four.v[c];
            if (j < 3) u = lb_and(b, u, lb_i32(b, 255));
            w.v[c] = lb_fma(b, lb_cast(b, u, DT_F32), s->scale.v[c], s->low.v[c]);
        }
        k->use(k, &w, lb_addi(b, p->input, 4 * g + j));
    }
}

static void part_numbers(Kernel *k, const Part *p) {
    LB *b = &k->b;
    const NumberFormat *f = k->s.w;
    int each = f->sub < PANEL_READ ? f->sub : PANEL_READ; /* inputs of one scale */
    for (int first = 0; first < PANEL_READ; first += each) {
        Scales s;
        part_scales(k, p, first, &s);
        for (int c = 0; c < kernel_columns(k) && !f->minimum; c++)
            s.low.v[c] = lb_mul(b, s.scale.v[c], lb_f32(b, -f->zero));
        for (int g = first / 4; g < (first + each) / 4; g++) four_numbers(k, p, g, &s);
    }
}

/* ---- walking ---- */

void block_parts(Kernel *k, Value *g, Value *left, const Scales *of_block, PartUse *use) {
    LB *b = &k->b;
    int parts = k->s.w->block / PANEL_READ;
    int64_t bytes = panel_part_bytes(k->s.w, k->t->panel);
    Value *block = kernel_group_at(k, g), *input = lb_muli(b, g, k->s.w->block);
    for (int u = 0; u < (left ? parts - 1 : parts); u++) {
        int64_t behind = panel_scales_bytes(k->s.w, k->t->panel) + u * bytes;
        Part p = {g, block, u, lb_addi(b, block, behind), lb_addi(b, input, u * PANEL_READ), of_block};
        if (left && u) lb_if_begin(b, lb_cmp(b, "gt", left, lb_i64(b, u)));
        kernel_prefetch(k, u ? p.at : block, u ? bytes : behind + bytes);
        use(k, &p);
        if (left && u) lb_if_end(b);
    }
}

void block_numbers(Kernel *k, Value *g, Value *left) {
    Scales scales;
    block_scales(k, kernel_group_at(k, g), &scales);
    block_parts(k, g, left, &scales, part_numbers);
}

void blocks_each(Kernel *k, BlockUse *each) {
    LB *b = &k->b;
    int parts = k->s.w->block / PANEL_READ;
    Value *whole = lb_div(b, k->parts, lb_i64(b, parts));
    KFOR (b, g, lb_i64(b, 0), whole, 1) each(k, g, NULL);
    if (parts == 1) return;
    Value *left = lb_rem(b, k->parts, lb_i64(b, parts));
    lb_if_begin(b, lb_cmp(b, "gt", left, lb_i64(b, 0)));
    each(k, whole, left);
    lb_if_end(b);
}
