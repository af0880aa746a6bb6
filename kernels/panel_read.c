/* See panel_read.h; the layouts are in panel.h. */
#include "panel_read.h"

#include "formats/squeeze.h"

static Value *div(LB *b, Value *x, int64_t c) {
    return lb_div(b, x, lb_i64(b, c));
}

static Value *rem(LB *b, Value *x, int64_t c) {
    return lb_rem(b, x, lb_i64(b, c));
}

/* The byte at `at` (an index), shifted right by `shift` (an i64), without the bits above `bits`. */
static Value *field(LB *b, Value *p, Value *at, Value *shift, int bits) {
    Value *byte = lb_load(b, DT_U8, 0, p, at, 0);
    return lb_and(b, lb_shr(b, byte, lb_cast(b, shift, DT_I32)), lb_i32(b, (1 << bits) - 1));
}

/* Code j of a part. */
static Value *read_code(LB *b, const QuantFormat *f, int64_t width, Value *part, Value *lane, Value *j) {
    Value *g = div(b, j, 4), *byte = lb_add(b, lb_muli(b, lane, 4), rem(b, j, 4));
    int64_t row = 4 * width;
    if (f->bits == 8) return lb_load(b, DT_U8, 0, part, lb_add(b, lb_muli(b, g, row), byte), 0);
    Value *within = rem(b, g, 4), *half = div(b, g, 4);
    Value *code = field(b, part, lb_add(b, lb_muli(b, within, row), byte), lb_muli(b, half, 4), 4);
    if (f->bits == 4) return code;
    Value *upper = lb_add(b, lb_muli(b, lb_addi(b, half, 4), row), byte);
    return lb_or(b, code, lb_shl(b, field(b, part, upper, lb_muli(b, within, 2), 2), lb_i32(b, 4)));
}

/* Number j of a quantised block. */
static Value *read_quantised(LB *b, Storage s, int64_t width, Value *block, Value *lane, Value *j) {
    const QuantFormat *f = s.quant;
    Value *part = div(b, j, QUANT_PART), *scale = lb_load(b, QUANT_SCALE, 0, block, lane, 0);
    Value *at = lb_addi(b, lb_muli(b, part, panel_part_bytes(s, width)), panel_scales_bytes(s, width));
    Value *code = read_code(b, f, width, lb_offset(b, block, at), lane, rem(b, j, QUANT_PART));
    code = lb_sub(b, code, lb_i32(b, f->zero));
    if (f->factors) {
        Value *row = lb_addi(b, lb_muli(b, div(b, part, 2), width), 2 * width);
        Value *factor = field(b, block, lb_add(b, row, lane), lb_muli(b, rem(b, part, 2), 4), 4);
        code = lb_mul(b, code, lb_sub(b, factor, lb_i32(b, QUANT_FACTOR)));
    }
    return lb_mul(b, lb_cast(b, code, DT_F32), scale);
}

/* Number j of a group at p, as far as its code says it. */
static Value *read_squeezed(LB *b, int64_t width, Value *table, Value *p, Value *lane, Value *j) {
    Value *half = div(b, j, 4), *pair = div(b, rem(b, j, 4), 2);
    Value *at = lb_add(b, lb_muli(b, div(b, lane, 4), 16), lb_muli(b, rem(b, lane, 4), 2));
    at = lb_add(b, lb_add(b, at, lb_muli(b, pair, 8)), rem(b, j, 2));
    Value *low = lb_load(b, DT_U8, 0, p, lb_add(b, at, lb_muli(b, half, 4 * width)), 0);
    Value *code = field(b, p, lb_addi(b, at, 8 * width), lb_muli(b, half, 4), 4);
    Value *high = lb_load(b, DT_U8, 0, table, lb_cast(b, code, DT_I64), 0);
    Value *bits = lb_or(b, lb_shl(b, high, lb_i32(b, 24)), lb_shl(b, low, lb_i32(b, 16)));
    return lb_bits(b, bits, DT_F32);
}

static Value *read_number(LB *b, Storage s, int64_t width, Value *panel, Value *lane, Value *i) {
    int group = panel_group(s);
    Value *at = lb_addi(b, lb_muli(b, div(b, i, group), panel_group_bytes(s, width)), panel_head(s, width));
    Value *j = rem(b, i, group), *p = lb_offset(b, panel, at);
    if (s.squeezed) return read_squeezed(b, width, panel, p, lane, j);
    if (s.quant) return read_quantised(b, s, width, p, lane, j);
    return lb_load(b, s.dt, 0, p, lb_add(b, lb_muli(b, lane, group), j), 0);
}

/* What the list of a squeezed panel adds to the numbers of this output. */
static void add_listed(LB *b, int64_t k, int64_t width, Value *panel, Value *lane, Value *lo, Value *hi,
                       Value *out) {
    Storage s = {.dt = DT_BF16, .squeezed = true};
    Value *list = lb_offseti(b, panel, panel_bytes(s, k, width) - squeeze_list_bytes(k, width));
    Value *count = lb_cast(b, lb_load(b, DT_I32, 0, list, lb_i64(b, 0), 0), DT_I64);
    KFOR (b, e, lb_i64(b, 0), count, 1) {
        Value *entry = lb_offseti(b, lb_offset(b, list, lb_muli(b, e, SQUEEZE_ENTRY)), SQUEEZE_LIST_HEAD);
        Value *at = lb_cast(b, lb_load(b, DT_I32, 0, entry, lb_i64(b, 0), 0), DT_I64);
        Value *i = div(b, at, width), *mine = lb_cmp(b, "eq", rem(b, at, width), lane);
        mine = lb_and(b, mine, lb_and(b, lb_cmp(b, "ge", i, lo), lb_cmp(b, "lt", i, hi)));
        lb_if_begin(b, mine);
        Value *x = lb_load(b, DT_F32, 0, out, i, 0), *add = lb_load(b, DT_F32, 0, entry, lb_i64(b, 1), 0);
        lb_store(b, DT_F32, out, i, lb_add(b, x, add), 0);
        lb_if_end(b);
    }
}

void panel_read(LB *b, Storage s, int64_t k, int64_t width, Value *panel, Value *lane, Value *lo, Value *hi,
                Value *out) {
    KFOR (b, i, lo, hi, 1) lb_store(b, DT_F32, out, i, read_number(b, s, width, panel, lane, i), 0);
    if (s.squeezed) add_listed(b, k, width, panel, lane, lo, hi, out);
}
