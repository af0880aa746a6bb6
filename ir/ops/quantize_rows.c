/* Rounds the inputs of products, once for all products and threads that read them. kernels/rows.h describes the
 * result in memory. A block of int8 is round(x * 127 / max|x|) with the scale max|x| / 127. Beside the scale lies
 * the start of a kernel's integer sum: the sum of the bytes, times minus the zero of the weights' codes. If a
 * number of the block is not finite, its scale is NaN, and so is every product with the block. (Magnitudes are
 * compared as bits, and those of NaN are the largest.) Every row and every block is rounded by itself, so no
 * result depends on its neighbours. */
#include "quantize_rows.h"

#include "common.h"
#include "formats/panel.h"

/* ---- reference ---- */

static void round_block(const double *x, int64_t n, double *y) {
    float most = 0;
    for (int64_t i = 0; i < n; i++)
        if (isnan(x[i]) || fabsf((float)x[i]) > most) most = fabsf((float)x[i]);
    float inverse = most > 0 ? 127 / most : 0, scale = most / 127 + (most - most);
    for (int64_t i = 0; i < n; i++) y[i] = (double)nearbyintf((float)x[i] * inverse) * (double)scale;
}

void quantize_row(const Arithmetic *math, int64_t block, const double *x, int64_t n, double *y) {
    bool bytes = arithmetic_in_bytes(math);
    for (int64_t i = 0; i < n && !bytes; i++)
        y[i] = arithmetic_rounds(math) ? dtype_round(math->input, x[i]) : x[i];
    for (int64_t at = 0; at < n && bytes; at += block)
        round_block(x + at, at + block < n ? block : n - at, y + at);
}

Rounding rounding_of(const Op *op) {
    Rounding r = {.block = attr_int(op, "block", 0), .zero = attr_int(op, "zero", 0)};
    int64_t parts = attr_int(op, "parts", 1);
    r.math = attr_arithmetic(op, "math");
    r.parts = parts > 1, r.K = last_dim(op->in[0]->type) / parts;
    r.lead = r.K ? type_count(op->in[0]->type) / r.K : 0;
    return r;
}

static bool infer_round(Diag *d, Func *f, Op *op) {
    (void)f;
    int64_t n = last_dim(op->in[0]->type), parts = attr_int(op, "parts", 1);
    bool bytes = arithmetic_in_bytes(attr_arithmetic(op, "math"));
    int64_t block = attr_int(op, "block", 0);
    if (parts < 1 || n % parts)
        return diag_error(d, op->loc, "quantize.rows: dimension d of %lld does not divide into %lld parts",
                          (long long)n, (long long)parts);
    if (bytes && (block < 16 || block > FORMAT_BLOCK_MOST || block & (block - 1)))
        return diag_error(d, op->loc, "quantize.rows: block must be a power of two from 16 to %d",
                          FORMAT_BLOCK_MOST);
    if (bytes && n / parts % block && block < PANEL_READ)
        return diag_error(d, op->loc, "quantize.rows: rows of %lld are no whole blocks of %lld",
                          (long long)(n / parts), (long long)block);
    return true;
}

static void eval_round(EvalCtx *c) {
    Rounding r = rounding_of(c->op);
    int64_t n = r.K ? c->in[0].rows * r.lead : 0;
    for (int64_t v = 0; v < n; v++)
        quantize_row(r.math, r.block, c->in[0].data + v * r.K, r.K, c->out[0].data + v * r.K);
}

static Cost cost_round(const Op *op, int64_t rows) {
    return op_cost(op, rows, 3 * out_count(op));
}

static const AttrDef attrs[] = {
    {"math", AT_ARITHMETIC, true, 0, "bf16|int8", "of the products that read it"},
    {"block", AT_INT, false, 0, NULL, "int8: numbers that share a scale, as in the weights"},
    {"zero", AT_INT, false, 0, NULL,
     "int8: the code of the weights that stands for 0; -1: their sums are asked for as they are"},
    {"parts", AT_INT, false, 1, NULL, "of the last dimension: each is rounded on its own"},
    {0},
};

const OpDef op_quantize_rows = {
    .name = "quantize.rows",
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
