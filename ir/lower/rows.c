/* See rows.h. A block of x is quantised as bytes round(x * 127 / max|x|) with the scale max|x| / 127; the sum
 * of its bytes, times minus the zero of the weights' codes, is kept beside it: where a kernel's integer sum
 * begins. */
#include "rows.h"

#include <string.h>

Value *rows_entry(Lower *l, const Matmul *m, Value *r) {
    LB *b = &l->b;
    return lb_cast(b, lb_load(b, DT_I32, 0, m->list, lb_add(b, m->first, r), 0), DT_I64);
}

/* The K numbers of row r as they lie in memory. */
static Value *source(Lower *l, const Matmul *m, Value *r) {
    LB *b = &l->b;
    Value *row, *o = m->o;
    if (m->list) {
        Value *entry = rows_entry(l, m, r);
        row = lb_div(b, entry, lb_i64(b, m->O)), o = lb_rem(b, entry, lb_i64(b, m->O));
    } else {
        row = lb_add(b, l->row_lo, r);
    }
    Value *p = lw_row_ptr(l, m->x, row);
    return o && !m->one_x ? lb_offset(b, p, lb_muli(b, o, 4 * m->K)) : p;
}

/* Numbers [i, i + lanes) of K, zeros behind the end. */
static Value *numbers(Lower *l, const Matmul *m, Value *from, int64_t i) {
    LB *b = &l->b;
    int64_t left = m->K - i;
    if (left <= 0) return lw_zero(l);
    return lb_load(b, DT_F32, b->lanes, from, lb_i64(b, i), left < b->lanes ? (int)left : 0);
}

/* The same as dt: whole vectors in a loop, then the masked rest and zeros up to `padded`. */
static void copy_row(Lower *l, const Matmul *m, Value *from, Value *to, DType dt, int64_t padded) {
    LB *b = &l->b;
    int64_t full = m->K / b->lanes * b->lanes;
    KFOR (b, i, lb_i64(b, 0), lb_i64(b, full), b->lanes)
        lb_store(b, dt, to, i, lb_load(b, DT_F32, b->lanes, from, i, 0), 0);
    for (int64_t i = full; i < padded; i += b->lanes) {
        int64_t n = padded - i < b->lanes ? padded - i : 0;
        lb_store(b, dt, to, lb_i64(b, i), numbers(l, m, from, i), (int)n);
    }
}

/* The nearest whole number, ties to even, of small ones: in the sum with 1.5 * 2^23 it takes the lowest bits.
 * A conversion would have to say what becomes of large numbers. */
static Value *nearest(LB *b, Value *x) {
    const float shift = 12582912;
    int32_t bits;
    memcpy(&bits, &shift, sizeof bits);
    return lb_sub(b, lb_bits(b, lb_add(b, x, lb_f32(b, shift)), DT_I32), lb_i32(b, bits));
}

/* A block of a row: its numbers are read twice, a part at a time. */
typedef struct RowBlock {
    Value *from;  /* of the row */
    Value *first; /* input, i64 */
    int64_t n;    /* inputs, known */
    Value *bytes, *scales;
} RowBlock;

/* Vector `at` (a known number of inputs behind `first`) of a part of the block that begins at `part`. */
static Value *block_vector(Lower *l, const RowBlock *x, Value *part, int64_t at, int64_t left) {
    LB *b = &l->b;
    if (left <= at) return lw_zero(l);
    Value *i = lb_addi(b, lb_add(b, x->first, part), at);
    return lb_load(b, DT_F32, b->lanes, x->from, i, left - at < b->lanes ? (int)(left - at) : 0);
}

/* With n inputs from `part` on there (QUANT_PART, or fewer in the last part). */
static void part_most(Lower *l, const RowBlock *x, Value *part, int64_t n, Value *most) {
    LB *b = &l->b;
    for (int64_t i = 0; i < n; i += b->lanes)
        lb_set(b, most, lb_max(b, lb_get(b, most), lb_abs(b, block_vector(l, x, part, i, n))));
}

