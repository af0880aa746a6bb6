/* Fitting filters by modes: sums of modes come back, smooth filters come near, everything bad is refused, and
 * nothing depends on the number of threads. */
#include <math.h>
#include <stdlib.h>

#include "base/arena.h"
#include "modes/modes.h"
#include "tools/check.h"

enum { TAPS = 1024, CHANNELS = 6, MOST = 16 };

static double next_random(uint64_t *s) {
    *s = *s * 6364136223846793005u + 1442695040888963407u;
    return (double)(*s >> 11) / 9007199254740992.0;
}

/* A sum of n modes whose decays single precision holds exactly: some real, some slow, some fast. */
static void draw_filter(uint64_t *s, int n, double *h, int64_t taps) {
    h[0] = next_random(s);
    for (int64_t t = 1; t < taps; t++) h[t] = 0;
    for (int k = 0; k < n; k++) {
        double size = exp(-exp(log(0.5) + next_random(s) * (log(2 / (double)taps) - log(0.5))));
        double turn = k % 3 ? 0.3 + 2.6 * next_random(s) : 0;
        double re = 1 + (float)(size * cos(turn) - 1), im = (float)(size * sin(turn));
        double p = 1, q = 0, g = 0.5 + next_random(s), gi = turn > 0 ? next_random(s) : 0;
        for (int64_t t = 1; t < taps; t++) {
            h[t] += g * p - gi * q;
            double next = p * re - q * im;
            q = p * im + q * re, p = next;
        }
    }
}

/* The relative error of the modes' own impulse response, computed the other way: as scan.modal does. */
static double error_of(const Modes *m, const double *h, int64_t taps) {
    double p[MODES_MAX], q[MODES_MAX], off = 0, size = h[0] * h[0];
    for (int k = 0; k < m->n; k++) p[k] = 1, q[k] = 0;
    for (int64_t t = 1; t < taps; t++) {
        double y = 0;
        for (int k = 0; k < m->n; k++) {
            y += (double)m->gre[k] * p[k] - (double)m->gim[k] * q[k];
            double next = p[k] + (double)m->re[k] * p[k] - (double)m->im[k] * q[k];
            q[k] = q[k] + (double)m->im[k] * p[k] + (double)m->re[k] * q[k], p[k] = next;
        }
        off += (y - h[t]) * (y - h[t]), size += h[t] * h[t];
    }
    return size > 0 ? sqrt(off / size) : 0;
}

static bool is_stable(const Modes *m) {
    for (int k = 0; k < m->n; k++)
        if (!(hypot(1 + (double)m->re[k], (double)m->im[k]) < 1)) return false;
    return true;
}

/* n modes found with `order` of them allowed. */
static void check_sum_of_modes(uint64_t seed, int n, int allowed, int64_t taps) {
    double *h = xmalloc(sizeof *h * (size_t)taps);
    Modes m;
    draw_filter(&seed, n, h, taps);
    CHECK(modes_fit(h, taps, allowed, &m) && m.n == allowed && is_stable(&m));
    double error = error_of(&m, h, taps);
    if (!CHECK(error <= 1e-6 && fabs(error - m.error) <= 1e-8))
        fprintf(stderr, "    %d modes by %d, %lld taps: off by %g, says %g\n", n, allowed, (long long)taps,
                error, m.error);
    free(h);
}

static void check_recovery(void) {
    for (uint64_t seed = 1; seed <= 8; seed++) {
        check_sum_of_modes(seed, 1, 1, 64);
        check_sum_of_modes(seed, 3, 3, 200);
        check_sum_of_modes(seed, 6, 6, TAPS);
        check_sum_of_modes(seed, 4, 8, 777);
        check_sum_of_modes(seed, 1, MOST, TAPS);
    }
}

/* A bump that no few modes make: more of them come nearer, and the error is told as it is. */
static void check_smooth(void) {
    static double h[TAPS];
    double last = 1;
    for (int t = 0; t < TAPS; t++) {
        double x = (double)t / TAPS;
        h[t] = exp(-4 * x) * sin(3 * sin(5 * x + 1) + 2 * x);
    }
    for (int n = 1; n <= MOST; n *= 2) {
        Modes m;
        CHECK(modes_fit(h, TAPS, n, &m) && is_stable(&m));
        CHECK(m.error < last && fabs(error_of(&m, h, TAPS) - m.error) <= 1e-8);
        last = m.error;
    }
    if (!CHECK(last < 1e-3)) fprintf(stderr, "    a smooth filter: off by %g\n", last);
}

