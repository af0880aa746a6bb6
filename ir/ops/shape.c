/* Shapes: the same elements, arranged differently. T is not an axis of these ops: they act on every row alike. */
#include "shape.h"

#include "common.h"

int axis_of(const Op *op, int rank) {
    int64_t axis = attr_int(op, "axis", -1);
    if (axis < 0) axis += rank;
    return axis >= 0 && axis < rank ? (int)axis : -1;
}

static bool bad_axis(Diag *d, const Op *op, int rank) {
    return diag_error(d, op->loc, "%s: axis %lld is out of range, there are %d dimensions besides T",
                      op->def->name, (long long)attr_int(op, "axis", -1), rank);
}

void around_axis(Type t, int axis, int64_t *outer, int64_t *inner) {
    *outer = *inner = 1;
    for (int i = 0; i < axis; i++) *outer *= t.dim[i];
    for (int i = axis + 1; i < t.rank; i++) *inner *= t.dim[i];
}

static Cost cost_move(const Op *op, int64_t rows) {
    return op_cost(op, rows, 0);
}

/* ---- reshape ---- */

static bool infer_reshape(Diag *d, Func *f, Op *op) {
    const Attr *shape = attr_find(op->attrs, "shape");
    Type x = op->in[0]->type;
    int64_t n = 1;
    bool ok = shape->n <= MAX_RANK;
    for (int i = 0; ok && i < shape->n; i++)
        ok = shape->ints[i] >= 0 && !__builtin_mul_overflow(n, shape->ints[i], &n);
    if (!ok || n != type_count(x))
        return diag_error(d, op->loc, "reshape: %s does not have the elements of the new shape",
                          type_text(f->module->arena, x));
    op->out[0]->type = type_tensor(x.dt, x.seq, shape->n, shape->ints);
    return true;
}

static void eval_reshape(EvalCtx *c) {
    int64_t n = c->in[0].rows * type_count(c->in[0].type);
    for (int64_t i = 0; i < n; i++) c->out[0].data[i] = c->in[0].data[i];
}

static const AttrDef reshape_attrs[] = {
    {"shape", AT_INTS, true, 0, NULL, "the new dimensions, without T"},
    {0},
};

const OpDef op_reshape = {
    .name = "reshape",
    .pattern = PAT_VIEW,
    .doc = "The same elements in row-major order under another shape.",
    .formula = "y = x",
    .source = "row-major layout",
    .sig = "x:any -> y",
    .attrs = reshape_attrs,
    .infer = infer_reshape,
    .eval = eval_reshape,
    .cost = op_no_cost,
};

/* ---- slice ---- */

static bool infer_slice(Diag *d, Func *f, Op *op) {
    Type x = op->in[0]->type;
    int axis = axis_of(op, x.rank);
    if (axis < 0) return bad_axis(d, op, x.rank);
    int64_t start = attr_int(op, "start", 0), size = attr_int(op, "size", 0);
    if (start < 0 || size < 1 || size > x.dim[axis] || start > x.dim[axis] - size)
        return diag_error(d, op->loc, "slice: %lld elements from %lld on do not lie in dimension %d of %s",
                          (long long)size, (long long)start, axis, type_text(f->module->arena, x));
    x.dim[axis] = size;
    op->out[0]->type = x;
    return true;
}

static void eval_slice(EvalCtx *c) {
    Type x = c->in[0].type;
    int axis = axis_of(c->op, x.rank);
    int64_t start = attr_int(c->op, "start", 0), size = attr_int(c->op, "size", 0), outer, inner;
    around_axis(x, axis, &outer, &inner);
    double *y = c->out[0].data;
    for (int64_t o = 0; o < c->in[0].rows * outer; o++)
        for (int64_t k = 0; k < size; k++)
            for (int64_t i = 0; i < inner; i++)
                *y++ = c->in[0].data[(o * x.dim[axis] + start + k) * inner + i];
}

static const AttrDef slice_attrs[] = {
    {"axis", AT_INT, false, -1, NULL, "which dimension; -1: the last; T is not counted"},
    {"start", AT_INT, true, 0, NULL, "first index"},
    {"size", AT_INT, true, 0, NULL, "how many"},
    {0},
};

const OpDef op_slice = {
    .name = "slice",
    .pattern = PAT_VIEW,
    .doc = "A range of indices of one dimension.",
    .formula = "y[i] = x[start + i], i < size",
    .source = "row-major layout",
    .sig = "x:any -> y",
    .attrs = slice_attrs,
    .infer = infer_slice,
    .eval = eval_slice,
    .cost = op_no_cost,
};

