/* Small loop functions that between them use every op of the loop level: each is run by the interpreter and
 * as compiled code, and the two must leave the same bytes. All have the signature f(a, b, out, n). */
#ifndef BTC_TESTS_CASES_H
#define BTC_TESTS_CASES_H

#include "loop.h"
#include "passes/passes.h"
#include "target.h"

enum { BUFFER = 16384 }; /* bytes of each of a, b, out */

typedef struct CaseArgs {
    LB *b;
    Value *in[2], *out, *n; /* n is 37 */
    int slot;               /* of out: each result goes to the next one */
} CaseArgs;

/* The next slot of out takes v, as dt. A slot is one vector of 8-byte elements. */
static void put_as(CaseArgs *c, DType dt, Value *v, int n) {
    int64_t at = (int64_t)c->slot++ * 8 * c->b->lanes;
    if (at + 8 * c->b->lanes > BUFFER) BTC_BUG("too many results");
    lb_store(c->b, dt, lb_offseti(c->b, c->out, at), lb_i64(c->b, 0), v, n);
}

static void put(CaseArgs *c, Value *v) {
    put_as(c, v->type.dt, v, 0);
}

/* A denormal as the zero that it counts as: min and max may let one through. */
static Value *flushed(CaseArgs *c, Value *v) {
    LB *b = c->b;
    bool single = v->type.dt == DT_F32;
    DType ints = single ? DT_I32 : DT_I64;
    Value *bits = lb_bits(b, v, ints), *sign = single ? lb_i32(b, INT32_MIN) : lb_i64(b, INT64_MIN);
    Value *least = single ? lb_i32(b, 0x00800000) : lb_i64(b, 0x0010000000000000);
    Value *size = lb_and(b, bits, single ? lb_i32(b, INT32_MAX) : lb_i64(b, INT64_MAX));
    return lb_bits(b, lb_select(b, lb_cmp(b, "lt", size, least), lb_and(b, bits, sign), bits), v->type.dt);
}

/* The lanes' numbers, as nothing that LLVM could compute with by itself: a begins with a 0. */
static Value *iota_at_run_time(CaseArgs *c) {
    return lb_add(c->b, lb_iota(c->b), lb_load(c->b, DT_I32, 0, c->in[0], lb_i64(c->b, 0), 0));
}

/* Vector k of a buffer. */
static Value *get_as(CaseArgs *c, DType dt, int buffer, int k, int n) {
    return lb_load(c->b, dt, c->b->lanes, c->in[buffer], lb_i64(c->b, (int64_t)k * c->b->lanes), n);
}
static Value *get(CaseArgs *c, int buffer, int k) {
    return get_as(c, DT_F32, buffer, k, 0);
}

typedef Value *BinaryFn(LB *, Value *, Value *);
typedef Value *UnaryFn(LB *, Value *);

static void case_float_binary(CaseArgs *c) {
    BinaryFn *const ops[] = {lb_add, lb_sub, lb_mul, lb_div}, *const choices[] = {lb_min, lb_max};
    for (int k = 0; k < 2; k++) {
        for (int i = 0; i < 4; i++) put(c, ops[i](c->b, get(c, 0, k), get(c, 1, k)));
        for (int i = 0; i < 2; i++) put(c, flushed(c, choices[i](c->b, get(c, 0, k), get(c, 1, k))));
    }
    Value *x = lb_cast(c->b, get(c, 0, 0), DT_F64), *y = lb_cast(c->b, get(c, 1, 0), DT_F64);
    for (int i = 0; i < 4; i++) put(c, ops[i](c->b, x, y));
    for (int i = 0; i < 2; i++) put(c, flushed(c, choices[i](c->b, x, y)));
}

