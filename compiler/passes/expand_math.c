/* exp, exp2, log, log1p, sin, cos, tanh, erf, softplus of f32 become arithmetic:
 *
 *     %y = exp %x : f32x16      ->      %t = fma %x, %log2e, %magic ... %y = mul %p, %scale : f32x16
 *
 * so that no target calls a library, a loop that needs exp stays a loop of vectors, and all machines agree on
 * the bits (up to the rounding of a fused multiply-add where there is none). The polynomials are those of
 * S. Moshier's Cephes library (single precision) where not said otherwise.
 *
 *            error, ULP   range
 *   exp      1.0          all; right for NaN and infinities
 *   exp2     1.2          the same
 *   log      1.0          all; log(0) = -inf, log(<0) = NaN; denormals are 0 here on every machine
 *   log1p    1.0          all; log1p(-1) = -inf, log1p(<-1) = NaN
 *   tanh     1.3          all
 *   sin cos  1.6          |x| < 2e8; larger: NaN, since the reduction would not be exact
 *   erf      1.1          all
 *   softplus 2.8          all
 *
 * (Where denormals are flushed, one that goes in, comes out or is met on the way is 0:
 * 2^-126 besides.) tests/targets/test_math.c measures
 * these. Two rules for authors: a NaN in must be a NaN out, and no cast of a float that may be NaN or huge to
 * an integer (adding a big constant and reading the low bits costs less).
 */
#include "passes.h"

#include "loop.h"

static Value *f32(LB *b, double v) {
    return lb_f32(b, v);
}
static Value *from_bits(LB *b, Value *i) {
    return lb_bits(b, i, DT_F32);
}
static Value *to_bits(LB *b, Value *x) {
    return lb_bits(b, x, DT_I32);
}
static Value *infinity(LB *b) {
    return from_bits(b, lb_i32(b, 0x7f800000));
}
static Value *not_a_number(LB *b) {
    return from_bits(b, lb_i32(b, 0x7fc00000));
}

/* c[0] x^(n-1) + ... + c[n-1] */
static Value *poly(LB *b, Value *x, const double *c, int n) {
    Value *y = f32(b, c[0]);
    for (int i = 1; i < n; i++) y = lb_fma(b, y, x, f32(b, c[i]));
    return y;
}

/* 2^k for an i32 k in -126 .. 127 */
static Value *power_of_two(LB *b, Value *k) {
    return from_bits(b, lb_shl(b, lb_add(b, k, lb_i32(b, 127)), lb_i32(b, 23)));
}

/* |x| with the sign bit of s. */
static Value *with_sign_of(LB *b, Value *x, Value *s) {
    Value *sign = lb_and(b, to_bits(b, s), lb_i32(b, INT32_MIN));
    return from_bits(b, lb_or(b, to_bits(b, x), sign));
}

/* ---- exp ---- */

/* ln 2 in two parts: n * LN2_HI is exact for |n| < 2^15, fused or not. */
static const double LN2_HI = 0.693359375, LN2_LO = -2.12194440e-4;

/* Adding it leaves the nearest whole number in the low bits of the sum. */
static const double MAGIC = 0x1.8p23;

/* e^x = 2^n p: n is x / ln 2 to the nearest, given as n + MAGIC; p is in 0.7 .. 1.42. */
static Value *exp_parts(LB *b, Value *x, Value **n) {
    static const double c[] = {1.9875691500e-4, 1.3981999507e-3, 8.3334519073e-3,
                               4.1665795894e-2, 1.6666665459e-1, 5.0000001201e-1};
    *n = lb_fma(b, x, f32(b, 1.44269504088896341), f32(b, MAGIC));
    Value *whole = lb_sub(b, *n, f32(b, MAGIC));
    Value *r = lb_fma(b, whole, f32(b, -LN2_HI), x);
    r = lb_fma(b, whole, f32(b, -LN2_LO), r);
    Value *p = lb_fma(b, poly(b, r, c, 6), lb_mul(b, r, r), r);
    return lb_add(b, p, f32(b, 1));
}

