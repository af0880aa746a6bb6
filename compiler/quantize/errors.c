/* See errors.h. */
#include "errors.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

MatrixError error_sum(MatrixError a, MatrixError b) {
    for (int i = 0; i < 2; i++) a.weights[i] += b.weights[i], a.outputs[i] += b.outputs[i];
    return a;
}

double error_relative(const double sums[2]) {
    return sums[1] > 0 ? sqrt(sums[0] / sums[1]) : 0;
}

/* The samples of matrix k, so that those of one input lie side by side: [inputs][SAMPLES]. */
static void take_samples(const Matrix *m, const Inputs *in, int64_t k, float *x) {
    memset(x, 0, sizeof *x * (size_t)(m->inputs * SAMPLES));
    for (int64_t s = 0; s < in->nsamples; s++) {
        if (in->sample_of[s] != k) continue;
        for (int64_t i = 0; i < m->inputs; i++) x[i * SAMPLES + s] = in->samples[s * m->inputs + i];
    }
}

static double sum_of_squares(const float *v, int64_t n) {
    double sum = 0;
    for (int64_t i = 0; i < n; i++) sum += (double)v[i] * (double)v[i];
    return sum;
}

/* w[n] times the samples: the sum of squares of all products. */
static double products(const double *w, const float *x, int64_t n) {
    float y[SAMPLES] = {0};
    for (int64_t i = 0; i < n; i++)
        for (int s = 0; s < SAMPLES; s++) y[s] += (float)w[i] * x[i * SAMPLES + s];
    return sum_of_squares(y, SAMPLES);
}

/* One output: its weights w[n], and off[n], which is room for their errors. */
static void add_output(MatrixError *e, double *w, double *off, int64_t n, const NumberFormat *f,
                       const float *importance, const float *x) {
    memcpy(off, w, sizeof *w * (size_t)n);
    format_round(f, off, n, importance);
    for (int64_t i = 0; i < n; i++) {
        off[i] -= w[i];
        e->weights[0] += off[i] * off[i], e->weights[1] += w[i] * w[i];
    }
    e->outputs[0] += products(off, x, n), e->outputs[1] += products(w, x, n);
}

MatrixError matrix_error(const Collected *c, int i, const NumberFormat *f, const float *importance) {
    const Matrix *m = &c->matrices.items[i];
    const RawTensor *t = weights_find(&c->model.weights, m->name);
    MatrixError e = {0};
    double *w = xmalloc(sizeof *w * (size_t)m->inputs), *off = xmalloc(sizeof *off * (size_t)m->inputs);
    float *x = xmalloc(sizeof *x * (size_t)(m->inputs * SAMPLES));
    for (int64_t k = 0; k < m->count; k++) {
        take_samples(m, &c->inputs[i], k, x);
        for (int64_t o = 0; o < m->outputs; o++) {
            if (m->across)
                for (int64_t n = 0; n < m->inputs; n++)
                    raw_tensor_doubles(t, matrix_element(m, k, o, n), 1, &w[n]);
            else
                raw_tensor_doubles(t, matrix_element(m, k, o, 0), m->inputs, w);
            add_output(&e, w, off, m->inputs, f, importance ? importance + k * m->inputs : NULL, x);
        }
    }
    free(w), free(off), free(x);
    return e;
}
