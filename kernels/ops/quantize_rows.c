/* Loops of quantize.rows: ir/ops/quantize_rows.c says what they compute. */
#include "ops/quantize_rows.h"
#include "kernels/lower.h"
#include "kernels/rows.h"
#include "ops/common.h"

/* ---- lowering ---- */

static int64_t bytes_round(const Op *op) {
    Rounding r = rounding_of(op);
    return r.lead * row_layout(r.math, r.block, r.K).bytes;
}

/* By blocks, within the last dimension or its parts. */
static void access_round(const Op *op, Form form, Access *a) {
    (void)form;
    Rounding r = rounding_of(op);
    *a = (Access){.split = SPLIT_FLAT, .rows = true};
    if (r.parts)
        a->units = r.lead;
    else
        a->split = r.lead > 1 ? SPLIT_INNER : SPLIT_FLAT, a->multiple = r.block > 0 ? r.block : PANEL_READ;
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

/* Its bits, whose order as integers is that of the magnitudes, NaN behind infinity. */
static Value *magnitude(LB *b, Value *x) {
    return lb_and(b, lb_bits(b, x, DT_I32), lb_i32(b, INT32_MAX));
}

/* With n inputs from `part` on there (all, or fewer in the last part). */
static void part_most(Lower *l, const RowBlock *x, Value *part, int64_t n, Value *most) {
    LB *b = &l->b;
    for (int64_t i = 0; i < n; i += b->lanes)
        lb_set(b, most, lb_max(b, lb_get(b, most), magnitude(b, block_vector(l, x, part, i, n))));
}

/* The numbers of a part that is `size` long, with zeros behind n. */
static void part_bytes(Lower *l, const RowBlock *x, Value *part, int64_t n, int64_t size, Value *inverse,
                       Value *sum) {
    LB *b = &l->b;
    Value *to = lb_offset(b, x->bytes, part);
    for (int64_t i = 0; i < size; i += b->lanes) {
        Value *q = nearest(b, lb_mul(b, block_vector(l, x, part, i, n), inverse));
        lb_store(b, DT_I8, to, lb_i64(b, i), q, size < b->lanes ? (int)size : 0);
        lb_set(b, sum, lb_add(b, lb_get(b, sum), q));
    }
}

static void write_block(Lower *l, const Rounding *r, const RowBlock *x) {
    LB *b = &l->b;
    int64_t size = r->block < PANEL_READ ? r->block : PANEL_READ, whole = x->n / size * size,
            rest = x->n - whole;
    Value *zero = lb_i64(b, 0), *end = lb_i64(b, whole), *steps = lb_f32(b, 127);
    Value *none = lb_splat(b, lb_i32(b, 0)), *most = lb_var(b, none), *sum = lb_var(b, none);
    KFOR (b, part, zero, end, size) part_most(l, x, part, size, most);
    if (rest) part_most(l, x, end, rest, most);
    Value *far = lb_bits(b, lb_reduce(b, "max", lb_get(b, most)), DT_F32),
          *some = lb_cmp(b, "gt", far, lb_f32(b, 0));
    Value *inverse = lb_select(b, some, lb_div(b, steps, far), lb_f32(b, 0));
    KFOR (b, part, zero, end, size) part_bytes(l, x, part, size, size, inverse, sum);
    if (rest) part_bytes(l, x, end, rest, size, inverse, sum);
    Value *scale = lb_add(b, lb_div(b, far, steps), lb_sub(b, far, far)); /* infinite: NaN */
    lb_store(b, DT_F32, x->scales, zero, scale, 0);
    Value *all = lb_reduce(b, "add", lb_get(b, sum));
    lb_store(b, DT_I32, x->scales, lb_i64(b, 1), lb_mul(b, all, lb_i32(b, (int32_t)-r->zero)), 0);
}

/* Numbers [lo, hi) of a row in bytes: lo a multiple of the block, hi too or the end. */
static void write_bytes(Lower *l, const Rounding *r, Value *from, Value *to, Value *lo, Value *hi) {
    LB *b = &l->b;
    int64_t size = r->block, whole = r->K / size * size, rest = r->K - whole;
    Value *scales = lb_offseti(b, to, row_layout(r->math, size, r->K).scales);
    KFOR (b, first, lo, rest ? lw_min_i64(l, hi, lb_i64(b, whole)) : hi, size) {
        Value *scale = lb_offset(b, scales, lb_muli(b, lb_div(b, first, lb_i64(b, size)), 8));
        RowBlock x = {from, first, size, lb_offset(b, to, first), scale};
        write_block(l, r, &x);
    }
    if (!rest) return;
    RowBlock x = {from, lb_i64(b, whole), rest, lb_offseti(b, to, whole),
                  lb_offseti(b, scales, whole / size * 8)};
    lb_if_begin(b, lb_cmp(b, "gt", hi, x.first));
    write_block(l, r, &x);
    lb_if_end(b);
}

/* The same in bf16: whole vectors, then the masked rest and zeros up to a multiple of PANEL_READ. */
static void write_bf16(Lower *l, const Rounding *r, Value *from, Value *to, Value *lo, Value *hi) {
    LB *b = &l->b;
    int64_t full = r->K / b->lanes * b->lanes, padded = (r->K + PANEL_READ - 1) / PANEL_READ * PANEL_READ;
    KFOR (b, i, lo, full < r->K ? lw_min_i64(l, hi, lb_i64(b, full)) : hi, b->lanes)
        lb_store(b, DT_BF16, to, i, lb_load(b, DT_F32, b->lanes, from, i, 0), 0);
    if (full == padded) return;
    lb_if_begin(b, lb_cmp(b, "eq", hi, lb_i64(b, r->K)));
    for (int64_t i = full; i < padded; i += b->lanes) {
        int64_t left = r->K - i, room = padded - i;
        Value *x = left <= 0
                       ? lw_zero(l)
                       : lb_load(b, DT_F32, b->lanes, from, lb_i64(b, i), left < b->lanes ? (int)left : 0);
        lb_store(b, DT_BF16, to, lb_i64(b, i), x, room < b->lanes ? (int)room : 0);
    }
    lb_if_end(b);
}

static void lower_round(Lower *l, Op *op) {
    LB *b = &l->b;
    Rounding r = rounding_of(op);
    int64_t bytes = row_layout(r.math, r.block, r.K).bytes;
    Value *first = r.parts ? l->unit_lo : lb_i64(b, 0), *end = r.parts ? l->unit_hi : lb_i64(b, r.lead);
    Value *lo = lb_i64(b, 0), *hi = lb_i64(b, r.K);
    if (!r.parts) lw_range(l, r.K, &lo, &hi);
    LW_ROWS (l, row)
        KFOR (b, o, first, end, 1) {
            Value *from = lb_offset(b, lw_row_ptr(l, op->in[0], row), lb_muli(b, o, 4 * r.K));
            Value *to = lb_offset(b, lw_row_ptr(l, op->out[0], row), lb_muli(b, o, bytes));
            (arithmetic_in_bytes(r.math) ? write_bytes : write_bf16)(l, &r, from, to, lo, hi);
        }
}

const OpLowering lowering_quantize_rows = {
    .access = access_round,
    .lower = lower_round,
    .row_bytes = bytes_round,
};
