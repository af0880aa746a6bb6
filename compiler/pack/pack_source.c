#include "pack_source.h"
#include "weight_name.h"

#include <math.h>
#include <string.h>

#include "numbers.h"
#include "quantize/calibration.h"

/* A reshape, or a slice along the first axis, of a weight is the weight's own bytes. NULL: it is something
 * else. */
static const Op *viewed_weight(const Value *v, int64_t *start) {
    const Op *op = v->def;
    if (op->def == OP_TABLE[OP_weight]) return *start = 0, op;
    if (op->def == OP_TABLE[OP_reshape]) return viewed_weight(op->in[0], start);
    if (op->def != OP_TABLE[OP_slice]) return NULL;
    Type t = op->in[0]->type;
    int64_t axis = attr_int(op, "axis", -1);
    if (axis < 0) axis += t.rank;
    const Op *leaf = axis == 0 ? viewed_weight(op->in[0], start) : NULL;
    if (leaf && t.dim[0]) *start += attr_int(op, "start", 0) * (type_count(t) / t.dim[0]);
    return leaf;
}

static Type without_first_axis(Type t) {
    return type_tensor(t.dt, t.seq, t.rank - 1, t.dim + 1);
}

static bool find_tensors(Diag *d, Model *m, Source *s) {
    const char *name = weight_name(m->arena, s->prefix, attr_str(s->leaf, "name", ""));
    Type type = s->leaf->out[0]->type;
    bool stacked = strchr(name, '{') != NULL;
    s->count = stacked ? weight_count(name) : 1;
    s->tensors = ARENA_ARRAY(m->arena, PackSource, s->count);
    for (int64_t k = 0; k < s->count; k++) {
        const char *one = weight_part(m->arena, name, k);
        const RawTensor *t = weights_find(&m->weights, one);
        if (!t) return diag_error(d, s->leaf->loc, "the checkpoint has no tensor \"%s\"", one);
        PackSource *to = &s->tensors[k];
        *to = (PackSource){stacked ? without_first_axis(type) : type, {t->dt, t->blocks, t->data, NULL}};
        if (s->item->format->quantize) to->numbers.importance = calibration_importance(m, one);
    }
    return true;
}

static int64_t inputs_of(PackKind kind, Type t) {
    return t.dim[t.rank - (kind == PACK_PANELS_IO ? 2 : 1)];
}

static int64_t matrices_of(Type t) {
    return type_count(t) / (t.dim[t.rank - 1] * t.dim[t.rank - 2]);
}

/* The matrix of the leaf with which the value begins. */
static int64_t first_matrix(const Source *s) {
    Type t = s->leaf->out[0]->type;
    return s->start / (t.dim[t.rank - 1] * t.dim[t.rank - 2]);
}

/* Bytes of n numbers. */
static int64_t bytes_of(const LayoutSource *t, int64_t n) {
    return t->blocks ? n / t->blocks->block * (int64_t)t->blocks->bytes : n * (int64_t)dtype_size(t->dt);
}

/* Whether the tensors can be packed as they lie: numbers, or blocks that stay as they are. */
static bool is_packed_as_is(const Source *s) {
    for (int64_t k = 0; k < s->count; k++)
        if (s->tensors[k].numbers.blocks && s->tensors[k].numbers.blocks != s->item->format) return false;
    return true;
}

/* Whether the layout of a stack is that of its tensors, one behind the other. */
static bool layout_splits(const Source *s, const LowerTarget *t) {
    Type one = s->tensors[0].type, all = s->value->type;
    PackKind kind = s->item->kind;
    return s->value == s->leaf->out[0] && pack_pieces(kind, all, t) == s->count * pack_pieces(kind, one, t) &&
           pack_bytes(kind, all, s->item->format, t) == s->count * pack_bytes(kind, one, s->item->format, t);
}

