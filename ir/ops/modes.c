/* State space models as recurrences: the computations on their parameters, done when a model is compiled.
 *
 * A system x' = A x + B u, y = C x with A = diag(re + i im) - P P* is made discrete with a step dt. The bilinear rule
 * keeps its form: (I - dt/2 A)^-1 (I + dt/2 A) = diag(a) - p qT, by the formula of Woodbury: with D = 1/(2/dt - re - i
 * im), E = 2/dt + re + i im and Q = conj(P)
 *
 *     R = I + (Q D)T P,   a = D E,   p = D P,   qT = 4/dt R^-1 (Q D)T,   b = 2 D B - 2 p R^-1 (Q D)T B
 *
 * Only one of each conjugate pair of modes is given, so sums over all modes are twice the real parts of those here. The
 * results are scaled so that a token enters with 1, as scan.modal has it. */
#include <complex.h>

#include "common.h"

enum { IN_RE, IN_IM, IN_DT, IN_BRE, IN_BIM, IN_CRE, IN_CIM, IN_PRE, IN_PIM };
enum { OUT_RE, OUT_IM, OUT_GRE, OUT_GIM, OUT_D, OUT_FRE, OUT_FIM, OUT_QRE, OUT_QIM };
enum { MOST_RANK = 16 };

typedef double complex cplx;

/* One channel. */
typedef struct System {
    int64_t n, rank;
    cplx *lambda, *b, *P; /* [n] [n] [rank,n] */
    double *dt;           /* [n] */
    cplx *a, *f, *q;      /* what comes out: [n] [rank,n] [rank,n]; f: what is added, -p */
} System;

/* M^-1 v for n right sides, in place: Gauss with pivots. M is destroyed. */
static bool solve(int64_t n, double *M, int64_t sides, double *v) {
    for (int64_t k = 0; k < n; k++) {
        int64_t best = k;
        for (int64_t i = k + 1; i < n; i++)
            if (fabs(M[i * n + k]) > fabs(M[best * n + k])) best = i;
        if (M[best * n + k] == 0) return false;
        for (int64_t j = 0; j < n && best != k; j++) {
            double t = M[k * n + j];
            M[k * n + j] = M[best * n + j], M[best * n + j] = t;
        }
        for (int64_t j = 0; j < sides && best != k; j++) {
            double t = v[k * sides + j];
            v[k * sides + j] = v[best * sides + j], v[best * sides + j] = t;
        }
        for (int64_t i = 0; i < n; i++) {
            double x = M[i * n + k] / M[k * n + k];
            if (i == k || x == 0) continue;
            for (int64_t j = k; j < n; j++) M[i * n + j] -= x * M[k * n + j];
            for (int64_t j = 0; j < sides; j++) v[i * sides + j] -= x * v[k * sides + j];
        }
    }
    for (int64_t k = 0; k < n; k++)
        for (int64_t j = 0; j < sides; j++) v[k * sides + j] /= M[k * n + k];
    return true;
}

/* Twice the real part of sum x y: over all modes, with their conjugates. */
static double over_all(int64_t n, const cplx *x, const cplx *y) {
    double sum = 0;
    for (int64_t i = 0; i < n; i++) sum += 2 * creal(x[i] * y[i]);
    return sum;
}

