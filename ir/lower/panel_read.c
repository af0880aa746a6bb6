/* See panel_read.h; the layouts are in panel.h. */
#include "panel_read.h"

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

static Value *read_code(LB *b, const QuantFormat *f, int64_t width, Value *block, Value *lane, Value *j) {
    Value *g = div(b, j, 4), *byte = lb_add(b, lb_muli(b, lane, 4), rem(b, j, 4));
    int64_t row = 4 * width;
    if (f->bits == 8) return lb_load(b, DT_U8, 0, block, lb_add(b, lb_muli(b, g, row), byte), 0);
    Value *within = rem(b, g, 4), *half = div(b, g, 4);
    Value *code = field(b, block, lb_add(b, lb_muli(b, within, row), byte), lb_muli(b, half, 4), 4);
    if (f->bits == 4) return code;
    Value *upper = lb_add(b, lb_muli(b, lb_addi(b, half, 4), row), byte);
    return lb_or(b, code, lb_shl(b, field(b, block, upper, lb_muli(b, within, 2), 2), lb_i32(b, 4)));
}

Value *panel_read1(LB *b, Storage s, int64_t width, Value *panel, Value *lane, Value *i) {
    int group = panel_group(s);
    Value *at = lb_muli(b, div(b, i, group), panel_group_bytes(s, width)), *p = lb_offset(b, panel, at);
    Value *j = rem(b, i, group);
    if (!s.quant) return lb_load(b, s.dt, 0, p, lb_add(b, lb_muli(b, lane, group), j), 0);
    Value *scale = lb_offseti(b, p, panel_group_bytes(s, width) - 2 * width);
    Value *code = lb_sub(b, read_code(b, s.quant, width, p, lane, j), lb_i32(b, s.quant->zero));
    return lb_mul(b, lb_cast(b, code, DT_F32), lb_load(b, DT_F16, 0, scale, lane, 0));
}