bool source_find(Diag *d, Model *m, const PackItem *item, const char *prefix, const LowerTarget *t,
                 Source *s) {
    const Op *op = item->leaf;
    *s = (Source){.item = item, .prefix = prefix, .value = op->out[0]};
    if (op->def == OP_TABLE[OP_derived]) {
        const Func *f = ir_func_find(m->module, attr_str(op, "func", ""));
        s->value = f->results[attr_int(op, "index", 0)];
    }
    s->leaf = viewed_weight(s->value, &s->start);
    if (!s->leaf) return true;
    if (!find_tensors(d, m, s)) return false;
    s->direct = (s->count == 1 || layout_splits(s, t)) && is_packed_as_is(s);
    if (s->count == 1) {
        LayoutSource *one = &s->tensors[0].numbers;
        if (one->importance)
            one->importance += first_matrix(s) * inputs_of(s->item->kind, s->tensors[0].type);
        if (!s->direct) return true;
        one->data = (const char *)one->data + bytes_of(one, s->start);
        s->tensors[0].type = s->value->type;
    }
    return true;
}

/* Several tensors as one; one element type is kept, else f32. */
static void join_tensors(Arena *a, const Source *s, PackSource *out) {
    DType dt = s->tensors[0].numbers.dt;
    for (int64_t k = 0; k < s->count; k++)
        if (s->tensors[k].numbers.blocks || s->tensors[k].numbers.dt != dt) dt = DT_F32;
    int64_t each = type_count(s->tensors[0].type), size = (int64_t)dtype_size(dt);
    char *all = arena_alloc(a, (size_t)(s->count * each * size));
    for (int64_t k = 0; k < s->count; k++) {
        const LayoutSource *t = &s->tensors[k].numbers;
        char *to = all + k * each * size;
        if (t->blocks)
            format_decode(t->blocks, t->data, 0, each, (float *)(void *)to);
        else
            dtype_convert(dt, to, t->dt, t->data, each);
    }
    *out = (PackSource){s->value->type, {.dt = dt, .data = all + s->start * size}};
    if (!s->tensors[0].numbers.importance) return;
    Type one = s->tensors[0].type;
    int64_t inputs = inputs_of(s->item->kind, one), row = inputs * matrices_of(one);
    float *importance = ARENA_ARRAY(a, float, s->count *row);
    for (int64_t k = 0; k < s->count; k++)
        memcpy(importance + k * row, s->tensors[k].numbers.importance, sizeof *importance * (size_t)row);
    out->numbers.importance = importance + first_matrix(s) * inputs;
}

/* What is computed in double must be a number in the f32 that is packed, too. */
static bool is_finite(Diag *d, const Source *s, const Tensor *t) {
    const double most = 0x1.fffffe8p127;
    Type type = s->value->type;
    RawTensor shape = {.rank = type.rank};
    for (int i = 0; i < type.rank; i++) shape.dim[i] = type.dim[i];
    for (int64_t i = 0; i < type_count(type); i++)
        if (!(fabs(t->data[i]) <= most))
            return diag_error(d, s->value->def->loc,
                              "computed from weights%s%s, %s is %g, which is no number in f32; "
                              "--allow-nonfinite takes it as it is",
                              *s->prefix ? " of " : "", s->prefix, numbers_place(d->arena, &shape, i),
                              t->data[i]);
    return true;
}

bool source_gather(Diag *d, Arena *a, const Model *m, const Source *s, PackSource *out) {
    if (s->leaf) return join_tensors(a, s, out), true;
    Model own = *m;
    own.arena = a; /* the model's belongs to another thread */
    Env env = model_env(&own);
    Tensor t;
    const Func *f = ir_func_find(m->module, attr_str(s->item->leaf, "func", ""));
    if (!interp_constant(d, a, &env, f, s->value, s->prefix, &t)) return false;
    if (!m->allow_nonfinite && !is_finite(d, s, &t)) return false;
    *out = (PackSource){s->value->type, {.dt = DT_F64, .data = t.data}};
    return true;
}

void source_release(const Model *m, const PackSource *tensor, int64_t pieces, int64_t first, int64_t n) {
    int64_t size = bytes_of(&tensor->numbers, type_count(tensor->type)), each = size / pieces;
    const char *from = (const char *)tensor->numbers.data + each * first;
    weights_release(&m->weights, from, (size_t)(first + n == pieces ? size - each * first : each * n));
}