/* min(c, x) and max(c, x) in this order keep a NaN in x. */
static Value *clamp(LB *b, double lo, double hi, Value *x) {
    return lb_max(b, f32(b, lo), lb_min(b, f32(b, hi), x));
}

static Value *expand_exp(LB *b, Value *x) {
    Value *n, *p = exp_parts(b, clamp(b, -104, 89, x), &n);
    return lb_scale(b, p, lb_sub(b, n, f32(b, MAGIC)));
}

/* For arguments that are known to be within -87 .. 88, or NaN. */
static Value *exp_normal(LB *b, Value *x) {
    Value *n, *p = exp_parts(b, x, &n);
    return lb_mul(b, p, power_of_two(b, lb_sub(b, to_bits(b, n), lb_i32(b, 0x4b400000))));
}

/* What is left of x beside a whole number is exact. */
static Value *expand_exp2(LB *b, Value *x) {
    static const double c[] = {1.535336188319500e-4,
                               1.339887440266574e-3,
                               9.618437357674640e-3,
                               5.550332471162809e-2,
                               2.402264791363012e-1,
                               6.931472028550421e-1,
                               1};
    x = clamp(b, -151, 129, x);
    Value *n = lb_sub(b, lb_add(b, x, f32(b, MAGIC)), f32(b, MAGIC));
    return lb_scale(b, poly(b, lb_sub(b, x, n), c, 7), n);
}

/* ---- log, log1p ---- */

/* Splits x > 0, not denormal, into m in sqrt(1/2) .. sqrt(2) and x = 2^k m. */
static Value *split_exponent(LB *b, Value *x, Value **k) {
    const int32_t root_half = 0x3f3504f3, one = 0x3f800000;
    Value *i = lb_sub(b, to_bits(b, x), lb_i32(b, root_half));
    *k = lb_sub(b, lb_shr(b, lb_add(b, i, lb_i32(b, one)), lb_i32(b, 23)), lb_i32(b, 127));
    return from_bits(b, lb_add(b, lb_and(b, i, lb_i32(b, 0x7fffff)), lb_i32(b, root_half)));
}

/* ln(1 + f) + k ln 2 for 1 + f in sqrt(1/2) .. sqrt(2); k is a float; rest is what f lacks, far below it */
static Value *log_parts(LB *b, Value *f, Value *rest, Value *k) {
    static const double c[] = {7.0376836292e-2,  -1.1514610310e-1, 1.1676998740e-1,
                               -1.2420140846e-1, 1.4249322787e-1,  -1.6668057665e-1,
                               2.0000714765e-1,  -2.4999993993e-1, 3.3333331174e-1};
    Value *z = lb_mul(b, f, f);
    Value *y = lb_fma(b, lb_mul(b, poly(b, f, c, 9), f), z, rest);
    y = lb_fma(b, k, f32(b, LN2_LO), y);
    y = lb_fma(b, z, f32(b, -0.5), y);
    return lb_fma(b, k, f32(b, LN2_HI), lb_add(b, f, y));
}

/* The edges of log u, where x is the operand that decides about infinity and NaN. */
static Value *log_edges(LB *b, Value *x, Value *u, Value *y) {
    Value *least = f32(b, 0x1p-126);
    y = lb_select(b, lb_cmp(b, "lt", u, least), lb_neg(b, infinity(b)), y);
    y = lb_select(b, lb_cmp(b, "le", u, lb_neg(b, least)), not_a_number(b), y);
    return lb_select(b, lb_cmp(b, "lt", x, infinity(b)), y, x);
}

static Value *expand_log(LB *b, Value *x) {
    Value *k, *m = split_exponent(b, x, &k);
    return log_edges(b, x, x, log_parts(b, lb_sub(b, m, f32(b, 1)), f32(b, 0), lb_cast(b, k, DT_F32)));
}

/* u = 1 + x loses c, which is found exactly (Knuth's two-sum) and put back at the scale of m. For small x
 * this gives f = x and no rest. */