/* Numbers around the smallest normal one, in f32 and f64: operands and results on both sides of it. */
static void case_tiny(CaseArgs *c) {
    BinaryFn *const ops[] = {lb_add, lb_sub, lb_mul, lb_div}, *const choices[] = {lb_min, lb_max};
    LB *b = c->b;
    Value *lane = iota_at_run_time(c), *least = lb_i32(b, 0x00800000);
    Value *x = lb_bits(b, lb_add(b, lb_sub(b, least, lb_i32(b, 6)), lane), DT_F32); /* steps of 2^-149 */
    Value *near_one = lb_bits(b, lb_sub(b, lb_i32(b, 0x3f800004), lane), DT_F32),
          *least_f32 = lb_f32(b, 0x1p-126);
    Value *below =
        lb_bits(b, lb_shl(b, lb_add(b, lane, lb_i32(b, 98)), lb_i32(b, 23)), DT_F32); /* 2^-29 .. */
    for (int i = 0; i < 4; i++) {
        put(c, ops[i](b, x, near_one));
        put(c, ops[i](b, x, lb_f32(b, 0x1.8p-126)));
        put(c, ops[i](b, least_f32, near_one));
        put(c, ops[i](b, lb_neg(b, near_one), lb_f32(b, 0x1p126)));
    }
    for (int i = 0; i < 2; i++) put(c, flushed(c, choices[i](b, lb_neg(b, x), lb_f32(b, 0))));
    put(c, lb_fma(b, least_f32, lb_neg(b, below), least_f32));
    put(c, lb_fma(b, lb_neg(b, least_f32), lb_mul(b, near_one, below), least_f32));
    put(c, lb_fma(b, x, near_one, lb_f32(b, 0)));
    put(c, lb_scale(b, lb_mul(b, near_one, lb_f32(b, 0.5)), lb_f32(b, -125)));
    put(c, lb_sqrt(b, x)), put(c, lb_floor(b, lb_neg(b, x))), put(c, lb_round(b, x));
    put(c, lb_neg(b, x)), put(c, lb_abs(b, lb_neg(b, x)));
    put(c, lb_cast(b, lb_cmp(b, "gt", x, lb_f32(b, 0)), DT_I32));
    Value *wide = lb_cast(b, near_one, DT_F64), *tiny = lb_f64(b, 0x1p-1022);
    put(c, lb_cast(b, x, DT_F64));
    put(c, lb_cast(b, lb_mul(b, wide, lb_f64(b, 0x1p-126)), DT_F32));
    put(c,
        lb_cast(b, lb_fma(b, lb_cast(b, lb_neg(b, below), DT_F64), lb_f64(b, 0x1p-126), lb_f64(b, 0x1p-126)),
                DT_F32));
    put(c, lb_mul(b, wide, tiny));
    put(c, lb_sub(b, lb_mul(b, wide, lb_f64(b, 0x1.8p-1022)), tiny));
    put(c, lb_fma(b, lb_cast(b, lb_neg(b, below), DT_F64), tiny, tiny));
    put(c, lb_div(b, lb_mul(b, wide, tiny), lb_f64(b, 0x1.00001p0)));
    put_as(c, DT_BF16, x, 0), put_as(c, DT_F16, x, 0);
    for (int k = 0; k < 2; k++) /* f16 has denormals of its own, which are normal in f32 */
        put_as(c, DT_F16, get_as(c, DT_F16, 0, k, 0), 0);
    put_as(c, DT_F16, lb_mul(b, near_one, lb_f32(b, 0x1.7p-20)), 0);
}

static void case_float_unary(CaseArgs *c) {
    UnaryFn *const ops[] = {lb_neg, lb_abs, lb_sqrt, lb_floor, lb_round};
    for (int k = 0; k < 3; k++)
        for (int i = 0; i < 5; i++) put(c, ops[i](c->b, get(c, 0, k)));
    for (int i = 0; i < 5; i++) put(c, ops[i](c->b, lb_cast(c->b, get(c, 0, 0), DT_F64)));
}

static void case_fma(CaseArgs *c) {
    put(c, lb_fma(c->b, get(c, 0, 1), get(c, 1, 1), get(c, 0, 2)));
    put(c, lb_fma(c->b, lb_f32(c->b, 3), get(c, 1, 1), lb_f32(c->b, 0.1)));
}

/* From deep in the denormals to infinity; a vector and a scalar. */
static void case_scale(CaseArgs *c) {
    LB *b = c->b;
    Value *lane = lb_cast(b, iota_at_run_time(c), DT_F32),
          *x = lb_fma(b, lane, lb_f32(b, 0.03), lb_f32(b, 0.7));
    for (int n = -250; n < 250; n += 25) put(c, lb_scale(b, x, lb_add(b, lane, lb_f32(b, n))));
    Value *zero = lb_cast(b, lb_load(b, DT_I32, 0, c->in[0], lb_i64(b, 0), 0), DT_F32);
    put(c, lb_scale(b, lb_sub(b, zero, lb_f32(b, 1.3)), lb_f32(b, -140)));
}

