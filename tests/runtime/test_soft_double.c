/* Arithmetic of doubles spelt out for processors without it, against this processor's, bit for bit, on random
 * numbers: of all sizes, near one another, with few digits. Results that are denormal or NaN are not compared by
 * bits. */
#include <math.h>
#include <string.h>

#include "runtime/soft_double.c"

#include "tools/check.h"

static uint64_t random_bits(uint64_t *s) {
    *s = *s * 6364136223846793005u + 1442695040888963407u;
    uint64_t x = *s;
    return (x ^ x >> 29) * 0xbf58476d1ce4e5b9u;
}

static double as_double(uint64_t x) {
    double d;
    memcpy(&d, &x, 8);
    return d;
}

static bool same(double want, uint64_t got) {
    uint64_t bits;
    memcpy(&bits, &want, 8);
    if (isnan(want)) return is_nan(got);
    return bits == got || fabs(want) < 0x1p-1021;
}

static bool same_float(float want, uint32_t got) {
    uint32_t bits;
    memcpy(&bits, &want, 4);
    if (isnan(want)) return (got & 0x7fffffff) > 0x7f800000;
    return bits == got || fabsf(want) < 0x1p-125f;
}

/* Denormals count as zeros: also as what divides. */
static bool same_quotient(double x, double y, uint64_t got) {
    if (fpclassify(x) == FP_SUBNORMAL) x = copysign(0, x);
    if (fpclassify(y) == FP_SUBNORMAL) y = copysign(0, y);
    return same(x / y, got);
}

static int32_t truncated(double x) {
    return isnan(x) ? 0 : x >= 0x1p31 ? INT32_MAX : x <= -0x1p31 ? INT32_MIN : (int32_t)x;
}

static bool agree(uint64_t a, uint64_t b) {
    double x = as_double(a), y = as_double(b);
    int32_t i = (int32_t)a;
    uint32_t f = (uint32_t)b;
    float of_bits;
    memcpy(&of_bits, &f, 4);
    bool normal = fpclassify(of_bits) != FP_SUBNORMAL;
    return same(x + y, __aeabi_dadd(a, b)) && same(x - y, __aeabi_dsub(a, b)) &&
           same(x * y, __aeabi_dmul(a, b)) && same((double)i, __aeabi_i2d(i)) &&
           same_float((float)x, __aeabi_d2f(a)) && (!normal || same((double)of_bits, __aeabi_f2d(f))) &&
           (x < y) == __aeabi_dcmplt(a, b) && (x > y) == __aeabi_dcmpgt(a, b) &&
           (x <= y) == __aeabi_dcmple(a, b) && (x >= y) == __aeabi_dcmpge(a, b) &&
           (x == y) == __aeabi_dcmpeq(a, b) && (isnan(x) || isnan(y)) == __aeabi_dcmpun(a, b) &&
           same_quotient(x, y, __aeabi_ddiv(a, b)) && truncated(x) == __aeabi_d2iz(a);
}

int main(void) {
    uint64_t seed = 1;
    static const uint64_t edges[] = {0,
                                     SIGN,
                                     INFINITE,
                                     INFINITE | SIGN,
                                     NAN_BITS,
                                     0x3ff0000000000000u,
                                     0x7fefffffffffffffu,
                                     0x0010000000000000u,
                                     0xbff0000000000000u};
    enum { EDGES = sizeof edges / sizeof *edges };
    for (int i = 0; i < EDGES; i++)
        for (int k = 0; k < EDGES; k++) CHECK(agree(edges[i], edges[k]));
    int wrong = 0;
    for (int i = 0; i < 2000000 && wrong < 3; i++) {
        uint64_t a = random_bits(&seed), b = random_bits(&seed);
        if (i % 3 == 0) b = (a & 0xfff0000000000000u) + ((uint64_t)(i % 7) << DIGITS) + (b >> 12);
        if (i % 4 == 0) a &= ~(uint64_t)0xffffffffff, b &= ~(uint64_t)0xffffff;
        if (!exponent(a) || !exponent(b) || agree(a, b)) continue;
        wrong++;
        fprintf(stderr, "    %a and %a\n", as_double(a), as_double(b));
    }
    CHECK(wrong == 0);
    return check_report("soft doubles");
}
