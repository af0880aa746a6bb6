/* See weight_view.h. */
#include "weight_view.h"

#include <string.h>

/* Distances in a row-major tensor. */
static void plain_strides(Type t, int64_t *stride) {
    int64_t n = 1;
    for (int i = t.rank - 1; i >= 0; i--) stride[i] = n, n *= t.dim[i];
}

/* The axes of a view that are longer than 1. */
static int long_axes(const WeightView *v, int64_t *dim, int64_t *stride) {
    int n = 0;
    for (int i = 0; i < v->type.rank; i++)
        if (v->type.dim[i] != 1) dim[n] = v->type.dim[i], stride[n++] = v->stride[i];
    return n;
}

/* The same numbers in the shape `to`: groups of axes on both sides hold equally many, and within a group the old ones
 * must lie one behind the other. false: they do not. */
static bool reshape(WeightView *v, const Type *to) {
    int64_t dim[MAX_RANK], stride[MAX_RANK], made[MAX_RANK] = {0};
    int n = long_axes(v, dim, stride), i = 0;
    for (int k = 0; k < to->rank && i < n;) {
        int64_t have = dim[i], want = to->dim[k];
        int last = i, end = k;
        while (have != want)
            if (have < want && last + 1 < n)
                have *= dim[++last];
            else if (have > want && end + 1 < to->rank)
                want *= to->dim[++end];
            else
                return false;
        for (int a = i; a < last; a++)
            if (stride[a] != dim[a + 1] * stride[a + 1]) return false;
        while (end + 1 < to->rank && to->dim[end + 1] == 1) end++; /* ones belong to the group before them */
        int64_t each = stride[last];
        for (int a = end; a >= k; a--) made[a] = each, each *= to->dim[a];
        i = last + 1, k = end + 1;
    }
    v->type = *to;
    memcpy(v->stride, made, sizeof made);
    return true;
}

static bool slice(WeightView *v, const Op *op) {
    int64_t axis = attr_int(op, "axis", -1);
    if (axis < 0) axis += v->type.rank;
    v->start += attr_int(op, "start", 0) * v->stride[axis];
    v->type = op->out[0]->type;
    return true;
}

static bool transpose(WeightView *v, const Op *op) {
    const Attr *perm = attr_find(op->attrs, "perm");
    WeightView from = *v;
    for (int i = 0; i < perm->n; i++) v->stride[i] = from.stride[perm->ints[i]];
    v->type = op->out[0]->type;
    return true;
}

bool weight_view(const Value *v, WeightView *out) {
    const Op *op = v->def;
    if (!op || v->type.seq) return false;
    if (op->def == OP_TABLE[OP_weight]) {
        *out = (WeightView){.leaf = op, .type = v->type};
        plain_strides(v->type, out->stride);
        return true;
    }
    bool moves =
        op->def == OP_TABLE[OP_reshape] || op->def == OP_TABLE[OP_slice] || op->def == OP_TABLE[OP_transpose];
    if (!moves || !weight_view(op->in[0], out)) return false;
    if (op->def == OP_TABLE[OP_reshape]) return reshape(out, &v->type);
    return op->def == OP_TABLE[OP_slice] ? slice(out, op) : transpose(out, op);
}

bool weight_view_is_plain(const WeightView *v) {
    int64_t plain[MAX_RANK];
    plain_strides(v->type, plain);
    for (int i = 0; i < v->type.rank; i++)
        if (v->type.dim[i] != 1 && v->stride[i] != plain[i]) return false;
    return true;
}

bool weight_view_keeps_rows(const WeightView *v) {
    Type leaf = v->leaf->out[0]->type, t = v->type;
    if (t.rank < 2 || leaf.rank < 2) return false;
    int64_t row = leaf.dim[leaf.rank - 1];
    if (t.dim[t.rank - 1] != row || (row != 1 && v->stride[t.rank - 1] != 1) || v->start % row) return false;
    for (int i = 0; i < t.rank - 1; i++)
        if (t.dim[i] != 1 && v->stride[i] % row) return false;
    return true;
}

/* The number with which vector `n` along the axes from `axes` on begins, counted over the axes before them. */
static int64_t begin_of(const WeightView *v, int axes, int64_t n) {
    int64_t at = v->start;
    for (int i = axes - 1; i >= 0; i--) {
        at += n % v->type.dim[i] * v->stride[i];
        n /= v->type.dim[i];
    }
    return at;
}

int64_t weight_view_matrix(const WeightView *v, int64_t matrix) {
    return begin_of(v, v->type.rank - 2, matrix);
}

void weight_view_copy(const WeightView *v, const char *leaf, size_t size, char *to) {
    int last = v->type.rank - 1;
    int64_t n = last < 0 ? 1 : v->type.dim[last], step = last < 0 ? 0 : v->stride[last] * (int64_t)size;
    for (int64_t row = 0; row < type_count(v->type) / n; row++) {
        const char *from = leaf + begin_of(v, last, row) * (int64_t)size;
        for (int64_t i = 0; i < n; i++, to += size) memcpy(to, from + i * step, size);
    }
}