static Value *expand_log1p(LB *b, Value *x) {
    Value *one = f32(b, 1), *u = lb_add(b, x, one);
    Value *part = lb_sub(b, u, x);
    Value *c = lb_add(b, lb_sub(b, x, lb_sub(b, u, part)), lb_sub(b, one, part));
    Value *k, *m = split_exponent(b, u, &k);
    Value *down = power_of_two(b, lb_sub(b, lb_i32(b, 0), lb_min(b, k, lb_i32(b, 126))));
    Value *high = lb_sub(b, m, one), *low = lb_mul(b, c, down);
    Value *f = lb_add(b, high, low), *rest = lb_sub(b, low, lb_sub(b, f, high));
    return log_edges(b, x, u, log_parts(b, f, rest, lb_cast(b, k, DT_F32)));
}

/* max(x, 0) + log(1 + z) with z = e^-|x|: no overflow, exact tails. As z is in 0 .. 1, one polynomial for
 * log(1 + z) / z does; its coefficients are our own, fitted for the smallest relative error (5e-9). */
static Value *expand_softplus(LB *b, Value *x) {
    static const double c[] = {
        -3.3184723791e-3, 2.0204584219e-2,  -5.7664443025e-2, 1.0680555417e-1,  -1.5355396276e-1,
        1.9695400552e-1,  -2.4958587432e-1, 3.3330511323e-1,  -4.9999932764e-1, 1};
    Value *z = expand_exp(b, lb_neg(b, lb_abs(b, x)));
    return lb_fma(b, poly(b, z, c, 10), z, lb_max(b, x, f32(b, 0)));
}

/* ---- tanh, erf: odd, so computed for |x|; a polynomial near 0, else from exp ---- */

static Value *expand_tanh(LB *b, Value *x) {
    static const double c[] = {-5.70498872745e-3, 2.06390887954e-2, -5.37397155531e-2, 1.33314422036e-1,
                               -3.33332819422e-1};
    Value *a = lb_abs(b, x), *one = f32(b, 1);
    Value *z = lb_mul(b, a, a);
    Value *small = lb_fma(b, lb_mul(b, poly(b, z, c, 5), z), a, a);
    Value *e = exp_normal(b, lb_mul(b, f32(b, 2), lb_min(b, f32(b, 10), a))); /* tanh 10 = 1 */
    Value *large = lb_sub(b, one, lb_div(b, f32(b, 2), lb_add(b, e, one)));
    return with_sign_of(b, lb_select(b, lb_cmp(b, "lt", a, f32(b, 0.625)), small, large), x);
}

/* The two polynomials are N. Juffa's: erf(a) = a + a p(a^2), and 1 - e^(a q(a)). */
static Value *expand_erf(LB *b, Value *x) {
    static const double p[] = {-5.96761703e-4, 4.99119423e-3,  -2.67681349e-2,
                               1.12819925e-1,  -3.76125336e-1, 1.28379166e-1};
    static const double q[] = {-1.72853470e-5, 3.83197126e-4,  -3.88396438e-3, 2.42546219e-2,
                               -1.06777877e-1, -6.34846687e-1, -1.28717512e-1};
    Value *a = lb_min(b, f32(b, 4), lb_abs(b, x)); /* erf 4 = 1 */
    Value *small = lb_fma(b, poly(b, lb_mul(b, a, a), p, 6), a, a);
    Value *e = exp_normal(b, lb_fma(b, poly(b, a, q, 7), a, lb_neg(b, a)));
    Value *large = lb_sub(b, f32(b, 1), e);
    return with_sign_of(b, lb_select(b, lb_cmp(b, "lt", a, f32(b, 0.927734375)), small, large), x);
}

/* ---- sin, cos ---- */

/* x = n pi/2 + r with r in -pi/4 .. pi/4; the quadrant is the low bits of n. In f64: f32 cannot hold a pi
 * that is long enough, and this way the product n * PIO2_HI is exact on machines without fma too. */
