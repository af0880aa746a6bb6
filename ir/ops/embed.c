/* Rows of a table by index. */
#include "common.h"

static void eval_embed(EvalCtx *c) {
    int64_t v = c->in[1].type.dim[0], d = c->in[1].type.dim[1];
    for (int64_t t = 0; t < c->in[0].rows; t++) {
        double id = c->in[0].data[t];
        if (!(id >= 0 && id < (double)v)) {
            c->error = arena_printf(c->scratch, "id %.0f of token %lld is outside 0..%lld", id,
                                    (long long)(c->pos + t), (long long)v - 1);
            return;
        }
        const double *row = c->in[1].data + (int64_t)id * d;
        for (int64_t i = 0; i < d; i++) c->out[0].data[t * d + i] = row[i];
    }
}

/* Only the rows that are asked for are read. */
static Cost cost_embed(const Op *op, int64_t rows) {
    Cost c = op_cost(op, rows, 0);
    c.weight_bytes = 4 * out_count(op) * (double)rows;
    return c;
}

const OpDef op_embed = {
    .name = "embed",
    .pattern = PAT_GATHER,
    .doc = "One row of a table per id; an id outside the table is an error.",
    .formula = "y = table[id]",
    .source = "Bengio et al. 2003, A neural probabilistic language model, sec. 2",
    .sig = "ids:i32[t] table[v,d] -> y[t,d]",
    .eval = eval_embed,
    .cost = cost_embed,
};
