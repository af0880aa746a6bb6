/* Least squares for decays and gains: from the starting points of start.c, the best gains, then steps of
 * Levenberg and Marquardt on both. A step asks for products of pairs of the 4 n columns
 *
 *     a^t  and  t a^t      (what the sum gains when g, and log a, move)
 *
 * over all taps. These are sums of powers of a_i a_j, which log2 taps doublings give; only the sums with the
 * remainder run over the taps. Gains get the ridge that rounding to single precision amounts to, so that two
 * modes never cancel by more than compiled code can bear. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "modes/modes.h"

enum { POOL = 2 * MODES_MAX, WIDTH = 8, COLUMNS = 4 * MODES_MAX };
static const double NEAREST = 1 - 0x1p-22, LEAST = 1e-3; /* bounds of |a| */
static const double RIDGE = 1e-14;                       /* the square of rounding to f32 */

/* Eight modes are one vector: elementwise only, so that the sums have one order on every machine. */
typedef double Vec __attribute__((vector_size(WIDTH * sizeof(double))));

typedef struct Fit {
    const double *g; /* taps from 1 on */
    int64_t len;
    int n;
    double re[POOL], im[POOL], gre[POOL], gim[POOL];
    /* of remainder e = g - approximation, as the last `remainder` left them: sum e^2; sums of e a^t, t e a^t
     */
    double square;
    double m0re[POOL], m0im[POOL], m1re[POOL], m1im[POOL];
} Fit;

/* ---- sums over the taps ---- */

static void remainder_sums(Fit *f) {
    enum { VECS = POOL / WIDTH };
    int nv = (f->n + WIDTH - 1) / WIDTH;
    Vec re[VECS], im[VECS], gre[VECS], gim[VECS], pre[VECS], pim[VECS], sums[4][VECS];
    for (int k = f->n; k < nv * WIDTH; k++) f->re[k] = f->im[k] = f->gre[k] = f->gim[k] = 0;
    for (int v = 0; v < nv; v++) {
        const double *from[] = {f->re, f->im, f->gre, f->gim};
        Vec *to[] = {re, im, gre, gim};
        for (int k = 0; k < 4; k++) memcpy(to[k] + v, from[k] + v * WIDTH, sizeof(Vec));
        pre[v] = (Vec){0} + 1, pim[v] = (Vec){0};
        for (int k = 0; k < 4; k++) sums[k][v] = (Vec){0};
    }
    f->square = 0;
    for (int64_t t = 0; t < f->len; t++) {
        Vec y = {0};
        for (int v = 0; v < nv; v++) y += gre[v] * pre[v] - gim[v] * pim[v];
        double e = f->g[t] - (((y[0] + y[1]) + (y[2] + y[3])) + ((y[4] + y[5]) + (y[6] + y[7])));
        double te = (double)t * e;
        f->square += e * e;
        for (int v = 0; v < nv; v++) {
            Vec p = pre[v], q = pim[v];
            sums[0][v] += e * p, sums[1][v] += e * q, sums[2][v] += te * p, sums[3][v] += te * q;
            pre[v] = p * re[v] - q * im[v], pim[v] = p * im[v] + q * re[v];
        }
    }
    double *out[] = {f->m0re, f->m0im, f->m1re, f->m1im};
    for (int k = 0; k < 4; k++)
        for (int v = 0; v < nv; v++) memcpy(out[k] + v * WIDTH, &sums[k][v], sizeof(Vec));
}

typedef struct Cx {
    double re, im;
} Cx;

static Cx cx_mul(Cx x, Cx y) {
    return (Cx){x.re * y.re - x.im * y.im, x.re * y.im + x.im * y.re};
}

static Cx cx_add(Cx x, double f, Cx y) {
    return (Cx){x.re + f * y.re, x.im + f * y.im};
}