static void case_integers(CaseArgs *c) {
    BinaryFn *const ops[] = {lb_add, lb_sub, lb_mul, lb_min, lb_max, lb_and, lb_or, lb_xor};
    LB *b = c->b;
    Value *x = get_as(c, DT_I32, 0, 0, 0), *y = get_as(c, DT_I32, 1, 0, 0), *five = lb_i32(b, 5);
    for (int i = 0; i < 8; i++) put(c, ops[i](b, x, y));
    put(c, lb_shl(b, x, five));
    put(c, lb_shr(b, x, lb_and(b, y, lb_splat(b, lb_i32(b, 31)))));
    put(c, lb_neg(b, x));
    put(c, lb_abs(b, x));
    put(c, lb_add(b, lb_iota(b), five));
    Value *i = lb_load(b, DT_I64, 0, c->in[0], lb_i64(b, 3), 0);
    put(c, lb_div(b, i, lb_i64(b, -7)));
    put(c, lb_rem(b, i, lb_i64(b, 1000)));
    put(c, lb_shr(b, i, lb_i64(b, 33)));
}

static void case_compare_select(CaseArgs *c) {
    static const char *const preds[] = {"lt", "le", "eq", "ne", "gt", "ge"};
    Value *x = get(c, 0, 0), *y = get(c, 1, 0), *i = lb_bits(c->b, x, DT_I32);
    for (int p = 0; p < 6; p++) {
        Value *q = lb_cmp(c->b, preds[p], x, y);
        put(c, flushed(c, lb_select(c->b, q, x, y))); /* LLVM may see a min or max in it */
        put(c, lb_select(c->b, lb_cmp(c->b, preds[p], i, lb_bits(c->b, y, DT_I32)), i, lb_i32(c->b, 7)));
        put_as(c, DT_BOOL, lb_or(c->b, q, lb_cmp(c->b, "eq", x, x)), 0);
        put(c, lb_cast(c->b, q, DT_F32));
    }
}

static void case_casts(CaseArgs *c) {
    static const DType to[] = {DT_F32, DT_F64, DT_I32, DT_I64};
    Value *x = get(c, 0, 0), *wide = lb_cast(c->b, lb_mul(c->b, x, lb_f32(c->b, 1e9)), DT_F64);
    for (int i = 0; i < 4; i++) put(c, lb_cast(c->b, x, to[i]));
    for (int i = 0; i < 4; i++) put(c, lb_cast(c->b, wide, to[i]));
    for (int i = 0; i < 4; i++) put(c, lb_cast(c->b, lb_bits(c->b, wide, DT_I64), to[i]));
    for (int i = 0; i < 4; i++) put(c, lb_cast(c->b, lb_bits(c->b, x, DT_I32), to[i]));
    put(c, lb_cast(c->b, lb_cast(c->b, x, DT_BOOL), DT_I32));
}

static void case_reduce(CaseArgs *c) {
    for (int k = 0; k < 4; k++) {
        put(c, flushed(c, lb_reduce(c->b, "max", get(c, 0, k))));
        put(c, lb_reduce(c->b, "add", get(c, 1, k + 1)));
        put(c, lb_reduce(c->b, "add", lb_bits(c->b, get(c, 1, k), DT_I32)));
    }
}

static const DType MEMORY_TYPES[] = {DT_F32, DT_BF16, DT_F16, DT_I32, DT_I16,
                                     DT_I8,  DT_U8,   DT_F64, DT_I64, DT_BOOL};