/* s->b becomes that of the discrete system. */
static bool bilinear(System *s, cplx *QD) {
    double R[MOST_RANK * MOST_RANK], right[MOST_RANK * (MOST_RANK + 1)] = {0};
    for (int64_t i = 0; i < s->n; i++) {
        cplx D = 1 / (2 / s->dt[i] - s->lambda[i]);
        s->a[i] = D * (2 / s->dt[i] + s->lambda[i]);
        for (int64_t r = 0; r < s->rank; r++) {
            QD[r * s->n + i] = conj(s->P[r * s->n + i]) * D;
            s->f[r * s->n + i] = -D * s->P[r * s->n + i];
        }
    }
    int64_t sides = s->rank + 1; /* the inverse of R, and R^-1 (Q D)T B */
    for (int64_t r = 0; r < s->rank; r++) {
        for (int64_t k = 0; k < s->rank; k++)
            R[r * s->rank + k] = (r == k) + over_all(s->n, QD + r * s->n, s->P + k * s->n);
        right[r * sides + r] = 1, right[r * sides + s->rank] = over_all(s->n, QD + r * s->n, s->b);
    }
    if (!solve(s->rank, R, sides, right)) return false;
    for (int64_t i = 0; i < s->n; i++) {
        s->b[i] *= 2 / (2 / s->dt[i] - s->lambda[i]);
        for (int64_t r = 0; r < s->rank; r++) {
            s->b[i] += 2 * s->f[r * s->n + i] * right[r * sides + s->rank];
            s->q[r * s->n + i] = 0;
            for (int64_t k = 0; k < s->rank; k++)
                s->q[r * s->n + i] += 4 / s->dt[i] * right[r * sides + k] * QD[k * s->n + i];
        }
    }
    return true;
}

/* (e^x - 1) / x, exact for small x, too. */
static cplx expm1_over(cplx x) {
    if (cabs(x) > 1e-3) return (cexp(x) - 1) / x;
    return 1 + x / 2 * (1 + x / 3 * (1 + x / 4 * (1 + x / 5)));
}

static void hold(System *s) {
    for (int64_t i = 0; i < s->n; i++) {
        cplx x = s->dt[i] * s->lambda[i];
        s->a[i] = cexp(x), s->b[i] *= s->dt[i] * expm1_over(x);
    }
}

/* The transition as a real matrix over (Re s, Im s). */
static void transition(const System *s, double *M) {
    int64_t n = s->n, w = 2 * n;
    for (int64_t i = 0; i < n; i++)
        for (int64_t j = 0; j < n; j++) {
            cplx re = i == j ? s->a[i] : 0, im = i == j ? I * s->a[i] : 0;
            for (int64_t r = 0; r < s->rank; r++) {
                re += s->f[r * n + i] * 2 * creal(s->q[r * n + j]);
                im -= s->f[r * n + i] * 2 * cimag(s->q[r * n + j]);
            }
            M[i * w + j] = creal(re), M[(n + i) * w + j] = cimag(re);
            M[i * w + n + j] = creal(im), M[(n + i) * w + n + j] = cimag(im);
        }
}

static void square(int64_t n, const double *x, double *y) {
    for (int64_t i = 0; i < n; i++) {
        for (int64_t j = 0; j < n; j++) y[i * n + j] = 0;
        for (int64_t k = 0; k < n; k++)
            for (int64_t j = 0; j < n; j++) y[i * n + j] += x[i * n + k] * x[k * n + j];
    }
}

static void multiply(int64_t n, const double *x, const double *y, double *z) {
    for (int64_t i = 0; i < n; i++) {
        for (int64_t j = 0; j < n; j++) z[i * n + j] = 0;
        for (int64_t k = 0; k < n; k++)
            for (int64_t j = 0; j < n; j++) z[i * n + j] += x[i * n + k] * y[k * n + j];
    }
}

/* A filter of `length` taps was trained with C (I - A^length) in the place of C: C again, of `sides` systems. */
static bool untruncate(Arena *a, const System *s, int64_t length, int64_t sides, cplx **C) {
    int64_t w = 2 * s->n;
    double *power = ARENA_ARRAY(a, double, w *w), *base = ARENA_ARRAY(a, double, w *w),
           *t = ARENA_ARRAY(a, double, w *w), *v = ARENA_ARRAY(a, double, w *sides);
    transition(s, base);
    for (int64_t i = 0; i < w; i++) power[i * w + i] = 1;
    for (int64_t left = length; left; left >>= 1) {
        if (left & 1) multiply(w, power, base, t), memcpy(power, t, sizeof *t * (size_t)(w * w));
        square(w, base, t), memcpy(base, t, sizeof *t * (size_t)(w * w));
    }
    for (int64_t i = 0; i < w; i++) /* the transpose of I - A^length, for rows that stand on its left */
        for (int64_t j = 0; j < w; j++) t[i * w + j] = (i == j) - power[j * w + i];
    for (int64_t k = 0; k < sides; k++)
        for (int64_t i = 0; i < s->n; i++)
            v[i * sides + k] = creal(C[k][i]), v[(s->n + i) * sides + k] = -cimag(C[k][i]);
    if (!solve(w, t, sides, v)) return false;
    for (int64_t k = 0; k < sides; k++)
        for (int64_t i = 0; i < s->n; i++) C[k][i] = v[i * sides + k] - I * v[(s->n + i) * sides + k];
    return true;
}

