#include "tensors.h"

#include <math.h>
#include <string.h>

const RawTensor *tensor_find(const TensorList *l, const char *name) {
    for (int i = 0; i < l->n; i++)
        if (!strcmp(l->items[i].name, name)) return &l->items[i];
    return NULL;
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
