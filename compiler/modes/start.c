/* Where the fit begins: Kung's method on a sketch. The Hankel matrix H[i][j] = g[i + j] of a sum of r modes
 * has rank r, and its column space is spanned by (1, a, a^2 ..): moved down by one row, the same space times
 * the decays. So the decays are the eigenvalues of the map that moves a basis of the strongest directions
 * (Kung 1978; Roy & Kailath 1989). A basis of H itself would take l^3 work; one of H times some random
 * columns gives the same space when the filter has few modes, and a good beginning otherwise (Halko et al.
 * 2011, arXiv:0909.4061). */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "modes/modes.h"

/* Directions so much weaker than the first are below what single precision holds; decays out of them would
 * only spoil the condition of what follows. */
static const double NOISE = 3e-8;

enum { SPARE = 8, TERMS = 32, COLUMNS_MAX = 2 * MODES_MAX + SPARE };

static uint64_t next_random(uint64_t *s) {
    *s = *s * 6364136223846793005u + 1442695040888963407u;
    return *s >> 33;
}

/* y[k] of `rows` numbers each: sums of columns of H with random signs. Half of the columns are drawn so that
 * every power of two is as likely as any other, since what fades fast is in the first columns only. */
static void sketch(const double *g, int64_t rows, int64_t cols, int k, double *y) {
    uint64_t seed = 1;
    memset(y, 0, sizeof *y * (size_t)(rows * k));
    for (int c = 0; c < k; c++, y += rows)
        for (int t = 0; t <= TERMS; t++) {
            double u = (double)next_random(&seed) / 2147483648.0;
            double at = t % 2 ? u * (double)cols : exp2(u * log2((double)cols + 1)) - 1;
            int64_t j = t == 0 ? c : (int64_t)at;
            double sign = next_random(&seed) & 1 ? 1 : -1;
            const double *from = g + (j < cols ? j : cols - 1);
            for (int64_t i = 0; i < rows; i++) y[i] += sign * from[i];
        }
}

static double dot(const double *x, const double *y, int64_t n) {
    double s[4] = {0};
    int64_t i = 0;
    for (; i + 4 <= n; i += 4)
        for (int k = 0; k < 4; k++) s[k] += x[i + k] * y[i + k];
    for (; i < n; i++) s[0] += x[i] * y[i];
    return (s[0] + s[1]) + (s[2] + s[3]);
}

static void subtract(double *x, double f, const double *y, int64_t n) {
    for (int64_t i = 0; i < n; i++) x[i] -= f * y[i];
}

/* y becomes an orthonormal basis q; r[c][j]: y_c = sum_j r[c][j] q_j. Columns that add nothing are dropped.
 * Returns how many directions there are. */
static int orthonormal(double *y, int64_t rows, int k, double *r) {
    int n = 0;
    memset(r, 0, sizeof *r * (size_t)(k * k));
    for (int c = 0; c < k; c++) {
        double *x = y + c * rows, before = sqrt(dot(x, x, rows));
        for (int turn = 0; turn < 2; turn++)
            for (int j = 0; j < n; j++) {
                double f = dot(x, y + j * rows, rows);
                r[c * k + j] += f;
                subtract(x, f, y + j * rows, rows);
            }
        double size = sqrt(dot(x, x, rows));
        if (!(size > 1e-13 * before)) continue;
        r[c * k + n] = size;
        for (int64_t i = 0; i < rows; i++) y[n * rows + i] = x[i] / size;
        n++;
    }
    return n;
}

/* One-sided Jacobi: turns the columns x_j (x[c][j], k rows of n) until they are orthogonal, and does the same
 * to the unit matrix v[n][n]. Columns of v are then the singular directions. */
static void jacobi(double *x, int k, int stride, int n, double *v) {
    enum { SWEEPS = 30 };
    for (int i = 0; i < n * n; i++) v[i] = i % (n + 1) == 0;
    for (int sweep = 0, turned = 1; sweep < SWEEPS && turned; sweep++) {
        turned = 0;
        for (int p = 0; p < n; p++)
            for (int q = p + 1; q < n; q++) {
                double a = 0, b = 0, c = 0;
                for (int i = 0; i < k; i++) {
                    double xp = x[i * stride + p], xq = x[i * stride + q];
                    a += xp * xp, b += xq * xq, c += xp * xq;
                }
                if (fabs(c) <= 1e-15 * sqrt(a * b) || c == 0) continue;
                turned = 1;
                double zeta = (b - a) / (2 * c);
                double t = (zeta > 0 ? 1 : -1) / (fabs(zeta) + sqrt(1 + zeta * zeta));
                double cs = 1 / sqrt(1 + t * t), sn = cs * t;
                for (int i = 0; i < k; i++) {
                    double xp = x[i * stride + p], xq = x[i * stride + q];
                    x[i * stride + p] = cs * xp - sn * xq, x[i * stride + q] = sn * xp + cs * xq;
                }
                for (int i = 0; i < n; i++) {
                    double vp = v[i * n + p], vq = v[i * n + q];
                    v[i * n + p] = cs * vp - sn * vq, v[i * n + q] = sn * vp + cs * vq;
                }
            }
    }
}

