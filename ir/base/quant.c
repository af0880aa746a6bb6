/* See quant.h. Formats of few bits choose the scale by search: for each candidate the best scale for the
 * codes that it gives is a least-squares fit (sum of w x q over sum of w q q), and the fit that explains most
 * wins. */
#include "quant.h"

#include <math.h>
#include <string.h>

const QuantFormat QUANT_FORMATS[] = {
    {"q8", 8, 128, 1},
    {"q6", 6, 32, 0},
    {"q4", 4, 8, 0},
};
const int QUANT_COUNT = sizeof QUANT_FORMATS / sizeof *QUANT_FORMATS;

bool storage_parse(const char *text, Storage *out) {
    for (int i = 0; i < QUANT_COUNT; i++)
        if (!strcmp(text, QUANT_FORMATS[i].name))
            return *out = (Storage){.dt = DT_U8, .quant = &QUANT_FORMATS[i]}, true;
    *out = (Storage){.dt = DT_BF16, .squeezed = !strcmp(text, "bf12")};
    return out->squeezed || dtype_parse(text, &out->dt);
}

const char *storage_name(Storage s) {
    return s.quant ? s.quant->name : s.squeezed ? "bf12" : dtype_name(s.dt);
}

double storage_bits(Storage s) {
    if (s.squeezed) return 12;
    return s.quant ? s.quant->bits + 16.0 / QUANT_BLOCK : 8.0 * (double)dtype_size(s.dt);
}

double quant_limit(const QuantFormat *f) {
    return 65504.0 * (f->zero - f->least);
}

static float half_to_float(uint16_t h) {
    return (float)dtype_load(DT_F16, &h, 0);
}

static uint16_t float_to_half(float x) {
    uint16_t h;
    dtype_store(DT_F16, &h, 0, (double)x);
    return h;
}

/* To nearest even, for |x| < 2^22: what does not fit behind the point is rounded off. */
static inline float nearest(float x) {
    return (x + 0x1.8p23f) - 0x1.8p23f;
}

static inline float clamped(const QuantFormat *f, float q) {
    float lo = (float)(f->least - f->zero), hi = (float)((1 << f->bits) - 1 - f->zero);
    return q < lo ? lo : q > hi ? hi : q;
}

enum { LANES = 8 }; /* sums run in as many strands, which C compilers make vectors of */

static float total(const float *v) {
    return ((v[0] + v[4]) + (v[1] + v[5])) + ((v[2] + v[6]) + (v[3] + v[7]));
}

/* The least-squares scale for the codes that dividing by 1/inverse gives; *gain: how much of the weighted sum
 * of squares it explains. x and w are whole blocks. */
static float fitted(const QuantFormat *f, const float *x, const float *w, float inverse, float *gain) {
    float xq[LANES] = {0}, qq[LANES] = {0};
    for (int i = 0; i < QUANT_BLOCK; i += LANES)
        for (int j = 0; j < LANES; j++) {
            float q = clamped(f, nearest(x[i + j] * inverse)), wq = w[i + j] * q;
            xq[j] += wq * x[i + j];
            qq[j] += wq * q;
        }
    float a = total(xq), b = total(qq);
    *gain = b > 0 ? a * a / b : 0;
    return b > 0 ? a / b : 0;
}

/* The number farthest from 0, with its sign. */
static float farthest(const float *x) {
    float far = 0;
    for (int i = 0; i < QUANT_BLOCK; i++) far = fabsf(x[i]) > fabsf(far) ? x[i] : far;
    return far;
}

static float choose_scale(const QuantFormat *f, const float *x, const float *w) {
    float far = farthest(x), most = (float)(f->zero - f->least);
    if (far == 0) return 0;
    if (f->bits >= 8) return fabsf(far) / most;
    /* the farthest gets the lowest code, or less, or a little more than there is */
    float best = -far / most, best_gain = -1;
    for (int step = -4; step <= 8; step++) {
        float gain, inverse = -(most - 0.15f * (float)step * most / 8) / far;
        float scale = fitted(f, x, w, inverse, &gain);
        if (gain > best_gain) best_gain = gain, best = scale;
    }
    return best;
}

/* Codes of x under a scale (f16 bits); the weighted sum of squares of what they are off. */
static float take_codes(const QuantFormat *f, const float *x, const float *w, uint16_t scale,
                        uint8_t codes[QUANT_BLOCK]) {
    float d = half_to_float(scale), inverse = d != 0 ? 1 / d : 0, off[LANES] = {0};
    for (int i = 0; i < QUANT_BLOCK; i++) {
        float q = nearest(clamped(f, x[i] * inverse)), e = q * d - x[i];
        codes[i] = (uint8_t)((int)q + f->zero);
        off[i % LANES] += w[i] * e * e;
    }
    return total(off);
}

/* A fit holds for the codes that it began with; the codes of the fitted scale in f16 may be others. So with
 * importance the scale has to prove itself, and is refitted as long as that helps, against the one without.
 */
static uint16_t choose_among(const QuantFormat *f, const float *x, const float *w, const float *ones) {
    uint8_t codes[QUANT_BLOCK];
    uint16_t best = float_to_half(choose_scale(f, x, ones));
    float least = take_codes(f, x, w, best, codes), scale = choose_scale(f, x, w), unused;
    for (int i = 0; i < 4 && scale != 0; i++) {
        uint16_t half = float_to_half(scale);
        float off = take_codes(f, x, w, half, codes);
        if (off < least) least = off, best = half;
        scale = fitted(f, x, w, 1 / scale, &unused);
    }
    return best;
}

uint16_t quant_block(const QuantFormat *f, const float *x, int n, const float *importance,
                     uint8_t codes[QUANT_BLOCK]) {
    float whole[QUANT_BLOCK] = {0}, weight[QUANT_BLOCK], ones[QUANT_BLOCK];
    for (int i = 0; i < QUANT_BLOCK; i++) weight[i] = i < n && importance ? importance[i] : 1, ones[i] = 1;
    memcpy(whole, x, sizeof *x * (size_t)n);
    bool searched = importance && f->bits < 8;
    uint16_t scale =
        searched ? choose_among(f, whole, weight, ones) : float_to_half(choose_scale(f, whole, ones));
    take_codes(f, whole, weight, scale, codes);
    return scale;
}

double quant_value(const QuantFormat *f, uint16_t scale, uint8_t code) {
    return dtype_load(DT_F16, &scale, 0) * (code - f->zero);
}

void quant_round(const QuantFormat *f, double *x, int64_t n, const float *importance) {
    for (int64_t at = 0; at < n; at += QUANT_BLOCK) {
        int m = n - at < QUANT_BLOCK ? (int)(n - at) : QUANT_BLOCK;
        float block[QUANT_BLOCK];
        uint8_t codes[QUANT_BLOCK];
        for (int i = 0; i < m; i++) block[i] = (float)x[at + i];
        uint16_t scale = quant_block(f, block, m, importance ? importance + at : NULL, codes);
        for (int i = 0; i < m; i++) x[at + i] = quant_value(f, scale, codes[i]);
    }
}