/* s[k] = sum over t < len of t^k u^t. */
static void power_sums(Cx u, int64_t len, Cx s[3]) {
    Cx p = {1, 0}; /* u^n, where the sums stand at n terms */
    double n = 0;
    for (int k = 0; k < 3; k++) s[k] = (Cx){0, 0};
    for (int bit = 62; bit >= 0; bit--) {
        if (n > 0) {
            Cx s1 = cx_add(s[1], n, s[0]), s2 = cx_add(cx_add(s[2], 2 * n, s[1]), n * n, s[0]);
            s[0] = cx_add(s[0], 1, cx_mul(p, s[0]));
            s[1] = cx_add(s[1], 1, cx_mul(p, s1));
            s[2] = cx_add(s[2], 1, cx_mul(p, s2));
            p = cx_mul(p, p), n *= 2;
        }
        if (len >> bit & 1) {
            s[0] = cx_add(s[0], 1, p), s[1] = cx_add(s[1], n, p), s[2] = cx_add(s[2], n * n, p);
            p = cx_mul(p, u), n += 1;
        }
    }
}

/* ---- the normal equations ---- */

/* Columns: for each mode those of Re g and Im g, then (kinds == 2) those of Re and Im of log a. */
typedef struct Normal {
    int n;
    double a[COLUMNS * COLUMNS], b[COLUMNS];
} Normal;

static Cx scale_of(const Fit *f, int mode, int kind) {
    return kind ? (Cx){f->gre[mode], f->gim[mode]} : (Cx){1, 0};
}

/* p: sum of x conj(y), q: sum of x y for complex columns x, y; the real ones are Re and -Im of them. */
static void put_products(Normal *m, int row, int col, Cx p, Cx q) {
    double *a = m->a + row * m->n + col, *b = a + m->n;
    a[0] = (p.re + q.re) / 2, a[1] = (p.im - q.im) / 2;
    b[0] = -(q.im + p.im) / 2, b[1] = (p.re - q.re) / 2;
}

static void normal_equations(const Fit *f, int kinds, Normal *m) {
    m->n = 2 * kinds * f->n;
    for (int i = 0; i < f->n; i++)
        for (int j = 0; j < f->n; j++) {
            Cx x = {f->re[i], f->im[i]}, y = {f->re[j], f->im[j]}, s[3], t[3];
            power_sums(cx_mul(x, (Cx){y.re, -y.im}), f->len, s);
            power_sums(cx_mul(x, y), f->len, t);
            for (int k = 0; k < kinds; k++)
                for (int l = 0; l < kinds; l++) {
                    Cx gx = scale_of(f, i, k), gy = scale_of(f, j, l);
                    Cx p = cx_mul(cx_mul(gx, (Cx){gy.re, -gy.im}), s[k + l]);
                    put_products(m, 2 * (k * f->n + i), 2 * (l * f->n + j), p,
                                 cx_mul(cx_mul(gx, gy), t[k + l]));
                }
        }
    for (int i = 0; i < f->n; i++) {
        m->b[2 * i] = f->m0re[i], m->b[2 * i + 1] = -f->m0im[i];
        if (kinds == 1) continue;
        Cx moved = cx_mul(scale_of(f, i, 1), (Cx){f->m1re[i], f->m1im[i]});
        m->b[2 * (f->n + i)] = moved.re, m->b[2 * (f->n + i) + 1] = -moved.im;
    }
}

/* Factors a + ridge diag(a) = L L' in place; a column of zeros (a real mode has one) gets a one. */
static void factor(Normal *m, double ridge) {
    int n = m->n;
    double top = 0;
    for (int i = 0; i < n; i++) top = fmax(top, m->a[i * n + i]);
    for (int i = 0; i < n; i++) {
        double *row = m->a + i * n, d = row[i];
        if (!(d > 1e-30 * top)) {
            for (int j = 0; j < n; j++) row[j] = m->a[j * n + i] = 0;
            d = row[i] = 1, m->b[i] = 0;
        }
        row[i] += ridge * d;
    }
    for (int i = 0; i < n; i++)
        for (int j = 0; j <= i; j++) {
            double *x = m->a + i * n, *y = m->a + j * n, s = x[j];
            for (int k = 0; k < j; k++) s -= x[k] * y[k];
            if (i > j)
                x[j] = s / y[j];
            else /* rounding may leave nothing, or less */
                x[i] = s > 1e-17 * x[i] ? sqrt(s) : 1e-8 * sqrt(fabs(x[i])) + 1e-150;
        }
}

