/* The sequence from its end to its beginning. What stands between two of them runs backwards: a bidirectional
 * layer is a layer forwards, and one between reverses. */
#include "common.h"

static void eval_reverse(EvalCtx *c) {
    int64_t n = type_count(c->in[0].type);
    for (int64_t t = 0; t < c->rows; t++)
        memcpy(c->out[0].data + t * n, tensor_row(&c->in[0], c->rows - 1 - t), sizeof(double) * (size_t)n);
}

static Cost cost_reverse(const Op *op, int64_t rows) {
    return op_cost(op, rows, 0);
}

const OpDef op_reverse = {
    .name = "reverse",
    .pattern = PAT_SCAN,
    .flags = OPF_WHOLE,
    .doc = "The sequence in the order from its last token to its first.",
    .formula = "y_t = x_(T-1-t)",
    .source = "Schuster and Paliwal 1997, IEEE Trans. Signal Processing 45(11), sec. II",
    .sig = "x[t,*] -> y[t,*]",
    .eval = eval_reverse,
    .cost = cost_reverse,
};
