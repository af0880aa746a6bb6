/* Arithmetic of doubles on processors that have instructions for floats only: what emitted code and btc_sample call,
 * by the names of Arm's run-time ABI. To nearest even; denormals count as zeros, as in float_env.h. Bits travel as
 * integers, so that the calls are the same whatever registers floats are passed in. */
#include <stdbool.h>
#include <stdint.h>

enum { BIAS = 1023, GREATEST = 2047, DIGITS = 52, GUARD = 3 };
#define NAN_BITS 0x7ff8000000000000u
#define INFINITE 0x7ff0000000000000u
#define SIGN 0x8000000000000000u

static int exponent(uint64_t x) {
    return (int)(x >> DIGITS & GREATEST);
}

static bool is_nan(uint64_t x) {
    return (x & ~SIGN) > INFINITE;
}

/* The digits with the leading one; 0 for zeros and denormals. */
static uint64_t digits(uint64_t x) {
    return exponent(x) ? (x & (((uint64_t)1 << DIGITS) - 1)) | (uint64_t)1 << DIGITS : 0;
}

/* m: digits with GUARD more behind them, the last of which says whether any bit further on was set. */
static uint64_t rounded(uint64_t sign, int e, uint64_t m) {
    if (!m) return sign;
    const uint64_t lead = (uint64_t)1 << (DIGITS + GUARD);
    for (; m < lead; m <<= 1) e--;
    for (; m >= 2 * lead; m = m >> 1 | (m & 1)) e++;
    uint64_t rest = m & 7;
    m >>= GUARD;
    if (rest > 4 || (rest == 4 && (m & 1))) m++;
    if (m >> (DIGITS + 1)) m >>= 1, e++;
    if (e <= 0) return sign;
    if (e >= GREATEST) return sign | INFINITE;
    return sign | (uint64_t)e << DIGITS | (m & (((uint64_t)1 << DIGITS) - 1));
}

uint64_t __aeabi_dadd(uint64_t x, uint64_t y) {
    if ((x & ~SIGN) < (y & ~SIGN)) {
        uint64_t t = x;
        x = y, y = t;
    }
    bool differ = (x ^ y) & SIGN;
    if (is_nan(x) || (exponent(y) == GREATEST && differ)) return NAN_BITS;
    if (exponent(x) == GREATEST) return x;
    int shift = exponent(x) - exponent(y);
    uint64_t big = digits(x) << GUARD, small = digits(y) << GUARD;
    if (shift > DIGITS + GUARD)
        small = small != 0;
    else if (shift)
        small = small >> shift | ((small & (((uint64_t)1 << shift) - 1)) != 0);
    if (!big) return differ ? 0 : x & SIGN;
    if (differ && big == small) return 0;
    return rounded(x & SIGN, exponent(x), differ ? big - small : big + small);
}

uint64_t __aeabi_dsub(uint64_t x, uint64_t y) {
    return __aeabi_dadd(x, y ^ SIGN);
}

uint64_t __aeabi_dmul(uint64_t x, uint64_t y) {
    uint64_t sign = (x ^ y) & SIGN, m = digits(x), n = digits(y);
    if (is_nan(x) || is_nan(y)) return NAN_BITS;
    bool infinite = exponent(x) == GREATEST || exponent(y) == GREATEST;
    if (infinite) return exponent(x) && exponent(y) ? sign | INFINITE : NAN_BITS;
    if (!m || !n) return sign;
    m <<= 11, n <<= 11; /* the upper half of 128 bits */
    uint64_t ml = (uint32_t)m, mh = m >> 32, nl = (uint32_t)n, nh = n >> 32;
    uint64_t low = ml * nl, a = mh * nl + (low >> 32), b = ml * nh + (uint32_t)a;
    uint64_t high = mh * nh + (a >> 32) + (b >> 32);
    bool more = (uint32_t)b || (uint32_t)low || (high & 127);
    return rounded(sign, exponent(x) + exponent(y) - BIAS, high >> 7 | more);
}

