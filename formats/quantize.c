/* See quantize.h. Formats of few bits search for the scale of a part. A candidate scale gives codes q; the best
 * scale for these codes is a least-squares fit (sum of w x q over sum of w q q). The fit with the least error
 * wins. In a format with factors, the part with the largest scale gets the largest factor. Each other part
 * gets the factor near (its scale / the block's scale) that has the least error. */
#include "quantize.h"

#include <math.h>
#include <string.h>

static float scale_of(uint16_t bits) {
    return (float)dtype_load(DT_BF16, &bits, 0);
}

static uint16_t scale_bits(double x) {
    uint16_t bits;
    dtype_store(DT_BF16, &bits, 0, x);
    return bits;
}

enum { PART = 32, PARTS = 4, MOST = PART * PARTS, FACTOR = 8 };

/* A block with a scale that is already rounded. */
typedef struct Block {
    uint16_t scale;
    int8_t factor[PARTS];
    uint8_t code[MOST];
} Block;

/* ---- vectors ---- */

/* Sums run in two vectors of four lanes, in the same order on every machine. */
typedef float Four __attribute__((vector_size(16)));
typedef int32_t FourBits __attribute__((vector_size(16)));
enum { LANES = 8 };

static inline Four load_four(const float *x) {
    Four v;
    memcpy(&v, x, sizeof v);
    return v;
}

static inline float total(const Four v[2]) {
    Four s = v[0] + v[1];
    return (s[0] + s[2]) + (s[1] + s[3]);
}

/* To nearest even, for |x| < 2^22: what does not fit behind the point is rounded off. */
static inline Four nearest(Four x) {
    return (x + 0x1.8p23f) - 0x1.8p23f;
}

static inline Four select_four(FourBits mask, Four yes, Four no) {
    return (Four)((mask & (FourBits)yes) | (~mask & (FourBits)no));
}

/* What a format can say, as codes - zero. */
typedef struct Range {
    float lo, hi;
} Range;

static Range range_of(const NumberFormat *f) {
    return (Range){(float)(f->least - f->zero), (float)((1 << f->bits) - 1 - f->zero)};
}

static inline Four clamped(Range r, Four q) {
    Four lo = r.lo + (Four){0}, hi = r.hi + (Four){0};
    q = select_four(q < lo, lo, q);
    return select_four(q > hi, hi, q);
}

/* Code - zero of x / scale. */
static inline Four code_of(Range r, Four x, float inverse) {
    return nearest(clamped(r, x * inverse));
}

/* ---- scales ---- */

/* Numbers that are quantized under one scale, a multiple of LANES, and their weights. */
typedef struct Run {
    const float *x, *w;
    int n;
} Run;

/* The least-squares scale for the codes that dividing by 1/inverse gives; *gain: how much of the weighted sum
 * of squares it explains. */
static float fitted(const NumberFormat *f, Run r, float inverse, float *gain) {
    Four xq[2] = {{0}}, qq[2] = {{0}};
    Range range = range_of(f);
    for (int i = 0; i < r.n; i += LANES)
        for (int j = 0; j < 2; j++) {
            Four x = load_four(r.x + i + 4 * j), q = code_of(range, x, inverse);
            Four wq = load_four(r.w + i + 4 * j) * q;
            xq[j] += wq * x;
            qq[j] += wq * q;
        }
    float a = total(xq), b = total(qq);
    *gain = b > 0 ? a * a / b : 0;
    return b > 0 ? a / b : 0;
}

/* The number farthest from 0, with its sign. */
static float farthest(Run r) {
    float far = 0;
    for (int i = 0; i < r.n; i++) far = fabsf(r.x[i]) > fabsf(far) ? r.x[i] : far;
    return far;
}

static float choose_scale(const NumberFormat *f, Run r) {
    float far = farthest(r), most = (float)(f->zero - f->least);
    if (far == 0) return 0;
    if (f->bits >= 8) return fabsf(far) / most;
    /* the farthest gets the lowest code, or less, or a little more than there is */
    float best = -far / most, best_gain = -1;
    for (int step = -4; step <= 8; step++) {
        float gain, inverse = -(most - 0.15f * (float)step * most / 8) / far;
        float scale = fitted(f, r, inverse, &gain);
        if (gain > best_gain) best_gain = gain, best = scale;
    }
    return best;
}

/* The weighted sum of squares of what codes under a scale are off. */
static float error_under(const NumberFormat *f, Run r, float d) {
    Four off[2] = {{0}};
    Range range = range_of(f);
    float inverse = d != 0 ? 1 / d : 0;
    for (int i = 0; i < r.n; i += LANES)
        for (int j = 0; j < 2; j++) {
            Four x = load_four(r.x + i + 4 * j), e = code_of(range, x, inverse) * d - x;
            off[j] += load_four(r.w + i + 4 * j) * e * e;
        }
    return total(off);
}