static Value *reduce_angle(LB *b, Value *x, Value **quadrant) {
    const double magic = 0x1.8p52, pio2_hi = 0x1.921fb50000000p0, pio2_lo = 0x1.110b4611a6263p-26;
    Value *wide = lb_cast(b, x, DT_F64);
    Value *t = lb_fma(b, wide, lb_f64(b, 0.63661977236758134308), lb_f64(b, magic));
    Value *n = lb_sub(b, t, lb_f64(b, magic));
    Value *r = lb_fma(b, n, lb_f64(b, -pio2_hi), wide);
    r = lb_fma(b, n, lb_f64(b, -pio2_lo), r);
    *quadrant = lb_cast(b, lb_bits(b, t, DT_I64), DT_I32);
    Value *near = lb_cmp(b, "lt", lb_abs(b, x), f32(b, 2e8));
    return lb_select(b, near, lb_cast(b, r, DT_F32), not_a_number(b));
}

/* sin(x + turn * pi/2) */
static Value *sine(LB *b, Value *x, int turn) {
    static const double s[] = {-1.9515295891e-4, 8.3321608736e-3, -1.6666654611e-1};
    static const double c[] = {2.443315711809948e-5, -1.388731625493765e-3, 4.166664568298827e-2};
    Value *q, *r = reduce_angle(b, x, &q);
    if (turn) q = lb_add(b, q, lb_i32(b, turn));
    Value *z = lb_mul(b, r, r), *zero = lb_i32(b, 0);
    Value *sin_r = lb_fma(b, lb_mul(b, poly(b, z, s, 3), z), r, r);
    Value *cos_r = lb_fma(b, z, f32(b, -0.5), lb_mul(b, lb_mul(b, poly(b, z, c, 3), z), z));
    cos_r = lb_add(b, cos_r, f32(b, 1));
    Value *even = lb_cmp(b, "eq", lb_and(b, q, lb_i32(b, 1)), zero);
    Value *y = lb_select(b, even, sin_r, cos_r);
    Value *upper = lb_cmp(b, "eq", lb_and(b, q, lb_i32(b, 2)), zero);
    return lb_select(b, upper, y, lb_neg(b, y));
}

/* ---- the walk ---- */

static Value *expand(LB *b, OpId id, Value *x) {
    switch (id) {
    case OP_loop_exp:
        return expand_exp(b, x);
    case OP_loop_exp2:
        return expand_exp2(b, x);
    case OP_loop_log:
        return expand_log(b, x);
    case OP_loop_log1p:
        return expand_log1p(b, x);
    case OP_loop_sin:
        return sine(b, x, 0);
    case OP_loop_cos:
        return sine(b, x, 1);
    case OP_loop_tanh:
        return expand_tanh(b, x);
    case OP_loop_erf:
        return expand_erf(b, x);
    case OP_loop_softplus:
        return expand_softplus(b, x);
    default:
        return NULL;
    }
}

/* The builder appends to a block of its own, whose ops then move in front of `op`. */
static void expand_op(Func *f, Op *op) {
    Type t = op->nout == 1 ? op->out[0]->type : (Type){0};
    LB b = lb_new(f, t.lanes);
    b.at = ir_block_new(f, NULL), b.loc = op->loc;
    Value *y = expand(&b, loop_op_id(op->def), op->nin ? op->in[0] : NULL);
    if (!y) return;
    if (t.dt != DT_F32) BTC_BUG("%s of %s: only f32 is known", op->def->name, dtype_name(t.dt));
    for (Op *o = b.at->first, *next; o; o = next) {
        next = o->next;
        ir_insert_before(op, o);
    }
    ir_replace_uses(f, op->out[0], y);
    ir_remove(op);
}

static void expand_block(Func *f, Block *block) {
    for (Op *op = block->first, *next; op; op = next) {
        next = op->next;
        for (int i = 0; i < 2; i++)
            if (op->body[i]) expand_block(f, op->body[i]);
        expand_op(f, op);
    }
}

void expand_math(Func *loop_func) {
    expand_block(loop_func, loop_func->body);
}