/* ---- concat ---- */

static bool infer_concat(Diag *d, Func *f, Op *op) {
    Type y = op->in[0]->type;
    int axis = axis_of(op, y.rank);
    if (axis < 0) return bad_axis(d, op, y.rank);
    for (int i = 1; i < op->nin; i++) {
        Type t = op->in[i]->type;
        bool fits = t.rank == y.rank && t.dt == y.dt;
        for (int k = 0; k < y.rank && fits; k++) fits = k == axis || t.dim[k] == y.dim[k];
        if (!fits || __builtin_add_overflow(y.dim[axis], t.dim[axis], &y.dim[axis]))
            return diag_error(d, op->loc, "concat: %s does not fit behind %s along dimension %d",
                              type_text(f->module->arena, t), type_text(f->module->arena, op->in[0]->type),
                              axis);
        y.seq = y.seq || t.seq; /* a part without T is repeated for every token */
    }
    op->out[0]->type = y;
    return true;
}

static void eval_concat(EvalCtx *c) {
    Type y = c->out[0].type;
    int axis = axis_of(c->op, y.rank);
    int64_t outer, inner;
    around_axis(y, axis, &outer, &inner);
    double *to = c->out[0].data;
    for (int64_t r = 0; r < c->out[0].rows; r++)
        for (int64_t o = 0; o < outer; o++)
            for (int i = 0; i < c->op->nin; i++) {
                int64_t n = c->in[i].type.dim[axis] * inner;
                const double *from = tensor_row(&c->in[i], r) + o * n;
                for (int64_t k = 0; k < n; k++) *to++ = from[k];
            }
}

static const AttrDef concat_attrs[] = {
    {"axis", AT_INT, false, -1, NULL, "along which dimension; -1: the last; T is not counted"},
    {0},
};

const OpDef op_concat = {
    .name = "concat",
    .pattern = PAT_ROW,
    .doc = "Tensors one after the other along one dimension.",
    .formula = "y = [a | b | ...]",
    .source = "row-major layout",
    .sig = "a:any -> y",
    .attrs = concat_attrs,
    .flags = OPF_VARIADIC,
    .infer = infer_concat,
    .eval = eval_concat,
    .cost = cost_move,
};

/* ---- transpose ---- */

static bool infer_transpose(Diag *d, Func *f, Op *op) {
    const Attr *perm = attr_find(op->attrs, "perm");
    Type x = op->in[0]->type, y = x;
    if (x.seq) return diag_error(d, op->loc, "transpose: works on constants only, operand x depends on T");
    unsigned seen = 0;
    for (int i = 0; i < perm->n && perm->n == x.rank; i++)
        if (perm->ints[i] >= 0 && perm->ints[i] < x.rank)
            seen |= 1u << perm->ints[i], y.dim[i] = x.dim[perm->ints[i]];
    if (perm->n != x.rank || seen != (1u << x.rank) - 1)
        return diag_error(d, op->loc, "transpose: perm must name each of the %d dimensions of %s once",
                          x.rank, type_text(f->module->arena, x));
    op->out[0]->type = y;
    return true;
}

static void eval_transpose(EvalCtx *c) {
    const Attr *perm = attr_find(c->op->attrs, "perm");
    Type x = c->in[0].type, y = c->out[0].type;
    int64_t stride[MAX_RANK], n = 1;
    for (int i = x.rank - 1; i >= 0; i--) stride[i] = n, n *= x.dim[i];
    for (int64_t i = 0; i < n; i++) {
        int64_t from = 0, rest = i;
        for (int k = y.rank - 1; k >= 0; k--)
            from += rest % y.dim[k] * stride[perm->ints[k]], rest /= y.dim[k];
        c->out[0].data[i] = c->in[0].data[from];
    }
}

static const AttrDef transpose_attrs[] = {
    {"perm", AT_INTS, true, 0, NULL, "dimension i of y is dimension perm[i] of x"},
    {0},
};

const OpDef op_transpose = {
    .name = "transpose",
    .pattern = PAT_ROW,
    .doc = "Dimensions in another order; for constants.",
    .formula = "y[i_0, i_1, ..] = x at the indices with dim perm[k] = i_k",
    .source = "row-major layout",
    .sig = "x -> y",
    .attrs = transpose_attrs,
    .flags = OPF_CONST_ONLY,
    .infer = infer_transpose,
    .eval = eval_transpose,
    .cost = op_no_cost,
};
