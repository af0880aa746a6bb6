/* Eigenvalues of a small real matrix: elimination to Hessenberg form, then QR steps with Wilkinson's shift,
 * in complex arithmetic (Golub & Van Loan, Matrix Computations, 7.4 and 7.5). LAPACK would be a dependency of
 * btc for these two screens: the matrices have some dozens of rows, and vectors are not wanted. */
#include <complex.h>
#include <math.h>
#include <stdlib.h>

#include "base/arena.h"
#include "modes/modes.h"

typedef double complex Complex;

static void swap(double *x, double *y) {
    double t = *x;
    *x = *y, *y = t;
}

/* Similarity by row operations with pivoting: zeros below the subdiagonal. */
static void to_hessenberg(double *a, int n) {
    for (int m = 1; m < n - 1; m++) {
        int pivot = m;
        for (int i = m + 1; i < n; i++)
            if (fabs(a[i * n + m - 1]) > fabs(a[pivot * n + m - 1])) pivot = i;
        if (pivot != m) {
            for (int j = 0; j < n; j++) swap(&a[pivot * n + j], &a[m * n + j]);
            for (int i = 0; i < n; i++) swap(&a[i * n + pivot], &a[i * n + m]);
        }
        double p = a[m * n + m - 1];
        for (int i = m + 1; i < n && p != 0; i++) {
            double f = a[i * n + m - 1] / p;
            if (f == 0) continue;
            for (int j = m - 1; j < n; j++) a[i * n + j] -= f * a[m * n + j];
            for (int j = 0; j < n; j++) a[j * n + m] += f * a[j * n + i];
        }
    }
}

/* The eigenvalue of the last 2x2 block that is nearer to its last element. */
static Complex wilkinson(const Complex *h, int n, int hi) {
    Complex a = h[(hi - 1) * n + hi - 1], b = h[(hi - 1) * n + hi], c = h[hi * n + hi - 1],
            d = h[hi * n + hi];
    Complex half = (a - d) / 2, root = csqrt(half * half + b * c);
    Complex x = d + half + root, y = d + half - root;
    return cabs(x - d) < cabs(y - d) ? x : y;
}

/* One QR step on rows and columns lo..hi: H - s = QR, H = RQ + s, by rotations. */
static void qr_step(Complex *h, int n, int lo, int hi, Complex s, Complex *cs, Complex *sn) {
    for (int i = lo; i <= hi; i++) h[i * n + i] -= s;
    for (int i = lo; i < hi; i++) {
        Complex *x = &h[i * n], *y = &h[(i + 1) * n];
        double r = hypot(cabs(x[i]), cabs(y[i]));
        cs[i] = r > 0 ? x[i] / r : 1, sn[i] = r > 0 ? y[i] / r : 0;
        for (int j = i; j <= hi; j++) {
            Complex p = conj(cs[i]) * x[j] + conj(sn[i]) * y[j];
            y[j] = cs[i] * y[j] - sn[i] * x[j], x[j] = p;
        }
    }
    for (int j = lo; j < hi; j++)
        for (int i = lo; i <= j + 1; i++) {
            Complex x = h[i * n + j], y = h[i * n + j + 1];
            h[i * n + j] = x * cs[j] + y * sn[j];
            h[i * n + j + 1] = conj(cs[j]) * y - conj(sn[j]) * x;
        }
    for (int i = lo; i <= hi; i++) h[i * n + i] += s;
}

static bool negligible(const Complex *h, int n, int i) {
    double around = cabs(h[(i - 1) * n + i - 1]) + cabs(h[i * n + i]);
    return cabs(h[i * n + i - 1]) <= 1e-16 * (around > 0 ? around : 1);
}

bool eigenvalues(double *a, int n, double *re, double *im) {
    enum { MOST_STEPS = 60 };
    Complex *h = xmalloc(sizeof *h * (size_t)(n * n + 2 * n)), *cs = h + n * n, *sn = cs + n;
    to_hessenberg(a, n);
    for (int i = 0; i < n; i++)
        for (int j = 0; j < n; j++) h[i * n + j] = i > j + 1 ? 0 : a[i * n + j];
    int hi = n - 1, steps = 0;
    while (hi >= 0 && steps < MOST_STEPS) {
        int lo = hi;
        while (lo > 0 && !negligible(h, n, lo)) lo--;
        if (lo == hi) {
            hi--, steps = 0;
            continue;
        }
        Complex shift = wilkinson(h, n, hi);
        if (++steps % 12 == 0) shift = h[hi * n + hi] + cabs(h[hi * n + hi - 1]); /* out of a cycle */
        qr_step(h, n, lo, hi, shift, cs, sn);
    }
    for (int i = 0; i < n; i++) re[i] = creal(h[i * n + i]), im[i] = cimag(h[i * n + i]);
    free(h);
    return hi < 0;
}