static void check_edges(void) {
    static double h[TAPS];
    Modes m;
    CHECK(modes_fit(h, TAPS, 4, &m) && m.error == 0 && error_of(&m, h, TAPS) == 0); /* nothing at all */
    h[0] = 3;
    CHECK(modes_fit(h, TAPS, 4, &m) && error_of(&m, h, TAPS) == 0); /* the first tap is exact */
    h[1] = -2;
    CHECK(modes_fit(h, TAPS, 4, &m) && is_stable(&m) &&
          error_of(&m, h, TAPS) < 1e-2); /* one tap: a fast mode */
    for (int t = 1; t < TAPS; t++) h[t] = 0.5;
    CHECK(modes_fit(h, TAPS, 4, &m) && is_stable(&m) && error_of(&m, h, TAPS) < 1e-3); /* does not fade */
    for (int t = 1; t < TAPS; t++) h[t] = exp(0.002 * t);
    CHECK(modes_fit(h, TAPS, 4, &m) && is_stable(&m) &&
          m.error <= 1); /* grows: cannot be had, must not blow up */
    for (int t = 1; t < TAPS; t++) h[t] = 1e-300 * exp(-0.01 * t);
    h[0] = 0;
    CHECK(modes_fit(h, TAPS, 4, &m) && is_stable(&m) && !isnan(m.error));
    h[100] = NAN;
    CHECK(!modes_fit(h, TAPS, 4, &m));
    h[100] = INFINITY;
    CHECK(!modes_fit(h, TAPS, 4, &m));
}

static void check_all_channels(void) {
    enum { N = 3 };
    double *h = xmalloc(sizeof *h * TAPS * CHANNELS);
    Modes all[CHANNELS], one;
    uint64_t seed = 9;
    for (int i = 0; i < CHANNELS; i++) draw_filter(&seed, N, h + i * TAPS, TAPS);
    CHECK(modes_fit_all(h, CHANNELS, TAPS, N, all) == -1);
    for (int i = 0; i < CHANNELS; i++) {
        CHECK(modes_fit(h + i * TAPS, TAPS, N, &one));
        CHECK(!memcmp(one.re, all[i].re, sizeof *one.re * N) &&
              !memcmp(one.gre, all[i].gre, sizeof *one.gre * N));
    }
    h[2 * TAPS + 7] = NAN, h[4 * TAPS] = INFINITY;
    CHECK(modes_fit_all(h, CHANNELS, TAPS, N, all) == 2);
    free(h);
}

static bool holds(double re, double im, const double *x, const double *y, int n) {
    for (int i = 0; i < n; i++)
        if (hypot(x[i] - re, y[i] - im) < 1e-9) return true;
    return false;
}

static void check_eigenvalues(void) {
    double re[8], im[8];
    double turn[] = {0, -1, 1, 0}, full[] = {2, 1, 0, 0, 3, 1, 1, 0, 1}; /* roots: -i, i */
    CHECK(eigenvalues(turn, 2, re, im) && holds(0, 1, re, im, 2) && holds(0, -1, re, im, 2));
    CHECK(eigenvalues(full, 3, re, im));
    CHECK(fabs(re[0] + re[1] + re[2] - 6) < 1e-12 && fabs(im[0] + im[1] + im[2]) < 1e-12);
    /* companion of (x - 1)(x - 2)(x + 3)(x^2 + 4) = x^5 - 3x^3 + 6x^2 - 28x + 24 */
    double companion[25] = {0, 3, -6, 28, -24, 1, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 1, 0};
    CHECK(eigenvalues(companion, 5, re, im));
    CHECK(holds(1, 0, re, im, 5) && holds(2, 0, re, im, 5) && holds(-3, 0, re, im, 5));
    CHECK(holds(0, 2, re, im, 5) && holds(0, -2, re, im, 5));
    double zero[16] = {0};
    CHECK(eigenvalues(zero, 4, re, im) && holds(0, 0, re, im, 4));
}

int main(void) {
    check_eigenvalues();
    check_recovery();
    check_smooth();
    check_edges();
    check_all_channels();
    return check_report("modes");
}
