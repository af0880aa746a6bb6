/* Long causal convolution: a filter as long as the sequence. The reference keeps all inputs; compiled code
 * keeps sums for the future in the part of the state beyond the position, so that a token costs log^2 l. */
#include "../perturb.h"
#include "common.h"

static void eval_conv_long(EvalCtx *c) {
    int64_t ch = c->in[1].type.dim[0], l = c->in[1].type.dim[1];
    const double *x = c->in[0].data, *h = c->in[1].data, *skip = c->in[2].data;
    double *s = state_begin(&c->in[3], &c->out[1]); /* [l,c] the inputs so far */
    if (c->pos + c->rows > l) {
        c->error =
            arena_printf(c->scratch, "the sequence is longer than the filter: %lld tokens, at most %lld",
                         (long long)(c->pos + c->rows), (long long)l);
        return;
    }
    Perturb *off = c->env ? c->env->perturb : NULL;
    for (int64_t t = 0; t < c->rows; t++)
        for (int64_t i = 0; i < ch; i++) {
            int64_t now = c->pos + t;
            s[now * ch + i] = x[t * ch + i];
            double sum = skip ? skip[i] * x[t * ch + i] : 0, x_squares = 0, h_squares = 0;
            for (int64_t j = 0; j <= now; j++) {
                double hj = h[i * l + j], xj = s[(now - j) * ch + i];
                sum += hj * xj, x_squares += xj * xj, h_squares += hj * hj;
            }
            if (off) sum = perturb_transformed(off, sum, now + 1, x_squares, h_squares);
            c->out[0].data[t * ch + i] = sum;
        }
}

/* Counted as the transform of twice the length: 5 n log2 n each for input and output. Of filter and state a
 * token does not touch all: on each of log2 n sizes of tiles, in the mean, one input is read, one sum for the
 * future is read and written, and two taps are read. */
static Cost cost_conv_long(const Op *op, int64_t rows) {
    double c = (double)op->in[1]->type.dim[0], l = (double)op->in[1]->type.dim[1];
    double levels = log2(l > 1 ? 2 * l : 2), whole = 4 * c * l, touched = 4 * c * levels * (double)rows;
    Cost cost = op_cost(op, rows, c * 20 * levels);
    cost.weight_bytes -= whole - fmin(whole, 2 * touched);
    cost.act_bytes -= 2 * whole - fmin(2 * whole, 3 * touched);
    return cost;
}

const OpDef op_conv_long = {
    .name = "conv.long",
    .pattern = PAT_CONV,
    .flags = OPF_KEEPS_SUMS,
    .doc = "Causal convolution with a filter of l taps per channel; a sequence is at most l long.",
    .formula = "y_tc = sum_(j<=t) h_cj x_(t-j, c) + skip_c x_tc",
    .source = "Poli et al. 2023, arXiv:2302.10866; online: Oncescu et al. 2024, arXiv:2410.12982",
    .sig = "x[t,c] h[c,l] skip?[c] -> y[t,c]",
    .state = "s[l,c] = 0",
    .eval = eval_conv_long,
    .cost = cost_conv_long,
    .tolerance = 1e-4, /* FFT round-off is relative to the largest output */
};