/* ---- the op ---- */

static cplx at(const EvalCtx *c, int re, int64_t i) {
    return c->in[re].data[i] + I * c->in[re + 1].data[i];
}

static void put(EvalCtx *c, int re, int64_t i, cplx v) {
    c->out[re].data[i] = creal(v), c->out[re + 1].data[i] = cimag(v);
}

static System system_new(Arena *a, int64_t n, int64_t rank) {
    System s = {.n = n, .rank = rank};
    s.lambda = ARENA_ARRAY(a, cplx, n), s.b = ARENA_ARRAY(a, cplx, n), s.a = ARENA_ARRAY(a, cplx, n);
    s.P = ARENA_ARRAY(a, cplx, rank * n), s.f = ARENA_ARRAY(a, cplx, rank * n),
    s.q = ARENA_ARRAY(a, cplx, rank * n);
    s.dt = ARENA_ARRAY(a, double, n);
    return s;
}

/* The gains of channel h for output k: what is read behind the token, or the tokens before it alone. */
static void put_gains(EvalCtx *c, const System *s, int64_t k, int64_t h, const cplx *C) {
    int64_t channels = c->in[IN_DT].type.dim[0], from = (k * channels + h) * s->n;
    bool before = !strcmp(attr_str(c->op, "read", "after"), "before");
    c->out[OUT_D].data[k * channels + h] = before ? 0 : over_all(s->n, C, s->b);
    for (int64_t i = 0; i < s->n; i++) {
        cplx g = 2 * C[i] * s->a[i];
        for (int64_t r = 0; r < s->rank; r++)
            g += 2 * over_all(s->n, C, s->f + r * s->n) * s->q[r * s->n + i];
        put(c, OUT_GRE, from + i, (before ? 2 * C[i] : g) * s->b[i]);
    }
}

static void one_channel(EvalCtx *c, System *s, int64_t h, cplx **C, cplx *QD) {
    int64_t n = s->n, copies = c->in[IN_RE].type.dim[0], own = h % copies,
            channels = c->in[IN_DT].type.dim[0];
    int64_t steps = c->in[IN_DT].type.dim[1], outputs = c->in[IN_CRE].type.dim[0];
    int64_t length = attr_int(c->op, "length", 0);
    for (int64_t i = 0; i < n; i++) {
        s->lambda[i] = at(c, IN_RE, own * n + i), s->b[i] = at(c, IN_BRE, own * n + i);
        s->dt[i] = c->in[IN_DT].data[h * steps + (steps > 1 ? i : 0)];
        for (int64_t r = 0; r < s->rank; r++) s->P[r * n + i] = at(c, IN_PRE, (r * copies + own) * n + i);
        for (int64_t k = 0; k < outputs; k++) C[k][i] = at(c, IN_CRE, (k * channels + h) * n + i);
    }
    bool ok = true;
    if (!strcmp(attr_str(c->op, "rule", "bilinear"), "hold"))
        hold(s);
    else
        ok = bilinear(s, QD);
    if (!ok || (length && !untruncate(c->scratch, s, length, outputs, C))) {
        c->error = "the system has no discrete form: a matrix has no inverse";
        return;
    }
    for (int64_t k = 0; k < outputs; k++) put_gains(c, s, k, h, C[k]);
    for (int64_t i = 0; i < n; i++) {
        put(c, OUT_RE, h * n + i, s->a[i] - 1);
        for (int64_t r = 0; r < s->rank; r++) {
            put(c, OUT_FRE, (h * s->rank + r) * n + i, s->f[r * n + i] / s->b[i]);
            put(c, OUT_QRE, (h * s->rank + r) * n + i, 2 * s->q[r * n + i] * s->b[i]);
        }
    }
}

