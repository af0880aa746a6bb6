/* Rounds what products multiply, once for all of them and for all threads: see kernels/rows.h for how the
 * result lies in memory. A block of bytes is round(x * 127 / max|x|) with the scale max|x| / 127; the sum of
 * its bytes, times minus the zero of the weights' codes, is kept beside it: where a kernel's integer sum
 * begins. Where a number of the block is not finite, its scale is NaN: that goes before all magnitudes, whose
 * order is that of their bits; so whatever such a block is part of is not finite. Every row, and every block
 * of it, is treated by itself, so no result depends on its neighbours. */
#include "round_rows.h"

#include "common.h"

/* ---- reference ---- */

static void round_block(const double *x, int64_t n, double *y) {
    float most = 0;
    for (int64_t i = 0; i < n; i++)
        if (isnan(x[i]) || fabsf((float)x[i]) > most) most = fabsf((float)x[i]);
    float inverse = most > 0 ? 127 / most : 0, scale = most / 127 + (most - most);
    for (int64_t i = 0; i < n; i++) y[i] = (double)nearbyintf((float)x[i] * inverse) * (double)scale;
}

void round_row(Math math, int64_t block, const double *x, int64_t n, double *y) {
    for (int64_t i = 0; i < n && math != MATH_INT8; i++)
        y[i] = math == MATH_BF16 ? dtype_round(DT_BF16, x[i]) : x[i];
    for (int64_t at = 0; at < n && math == MATH_INT8; at += block)
        round_block(x + at, at + block < n ? block : n - at, y + at);
}

Rounding rounding_of(const Op *op) {
    Rounding r = {.block = attr_int(op, "block", 0), .zero = attr_int(op, "zero", 0)};
    int64_t parts = attr_int(op, "parts", 1);
    if (!math_parse(attr_str(op, "math", "bf16"), &r.math)) BTC_BUG("round.rows: no such arithmetic");
    r.parts = parts > 1, r.K = last_dim(op->in[0]->type) / parts;
    r.lead = r.K ? type_count(op->in[0]->type) / r.K : 0;
    return r;
}

static bool infer_round(Diag *d, Func *f, Op *op) {
    (void)f;
    int64_t n = last_dim(op->in[0]->type), parts = attr_int(op, "parts", 1);
    bool bytes = !strcmp(attr_str(op, "math", "bf16"), "int8");
    if (parts < 1 || n % parts)
        return diag_error(d, op->loc, "round.rows: dimension d of %lld does not divide into %lld parts",
                          (long long)n, (long long)parts);
    if (bytes && attr_int(op, "block", 0) != QUANT_PART && attr_int(op, "block", 0) != QUANT_MOST)
        return diag_error(d, op->loc, "round.rows: block must be %d or %d", QUANT_PART, QUANT_MOST);
    return true;
}

static void eval_round(EvalCtx *c) {
    Rounding r = rounding_of(c->op);
    int64_t n = r.K ? c->in[0].rows * r.lead : 0;
    for (int64_t v = 0; v < n; v++)
        round_row(r.math, r.block, c->in[0].data + v * r.K, r.K, c->out[0].data + v * r.K);
}

static Cost cost_round(const Op *op, int64_t rows) {
    return op_cost(op, rows, 3 * out_count(op));
}

static const AttrDef attrs[] = {
    {"math", AT_STR, false, 0, "bf16|int8", "of the products that read it"},
    {"block", AT_INT, false, 0, NULL, "int8: numbers that share a scale, as in the weights"},
    {"zero", AT_INT, false, 0, NULL, "int8: the code of the weights that stands for 0"},
    {"parts", AT_INT, false, 1, NULL, "of the last dimension: each is rounded on its own"},
    {0},
};

const OpDef op_round_rows = {
    .name = "round.rows",
    .pattern = PAT_ROW,
    .doc = "Rounds what products multiply to the numbers that their arithmetic takes in; only they read it.",
    .formula = "bf16: y = bf16(x);  int8: y = round(x / s) s with s = max|x| / 127 over a block",
    .source = "dynamic quantisation of activations: Jacob et al. 2018, arXiv:1712.05877, sec. 2",
    .sig = "x[t,*,d] -> y[t,*,d]",
    .flags = OPF_INTERNAL,
    .attrs = attrs,
    .infer = infer_round,
    .eval = eval_round,
    .cost = cost_round,
};
