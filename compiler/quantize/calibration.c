/* See calibration.h. */
#include "calibration.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "matrices.h"

/* What an input counts that was never seen, beside the mean of all: the next text may have it. */
static const double LEAST = 0.01;

static bool fits(const RawTensor *t, const Matrix *m) {
    if (m->type.rank == 2) return t->rank == 1 && t->dim[0] == m->inputs;
    return t->rank == 2 && t->dim[0] == m->count && t->dim[1] == m->inputs;
}

/* A row of one matrix; inputs that are 0 throughout say nothing, then all count alike. *seen: where they are not. */
static bool read_row(Diag *d, const RawTensor *t, int64_t from, int64_t n, float *to, bool *seen) {
    double sum = 0;
    for (int64_t i = 0; i < n; i++) {
        double x = dtype_load(t->dt, t->data, from + i);
        if (!(x >= 0 && x < HUGE_VAL))
            return diag_error(d, (Loc){.file = t->file, .path = t->name},
                              "number %lld is %g: must be a mean of squares", (long long)(from + i), x);
        sum += x;
    }
    *seen |= sum > 0;
    for (int64_t i = 0; i < n; i++)
        to[i] = sum > 0 ? (float)(dtype_load(t->dt, t->data, from + i) / (sum / (double)n) + LEAST) : 1;
    return true;
}

static bool read_matrix(Diag *d, Model *m, Calibration *c, const Matrix *x, bool *seen) {
    const char *name = arena_printf(m->arena, CALIBRATION_PREFIX "%s", x->name);
    RawTensor *t = weights_find(&c->tensors, name);
    if (!x->product || (!t && !x->format->quantize)) return true;
    if (!t)
        return diag_error(d, (Loc){.file = c->tensors.name},
                          "has no tensor \"%s\": it was made for another model, or for other layers", name);
    if (!raw_tensor_readable(d, t)) return false;
    if (!fits(t, x)) {
        const char *lead = x->type.rank > 2 ? arena_printf(m->arena, "%lld,", (long long)x->count) : "";
        return diag_error(d, (Loc){.file = t->file, .path = name}, "is %s, expected [%s%lld]",
                          raw_tensor_type(m->arena, t), lead, (long long)x->inputs);
    }
    float *to = ARENA_ARRAY(m->arena, float, x->count * x->inputs);
    for (int64_t k = 0; k < x->count; k++)
        if (!read_row(d, t, k * x->inputs, x->inputs, to + k * x->inputs, seen)) return false;
    c->names[c->n] = x->name, c->importance[c->n++] = to;
    return true;
}

typedef struct Entry {
    const char *name;
    float *importance;
} Entry;

static int by_name(const void *a, const void *b) {
    return strcmp(((const Entry *)a)->name, ((const Entry *)b)->name);
}

static void sort(Arena *a, Calibration *c) {
    Entry *e = ARENA_ARRAY(a, Entry, c->n);
    for (int i = 0; i < c->n; i++) e[i] = (Entry){c->names[i], c->importance[i]};
    qsort(e, (size_t)c->n, sizeof *e, by_name);
    for (int i = 0; i < c->n; i++) c->names[i] = e[i].name, c->importance[i] = e[i].importance;
}

static bool is_calibration(const WeightSet *w) {
    for (int i = 0; i < w->n; i++)
        if (!strncmp(w->tensors[i].name, CALIBRATION_PREFIX, strlen(CALIBRATION_PREFIX))) return true;
    return false;
}

/* Another checkpoint of the same sizes sees other inputs. */
static bool check_checkpoint(Diag *d, const Model *m, const Calibration *c, const char *path) {
    const RawTensor *t = weights_find(&c->tensors, CALIBRATION_SOURCE);
    uint64_t from, is;
    if (!t || t->dt != DT_I64 || raw_tensor_count(t) != 1) {
        diag_warning(d, (Loc){.file = path}, "does not say which checkpoint it was made from");
        return true;
    }
    memcpy(&from, t->data, sizeof from), is = weights_hash(&m->weights);
    return from == is || diag_error(d, (Loc){.file = path},
                                    "was made from another checkpoint than that of %s; btc quantize MODEL "
                                    "--calibrate --text=FILE -o CALIBRATION makes one",
                                    m->path);
}

bool calibration_open(Diag *d, Model *m, const char *path) {
    MatrixList all = matrices_of_model(m);
    Calibration *c = ARENA_NEW(m->arena, Calibration);
    *c = (Calibration){.names = ARENA_ARRAY(m->arena, const char *, all.n),
                       .importance = ARENA_ARRAY(m->arena, float *, all.n)};
    bool quantised = false;
    for (int i = 0; i < all.n; i++) quantised |= all.items[i].format->quantize != NULL;
    if (!quantised)
        return diag_usage(d, (Loc){0},
                          "--calibration=%s: no matrix of this model is quantised; add --quant=q4, or rules "
                          "(\"quant\") to its description",
                          path);
    if (!file_exists(path)) return diag_error(d, (Loc){.file = path}, "no such file");
    m->calibration = c;
    if (!weights_open(d, m->arena, path, &c->tensors)) return false;
    if (!is_calibration(&c->tensors))
        return diag_error(d, (Loc){.file = path},
                          "is no calibration: it has no tensors \"" CALIBRATION_PREFIX
                          "..\"; btc quantize MODEL --calibrate --text=FILE -o CALIBRATION makes one");
    bool seen = false;
    for (int i = 0; i < all.n; i++)
        if (!read_matrix(d, m, c, &all.items[i], &seen)) return false;
    if (!seen)
        return diag_error(
            d, (Loc){.file = path},
            "says nothing: all its numbers are 0; make it anew by btc quantize MODEL --calibrate");
    if (!check_checkpoint(d, m, c, path)) return false;
    sort(m->arena, c);
    return true;
}

const float *calibration_importance(const Model *m, const char *name) {
    const Calibration *c = m->calibration;
    int lo = 0, hi = c ? c->n : 0;
    while (lo < hi) {
        int mid = lo + (hi - lo) / 2, order = strcmp(name, c->names[mid]);
        if (!order) return c->importance[mid];
        if (order < 0)
            hi = mid;
        else
            lo = mid + 1;
    }
    return NULL;
}
