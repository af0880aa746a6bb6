/* Quantised blocks: numbers that a format can hold come back as they are, errors stay within half a step, and
 * importance makes the error that it weighs smaller, not only another one. */
#include <math.h>

#include "check.h"
#include "formats/quant.h"

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
    double y[QUANT_MOST], sum = 0;
    for (int i = 0; i < f->block; i++) y[i] = x[i];
    quant_round(f, y, f->block, by);
    for (int i = 0; i < f->block; i++) sum += (double)importance[i] * (y[i] - x[i]) * (y[i] - x[i]);
    return sum;
}

/* Inputs whose sizes differ by the factor `spread`. */
static void check_importance(const QuantFormat *f, double spread) {
    double with = 0, without = 0;
    int worse = 0;
    for (int b = 0; b < BLOCKS; b++) {
        double x[QUANT_MOST];
        float importance[QUANT_MOST];
        for (int i = 0; i < f->block; i++)
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
        float x[QUANT_MOST], w[QUANT_MOST], more[QUANT_MOST];
        QuantBlock one, other;
        for (int i = 0; i < f->block; i++)
            x[i] = (float)number(), w[i] = (float)(0.1 + uniform()), more[i] = 4 * w[i];
        quant_block(f, x, f->block, w, &one), quant_block(f, x, f->block, more, &other);
        CHECK(one.scale == other.scale && !memcmp(one.factor, other.factor, sizeof one.factor));
        CHECK(!memcmp(one.code, other.code, (size_t)f->block));
    }
}

/* A factor for each part, one of which is the largest there is; 1 without factors. */
static void draw_factors(const QuantFormat *f, int parts, int factor[QUANT_PARTS]) {
    int largest = (int)(uniform() * parts);
    for (int p = 0; p < parts; p++) {
        factor[p] = !f->factors ? 1 : p == largest ? -QUANT_FACTOR : (int)(uniform() * 15) - 7;
        if (factor[p] == 0) factor[p] = 1;
    }
}

/* Codes times a scale that a bf16 holds, and factors; the lowest code is in every part, so that its scale can
 * be found. */
static void check_exact(const QuantFormat *f) {
    for (int n = 1; n <= f->block; n++) {
        double x[QUANT_MOST], y[QUANT_MOST];
        int factor[QUANT_PARTS], parts = (n + QUANT_PART - 1) / QUANT_PART;
        draw_factors(f, parts, factor);
        for (int i = 0; i < n; i++) {
            int at = i / QUANT_PART, first = at * QUANT_PART,
                last = first + QUANT_PART < n ? first + QUANT_PART : n;
            int code = f->least + (int)(uniform() * ((1 << f->bits) - f->least));
            if (i == (first + last) / 2) code = f->least;
            x[i] = y[i] = 0.125 * factor[at] * (code - f->zero);
        }
        quant_round(f, y, n, NULL);
        CHECK(!memcmp(x, y, sizeof *x * (size_t)n));
    }
}

/* Halving a step halves the error. */
static void check_errors(const QuantFormat *f) {
    double squares = 0, all = 0;
    for (int b = 0; b < BLOCKS; b++) {
        double x[QUANT_MOST], y[QUANT_MOST];
        for (int i = 0; i < f->block; i++) x[i] = y[i] = number();
        quant_round(f, y, f->block, NULL);
        for (int i = 0; i < f->block; i++) squares += (y[i] - x[i]) * (y[i] - x[i]), all += x[i] * x[i];
    }
    double relative = sqrt(squares / all);
    printf("  %s: relative error %.4f\n", f->name, relative);
    CHECK(relative < 1.6 / (1 << f->bits) && relative > 0.5 / (1 << f->bits));
    double zeros[QUANT_MOST] = {0};
    quant_round(f, zeros, f->block, NULL);
    for (int i = 0; i < f->block; i++) CHECK(zeros[i] == 0);
}

/* Parts of a block whose sizes differ by far keep their own resolution where they have factors. */
static void check_uneven(const QuantFormat *f) {
    double x[QUANT_MOST], y[QUANT_MOST], squares = 0, all = 0;
    for (int i = 0; i < f->block; i++) x[i] = y[i] = number() * (i < QUANT_PART ? 1 : 0.25);
    quant_round(f, y, f->block, NULL);
    for (int i = QUANT_PART; i < f->block; i++) squares += (y[i] - x[i]) * (y[i] - x[i]), all += x[i] * x[i];
    if (f->factors) CHECK(sqrt(squares / all) < 2.0 / (1 << f->bits));
}

/* Blocks of any size are as good: all of it but the exponent of the scale is the same. */
static void check_sizes(const QuantFormat *f) {
    static const int exponents[] = {-99, -60, -24, -20, -1, 1, 23, 60, 125};
    for (int b = 0; b < 50; b++) {
        float x[QUANT_MOST], w[QUANT_MOST];
        int n = 1 + (int)(uniform() * f->block);
        for (int i = 0; i < n; i++) x[i] = (float)number(), w[i] = (float)(0.1 + uniform());
        x[n / 2] = 1.5f;
        for (size_t e = 0; e < sizeof exponents / sizeof *exponents; e++) {
            float y[QUANT_MOST];
            QuantBlock one, other;
            for (int i = 0; i < n; i++) y[i] = ldexpf(x[i], exponents[e]);
            quant_block(f, x, n, b % 2 ? w : NULL, &one), quant_block(f, y, n, b % 2 ? w : NULL, &other);
            CHECK(!memcmp(one.factor, other.factor, sizeof one.factor));
            CHECK(!memcmp(one.code, other.code, (size_t)f->block));
            for (int i = 0; i < n; i++)
                CHECK(quant_value(f, &other, i) == ldexp(quant_value(f, &one, i), exponents[e]));
        }
    }
}

/* One number far beyond the others takes the whole range; nothing becomes what is no number. */
static void check_outliers(const QuantFormat *f) {
    static const double sizes[] = {1e-30, 1e-6, 1, 1e7, 8e37};
    for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++)
        for (int at = 0; at < f->block; at += 13) {
            double y[QUANT_MOST];
            for (int i = 0; i < f->block; i++) y[i] = 1e-42 * number();
            y[at] = at % 2 ? sizes[s] : -sizes[s];
            quant_round(f, y, f->block, NULL);
            CHECK(fabs(y[at]) > 0.85 * sizes[s] && fabs(y[at]) < 1.15 * sizes[s]);
            for (int i = 0; i < f->block; i++) CHECK(i == at || fabs(y[i]) < 0.1 * sizes[s]);
        }
}

int main(void) {
    for (int i = 0; i < QUANT_COUNT; i++) {
        check_exact(&QUANT_FORMATS[i]);
        check_errors(&QUANT_FORMATS[i]);
        check_uneven(&QUANT_FORMATS[i]);
        check_sizes(&QUANT_FORMATS[i]);
        check_outliers(&QUANT_FORMATS[i]);
        check_scaled_importance(&QUANT_FORMATS[i]);
        check_importance(&QUANT_FORMATS[i], 10);
        check_importance(&QUANT_FORMATS[i], 1e4);
    }
    return check_report("quant");
}