static void part_bytes(Lower *l, const RowBlock *x, Value *part, int64_t n, Value *inverse, Value *sum) {
    LB *b = &l->b;
    Value *to = lb_offset(b, x->bytes, part);
    for (int64_t i = 0; i < QUANT_PART; i += b->lanes) {
        Value *q = nearest(b, lb_mul(b, block_vector(l, x, part, i, n), inverse));
        lb_store(b, DT_I8, to, lb_i64(b, i), q, QUANT_PART < b->lanes ? QUANT_PART : 0);
        lb_set(b, sum, lb_add(b, lb_get(b, sum), q));
    }
}

static void quantise(Lower *l, const Matmul *m, const RowBlock *x) {
    LB *b = &l->b;
    int64_t whole = x->n / QUANT_PART * QUANT_PART, rest = x->n - whole;
    Value *zero = lb_i64(b, 0), *end = lb_i64(b, whole), *steps = lb_f32(b, 127);
    Value *most = lb_var(b, lw_zero(l)), *sum = lb_var(b, lb_splat(b, lb_i32(b, 0)));
    KFOR (b, part, zero, end, QUANT_PART) part_most(l, x, part, QUANT_PART, most);
    if (rest) part_most(l, x, end, rest, most);
    Value *far = lb_reduce(b, "max", lb_get(b, most)), *some = lb_cmp(b, "gt", far, lb_f32(b, 0));
    Value *inverse = lb_select(b, some, lb_div(b, steps, far), lb_f32(b, 0));
    KFOR (b, part, zero, end, QUANT_PART) part_bytes(l, x, part, QUANT_PART, inverse, sum);
    if (rest) part_bytes(l, x, end, rest, inverse, sum);
    lb_store(b, DT_F32, x->scales, zero, lb_div(b, far, steps), 0);
    Value *all = lb_reduce(b, "add", lb_get(b, sum));
    Value *begin = lb_mul(b, all, lb_i32(b, -kernel_zero(m->storage)));
    lb_store(b, DT_I32, x->scales, lb_i64(b, 1), begin, 0);
}

static void quantise_row(Lower *l, const Matmul *m, Value *from, Value *to, Value *scales) {
    LB *b = &l->b;
    int64_t size = m->storage.quant->block, whole = m->K / size, rest = m->K % size;
    KFOR (b, g, lb_i64(b, 0), lb_i64(b, whole), 1) {
        Value *first = lb_muli(b, g, size);
        RowBlock x = {from, first, size, lb_offset(b, to, first), lb_offset(b, scales, lb_muli(b, g, 8))};
        quantise(l, m, &x);
    }
    if (!rest) return;
    RowBlock x = {from, lb_i64(b, whole * size), rest, lb_offseti(b, to, whole * size),
                  lb_offseti(b, scales, whole * 8)};
    quantise(l, m, &x);
}

static int64_t round_up(int64_t x, int64_t to) {
    return (x + to - 1) / to * to;
}

XRows rows_prepare(Lower *l, const Matmul *m, Value *rows, int64_t most) {
    LB *b = &l->b;
    int64_t group = panel_group(m->storage), padded = round_up(m->K, panel_part(m->storage));
    if (m->math == MATH_F32 && !m->list && padded == m->K)
        return (XRows){source(l, m, lb_i64(b, 0)), lb_i64(b, 4 * lw_row_stride(l, m->x)), 4 * group, 0};
    bool ints = m->math == MATH_INT8;
    DType dt = ints ? DT_I8 : m->math == MATH_BF16 ? DT_BF16 : DT_F32;
    int64_t numbers = padded * (int64_t)dtype_size(dt),
            bytes = numbers + (ints ? (m->K + group - 1) / group * 8 : 0);
    bytes = round_up(bytes, 64);
    XRows x = {lw_scratch(l, most * bytes), lb_i64(b, bytes), group * (int64_t)dtype_size(dt),
               ints ? numbers : 0};
    KFOR (b, r, lb_i64(b, 0), rows, 1) {
        Value *to = lb_offset(b, x.p, lb_muli(b, r, bytes)), *from = source(l, m, r);
        if (ints)
            quantise_row(l, m, from, to, lb_offseti(b, to, x.scales));
        else
            copy_row(l, m, from, to, dt, padded);
    }
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
    return lb_offseti(b, lb_offset(b, row_at(l, x, r), lb_muli(b, from, 8)), x->scales);
}
