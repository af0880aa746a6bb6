/* Short causal convolution over T, each channel on its own. Tap k-1 meets the current token. */
#include "common.h"

static void eval_conv_short(EvalCtx *c) {
    int64_t ch = c->in[1].type.dim[0], k = c->in[1].type.dim[1];
    const double *x = c->in[0].data, *w = c->in[1].data, *b = c->in[2].data;
    double *y = c->out[0].data;
    double *s = state_begin(&c->in[3], &c->out[1]); /* [k-1,c] the last inputs, oldest first */
    for (int64_t t = 0; t < c->rows; t++)
        for (int64_t i = 0; i < ch; i++) {
            double sum = (b ? b[i] : 0) + w[i * k + k - 1] * x[t * ch + i];
            for (int64_t j = 0; j < k - 1; j++) sum += w[i * k + j] * s[j * ch + i];
            y[t * ch + i] = sum;
            for (int64_t j = 0; j + 1 < k - 1; j++) s[j * ch + i] = s[(j + 1) * ch + i];
            if (k > 1) s[(k - 2) * ch + i] = x[t * ch + i];
        }
}

static Cost cost_conv_short(const Op *op, int64_t rows) {
    return op_cost(op, rows, 2 * in_count(op, 1));
}

const OpDef op_conv_short = {
    .name = "conv.short",
    .pattern = PAT_CONV,
    .doc = "Causal convolution with k taps per channel; the state holds the last k-1 inputs.",
    .formula = "y_tc = b_c + sum_(j<k) w_cj x_(t-(k-1)+j, c)",
    .source = "Gu & Dao 2023, arXiv:2312.00752, sec. 3.4 (the convolution before the scan)",
    .sig = "x[t,c] w[c,k] b?[c] -> y[t,c]",
    .state = "s[k-1,c] = 0",
    .eval = eval_conv_short,
    .cost = cost_conv_short,
};