/* The load ends where the buffer ends, and what follows cannot be read. */
static void case_load_tails(CaseArgs *c) {
    for (int t = 0; t < 10; t++) {
        DType dt = MEMORY_TYPES[t];
        int64_t total = BUFFER / (int64_t)dtype_size(dt);
        for (int n = 1; n <= c->b->lanes; n += 1 + n / 3) {
            Value *v = lb_load(c->b, dt, c->b->lanes, c->in[0], lb_i64(c->b, total - n), n);
            if (v->type.dt == DT_BOOL) v = lb_cast(c->b, v, DT_I32);
            if (v->type.dt == DT_I64 || v->type.dt == DT_F64) v = lb_cast(c->b, v, DT_F32);
            put(c, v);
            c->slot--; /* slots of half the size are enough */
            c->out = lb_offseti(c->b, c->out, 4 * c->b->lanes);
        }
    }
}

/* Between the stores, and behind the last one, out keeps its bytes. */
static void case_store_tails(CaseArgs *c) {
    for (int t = 0; t < 10; t++) {
        DType dt = MEMORY_TYPES[t];
        for (int n = 1; n <= c->b->lanes; n += 1 + n / 3) {
            Value *v = get(c, 0, n % 3);
            if (dt == DT_F64)
                v = lb_cast(c->b, v, DT_F64);
            else if (dt == DT_BOOL)
                v = lb_cmp(c->b, "lt", v, get(c, 1, 0));
            else if (dt == DT_I64)
                v = lb_cast(c->b, lb_bits(c->b, v, DT_I32), DT_I64);
            else if (dt != DT_F32 && dt != DT_BF16 && dt != DT_F16)
                v = lb_bits(c->b, v, DT_I32);
            int64_t bytes = (int64_t)dtype_size(dt) * (n + 1);
            lb_store(c->b, dt, c->out, lb_i64(c->b, 0), v, n);
            c->out = lb_offseti(c->b, c->out, bytes);
        }
    }
    lb_store(c->b, DT_F16, c->out, lb_i64(c->b, 0), lb_f32(c->b, 0.1), 0);
    lb_store(c->b, DT_BF16, c->out, lb_i64(c->b, 5), lb_f32(c->b, -0.1), 0);
}

/* Every f16 and bf16 pattern of a buffer, widened; and f32 of all sizes narrowed. */
static void case_halves(CaseArgs *c) {
    LB *b = c->b;
    KFOR (b, i, lb_i64(b, 0), lb_i64(b, BUFFER / 16), b->lanes) {
        Value *h = lb_load(b, DT_F16, b->lanes, c->in[0], i, 0);
        lb_store(b, DT_F32, c->out, i, h, 0);
        Value *x = lb_load(b, DT_F32, b->lanes, c->in[1], i, 0);
        x = lb_mul(b, lb_mul(b, x, lb_load(b, DT_F32, b->lanes, c->in[1], lb_addi(b, i, 1024), 0)), x);
        lb_store(b, DT_F16, lb_offseti(b, c->out, BUFFER / 4), i, x, 0);
        lb_store(b, DT_BF16, lb_offseti(b, c->out, BUFFER / 2), i, x, 0);
    }
}

/* out[r] = sum over k of b[k] * a[k][r], a in bf16, n columns: whole vectors and a tail. */
static void case_matvec(CaseArgs *c) {
    LB *b = c->b;
    const int rows = 37, rest = rows % b->lanes;
    for (int r = 0; r < rows; r += b->lanes) {
        int n = r + b->lanes > rows ? rest : 0;
        Value *acc = lb_var(b, lb_splat(b, lb_f32(b, 0)));
        KFOR (b, k, lb_i64(b, 0), c->n, 1) {
            Value *at = lb_addi(b, lb_muli(b, k, rows), r);
            lb_prefetch(b, c->in[0], lb_addi(b, at, 512), DT_BF16);
            Value *w = lb_load(b, DT_BF16, b->lanes, c->in[0], at, n);
            lb_set(b, acc,
                   lb_fma(b, lb_load(b, DT_F32, 0, c->in[1], lb_addi(b, k, 600), 0), w, lb_get(b, acc)));
        }
        lb_store(b, DT_F32, c->out, lb_i64(b, r), lb_get(b, acc), n);
    }
}