static void solve(const Normal *m, double *x) {
    int n = m->n;
    for (int i = 0; i < n; i++) {
        for (int k = 0; k < i; k++) x[i] -= m->a[i * n + k] * x[k];
        x[i] /= m->a[i * n + i];
    }
    for (int i = n - 1; i >= 0; i--) {
        for (int k = i + 1; k < n; k++) x[i] -= m->a[k * n + i] * x[k];
        x[i] /= m->a[i * n + i];
    }
}

/* ---- gains for given decays ---- */

/* Solved again for what is left, since the equations square the condition of the problem. */
static void best_gains(Fit *f, Normal *m) {
    enum { TURNS = 3 };
    for (int k = 0; k < f->n; k++) f->gre[k] = f->gim[k] = 0;
    remainder_sums(f);
    normal_equations(f, 1, m);
    factor(m, RIDGE);
    for (int turn = 0; turn < TURNS; turn++) {
        double x[COLUMNS];
        Fit before = *f;
        for (int k = 0; k < f->n; k++) {
            x[2 * k] = f->m0re[k], x[2 * k + 1] = f->im[k] == 0 ? 0 : -f->m0im[k];
        }
        solve(m, x);
        for (int k = 0; k < f->n; k++) f->gre[k] += x[2 * k], f->gim[k] += x[2 * k + 1];
        remainder_sums(f);
        if (!(f->square < before.square)) {
            *f = before;
            return;
        }
        if (f->square > 0.98 * before.square) return;
    }
}

/* Drops the mode whose loss costs least: x' N^-1 x of its two columns, inverted. */
static void drop_least(Fit *f, Normal *m) {
    normal_equations(f, 1, m);
    factor(m, RIDGE);
    int least = 0, n = m->n;
    double least_cost = INFINITY;
    for (int k = 0; k < f->n; k++) {
        double c[2][COLUMNS];
        for (int i = 0; i < 2; i++) {
            memset(c[i], 0, sizeof *c[i] * (size_t)n);
            c[i][2 * k + i] = 1;
            solve(m, c[i]);
        }
        double p = c[0][2 * k], q = c[0][2 * k + 1], s = c[1][2 * k + 1], x = f->gre[k], y = f->gim[k];
        double cost = (s * x * x - 2 * q * x * y + p * y * y) / (p * s - q * q);
        if (cost < least_cost) least_cost = cost, least = k;
    }
    f->n--;
    double *all[] = {f->re, f->im, f->gre, f->gim};
    for (int i = 0; i < 4; i++)
        memmove(all[i] + least, all[i] + least + 1, sizeof(double) * (size_t)(f->n - least));
}

/* ---- decays ---- */

/* Inside the unit circle: outer ones are mirrored at it. */
static void bound(double *re, double *im) {
    double size = hypot(*re, *im), to = size > 1 ? 1 / size : size;
    to = fmin(fmax(to, LEAST), NEAREST);
    if (size > 0)
        *re *= to / size, *im *= to / size;
    else
        *re = LEAST;
}

static void move(Fit *f, const double *x) {
    for (int k = 0; k < f->n; k++) {
        const double *dg = x + 2 * k, *da = x + 2 * (f->n + k);
        double grow = exp(fmin(fmax(da[0], -1), 1)), turn = fmin(fmax(da[1], -1), 1);
        f->gre[k] += dg[0], f->gim[k] += dg[1];
        Cx a = cx_mul((Cx){f->re[k], f->im[k]}, (Cx){grow * cos(turn), grow * sin(turn)});
        f->re[k] = a.re, f->im[k] = a.im;
        bound(&f->re[k], &f->im[k]);
    }
}

