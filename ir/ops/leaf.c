/* Leaves: values that come from outside the computation. */
#include "common.h"

static bool check_shape(Diag *d, const Op *op, const Attr *shape) {
    if (shape->n > MAX_RANK)
        return diag_error(d, op->loc, "%s: shape has %d dimensions, at most %d are possible", op->def->name,
                          shape->n, MAX_RANK);
    for (int i = 0; i < shape->n; i++)
        if (shape->ints[i] < 1)
            return diag_error(d, op->loc, "%s: dimension %d of the shape is %lld, must be positive",
                              op->def->name, i, (long long)shape->ints[i]);
    return true;
}

/* ---- weight ---- */

static bool infer_weight(Diag *d, Func *f, Op *op) {
    (void)f;
    const Attr *shape = attr_find(op->attrs, "shape");
    if (!check_shape(d, op, shape)) return false;
    op->out[0]->type = type_tensor(DT_F32, false, shape->n, shape->ints);
    return true;
}

static Cost cost_weight(const Op *op, int64_t rows) {
    (void)rows;
    return (Cost){.params = out_count(op)};
}

static const AttrDef weight_attrs[] = {
    {"name", AT_STR, true, 0, NULL,
     "tensor name; relative to the prefix of the call unless it begins with /; {0..8} stacks 8 tensors"},
    {"shape", AT_INTS, true, 0, NULL, "dimensions"},
    {"storage", AT_FORMAT, false, 0, "f32", "the format in which it is stored"},
    {0},
};

/* No eval: the interpreter asks the Env for the numbers. */
const OpDef op_weight = {
    .name = "weight",
    .pattern = PAT_LEAF,
    .doc = "A tensor of the checkpoint, or several of the same shape stacked along a new first axis.",
    .formula = "y = tensor(prefix + name)",
    .source = "checkpoint",
    .sig = "-> y",
    .attrs = weight_attrs,
    .infer = infer_weight,
    .cost = cost_weight,
};

/* ---- derived ---- */

/* The type stands in the text or is set by the pass that makes the op. */
static bool infer_derived(Diag *d, Func *f, Op *op) {
    (void)f;
    Type t = op->out[0]->type;
    return (t.kind == TY_TENSOR && !t.seq) || diag_error(d, op->loc, "derived: must be a tensor without T");
}

static const AttrDef derived_attrs[] = {
    {"storage", AT_FORMAT, false, 0, "f32", "the format in which it is stored"},
    {0},
};

/* No eval: the numbers are those of the expression that the op replaces. */
const OpDef op_derived = {
    .name = "derived",
    .flags = OPF_INTERNAL,
    .pattern = PAT_LEAF,
    .doc = "A constant that the compiler computes from weights before anything runs.",
    .formula = "y = expression of weights and constants",
    .source = "pass hoist-constants",
    .sig = "-> y",
    .attrs = derived_attrs,
    .infer = infer_derived,
    .cost = op_no_cost,
};

/* ---- constant ---- */

static bool infer_constant(Diag *d, Func *f, Op *op) {
    (void)f;
    const Attr *values = attr_find(op->attrs, "values"), *shape = attr_find(op->attrs, "shape");
    if (shape && !check_shape(d, op, shape)) return false;
    int64_t n = 1;
    for (int i = 0; shape && i < shape->n; i++)
        if (__builtin_mul_overflow(n, shape->ints[i], &n)) n = -1;
    if (n != values->n) return diag_error(d, op->loc, "constant: %d values do not fill the shape", values->n);
    op->out[0]->type = type_tensor(DT_F32, false, shape ? shape->n : 0, shape ? shape->ints : NULL);
    return true;
}

static void eval_constant(EvalCtx *c) {
    const Attr *values = attr_find(c->op->attrs, "values");
    for (int i = 0; i < values->n; i++) c->out[0].data[i] = values->floats[i];
}

static const AttrDef constant_attrs[] = {
    {"values", AT_FLOATS, true, 0, NULL, "the numbers, row by row"},
    {"shape", AT_INTS, false, 0, NULL, "dimensions; absent: one number of shape []"},
    {0},
};

const OpDef op_constant = {
    .name = "constant",
    .pattern = PAT_LEAF,
    .doc = "Numbers written in the description.",
    .formula = "y = values",
    .source = "description",
    .sig = "-> y",
    .attrs = constant_attrs,
    .infer = infer_constant,
    .eval = eval_constant,
    .cost = op_no_cost,
};

/* ---- linspace ---- */

static void eval_linspace(EvalCtx *c) {
    int64_t n = attr_int(c->op, "n", 1);
    double from = attr_float(c->op, "from", 0), to = attr_float(c->op, "to", 0);
    for (int64_t i = 0; i < n; i++)
        c->out[0].data[i] = n == 1 ? from : from + (to - from) * ((double)i / (double)(n - 1));
}

static const AttrDef linspace_attrs[] = {
    {"n", AT_INT, true, 0, ">=1", "how many numbers"},
    {"from", AT_FLOAT, true, 0, NULL, "the first one"},
    {"to", AT_FLOAT, true, 0, NULL, "the last one"},
    {0},
};

const OpDef op_linspace = {
    .name = "linspace",
    .pattern = PAT_LEAF,
    .doc = "n equally spaced numbers, both ends included.",
    .formula = "y_i = from + (to - from) i/(n-1)",
    .source = "elementary function",
    .sig = "-> y[n]",
    .attrs = linspace_attrs,
    .eval = eval_linspace,
    .cost = op_no_cost,
};

/* ---- position ---- */

static void eval_position(EvalCtx *c) {
    for (int64_t t = 0; t < c->rows; t++) c->out[0].data[t] = (double)(c->pos + t);
}

const OpDef op_position = {
    .name = "position",
    .pattern = PAT_LEAF,
    .doc = "Index of the token in its sequence, 0 for the first.",
    .formula = "y_t = t",
    .source = "structure of the sequence",
    .sig = "-> y:i32[t,1]",
    .eval = eval_position,
    .cost = op_no_cost,
};
