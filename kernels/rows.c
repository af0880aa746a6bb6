/* See rows.h. */
#include "rows.h"

#include "plan/stage.h"

Value *rows_entry(Lower *l, const Matmul *m, Value *r) {
    LB *b = &l->b;
    return lb_cast(b, lb_load(b, DT_I32, 0, m->list, lb_add(b, m->first, r), 0), DT_I64);
}

static int64_t round_up(int64_t x, int64_t to) {
    return (x + to - 1) / to * to;
}

RowLayout row_layout(const Arithmetic *math, int64_t block, int64_t K) {
    int64_t padded = round_up(K, PANEL_READ);
    if (!arithmetic_in_bytes(math)) return (RowLayout){0, round_up(2 * padded, 64)};
    return (RowLayout){padded, round_up(padded + (K + block - 1) / block * math->scale_bytes, 64)};
}

/* What is multiplied together of row r, `bytes` long, as it lies in memory. */
static Value *source(Lower *l, const Matmul *m, Value *r, int64_t bytes) {
    LB *b = &l->b;
    Value *row, *o = m->x_o ? m->x_o : m->o;
    if (m->list) {
        Value *entry = rows_entry(l, m, r);
        row = lb_div(b, entry, lb_i64(b, m->O)), o = lb_rem(b, entry, lb_i64(b, m->O));
    } else {
        row = lb_add(b, l->row_lo, r);
    }
    Value *p = lw_row_ptr(l, m->x, row);
    return o && !m->one_x ? lb_offset(b, p, lb_muli(b, o, bytes)) : p;
}

/* n words of 32 bits, and zeros behind them up to `padded`. */
static void copy_row(Lower *l, Value *from, Value *to, int64_t n, int64_t padded) {
    LB *b = &l->b;
    int64_t full = n / b->lanes * b->lanes;
    KFOR (b, i, lb_i64(b, 0), lb_i64(b, full), b->lanes)
        lb_store(b, DT_I32, to, i, lb_load(b, DT_I32, b->lanes, from, i, 0), 0);
    for (int64_t i = full; i < padded; i += b->lanes) {
        int left = n - i < b->lanes ? (int)(n - i) : 0, room = padded - i < b->lanes ? (int)(padded - i) : 0;
        Value *some =
            i >= n ? lb_splat(b, lb_i32(b, 0)) : lb_load(b, DT_I32, b->lanes, from, lb_i64(b, i), left);
        lb_store(b, DT_I32, to, lb_i64(b, i), some, room);
    }
}

XRows rows_prepare(Lower *l, const Matmul *m, Value *rows, int64_t most) {
    LB *b = &l->b;
    int64_t group = panel_group(m->format), words = m->K, padded = round_up(m->K, panel_part(m->format));
    XRows x = {.group = group * (int64_t)dtype_size(m->math->input)};
    if (arithmetic_rounds(m->math)) {
        int64_t sum = m->format->block ? format_sum(m->format) : group;
        RowLayout rounded = row_layout(m->math, sum, m->K);
        x.group_scales = group / sum * m->math->scale_bytes;
        x.scales = rounded.scales;
        words = padded = rounded.bytes / 4;
    }
    if (!m->list && padded == words) {
        x.p = source(l, m, lb_i64(b, 0), 4 * words), x.stride = lb_i64(b, 4 * lw_row_stride(l, m->x));
        return x;
    }
    int64_t bytes = round_up(4 * padded, 64);
    x.p = lw_scratch(l, most * bytes), x.stride = lb_i64(b, bytes);
    KFOR (b, r, lb_i64(b, 0), rows, 1)
        copy_row(l, source(l, m, r, 4 * words), lb_offset(b, x.p, lb_muli(b, r, bytes)), words, padded);
    return x;
}

static Value *row_at(Lower *l, const XRows *x, Value *r) {
    return lb_offset(&l->b, x->p, lb_mul(&l->b, r, x->stride));
}

Value *rows_at(Lower *l, const XRows *x, Value *r, Value *from) {
    return lb_offset(&l->b, row_at(l, x, r), lb_muli(&l->b, from, x->group));
}

Value *rows_scales(Lower *l, const XRows *x, Value *r, Value *from) {
    LB *b = &l->b;
    if (!x->scales) return x->p;
    return lb_offseti(b, lb_offset(b, row_at(l, x, r), lb_muli(b, from, x->group_scales)), x->scales);
}
