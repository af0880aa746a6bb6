/* Rotary positions: pairs of components turn by an angle that grows with the position. */
#include "rope.h"

#include "../perturb.h"
#include "common.h"

int64_t rope_dims(const Op *op) {
    int64_t dims = attr_int(op, "dims", 0);
    return dims ? dims : last_dim(op->in[0]->type);
}

static bool infer_rope(Diag *d, Func *f, Op *op) {
    (void)f;
    int64_t dims = rope_dims(op), width = last_dim(op->in[0]->type);
    if (dims < 2 || dims % 2 || dims > width)
        return diag_error(d, op->loc, "rope: dims must be even and at most d = %lld, is %lld",
                          (long long)width, (long long)dims);
    if (op->in[2] && op->in[2]->type.dim[0] != dims / 2)
        return diag_error(d, op->loc, "rope: operand freqs must have dims/2 = %lld numbers, has %lld",
                          (long long)dims / 2, (long long)op->in[2]->type.dim[0]);
    return true;
}

static void eval_rope(EvalCtx *c) {
    Type ty = c->in[0].type;
    int64_t h = ty.dim[0], d = ty.dim[1], dims = rope_dims(c->op);
    double theta = attr_float(c->op, "theta", 10000), scale = attr_float(c->op, "scale", 1);
    bool half = !strcmp(attr_str(c->op, "layout", "half"), "half");
    Perturb *off = c->env ? c->env->perturb : NULL;
    for (int64_t t = 0; t < c->in[0].rows; t++)
        for (int64_t j = 0; j < h; j++) {
            const double *x = c->in[0].data + (t * h + j) * d;
            double *y = c->out[0].data + (t * h + j) * d;
            for (int64_t i = dims; i < d; i++) y[i] = x[i];
            for (int64_t i = 0; i < dims / 2; i++) {
                double freq = c->in[2].data ? c->in[2].data[i] : pow(theta, -2.0 * (double)i / (double)dims);
                double angle = c->in[1].data[t] * freq;
                if (off) angle = perturb_angle(off, angle);
                double co = cos(angle) * scale, si = sin(angle) * scale;
                int64_t p = half ? i : 2 * i, q = half ? i + dims / 2 : 2 * i + 1;
                y[p] = x[p] * co - x[q] * si;
                y[q] = x[q] * co + x[p] * si;
            }
        }
}

/* sin and cos are shared by the heads. */
static Cost cost_rope(const Op *op, int64_t rows) {
    return op_cost(op, rows, 3 * out_count(op) + 10 * (double)rope_dims(op));
}

static const AttrDef rope_attrs[] = {
    {"theta", AT_FLOAT, false, 10000, ">=1", "base of the frequencies when freqs is absent"},
    {"dims", AT_INT, false, 0, ">=0", "how many leading components turn; 0: all"},
    {"layout", AT_STR, false, 0, "half|pairs", "half: pairs (i, i + dims/2); pairs: (2i, 2i+1)"},
    {"scale", AT_FLOAT, false, 1, ">0", "factor on sin and cos"},
    {0},
};

const OpDef op_rope = {
    .name = "rope",
    .pattern = PAT_ROW,
    .doc = "Rotary position embedding of each head.",
    .formula = "(y_p, y_q) = scale * R(pos * freqs_i) (x_p, x_q), freqs_i = theta^(-2i/dims) unless given",
    .source = "Su et al. 2021, arXiv:2104.09864, eq. 34",
    .sig = "x[t,h,d] pos:any[t,1] freqs?[f] -> y[t,h,d]",
    .attrs = rope_attrs,
    .infer = infer_rope,
    .eval = eval_rope,
    .cost = cost_rope,
    .tolerance = 1e-4, /* the angle pos * freq is rounded to f32 */
};
