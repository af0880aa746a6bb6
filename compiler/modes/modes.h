/* Approximating a filter by damped oscillations:
 *
 *     h[0] = as it is,    h[t] ~ Re sum_k g_k a_k^(t-1)    1 <= t < taps,  |a_k| < 1
 *
 * which a recurrence of n complex numbers computes (op scan.modal), whatever the length of the sequence. */
#ifndef BTC_MODES_H
#define BTC_MODES_H

#include <stdbool.h>
#include <stdint.h>

enum { MODES_MAX = 32 };

/* Single precision, in which compiled code reads them: the gains are the best ones for the rounded decays. */
typedef struct Modes {
    int n;
    float re[MODES_MAX], im[MODES_MAX];   /* a - 1: as scan.modal takes the decays */
    float gre[MODES_MAX], gim[MODES_MAX]; /* gains g */
    double error;                         /* |h - approximation| / |h| in the 2-norm, with these numbers */
} Modes;

/* n: from 1 to MODES_MAX, and at most a quarter of the taps behind the first: n modes are 4 n numbers.
 * Depends on its arguments alone, and gives the same bits on every machine. false: a tap is not finite. */
bool modes_fit(const double *h, int64_t taps, int n, Modes *out);

/* The filters h[channels][taps], on all CPUs; out[channels]. Returns -1, or the first channel with a tap that
 * is not finite. */
int64_t modes_fit_all(const double *h, int64_t channels, int64_t taps, int n, Modes *out);

/* ---- steps of it, for tests ---- */

/* Starting points: decays of the filter's `want` strongest directions (start.c). g[len] is h from tap 1 on.
 * Returns how many: real ones, and one of each conjugate pair. re, im: room for `want`. */
int modes_start(const double *g, int64_t len, int want, double *re, double *im);

/* All eigenvalues of the real matrix a[n][n], which is overwritten (eigenvalues.c). false: no convergence. */
bool eigenvalues(double *a, int n, double *re, double *im);

#endif
