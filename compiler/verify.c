/* One run of a model in one form, and comparing tensors. Sessions (session.h) do the work. */
#include "verify.h"

#include <math.h>
#include <string.h>

#include "session.h"

const RawTensor *tensor_find(const TensorList *l, const char *name) {
    for (int i = 0; i < l->n; i++)
        if (!strcmp(l->items[i].name, name)) return &l->items[i];
    return NULL;
}

bool verify_run(Diag *d, Arena *a, const char *path, const VerifyOptions *o, const RawTensor *input,
                TensorList *out) {
    Session s;
    VerifyOptions grown = *o; /* a step takes the whole batch */
    int64_t batch = input->rank ? input->dim[0] : 0;
    if (batch > (o->compile.max_batch ? o->compile.max_batch : DEFAULT_BATCH) && batch <= INT32_MAX)
        grown.compile.max_batch = (int)batch;
    bool ok = session_open(&s, d, a, path, &grown, o->values_of ? TAPS_VALUES : TAPS_HIDDEN) &&
              session_run(&s, o->form, o->threads, input, out);
    session_close(&s);
    return ok;
}

bool verify_greedy(Diag *d, Arena *a, const char *path, const VerifyOptions *o, const RawTensor *prompt,
                   int64_t n, int64_t *ids) {
    Session s;
    bool ok =
        session_open(&s, d, a, path, o, TAPS_NONE) && session_greedy(&s, o->form, o->threads, prompt, n, ids);
    session_close(&s);
    return ok;
}

/* ---- comparing ---- */

Difference tensor_difference(const RawTensor *got, const RawTensor *want) {
    Difference r = {.max_error = INFINITY, .other_shape = true};
    int64_t cols = want->rank ? want->dim[want->rank - 1] : 1,
            rows = cols ? raw_tensor_count(want) / cols : 0;
    int64_t got_cols = got->rank ? got->dim[got->rank - 1] : 1;
    if (got->rank != want->rank || got_cols < cols) return r;
    for (int i = 0; i + 1 < want->rank; i++)
        if (got->dim[i] != want->dim[i]) return r;
    r.max_error = 0, r.other_shape = false;
    for (int64_t i = 0; i < rows; i++)
        for (int64_t j = 0; j < cols; j++) {
            double w = dtype_load(want->dt, want->data, i * cols + j);
            double e = fabs(dtype_load(got->dt, got->data, i * got_cols + j) - w);
            if (fabs(w) > r.max_value) r.max_value = fabs(w);
            if (e > r.max_error) r.max_error = e, r.at = i * cols + j;
            if (isnan(e)) return r.max_error = INFINITY, r.at = i * cols + j, r;
        }
    return r;
}