/* Levenberg and Marquardt: the damping falls with every step that helps, and rises with every other. */
static void refine(Fit *f, Normal *m, double whole) {
    enum { STEPS = 40 };
    static const double ENOUGH = 1e-3, NOTHING = 1e-26; /* of the square */
    double damping = 1e-2;
    int slow = 0;
    for (int step = 0; step < STEPS && slow < 3 && f->square > NOTHING * whole; step++) {
        Fit before = *f;
        normal_equations(f, 2, m);
        factor(m, damping);
        double x[COLUMNS];
        memcpy(x, m->b, sizeof *x * (size_t)m->n);
        solve(m, x);
        move(f, x);
        remainder_sums(f);
        if (f->square < before.square) {
            slow = f->square > (1 - ENOUGH) * before.square ? slow + 1 : 0;
            damping = fmax(damping / 5, 1e-12);
        } else {
            *f = before;
            damping *= 6, slow += damping > 1e3;
        }
    }
}

/* ---- the whole ---- */

static void start(Fit *f, Normal *m, int n) {
    f->n = modes_start(f->g, f->len, 2 * n, f->re, f->im);
    for (int k = 0; k < f->n; k++) bound(&f->re[k], &f->im[k]);
    best_gains(f, m);
    while (f->n > n) {
        drop_least(f, m);
        best_gains(f, m);
    }
    for (; f->n < n; f->n++) f->re[f->n] = LEAST, f->im[f->n] = f->gre[f->n] = f->gim[f->n] = 0;
}

static void to_single(double *x, float *out, int n) {
    for (int k = 0; k < n; k++) x[k] = out[k] = (float)x[k];
}

/* The largest tap; -1: one is not finite. */
static double largest(const double *h, int64_t taps) {
    double top = 0;
    for (int64_t t = 0; t < taps; t++) {
        if (!isfinite(h[t])) return -1;
        top = fmax(top, fabs(h[t]));
    }
    return top;
}

/* g: taps behind the first, in units of the largest tap. */
static void fit_scaled(const double *g, int64_t len, double unit, Modes *out) {
    int n = out->n;
    Normal *m = xmalloc(sizeof *m);
    Fit f = {.g = g, .len = len};
    double behind = 0;
    for (int64_t t = 0; t < len; t++) behind += g[t] * g[t];
    start(&f, m, n);
    remainder_sums(&f);
    refine(&f, m, behind);
    for (int k = 0; k < n; k++) f.re[k] -= 1;
    to_single(f.re, out->re, n), to_single(f.im, out->im, n);
    for (int k = 0; k < n; k++) f.re[k] += 1;
    best_gains(&f, m);
    for (int k = 0; k < n; k++) {
        out->gre[k] = (float)(f.gre[k] * unit), out->gim[k] = (float)(f.gim[k] * unit);
        f.gre[k] = (double)out->gre[k] / unit, f.gim[k] = (double)out->gim[k] / unit;
    }
    remainder_sums(&f);
    out->error = sqrt(f.square);
    free(m);
}

bool modes_fit(const double *h, int64_t taps, int n, Modes *out) {
    *out = (Modes){.n = n};
    for (int k = 0; k < n; k++) out->re[k] = -1; /* a = 0: nothing, whatever the gain */
    double unit = largest(h, taps), whole = 0, behind = 0;
    if (unit < 0) return false;
    double *g = xmalloc(sizeof *g * (size_t)taps);
    for (int64_t t = 0; t < taps && unit > 0; t++) {
        g[t] = h[t] / unit;
        whole += g[t] * g[t], behind += t ? g[t] * g[t] : 0;
    }
    if (behind > 0 && taps >= 3) fit_scaled(g + 1, taps - 1, unit, out);
    out->error = whole > 0 ? out->error / sqrt(whole) : 0;
    free(g);
    return true;
}