static void eval_modes(EvalCtx *c) {
    int64_t n = c->in[IN_RE].type.dim[1], outputs = c->in[IN_CRE].type.dim[0],
            channels = c->in[IN_DT].type.dim[0];
    int64_t rank = c->in[IN_PRE].data ? attr_int(c->op, "rank", 0) : 0;
    System s = system_new(c->scratch, n, rank);
    cplx **C = ARENA_ARRAY(c->scratch, cplx *, outputs), *QD = ARENA_ARRAY(c->scratch, cplx, rank * n);
    for (int64_t k = 0; k < outputs; k++) C[k] = ARENA_ARRAY(c->scratch, cplx, n);
    for (int64_t h = 0; h < channels && !c->error; h++) one_channel(c, &s, h, C, QD);
}

static bool infer_modes(Diag *d, Func *f, Op *op) {
    int64_t copies = op->in[IN_RE]->type.dim[0], n = op->in[IN_RE]->type.dim[1],
            h = op->in[IN_DT]->type.dim[0], steps = op->in[IN_DT]->type.dim[1];
    (void)f;
    if (copies < 1 || h % copies)
        return diag_error(d, op->loc, "modes: %lld channels do not share %lld systems evenly", (long long)h,
                          (long long)copies);
    if (steps != 1 && steps != n)
        return diag_error(d, op->loc, "modes: dt is one for a channel or one for each of its %lld modes",
                          (long long)n);
    bool low = op->in[IN_PRE] || op->in[IN_PIM];
    if (low != (attr_int(op, "rank", 0) > 0) || (low && !(op->in[IN_PRE] && op->in[IN_PIM])))
        return diag_error(d, op->loc, "modes: pre and pim go together, and with a rank above 0");
    return !low || strcmp(attr_str(op, "rule", "bilinear"), "hold") ||
           diag_error(d, op->loc, "modes: the rule \"hold\" is for diagonal systems");
}

static const AttrDef modes_attrs[] = {
    {"rule", AT_STR, false, 0, "bilinear|hold",
     "how time becomes discrete: bilinear, or the input is held over a step"},
    {"rank", AT_INT, true, 0, ">=0 <=16", "of P; 0: the system is diagonal"},
    {"length", AT_INT, false, 0, ">=0",
     "C stands for C (I - A^length), as files of S4 store it; 0: for itself"},
    {"read", AT_STR, false, 0, "after|before", "after: y is of the state with the token; before: without it"},
    {0},
};

const OpDef op_modes = {
    .name = "modes",
    .pattern = PAT_ROW,
    .doc = "State space models as scan.modal takes them: channel h has system h mod s; for constants.",
    .formula = "A = diag(re + i im) - P P*, B, C, dt -> a - 1, g, d, f, q of the discrete system",
    .source = "Gu et al. 2022, arXiv:2111.00396, theorem 2, app. C; arXiv:2206.11893, eq. 2 and 3 (diagonal)",
    .sig = "re[s,n] im[s,n] dt[h,m] bre[s,n] bim[s,n] cre[k,h,n] cim[k,h,n] pre?[rank,s,n] pim?[rank,s,n] -> "
           "are[h,n] "
           "aim[h,n] gre[k,h,n] gim[k,h,n] d[k,h] fre[h,n*rank] fim[h,n*rank] qre[h,n*rank] qim[h,n*rank]",
    .attrs = modes_attrs,
    .flags = OPF_CONST_ONLY,
    .infer = infer_modes,
    .eval = eval_modes,
    .cost = op_no_cost,
};