static void take_codes(const NumberFormat *f, Run r, float d, uint8_t *codes) {
    Range range = range_of(f);
    float inverse = d != 0 ? 1 / d : 0;
    for (int i = 0; i < r.n; i += 4) {
        Four q = code_of(range, load_four(r.x + i), inverse);
        for (int j = 0; j < 4; j++) codes[i + j] = (uint8_t)((int)q[j] + f->zero);
    }
}

/* A fit holds for the codes that it began with; the codes of the fitted scale, rounded, may be others. So
 * with importance the scale has to prove itself, and is refitted as long as that helps, against the one
 * without.
 */
static uint16_t choose_among(const NumberFormat *f, Run r, Run plain) {
    uint16_t best = scale_bits((double)choose_scale(f, plain));
    float least = error_under(f, r, scale_of(best)), scale = choose_scale(f, r), unused;
    for (int i = 0; i < 4 && scale != 0; i++) {
        uint16_t rounded = scale_bits((double)scale);
        float off = error_under(f, r, scale_of(rounded));
        if (off < least) least = off, best = rounded;
        scale = fitted(f, r, 1 / scale, &unused);
    }
    return best;
}

/* ---- factors ---- */

static Run part_of(Run r, int part) {
    return (Run){r.x + part * PART, r.w + part * PART, PART};
}

/* The factor of a part that errs least with `unit` as scale, of the two beside `wanted`; adds its error to
 * *off. */
static int8_t choose_factor(const NumberFormat *f, Run r, float unit, float wanted, float *off) {
    float least = INFINITY;
    int8_t best = 0;
    for (int i = 0; i < 2; i++) {
        float at = i ? ceilf(wanted) : floorf(wanted);
        at = at < -FACTOR ? -FACTOR : at > FACTOR - 1 ? FACTOR - 1 : at;
        float error = error_under(f, r, unit * at);
        if (error < least) least = error, best = (int8_t)at;
    }
    *off += least;
    return best;
}

/* The block with the scales that the run `by` chooses for its parts; how much it is off, as r weighs it. */
static float factored(const NumberFormat *f, Run r, Run by, Block *out) {
    static const float sizes[] = {1, 0.95f, 1.07f};
    float wanted[PARTS], far = 0, least = INFINITY;
    for (int p = 0; p < PARTS; p++) {
        wanted[p] = choose_scale(f, part_of(by, p));
        if (fabsf(wanted[p]) > fabsf(far)) far = wanted[p];
    }
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        Block b = {.scale = scale_bits((double)(-far * sizes[i] / FACTOR))};
        float unit = scale_of(b.scale), off = 0;
        for (int p = 0; p < PARTS; p++)
            b.factor[p] = choose_factor(f, part_of(r, p), unit, unit != 0 ? wanted[p] / unit : 0, &off);
        if (off < least) least = off, *out = b;
    }
    for (int p = 0; p < PARTS; p++)
        take_codes(f, part_of(r, p), scale_of(out->scale) * out->factor[p], out->code + p * PART);
    return least;
}

/* ---- blocks ---- */

/* x[0..n) over a power of two, so that the largest magnitude is in 0.5 .. 1, and sums of squares are neither
 * too large nor too small for an f32; the exponent. */
static int normalised(const float *x, int n, float *out) {
    float far = 0;
    int exponent = 0;
    for (int i = 0; i < n; i++) far = fabsf(x[i]) > far ? fabsf(x[i]) : far;
    frexp((double)far, &exponent);
    double by = ldexp(1, -exponent);
    for (int i = 0; i < n; i++) out[i] = (float)((double)x[i] * by);
    return exponent;
}

static void choose_block(const NumberFormat *f, Run r, Run plain, bool searched, Block *out) {
    if (f->factor_bits) {
        Block other;
        float off = factored(f, r, plain, out);
        if (searched && factored(f, r, r, &other) < off) *out = other;
        return;
    }
    out->scale = searched ? choose_among(f, r, plain) : scale_bits((double)choose_scale(f, plain));
    for (int p = 0; p < PARTS; p++) out->factor[p] = 1;
    take_codes(f, r, scale_of(out->scale), out->code);
}

void quantize_block(const NumberFormat *f, const float *x, int n, const float *importance, FormatBlock *out) {
    float whole[MOST] = {0}, weight[MOST] = {0}, ones[MOST];
    int exponent = normalised(x, n, whole);
    Block b;
    if (importance) normalised(importance, n, weight);
    for (int i = 0; i < f->block; i++) ones[i] = 1, weight[i] = i < n && importance ? weight[i] : 1;
    Run r = {whole, weight, f->block}, plain = {whole, ones, f->block};
    choose_block(f, r, plain, importance && f->bits < 8, &b);
    *out = (FormatBlock){.scale = scale_of(scale_bits(ldexp((double)scale_of(b.scale), exponent)))};
    for (int p = 0; p < PARTS; p++) out->factor[p] = b.factor[p];
    memcpy(out->code, b.code, (size_t)f->block);
}