/* h = h*a + b, element by element over a sequence; y is where h is large. */
static void case_recurrence(CaseArgs *c) {
    LB *b = c->b;
    Value *h = lb_var(b, lb_splat(b, lb_f32(b, 1)));
    Value *count = lb_var(b, lb_i64(b, 0));
    KFOR (b, t, lb_i64(b, 0), c->n, 2) {
        Value *at = lb_muli(b, t, b->lanes);
        Value *a = lb_min(b, lb_abs(b, lb_load(b, DT_BF16, b->lanes, c->in[1], at, 0)), lb_f32(b, 0.9));
        Value *x = lb_load(b, DT_F32, b->lanes, c->in[1], at, 0);
        lb_set(b, h, lb_fma(b, lb_get(b, h), a, x));
        lb_if_begin(b, lb_cmp(b, "gt", lb_reduce(b, "max", lb_get(b, h)), lb_f32(b, 3)));
        lb_store(b, DT_F32, c->out, lb_muli(b, lb_get(b, count), b->lanes), lb_get(b, h), 0);
        lb_set(b, count, lb_addi(b, lb_get(b, count), 1));
        lb_else(b);
        lb_set(b, h, lb_neg(b, lb_get(b, h)));
        lb_if_end(b);
    }
    lb_store(b, DT_I64, lb_offseti(b, c->out, BUFFER - 8), lb_i64(b, 0), lb_get(b, count), 0);
}

/* Calls "squares" (see build_cases) and meets the other threads (none). */
static void case_calls(CaseArgs *c) {
    LB *b = c->b;
    Value *table = lb_offseti(b, c->out, 4096);
    for (int i = 0; i < 3; i++) {
        Value *args[2] = {lb_offseti(b, c->out, 64 * i), lb_i64(b, i)};
        lb_invoke(b, "squares", args, 2);
    }
    lb_barrier(b, table, lb_i64(b, 1));
    lb_if_begin(b, lb_cmp(b, "eq", c->n, lb_i64(b, 37)));
    put(c, lb_splat(b, lb_f32(b, 5)));
    lb_if_end(b);
}

/* No time passes backwards; the interpreter's clock stands still. */
static void case_clock(CaseArgs *c) {
    LB *b = c->b;
    Value *first = lb_clock(b), *then = lb_clock(b);
    lb_if_begin(b, lb_cmp(b, "le", first, then));
    put(c, lb_splat(b, lb_f32(b, 1)));
    lb_if_end(b);
}

/* Bytes of all values, and bf16 pairs: ordinary, tiny, denormal. */
static void case_dots(CaseArgs *c) {
    LB *b = c->b;
    Value *acc = get_as(c, DT_I32, 0, 3, 0);
    for (int k = 0; k < 3; k++)
        put(c, lb_dot4(b, acc, get_as(c, DT_I32, 0, k, 0), get_as(c, DT_I32, 1, k, 0)));
    put(c, lb_dot4(b, acc, lb_i32(b, -1), lb_i32(b, (int32_t)0x80808080)));
    put(c, lb_dot4(b, lb_load(b, DT_I32, 0, c->in[0], lb_i64(b, 5), 0), lb_i32(b, 0x01ff7f80),
                   lb_i32(b, 0x7f80ff01)));
    Value *mask = lb_i32(b, (int32_t)0xbfffbfff); /* exponents below 128: no infinity, no NaN */
    for (int k = 0; k < 3; k++) {
        Value *x = lb_and(b, get_as(c, DT_I32, 0, k, 0), mask),
              *y = lb_and(b, get_as(c, DT_I32, 1, k, 0), mask);
        put(c, lb_dot2(b, lb_bits(b, lb_and(b, get_as(c, DT_I32, 1, k + 1, 0), mask), DT_F32), x, y));
        put(c, lb_dot2(b, lb_f32(b, 0), lb_or(b, x, lb_i32(b, 0x3f803f80)),
                       lb_and(b, y, lb_i32(b, 0x00ff3fff))));
    }
}

/* Any floats, and denormals. */
static void case_pairs(CaseArgs *c) {
    LB *b = c->b;
    for (int k = 0; k < 4; k++) {
        Value *bits = get_as(c, DT_I32, 0, k, 0), *x = lb_bits(b, bits, DT_F32);
        put(c, lb_pair(b, x, lb_f32(b, 0.3)));
        put(c, lb_pair(b, x, lb_bits(b, lb_and(b, bits, lb_i32(b, 0x007fffff)), DT_F32)));
        put(c, lb_pair(b, lb_f32(b, -1e30), x));
    }
}

