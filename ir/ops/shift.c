/* The previous token, for "token shift". */
#include "common.h"

static void eval_shift(EvalCtx *c) {
    int64_t d = last_dim(c->in[0].type);
    double *s = state_begin(&c->in[1], &c->out[1]); /* [d] the last token seen */
    for (int64_t t = 0; t < c->rows; t++)
        for (int64_t i = 0; i < d; i++) {
            c->out[0].data[t * d + i] = s[i];
            s[i] = c->in[0].data[t * d + i];
        }
}

static Cost cost_shift(const Op *op, int64_t rows) {
    return op_cost(op, rows, 0);
}

const OpDef op_shift = {
    .name = "shift",
    .pattern = PAT_SCAN,
    .doc = "The previous token of the sequence; before the first one, the state.",
    .formula = "y_t = x_(t-1)",
    .source = "Peng et al. 2023, arXiv:2305.13048, sec. 3.1.1",
    .sig = "x[t,d] -> y[t,d]",
    .state = "s[d] = 0",
    .eval = eval_shift,
    .cost = cost_shift,
};
