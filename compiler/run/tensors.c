#include "tensors.h"

#include <math.h>
#include <string.h>

const RawTensor *tensor_find(const TensorList *l, const char *name) {
    for (int i = 0; i < l->n; i++)
        if (!strcmp(l->items[i].name, name)) return &l->items[i];
    return NULL;
}

/* The state of this name of layer i, or NULL. */
static const RawTensor *of_layer(Arena *a, const TensorList *l, const char *name, int64_t i) {
    return tensor_find(l, arena_printf(a, "state.%lld.%s", (long long)i, name));
}

static bool same_shape(const RawTensor *x, const RawTensor *y) {
    bool same = x->rank == y->rank && x->dt == y->dt;
    for (int i = 0; same && i < x->rank; i++) same = x->dim[i] == y->dim[i];
    return same;
}

const RawTensor *tensor_find_all(Arena *a, const TensorList *l, const char *name) {
    const RawTensor *one = tensor_find(l, name), *first, *t;
    int64_t n = 0;
    if (one || strncmp(name, "state.", 6) || !(first = of_layer(a, l, name + 6, 0))) return one;
    while ((t = of_layer(a, l, name + 6, n)) && same_shape(t, first)) n++;
    if (t) return NULL;
    RawTensor *all = ARENA_NEW(a, RawTensor);
    *all = *first;
    all->name = name, all->bytes = first->bytes * (size_t)n, all->rank = 0;
    all->dim[all->rank++] = n, all->dim[all->rank++] = first->dim[0];
    for (int i = 1; i < first->rank; i++)
        if (first->dim[i] != 1) all->dim[all->rank++] = first->dim[i];
    uint8_t *data = arena_alloc(a, all->bytes);
    for (int64_t i = 0; i < n; i++)
        memcpy(data + first->bytes * (size_t)i, of_layer(a, l, name + 6, i)->data, first->bytes);
    all->data = data;
    return all;
}

/* ---- comparing ---- */

Difference tensor_difference(const RawTensor *got, const RawTensor *want) {
    Difference r = {.max_error = INFINITY, .other_shape = true};
    if (got->rank != want->rank) return r;
    for (int i = 0; i < want->rank; i++)
        if (got->dim[i] != want->dim[i]) return r;
    if (!raw_tensor_count(want)) return r;
    r.max_error = 0, r.other_shape = false;
    for (int64_t i = 0; i < raw_tensor_count(want); i++) {
        double w = dtype_load(want->dt, want->data, i), g = dtype_load(got->dt, got->data, i);
        if (fabs(w) > r.max_value) r.max_value = fabs(w);
        if (g == w || (isnan(g) && isnan(w))) continue;
        double e = fabs(g - w);
        if (isnan(e)) return r.max_error = INFINITY, r.at = i, r; /* a number against NaN */
        if (e > r.max_error) r.max_error = e, r.at = i;
    }
    return r;
}

const RawTensor *tensor_cut(Arena *a, const RawTensor *got, const RawTensor *want) {
    int64_t have = got->rank ? got->dim[got->rank - 1] : 1, need = want->rank ? want->dim[want->rank - 1] : 1;
    if (got->rank != want->rank || !got->rank || have <= need) return got;
    RawTensor *t = ARENA_NEW(a, RawTensor);
    *t = *got;
    t->dim[t->rank - 1] = need;
    int64_t n = raw_tensor_count(t);
    double *x = ARENA_ARRAY(a, double, n);
    for (int64_t i = 0; i < n; i++) x[i] = dtype_load(got->dt, got->data, i / need * have + i % need);
    t->dt = DT_F64, t->data = (const uint8_t *)x, t->bytes = sizeof *x * (size_t)n;
    return t;
}
