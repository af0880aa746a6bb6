#include "pack_source.h"
#include "weight_name.h"

#include <math.h>
#include <string.h>

#include "numbers.h"
#include "quantize/calibration.h"

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
    return s->value == s->leaf->out[0] && pack_slices(kind, all, t) == s->count * pack_slices(kind, one, t) &&
           pack_bytes(kind, all, s->item->format, t) == s->count * pack_bytes(kind, one, s->item->format, t);
}

/* Whether each matrix can be packed by itself: panels of numbers of one tensor, in blocks only with whole rows. */
static bool splits_by_matrix(const Source *s) {
    const WeightView *v = &s->view;
    PackKind kind = s->item->kind;
    int r = v->type.rank;
    if (r < 2 || (kind != PACK_PANELS && kind != PACK_PANELS_F32 && kind != PACK_PANELS_IO)) return false;
    if (s->tensors[0].numbers.blocks && (kind != PACK_PANELS || !weight_view_keeps_rows(v))) return false;
    int64_t each = type_count(s->tensors[0].type), n = matrices_of(v->type);
    int64_t last = (v->type.dim[r - 2] - 1) * v->stride[r - 2] + (v->type.dim[r - 1] - 1) * v->stride[r - 1];
    for (int64_t k = 0; k < n; k++) {
        int64_t at = weight_view_matrix(v, k);
        if (at / each != (at + last) / each) return false;
    }
    return true;
}

/* The importance of the inputs of what begins at number `at` of tensor k. */
static const float *importance_at(const Source *s, int64_t k, int64_t at) {
    const PackSource *t = &s->tensors[k];
    if (!t->numbers.importance) return NULL;
    int64_t each = t->type.dim[t->type.rank - 1] * t->type.dim[t->type.rank - 2];
    return t->numbers.importance + at / each * inputs_of(s->item->kind, t->type);
}

static void split_plain(Source *s, const LowerTarget *t) {
    s->direct = (s->count == 1 || layout_splits(s, t)) && is_packed_as_is(s);
    if (!s->direct) return;
    s->parts = s->count, s->part = s->tensors[0].type;
    if (s->count > 1) return;
    LayoutSource *one = &s->tensors[0].numbers;
    one->importance = importance_at(s, 0, s->view.start);
    one->data = (const char *)one->data + bytes_of(one, s->view.start);
    s->part = s->tensors[0].type = s->value->type;
}

static void split_strided(Source *s) {
    Type t = s->value->type;
    s->direct = is_packed_as_is(s) && splits_by_matrix(s);
    if (!s->direct) return;
    s->parts = matrices_of(t), s->part = type_tensor(t.dt, false, 2, &t.dim[t.rank - 2]);
}

bool source_find(Diag *d, Model *m, const PackItem *item, const char *prefix, const LowerTarget *t,
                 Source *s) {
    const Op *op = item->leaf;
    *s = (Source){.item = item, .prefix = prefix, .value = op->out[0]};
    if (op->def == OP_TABLE[OP_derived]) {
        const Func *f = ir_func_find(m->module, attr_str(op, "func", ""));
        s->value = f->results[attr_int(op, "index", 0)];
    }
    if (!weight_view(s->value, &s->view)) return true;
    s->leaf = s->view.leaf;
    if (!find_tensors(d, m, s)) return false;
    s->strided = !weight_view_is_plain(&s->view);
    if (s->strided)
        split_strided(s);
    else
        split_plain(s, t);
    return true;
}

/* Rows [r, r + nr) and columns [c, c + nc) of a matrix, from number `at` of t, row-major. */
static void copy_matrix(const WeightView *v, const LayoutSource *t, int64_t at, const int64_t *region,
                        Arena *a, LayoutSource *out) {
    int64_t nr = region[1], nc = region[3], rs = v->stride[v->type.rank - 2],
            cs = v->stride[v->type.rank - 1];
    int64_t row = bytes_of(t, nc), size = t->blocks ? 0 : (int64_t)dtype_size(t->dt);
    char *to = arena_alloc(a, (size_t)(nr * row));
    at += region[0] * rs + region[2] * cs;
    for (int64_t i = 0; i < nr; i++, at += rs, to += row) {
        const char *from = (const char *)t->data + bytes_of(t, at);
        if (cs == 1 || nc == 1) memcpy(to, from, (size_t)row);
        for (int64_t j = 0; j < nc && cs != 1 && nc != 1; j++)
            memcpy(to + j * size, from + j * cs * size, (size_t)size);
    }
    *out = *t;
    out->data = to - nr * row;
}

PackSource source_slices(const Source *s, const LowerTarget *t, Arena *a, int64_t part, int64_t first,
                         int64_t n, int64_t *at) {
    *at = first;
    if (!s->strided) return s->tensors[part];
    bool across = s->item->kind == PACK_PANELS_IO;
    int64_t rows = s->part.dim[0], cols = s->part.dim[1], outputs = across ? cols : rows;
    int64_t from = first * t->panel, to = (first + n) * t->panel < outputs ? (first + n) * t->panel : outputs;
    int64_t region[4] = {0, rows, 0, cols}; /* first row, rows, first column, columns */
    region[across ? 2 : 0] = from, region[across ? 3 : 1] = to - from;
    int64_t each = type_count(s->tensors[0].type), begin = weight_view_matrix(&s->view, part);
    const PackSource *tensor = &s->tensors[begin / each];
    PackSource own = {type_tensor(DT_F32, false, 2, (int64_t[]){region[1], region[3]}), {0}};
    copy_matrix(&s->view, &tensor->numbers, begin % each, region, a, &own.numbers);
    own.numbers.importance = importance_at(s, begin / each, begin % each);
    return *at = 0, own;
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
    const WeightView *v = &s->view;
    *out = (PackSource){v->type, {.dt = dt, .data = all + v->start * size}};
    if (s->strided) {
        char *moved = arena_alloc(a, (size_t)(type_count(v->type) * size));
        weight_view_copy(v, all, (size_t)size, moved);
        out->numbers.data = moved;
    }
    if (!s->tensors[0].numbers.importance || s->strided) return;
    Type one = s->tensors[0].type;
    int64_t inputs = inputs_of(s->item->kind, one), row = inputs * matrices_of(one);
    float *importance = ARENA_ARRAY(a, float, s->count *row);
    for (int64_t k = 0; k < s->count; k++)
        memcpy(importance + k * row, s->tensors[k].numbers.importance, sizeof *importance * (size_t)row);
    out->numbers.importance = importance + v->start / (type_count(one) / matrices_of(one)) * inputs;
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

void source_release(const Model *m, const Source *s, const LowerTarget *t, int64_t part, int64_t first,
                    int64_t n) {
    if (s->strided) return;
    const PackSource *tensor = &s->tensors[part];
    int64_t slices = pack_slices(s->item->kind, tensor->type, t);
    int64_t size = bytes_of(&tensor->numbers, type_count(tensor->type)), each = size / slices;
    const char *from = (const char *)tensor->numbers.data + each * first;
    weights_release(&m->weights, from, (size_t)(first + n == slices ? size - each * first : each * n));
}
