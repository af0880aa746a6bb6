/* Filters of long convolutions, transformed at compile time in double precision: see pack_fft.h. */
#include "pack_fft.h"

#include <math.h>
#include <stdlib.h>

#include "base/arena.h"

static int64_t round_up(int64_t x, int64_t to) {
    return (x + to - 1) / to * to;
}

PackFft pack_fft_layout(int64_t c, int64_t l, int lanes) {
    PackFft f = {.channels = round_up(c, lanes)};
    for (int64_t u = FFT_MIN; u < l; u *= 2)
        f.umax = u; /* a tile of U tokens begins at position U or later */
    f.twiddles = round_up(l * f.channels * 4, 64);
    f.spectra = round_up(f.twiddles + f.umax * 8, 64);
    /* the spectra before that of U take 2 * (U - FFT_MIN) numbers per channel */
    f.bytes = f.spectra + (f.umax ? f.channels * (2 * f.umax - FFT_MIN) * 8 : 0);
    return f;
}

int64_t pack_fft_bytes(int64_t c, int64_t l, int lanes) {
    return pack_fft_layout(c, l, lanes).bytes;
}

typedef struct Complex {
    double re, im;
} Complex;

static Complex *array(int64_t n) {
    return xmalloc(sizeof(Complex) * (size_t)n);
}

/* w[m + b] of pack_fft.h, for m = 1, 2, .. n/2. */
static Complex *twiddles(int64_t n) {
    Complex *w = array(n);
    double *angle = xmalloc(sizeof *angle * (size_t)n);
    const double pi = 3.14159265358979323846;
    w[0] = (Complex){1, 0};
    for (int64_t k = 1; k < n; k++) {
        angle[k] = k == 1 ? pi / 2 : angle[k / 2] / 2 + (k % 2 ? pi : 0);
        w[k] = (Complex){cos(angle[k] / 2), sin(angle[k] / 2)};
    }
    free(angle);
    return w;
}

/* In place; level after level, as the emitted code does it. */
static void transform(Complex *x, int64_t n, const Complex *w) {
    for (int64_t m = 1, half = n / 2; half; m *= 2, half /= 2)
        for (int64_t b = 0; b < m; b++) {
            Complex *lo = x + b * 2 * half, *hi = lo + half, f = w[m + b];
            for (int64_t j = 0; j < half; j++) {
                Complex t = {f.re * hi[j].re - f.im * hi[j].im, f.re * hi[j].im + f.im * hi[j].re};
                hi[j] = (Complex){lo[j].re - t.re, lo[j].im - t.im};
                lo[j] = (Complex){lo[j].re + t.re, lo[j].im + t.im};
            }
        }
}

/* The spectrum of one channel for tiles of u tokens, with the 1/u of the inverse. to: of lane 0, position 0.
 */
static void write_spectrum(const double *h, int64_t l, int64_t u, const Complex *w, int lanes, float *to,
                           Complex *tmp) {
    for (int64_t j = 0; j < u; j++) tmp[j] = (Complex){j < l ? h[j] : 0, j + u < l ? h[j + u] : 0};
    transform(tmp, u, w);
    for (int64_t j = 0; j < u; j++) {
        to[2 * j * lanes] = (float)(tmp[j].re / (double)u);
        to[(2 * j + 1) * lanes] = (float)(tmp[j].im / (double)u);
    }
}

void pack_fft_write(const double *h, int64_t c, int64_t l, int lanes, void *out) {
    PackFft f = pack_fft_layout(c, l, lanes);
    float *taps = out, *tw = (float *)((char *)out + f.twiddles);
    for (int64_t i = 0; i < c; i++)
        for (int64_t j = 0; j < l; j++) taps[(i / lanes * l + j) * lanes + i % lanes] = (float)h[i * l + j];
    if (!f.umax) return;
    Complex *w = twiddles(f.umax), *tmp = array(f.umax);
    for (int64_t k = 0; k < f.umax; k++) tw[2 * k] = (float)w[k].re, tw[2 * k + 1] = (float)w[k].im;
    float *spectrum = (float *)((char *)out + f.spectra);
    for (int64_t u = FFT_MIN; u <= f.umax; spectrum += 2 * f.channels * u, u *= 2)
        for (int64_t i = 0; i < c; i++)
            write_spectrum(h + i * l, l, u, w, lanes, spectrum + i / lanes * lanes * 2 * u + i % lanes, tmp);
    free(tmp);
    free(w);
}
