/* Quantised blocks: numbers that a format can hold come back as they are, errors stay within half a step, and
 * importance makes the error that it weighs smaller, not only another one. */
#include <math.h>

#include "check.h"
#include "formats/format.h"

enum { BLOCKS = 2000, PART = 32, PARTS = 4, MOST = PART * PARTS, FACTOR = 8 };

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
static double error(const NumberFormat *f, const double *x, const float *importance, const float *by) {
    double y[MOST], sum = 0;
    for (int i = 0; i < f->block; i++) y[i] = x[i];
    format_round(f, y, f->block, by);
    for (int i = 0; i < f->block; i++) sum += (double)importance[i] * (y[i] - x[i]) * (y[i] - x[i]);
    return sum;
}

/* Inputs whose sizes differ by the factor `spread`. */
static void check_importance(const NumberFormat *f, double spread) {
    double with = 0, without = 0;
    int worse = 0;
    for (int b = 0; b < BLOCKS; b++) {
        double x[MOST];
        float importance[MOST];
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
static void check_scaled_importance(const NumberFormat *f) {
    for (int b = 0; b < 100; b++) {
        float x[MOST], w[MOST], more[MOST];
        FormatBlock one, other;
        for (int i = 0; i < f->block; i++)
            x[i] = (float)number(), w[i] = (float)(0.1 + uniform()), more[i] = 4 * w[i];
        f->quantize(f, x, f->block, w, &one), f->quantize(f, x, f->block, more, &other);
        CHECK(one.scale == other.scale && !memcmp(one.factor, other.factor, sizeof one.factor));
        CHECK(!memcmp(one.code, other.code, (size_t)f->block));
    }
}

/* A factor for each part, one of which is the largest there is; 1 without factors. */
static void draw_factors(const NumberFormat *f, int parts, int factor[PARTS]) {
    int largest = (int)(uniform() * parts);
    for (int p = 0; p < parts; p++) {
        factor[p] = !f->factor_bits ? 1 : p == largest ? -FACTOR : (int)(uniform() * 15) - 7;
        if (factor[p] == 0) factor[p] = 1;
    }
}

/* Codes times a scale that a bf16 holds, and factors; the lowest code is in every part, so that its scale can
 * be found. */
static void check_exact(const NumberFormat *f) {
    for (int n = 1; n <= f->block; n++) {
        double x[MOST], y[MOST];
        int factor[PARTS], parts = (n + PART - 1) / PART;
        draw_factors(f, parts, factor);
        for (int i = 0; i < n; i++) {
            int at = i / PART, first = at * PART, last = first + PART < n ? first + PART : n;
            int code = f->least + (int)(uniform() * ((1 << f->bits) - f->least));
            if (i == (first + last) / 2) code = f->least;
            x[i] = y[i] = 0.125 * factor[at] * (code - f->zero);
        }
        format_round(f, y, n, NULL);
        CHECK(!memcmp(x, y, sizeof *x * (size_t)n));
    }
}

/* Halving a step halves the error. */
static void check_errors(const NumberFormat *f) {
    double squares = 0, all = 0;
    for (int b = 0; b < BLOCKS; b++) {
        double x[MOST], y[MOST];
        for (int i = 0; i < f->block; i++) x[i] = y[i] = number();
        format_round(f, y, f->block, NULL);
        for (int i = 0; i < f->block; i++) squares += (y[i] - x[i]) * (y[i] - x[i]), all += x[i] * x[i];
    }
    double relative = sqrt(squares / all);
    printf("  %s: relative error %.4f\n", f->name, relative);
    CHECK(relative < 1.6 / (1 << f->bits) && relative > 0.5 / (1 << f->bits));
    double zeros[MOST] = {0};
    format_round(f, zeros, f->block, NULL);
    for (int i = 0; i < f->block; i++) CHECK(zeros[i] == 0);
}

/* Parts of a block whose sizes differ by far keep their own resolution where they have factors. */
static void check_uneven(const NumberFormat *f) {
    double x[MOST], y[MOST], squares = 0, all = 0;
    for (int i = 0; i < f->block; i++) x[i] = y[i] = number() * (i < PART ? 1 : 0.25);
    format_round(f, y, f->block, NULL);
    for (int i = PART; i < f->block; i++) squares += (y[i] - x[i]) * (y[i] - x[i]), all += x[i] * x[i];
    if (f->factor_bits) CHECK(sqrt(squares / all) < 2.0 / (1 << f->bits));
}

/* Blocks of any size are as good: all of it but the exponent of the scale is the same. */
static void check_sizes(const NumberFormat *f) {
    static const int exponents[] = {-99, -60, -24, -20, -1, 1, 23, 60, 125};
    for (int b = 0; b < 50; b++) {
        float x[MOST], w[MOST];
        int n = 1 + (int)(uniform() * f->block);
        for (int i = 0; i < n; i++) x[i] = (float)number(), w[i] = (float)(0.1 + uniform());
        x[n / 2] = 1.5f;
        for (size_t e = 0; e < sizeof exponents / sizeof *exponents; e++) {
            float y[MOST];
            FormatBlock one, other;
            for (int i = 0; i < n; i++) y[i] = ldexpf(x[i], exponents[e]);
            f->quantize(f, x, n, b % 2 ? w : NULL, &one), f->quantize(f, y, n, b % 2 ? w : NULL, &other);
            CHECK(!memcmp(one.factor, other.factor, sizeof one.factor));
            CHECK(!memcmp(one.code, other.code, (size_t)f->block));
            for (int i = 0; i < n; i++)
                CHECK(format_value(f, &other, i) == ldexpf(format_value(f, &one, i), exponents[e]));
        }
    }
}

/* One number far beyond the others takes the whole range; nothing becomes what is no number. */
static void check_outliers(const NumberFormat *f) {
    static const double sizes[] = {1e-30, 1e-6, 1, 1e7, 8e37};
    for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++)
        for (int at = 0; at < f->block; at += 13) {
            double y[MOST];
            for (int i = 0; i < f->block; i++) y[i] = 1e-42 * number();
            y[at] = at % 2 ? sizes[s] : -sizes[s];
            format_round(f, y, f->block, NULL);
            CHECK(fabs(y[at]) > 0.85 * sizes[s] && fabs(y[at]) < 1.15 * sizes[s]);
            for (int i = 0; i < f->block; i++) CHECK(i == at || fabs(y[i]) < 0.1 * sizes[s]);
        }
}

int main(void) {
    int n = 0;
    for (const NumberFormat *const *f = FORMATS; *f; f++) {
        if (!(*f)->quantize) continue;
        check_exact(*f);
        check_errors(*f);
        check_uneven(*f);
        check_sizes(*f);
        check_outliers(*f);
        check_scaled_importance(*f);
        check_importance(*f, 10);
        check_importance(*f, 1e4);
        n++;
    }
    CHECK(n == 3);
    return check_report("quant");
}