/* Bytes of all values, as indices and in tables. */
static void case_bytes(CaseArgs *c) {
    LB *b = c->b;
    for (int k = 0; k < 4; k++) {
        Value *x = get_as(c, DT_I32, 0, k, 0), *y = get_as(c, DT_I32, 1, (k + 1) % 4, 0);
        put(c, lb_lookup(b, x, y));
        put(c, lb_zip_low(b, x, y));
        put(c, lb_zip_high(b, x, y));
        put(c, lb_lookup(b, lb_splat(b, lb_i32(b, 0x0f1c0203)), x));
    }
}

static void math_case(CaseArgs *c, UnaryFn *f) {
    for (int k = 0; k < 8; k++) put(c, f(c->b, get(c, k / 4, k % 4)));
    put(c, f(c->b, lb_load(c->b, DT_F32, 0, c->in[0], lb_i64(c->b, 5), 0)));
}
#define MATH_CASE(name)                                                                                      \
    static void case_##name(CaseArgs *c) {                                                                   \
        math_case(c, lb_##name);                                                                             \
    }
MATH_CASE(exp)
MATH_CASE(exp2)
MATH_CASE(log)
MATH_CASE(log1p)
MATH_CASE(sin)
MATH_CASE(cos)
MATH_CASE(tanh)
MATH_CASE(erf)
MATH_CASE(softplus)

static const struct {
    const char *name;
    void (*write)(CaseArgs *);
} CASES[] = {
    {"float_binary", case_float_binary},
    {"tiny", case_tiny},
    {"float_unary", case_float_unary},
    {"fma", case_fma},
    {"integers", case_integers},
    {"compare_select", case_compare_select},
    {"casts", case_casts},
    {"reduce", case_reduce},
    {"load_tails", case_load_tails},
    {"store_tails", case_store_tails},
    {"halves", case_halves},
    {"matvec", case_matvec},
    {"recurrence", case_recurrence},
    {"calls", case_calls},
    {"clock", case_clock},
    {"scale", case_scale},
    {"dots", case_dots},
    {"pairs", case_pairs},
    {"bytes", case_bytes},
    {"exp", case_exp},
    {"exp2", case_exp2},
    {"log", case_log},
    {"log1p", case_log1p},
    {"sin", case_sin},
    {"cos", case_cos},
    {"tanh", case_tanh},
    {"erf", case_erf},
    {"softplus", case_softplus},
};
enum { CASE_COUNT = sizeof CASES / sizeof *CASES };

static void build_squares(Module *m, int lanes) {
    Func *f = ir_func_new(m, "squares", LEVEL_LOOP);
    Value *out = ir_param_add(f, "out", type_ptr()), *i = ir_param_add(f, "i", type_scalar(DT_I64, 0));
    LB lb = lb_new(f, lanes);
    lb_store(&lb, DT_I64, out, i, lb_mul(&lb, i, i), 0);
}

/* Stands in for the runtime's, so that the library links. */
static void build_barrier(Module *m, int lanes) {
    Func *f = ir_func_new(m, "btc_barrier_wait", LEVEL_LOOP);
    ir_param_add(f, "barrier", type_ptr()), ir_param_add(f, "n", type_scalar(DT_I64, 0));
    LB lb = lb_new(f, lanes);
    lb_i64(&lb, 0);
}

/* A module with squares, btc_barrier_wait and case_<name> for each case. */
static inline Module *build_cases(Arena *a, int lanes) {
    Module *m = ir_module_new(a, "cases");
    build_squares(m, lanes), build_barrier(m, lanes);
    for (int i = 0; i < CASE_COUNT; i++) {
        Func *f = ir_func_new(m, arena_printf(a, "case_%s", CASES[i].name), LEVEL_LOOP);
        LB lb = lb_new(f, lanes);
        CaseArgs c = {.b = &lb};
        c.in[0] = ir_param_add(f, "a", type_ptr()), c.in[1] = ir_param_add(f, "b", type_ptr());
        c.out = ir_param_add(f, "out", type_ptr()), c.n = ir_param_add(f, "n", type_scalar(DT_I64, 0));
        CASES[i].write(&c);
        expand_math(f);
    }
    return m;
}

#endif
