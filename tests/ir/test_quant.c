/* Quantised blocks: numbers that a format can hold come back as they are, errors stay within half a step, and
 * importance makes the error that it weighs smaller, not only another one. */
#include <math.h>

#include "base/quant.h"
#include "check.h"

enum { BLOCKS = 2000 };

static uint64_t seed = 1;

static double uniform(void) {
    seed = seed * 6364136223846793005u + 1442695040888963407u;
    return (double)(seed >> 11) / 0x1p53;
}

/* About normal. */
static double number(void) {
    double sum = 0;
    for (int i = 0; i < 6; i++) sum += uniform() - 0.5;
    return sum;
}

/* Sum of importance * error^2 of what quantising with `by` makes of x. */
static double error(const QuantFormat *f, const double *x, const float *importance, const float *by) {
    double y[QUANT_BLOCK], sum = 0;
    for (int i = 0; i < QUANT_BLOCK; i++) y[i] = x[i];
    quant_round(f, y, QUANT_BLOCK, by);
    for (int i = 0; i < QUANT_BLOCK; i++) sum += (double)importance[i] * (y[i] - x[i]) * (y[i] - x[i]);
    return sum;
}

/* Inputs whose sizes differ by the factor `spread`. */
static void check_importance(const QuantFormat *f, double spread) {
    double with = 0, without = 0;
    int worse = 0;
    for (int b = 0; b < BLOCKS; b++) {
        double x[QUANT_BLOCK];
        float importance[QUANT_BLOCK];
        for (int i = 0; i < QUANT_BLOCK; i++)
            x[i] = number(), importance[i] = (float)exp(log(spread) * (uniform() - 0.5));
        double e = error(f, x, importance, importance), plain = error(f, x, importance, NULL);
        with += e, without += plain, worse += e > plain;
    }
    printf("  %s, importance over a factor of %g: %.4f of the error without\n", f->name, spread,
           with / without);
    CHECK(worse == 0);
    CHECK(f->bits == 8 ? with == without : with < without);
}

/* Only the ratios of importance count. */
static void check_scaled_importance(const QuantFormat *f) {
    for (int b = 0; b < 100; b++) {
        float x[QUANT_BLOCK], w[QUANT_BLOCK], more[QUANT_BLOCK];
        uint8_t codes[2][QUANT_BLOCK];
        for (int i = 0; i < QUANT_BLOCK; i++)
            x[i] = (float)number(), w[i] = (float)(0.1 + uniform()), more[i] = 4 * w[i];
        CHECK(quant_block(f, x, QUANT_BLOCK, w, codes[0]) == quant_block(f, x, QUANT_BLOCK, more, codes[1]));
        CHECK(!memcmp(codes[0], codes[1], QUANT_BLOCK));
    }
}

/* Codes times a scale that an f16 holds; the lowest code is among them, so that the scale can be found. */
static void check_exact(const QuantFormat *f) {
    for (int n = 1; n <= QUANT_BLOCK; n++) {
        double x[QUANT_BLOCK], y[QUANT_BLOCK];
        for (int i = 0; i < n; i++)
            x[i] = y[i] = 0.125 * (f->least + (int)(uniform() * ((1 << f->bits) - f->least)) - f->zero);
        x[n / 2] = y[n / 2] = 0.125 * (f->least - f->zero);
        quant_round(f, y, n, NULL);
        CHECK(!memcmp(x, y, sizeof *x * (size_t)n));
    }
}

/* Halving a step halves the error. */
static void check_errors(const QuantFormat *f) {
    double squares = 0, all = 0;
    for (int b = 0; b < BLOCKS; b++) {
        double x[QUANT_BLOCK], y[QUANT_BLOCK];
        for (int i = 0; i < QUANT_BLOCK; i++) x[i] = y[i] = number();
        quant_round(f, y, QUANT_BLOCK, NULL);
        for (int i = 0; i < QUANT_BLOCK; i++) squares += (y[i] - x[i]) * (y[i] - x[i]), all += x[i] * x[i];
    }
    double relative = sqrt(squares / all);
    printf("  %s: relative error %.4f\n", f->name, relative);
    CHECK(relative < 1.6 / (1 << f->bits) && relative > 0.5 / (1 << f->bits));
    double zeros[QUANT_BLOCK] = {0};
    quant_round(f, zeros, QUANT_BLOCK, NULL);
    for (int i = 0; i < QUANT_BLOCK; i++) CHECK(zeros[i] == 0);
}

int main(void) {
    for (int i = 0; i < QUANT_COUNT; i++) {
        check_exact(&QUANT_FORMATS[i]);
        check_errors(&QUANT_FORMATS[i]);
        check_scaled_importance(&QUANT_FORMATS[i]);
        check_importance(&QUANT_FORMATS[i], 10);
        check_importance(&QUANT_FORMATS[i], 1e4);
    }
    return check_report("quant");
}