/* ---- what filters are ---- */

/* The response to 1 and then zeros, of what scan.modal computes. */
static void eval_impulse(EvalCtx *c) {
    int64_t channels = c->in[0].type.dim[0], n = c->in[0].type.dim[1], l = attr_int(c->op, "l", 0);
    int64_t rank = c->in[5].data ? attr_int(c->op, "rank", 1) : 0;
    cplx *s = ARENA_ARRAY(c->scratch, cplx, n);
    double *met = ARENA_ARRAY(c->scratch, double, rank);
    for (int64_t h = 0; h < channels; h++) {
        for (int64_t i = 0; i < n; i++) s[i] = 1;
        c->out[0].data[h * l] = c->in[4].data ? c->in[4].data[h] : 0;
        for (int64_t t = 1; t < l; t++) {
            double y = 0;
            for (int64_t r = 0; r < rank; r++) {
                met[r] = 0;
                for (int64_t i = 0; i < n; i++) met[r] += creal(at(c, 7, (h * rank + r) * n + i) * s[i]);
            }
            for (int64_t i = 0; i < n; i++) {
                y += creal(at(c, 2, h * n + i) * s[i]);
                s[i] += at(c, 0, h * n + i) * s[i];
                for (int64_t r = 0; r < rank; r++) s[i] += at(c, 5, (h * rank + r) * n + i) * met[r];
            }
            c->out[0].data[h * l + t] = y;
        }
    }
}

static bool infer_impulse(Diag *d, Func *f, Op *op) {
    int given = 0;
    (void)f;
    for (int k = 5; k < 9; k++) given += op->in[k] != NULL;
    return given == 0 || given == 4 ||
           diag_error(d, op->loc, "impulse: fre, fim, qre and qim go together, and %d are given", given);
}

static const AttrDef impulse_attrs[] = {
    {"l", AT_INT, true, 0, ">=1 <=16777216", "taps"},
    {"rank", AT_INT, false, 1, ">=1 <=16", "as of scan.modal"},
    {0},
};

const OpDef op_impulse = {
    .name = "impulse",
    .pattern = PAT_ROW,
    .doc = "The filter that a sum of damped oscillations stands for: what scan.modal makes of 1, 0, 0 ..; "
           "for constants.",
    .formula = "h_c0 = d_c;  h_cl = Re sum_n g_cn s_cn, s of the l tokens before",
    .source = "Gu et al. 2022, arXiv:2206.11893, eq. 4",
    .sig = "re[c,n] im[c,n] gre[c,n] gim[c,n] d?[c] fre?[c,n*rank] fim?[c,n*rank] qre?[c,n*rank] "
           "qim?[c,n*rank] -> h[c,l]",
    .attrs = impulse_attrs,
    .flags = OPF_CONST_ONLY,
    .infer = infer_impulse,
    .eval = eval_impulse,
    .cost = op_no_cost,
};

static void eval_correlate(EvalCtx *c) {
    int64_t channels = c->in[0].type.dim[0], n = c->in[0].type.dim[1];
    for (int64_t h = 0; h < channels; h++)
        for (int64_t j = 0; j < n; j++) {
            double sum = 0;
            for (int64_t m = 0; m + j < n; m++)
                sum += c->in[0].data[h * n + m] * c->in[1].data[h * n + m + j];
            c->out[0].data[h * n + n - 1 - j] = sum;
        }
}

const OpDef op_correlate = {
    .name = "correlate",
    .pattern = PAT_ROW,
    .doc = "The filter of a system that shifts its state: b puts a token into it, c reads it; as taps of "
           "conv.short, for "
           "constants.",
    .formula = "w_(n-1-j) = sum_m b_m c_(m+j)",
    .source = "Fu et al. 2023, arXiv:2212.14052, sec. 3.1",
    .sig = "b[h,n] c[h,n] -> w[h,n]",
    .flags = OPF_CONST_ONLY,
    .eval = eval_correlate,
    .cost = op_no_cost,
};