/* The strongest `want` of the n directions: w[n][want]. x: as jacobi left it. Returns how many are worth it.
 */
static int strongest(const double *x, int k, int stride, int n, const double *v, int want, double *w) {
    double size[COLUMNS_MAX], first = 0;
    int kept = 0;
    for (int j = 0; j < n; j++) {
        size[j] = 0;
        for (int i = 0; i < k; i++) size[j] += x[i * stride + j] * x[i * stride + j];
    }
    for (; kept < want && kept < n; kept++) {
        int best = 0;
        for (int j = 1; j < n; j++)
            if (size[j] > size[best]) best = j;
        if (kept == 0) first = size[best];
        if (!(size[best] > NOISE * NOISE * first)) break;
        for (int i = 0; i < n; i++) w[i * want + kept] = v[i * n + best];
        size[best] = -1;
    }
    return kept;
}

/* The map that moves the basis q w down by one row: (B1' B1)^-1 B1' B2, where B1 lacks the last row of the
 * basis and B2 the first one. As the basis is orthonormal, B1' B1 is 1 - last last'. a: [r][r]. */
static void shift_map(const double *q, int64_t rows, int n, const double *w, int stride, int r, double *a) {
    double moved[COLUMNS_MAX * COLUMNS_MAX], half[COLUMNS_MAX * COLUMNS_MAX], last[COLUMNS_MAX], size = 0;
    for (int i = 0; i < n; i++)
        for (int j = 0; j < n; j++) moved[i * n + j] = dot(q + i * rows, q + j * rows + 1, rows - 1);
    for (int i = 0; i < n; i++)
        for (int j = 0; j < r; j++) {
            half[i * r + j] = 0;
            for (int k = 0; k < n; k++) half[i * r + j] += moved[i * n + k] * w[k * stride + j];
        }
    for (int i = 0; i < r; i++) {
        last[i] = 0;
        for (int k = 0; k < n; k++) last[i] += w[k * stride + i] * q[k * rows + rows - 1];
        size += last[i] * last[i];
        for (int j = 0; j < r; j++) {
            a[i * r + j] = 0;
            for (int k = 0; k < n; k++) a[i * r + j] += w[k * stride + i] * half[k * r + j];
        }
    }
    double f = 1 / fmax(1 - size, 1e-12);
    for (int j = 0; j < r; j++) {
        double s = 0;
        for (int i = 0; i < r; i++) s += last[i] * a[i * r + j];
        for (int i = 0; i < r; i++) a[i * r + j] += f * s * last[i];
    }
}

int modes_start(const double *g, int64_t len, int want, double *re, double *im) {
    int64_t cols = len / 2, rows = len + 1 - cols;
    int k = want + SPARE < cols ? want + SPARE : (int)cols, r = 0, found = 0;
    double *y = xmalloc(sizeof *y * (size_t)(rows * k));
    double x[COLUMNS_MAX * COLUMNS_MAX], v[COLUMNS_MAX * COLUMNS_MAX], w[COLUMNS_MAX * COLUMNS_MAX];
    double all_re[COLUMNS_MAX], all_im[COLUMNS_MAX];
    sketch(g, rows, cols, k, y);
    int n = orthonormal(y, rows, k, x);
    if (n) {
        jacobi(x, k, k, n, v);
        r = strongest(x, k, k, n, v, want, w);
        shift_map(y, rows, n, w, want, r, x);
    }
    if (r && !eigenvalues(x, r, all_re, all_im)) r = 0;
    for (int i = 0; i < r; i++) { /* of a conjugate pair the upper one */
        bool real = fabs(all_im[i]) <= 1e-12;
        if (real || all_im[i] > 0) re[found] = all_re[i], im[found++] = real ? 0 : all_im[i];
    }
    free(y);
    return found;
}