uint64_t __aeabi_ddiv(uint64_t x, uint64_t y) {
    uint64_t sign = (x ^ y) & SIGN, m = digits(x), n = digits(y), q = 0;
    if (is_nan(x) || is_nan(y)) return NAN_BITS;
    bool whole = exponent(x) == GREATEST, part = exponent(y) == GREATEST; /* infinite */
    if ((whole && part) || (!exponent(x) && !exponent(y))) return NAN_BITS;
    if (whole || !n) return sign | INFINITE;
    if (part || !m) return sign;
    int e = exponent(x) - exponent(y) + BIAS;
    if (m < n) m <<= 1, e--;
    for (int i = 0; i <= DIGITS + GUARD; i++, m <<= 1) {
        q <<= 1;
        if (m >= n) m -= n, q |= 1;
    }
    return rounded(sign, e, q | (m != 0));
}

/* Towards zero; what is too large as the nearest there is. */
int32_t __aeabi_d2iz(uint64_t x) {
    int e = exponent(x) - BIAS;
    if (is_nan(x) || e < 0) return 0;
    if (e > 30) return x & SIGN ? INT32_MIN : INT32_MAX;
    int32_t i = (int32_t)(digits(x) >> (DIGITS - e));
    return x & SIGN ? -i : i;
}

uint64_t __aeabi_i2d(int32_t i) {
    uint64_t sign = i < 0 ? SIGN : 0, m = i < 0 ? -(uint64_t)(int64_t)i : (uint64_t)i;
    return rounded(sign, BIAS + DIGITS, m << GUARD);
}

uint64_t __aeabi_f2d(uint32_t f) {
    uint64_t sign = (uint64_t)(f >> 31) << 63, e = f >> 23 & 255,
             m = (uint64_t)(f & 0x7fffff) << (DIGITS - 23);
    if (!e) return sign;
    return sign | (e == 255 ? INFINITE | (m ? NAN_BITS : 0) : (e + BIAS - 127) << DIGITS | m);
}

uint32_t __aeabi_d2f(uint64_t x) {
    enum { LESS = DIGITS - 23 };
    uint32_t sign = (uint32_t)(x >> 63) << 31;
    int e = exponent(x) - BIAS + 127;
    if (is_nan(x)) return 0x7fc00000;
    uint64_t m = digits(x), rest = m & (((uint64_t)1 << LESS) - 1), half = (uint64_t)1 << (LESS - 1);
    m >>= LESS;
    if (rest > half || (rest == half && (m & 1))) m++;
    if (m >> 24) m >>= 1, e++;
    if (e >= 255) return sign | 0x7f800000;
    return e <= 0 ? sign : sign | (uint32_t)e << 23 | ((uint32_t)m & 0x7fffff);
}

/* As whole numbers in the same order; zeros are one. */
static int64_t in_order(uint64_t x) {
    int64_t m = exponent(x) ? (int64_t)(x & ~SIGN) : 0;
    return x & SIGN ? -m : m;
}

int __aeabi_dcmplt(uint64_t x, uint64_t y) {
    return !is_nan(x) && !is_nan(y) && in_order(x) < in_order(y);
}

int __aeabi_dcmpgt(uint64_t x, uint64_t y) {
    return __aeabi_dcmplt(y, x);
}

int __aeabi_dcmpun(uint64_t x, uint64_t y) {
    return is_nan(x) || is_nan(y);
}

int __aeabi_dcmpeq(uint64_t x, uint64_t y) {
    return !__aeabi_dcmpun(x, y) && in_order(x) == in_order(y);
}

int __aeabi_dcmple(uint64_t x, uint64_t y) {
    return !__aeabi_dcmpun(x, y) && in_order(x) <= in_order(y);
}

int __aeabi_dcmpge(uint64_t x, uint64_t y) {
    return __aeabi_dcmple(y, x);
}
