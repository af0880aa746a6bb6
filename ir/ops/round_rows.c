/* Rounds what products multiply, once for all of them and for all threads: see kernels/rows.h for how the
 * result lies in memory. A block of bytes is round(x * 127 / max|x|) with the scale max|x| / 127; the sum of
 * its bytes, times minus the zero of the weights' codes, is kept beside it: where a kernel's integer sum
 * begins. Where a number of the block is not finite, its scale is NaN: that goes before all magnitudes, whose
 * order is that of their bits; so whatever such a block is part of is not finite. Every row, and every block
 * of it, is treated by itself, so no result depends on its neighbours. */
#include "round_rows.h"

#include "common.h"
#include "kernels/rows.h"

/* ---- reference ---- */

static void round_block(const double *x, int64_t n, double *y) {
    float most = 0;
    for (int64_t i = 0; i < n; i++)
        if (isnan(x[i]) || fabsf((float)x[i]) > most) most = fabsf((float)x[i]);
    float inverse = most > 0 ? 127 / most : 0, scale = most / 127 + (most - most);
    for (int64_t i = 0; i < n; i++) y[i] = (double)nearbyintf((float)x[i] * inverse) * (double)scale;
}

void round_row(Math math, int64_t block, const double *x, int64_t n, double *y) {
    for (int64_t i = 0; i < n && math != MATH_INT8; i++)
        y[i] = math == MATH_BF16 ? dtype_round(DT_BF16, x[i]) : x[i];
    for (int64_t at = 0; at < n && math == MATH_INT8; at += block)
        round_block(x + at, at + block < n ? block : n - at, y + at);
}

/* What the op says, and how many numbers it treats as one row. */
typedef struct Rounding {
    Math math;
    int64_t block, zero;
    int64_t K, lead; /* per token: lead rows of K numbers */
    bool parts;      /* the last dimension has several */
} Rounding;

static Rounding rounding_of(const Op *op) {
    Rounding r = {.block = attr_int(op, "block", 0), .zero = attr_int(op, "zero", 0)};
    int64_t parts = attr_int(op, "parts", 1);
    if (!math_parse(attr_str(op, "math", "bf16"), &r.math)) BTC_BUG("round.rows: no such arithmetic");
    r.parts = parts > 1, r.K = last_dim(op->in[0]->type) / parts;
    r.lead = r.K ? type_count(op->in[0]->type) / r.K : 0;
    return r;
}

static bool infer_round(Diag *d, Func *f, Op *op) {
    (void)f;
    int64_t n = last_dim(op->in[0]->type), parts = attr_int(op, "parts", 1);
    bool bytes = !strcmp(attr_str(op, "math", "bf16"), "int8");
    if (parts < 1 || n % parts)
        return diag_error(d, op->loc, "round.rows: dimension d of %lld does not divide into %lld parts",
                          (long long)n, (long long)parts);
    if (bytes && attr_int(op, "block", 0) != QUANT_PART && attr_int(op, "block", 0) != QUANT_MOST)
        return diag_error(d, op->loc, "round.rows: block must be %d or %d", QUANT_PART, QUANT_MOST);
    return true;
}

static void eval_round(EvalCtx *c) {
    Rounding r = rounding_of(c->op);
    int64_t n = r.K ? c->in[0].rows * r.lead : 0;
    for (int64_t v = 0; v < n; v++)
        round_row(r.math, r.block, c->in[0].data + v * r.K, r.K, c->out[0].data + v * r.K);
}

static Cost cost_round(const Op *op, int64_t rows) {
    return op_cost(op, rows, 3 * out_count(op));
}

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
        a->split = r.lead > 1 ? SPLIT_INNER : SPLIT_FLAT, a->multiple = r.block > 0 ? r.block : QUANT_PART;
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

/* With n inputs from `part` on there (QUANT_PART, or fewer in the last part). */
static void part_most(Lower *l, const RowBlock *x, Value *part, int64_t n, Value *most) {
    LB *b = &l->b;
    for (int64_t i = 0; i < n; i += b->lanes)
        lb_set(b, most, lb_max(b, lb_get(b, most), magnitude(b, block_vector(l, x, part, i, n))));
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

static void write_block(Lower *l, const Rounding *r, const RowBlock *x) {
    LB *b = &l->b;
    int64_t whole = x->n / QUANT_PART * QUANT_PART, rest = x->n - whole;
    Value *zero = lb_i64(b, 0), *end = lb_i64(b, whole), *steps = lb_f32(b, 127);
    Value *none = lb_splat(b, lb_i32(b, 0)), *most = lb_var(b, none), *sum = lb_var(b, none);
    KFOR (b, part, zero, end, QUANT_PART) part_most(l, x, part, QUANT_PART, most);
    if (rest) part_most(l, x, end, rest, most);
    Value *far = lb_bits(b, lb_reduce(b, "max", lb_get(b, most)), DT_F32),
          *some = lb_cmp(b, "gt", far, lb_f32(b, 0));
    Value *inverse = lb_select(b, some, lb_div(b, steps, far), lb_f32(b, 0));
    KFOR (b, part, zero, end, QUANT_PART) part_bytes(l, x, part, QUANT_PART, inverse, sum);
    if (rest) part_bytes(l, x, end, rest, inverse, sum);
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

/* The same in bf16: whole vectors, then the masked rest and zeros up to a multiple of QUANT_PART. */
static void write_bf16(Lower *l, const Rounding *r, Value *from, Value *to, Value *lo, Value *hi) {
    LB *b = &l->b;
    int64_t full = r->K / b->lanes * b->lanes, padded = (r->K + QUANT_PART - 1) / QUANT_PART * QUANT_PART;
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
            (r.math == MATH_INT8 ? write_bytes : write_bf16)(l, &r, from, to, lo, hi);
        }
}

static const AttrDef attrs[] = {
    {"math", AT_STR, false, 0, "bf16|int8", "of the products that read it"},
    {"block", AT_INT, false, 0, NULL, "int8: numbers that share a scale, as in the weights"},
    {"zero", AT_INT, false, 0, NULL, "int8: the code of the weights that stands for 0"},
    {"parts", AT_INT, false, 1, NULL, "of the last dimension: each is rounded on its own"},
    {0},
};

const OpDef op_round_rows = {
    .name = "round.rows",
    .pattern = PAT_ROW,
    .doc = "Rounds what products multiply to the numbers that their arithmetic takes in; only they read it.",
    .formula = "bf16: y = bf16(x);  int8: y = round(x / s) s with s = max|x| / 127 over a block",
    .source = "dynamic quantisation of activations: Jacob et al. 2018, arXiv:1712.05877, sec. 2",
    .sig = "x[t,*,d] -> y[t,*,d]",
    .flags = OPF_INTERNAL,
    .attrs = attrs,
    .infer = infer_round,
    .eval = eval_round,
    .cost = cost_round,
    .access = access_round,
    .lower = lower_round,
    .row_bytes = bytes_round,
};
