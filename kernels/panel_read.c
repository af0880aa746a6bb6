/* See panel_read.h; the layouts are in panel.h. */
#include "panel_read.h"

#include "formats/compressed.h"

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
static Value *read_code(LB *b, const NumberFormat *f, int64_t width, Value *part, Value *lane, Value *j) {
    Value *four = div(b, j, 4), *byte = lb_add(b, lb_muli(b, lane, 4), rem(b, j, 4)), *code = NULL;
    Plane planes[3];
    for (int i = 0, n = panel_planes(f, planes); i < n; i++) {
        int bits = planes[i].bits;
        Value *row = lb_addi(b, rem(b, four, bits), planes[i].row);
        Value *at = lb_add(b, lb_muli(b, row, 4 * width), byte);
        Value *some = field(b, part, at, lb_muli(b, div(b, four, bits), bits), bits);
        if (planes[i].first) some = lb_shl(b, some, lb_i32(b, planes[i].first));
        code = code ? lb_or(b, code, some) : some;
    }
    return code;
}

/* What a code stands for. */
static Value *value_of(LB *b, const NumberFormat *f, Value *code) {
    Value *value = f->table ? lb_i32(b, f->table[0]) : code;
    for (int i = 1; i < 16 && f->table; i++)
        value = lb_select(b, lb_cmp(b, "eq", code, lb_i32(b, i)), lb_i32(b, f->table[i]), value);
    return value;
}

static Value *read_scale(LB *b, const NumberFormat *f, Value *block, Value *i) {
    if (f->scale != SCALE_EXPONENT)
        return lb_load(b, f->scale == SCALE_F16 ? DT_F16 : DT_BF16, 0, block, i, 0);
    return lb_bits(b, lb_shl(b, lb_load(b, DT_U8, 0, block, i, 0), lb_i32(b, 23)), DT_F32);
}

/* x times the factor of number j. Rows of factors lie evenly: those of the first two tell the rest. */
static Value *by_factor(LB *b, const NumberFormat *f, int64_t width, Value *block, Value *lane, Value *j,
                        bool minimum, Value *x) {
    if (!f->factor_bits) return x;
    int each = 8 / f->factor_bits;
    Value *n = div(b, j, f->sub);
    if (f->minimum) n = lb_addi(b, lb_muli(b, n, 2), minimum);
    Value *at = lb_addi(b, lb_muli(b, div(b, n, each), width), panel_factor(f, 0, false, width).row);
    Value *bit = lb_muli(b, rem(b, n, each), f->factor_bits);
    Value *factor = field(b, block, lb_add(b, at, lane), bit, f->factor_bits);
    if (f->factor_zero) factor = lb_sub(b, factor, lb_i32(b, f->factor_zero));
    return lb_mul(b, x, lb_cast(b, factor, DT_F32));
}

/* Number j of a block. */
static Value *read_block(LB *b, const NumberFormat *f, int64_t width, Value *block, Value *lane, Value *j) {
    Value *part = div(b, j, PANEL_READ), *scale = read_scale(b, f, block, lane);
    Value *at = lb_addi(b, lb_muli(b, part, panel_part_bytes(f, width)), panel_scales_bytes(f, width));
    Value *code = read_code(b, f, width, lb_offset(b, block, at), lane, rem(b, j, PANEL_READ));
    Value *value = value_of(b, f, code);
    if (f->zero) value = lb_sub(b, value, lb_i32(b, f->zero));
    Value *x = lb_mul(b, lb_cast(b, value, DT_F32), by_factor(b, f, width, block, lane, j, false, scale));
    if (!f->minimum) return x;
    Value *low = read_scale(b, f, block, lb_addi(b, lane, width));
    return lb_add(b, x, by_factor(b, f, width, block, lane, j, true, low));
}

/* Number j of a group at p, as far as its code says it. */
static Value *read_compressed(LB *b, int64_t width, Value *table, Value *p, Value *lane, Value *j) {
    Value *half = div(b, j, 4), *pair = div(b, rem(b, j, 4), 2);
    Value *at = lb_add(b, lb_muli(b, div(b, lane, 4), 16), lb_muli(b, rem(b, lane, 4), 2));
    at = lb_add(b, lb_add(b, at, lb_muli(b, pair, 8)), rem(b, j, 2));
    Value *low = lb_load(b, DT_U8, 0, p, lb_add(b, at, lb_muli(b, half, 4 * width)), 0);
    Value *code = field(b, p, lb_addi(b, at, 8 * width), lb_muli(b, half, 4), 4);
    Value *high = lb_load(b, DT_U8, 0, table, lb_cast(b, code, DT_I64), 0);
    Value *bits = lb_or(b, lb_shl(b, high, lb_i32(b, 24)), lb_shl(b, low, lb_i32(b, 16)));
    return lb_bits(b, bits, DT_F32);
}

static Value *read_number(LB *b, const NumberFormat *f, int64_t width, Value *panel, Value *lane, Value *i) {
    int group = panel_group(f);
    Value *at = lb_addi(b, lb_muli(b, div(b, i, group), panel_group_bytes(f, width)), panel_head(f, width));
    Value *j = rem(b, i, group), *p = lb_offset(b, panel, at);
    if (format_is_compressed(f)) return read_compressed(b, width, panel, p, lane, j);
    if (f->block) return read_block(b, f, width, p, lane, j);
    return lb_load(b, f->dt, 0, p, lb_add(b, lb_muli(b, lane, group), j), 0);
}

/* What the list of a compressed panel adds to the numbers of this output. */
static void add_listed(LB *b, const NumberFormat *f, int64_t k, int64_t width, Value *panel, Value *lane,
                       Value *lo, Value *hi, Value *out) {
    Value *list = lb_offseti(b, panel, panel_bytes(f, k, width) - panel_tail(f, k, width));
    Value *count = lb_cast(b, lb_load(b, DT_I32, 0, list, lb_i64(b, 0), 0), DT_I64);
    KFOR (b, e, lb_i64(b, 0), count, 1) {
        Value *entry =
            lb_offseti(b, lb_offset(b, list, lb_muli(b, e, COMPRESSED_ENTRY)), COMPRESSED_LIST_HEAD);
        Value *at = lb_cast(b, lb_load(b, DT_I32, 0, entry, lb_i64(b, 0), 0), DT_I64);
        Value *i = div(b, at, width), *mine = lb_cmp(b, "eq", rem(b, at, width), lane);
        mine = lb_and(b, mine, lb_and(b, lb_cmp(b, "ge", i, lo), lb_cmp(b, "lt", i, hi)));
        lb_if_begin(b, mine);
        Value *x = lb_load(b, DT_F32, 0, out, i, 0), *add = lb_load(b, DT_F32, 0, entry, lb_i64(b, 1), 0);
        lb_store(b, DT_F32, out, i, lb_add(b, x, add), 0);
        lb_if_end(b);
    }
}

void panel_read(LB *b, const NumberFormat *f, int64_t k, int64_t width, Value *panel, Value *lane, Value *lo,
                Value *hi, Value *out) {
    KFOR (b, i, lo, hi, 1) lb_store(b, DT_F32, out, i, read_number(b, f, width, panel, lane, i), 0);
    if (format_is_compressed(f)) add_listed(b, f, k, width, panel, lane, lo, hi, out);
}
