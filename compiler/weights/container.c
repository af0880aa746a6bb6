/* Tensors of a checkpoint, and the set that holds them, sorted by name. */
#include "container.h"

#include <stdlib.h>
#include <string.h>

Loc container_loc(const char *file, const char *tensor) {
    return (Loc){.file = file, .path = tensor};
}

const char *container_clean(Arena *a, const char *s, size_t n) {
    enum { LONGEST = 200 };
    char *c = arena_strndup(a, s, n < LONGEST ? n : LONGEST);
    size_t len = n < LONGEST ? n : LONGEST;
    for (size_t i = 0; i < len; i++)
        if ((unsigned char)c[i] < 0x20 || c[i] == 0x7f) c[i] = '?';
    return n < LONGEST ? c : arena_printf(a, "%s...", c);
}

bool container_measure(RawTensor *t, int64_t *count) {
    int64_t n = 1, bytes;
    bool empty = false;
    for (int i = 0; i < t->rank; i++) empty |= t->dim[i] == 0;
    /* Without this test [2^62, 2^62, 0] would fit or not depending on the order of its axes. */
    for (int i = 0; i < t->rank && !empty; i++)
        if (__builtin_mul_overflow(n, t->dim[i], &n)) return false;
    if (empty) n = 0;
    int64_t units = t->blocks ? n / t->blocks->block : n;
    if (__builtin_mul_overflow(units, (int64_t)(t->blocks ? t->blocks->bytes : dtype_size(t->dt)), &bytes))
        return false;
    *count = n;
    t->bytes = (size_t)bytes;
    return true;
}

bool container_check_name(Diag *d, Arena *a, const char *file, const char *name) {
    if (!*name) return diag_error(d, container_loc(file, NULL), "a tensor has an empty name");
    for (const char *s = name; *s; s++)
        if ((unsigned char)*s < 0x20 || *s == 0x7f)
            return diag_error(d, container_loc(file, container_clean(a, name, strlen(name))),
                              "the tensor's name holds a control character");
    return true;
}

static int by_name(const void *x, const void *y) {
    return strcmp(((const RawTensor *)x)->name, ((const RawTensor *)y)->name);
}

static bool named_twice(Diag *d, const RawTensor *a, const RawTensor *b) {
    if (a->file == b->file)
        return diag_error(d, container_loc(b->file, b->name), "the file names this tensor twice");
    return diag_error(d, container_loc(b->file, b->name), "this tensor is also in %s", a->file);
}

bool container_seal(Diag *d, WeightSet *w, int first) {
    int fresh = w->n - first;
    if (fresh == 0) return true;
    RawTensor *t = w->tensors;
    qsort(t + first, (size_t)fresh, sizeof *t, by_name);
    /* Merged from the back: only the new part is copied, which matters with a hundred shards. */
    const RawTensor *add = arena_copy(w->arena, t + first, (size_t)fresh * sizeof *t);
    int old = first - 1, next = fresh - 1;
    for (int to = w->n - 1; next >= 0; to--)
        t[to] = old >= 0 && by_name(&t[old], &add[next]) > 0 ? t[old--] : add[next--];
    for (int i = 1; i < w->n; i++)
        if (!strcmp(t[i - 1].name, t[i].name)) return named_twice(d, &t[i - 1], &t[i]);
    return true;
}

int64_t raw_tensor_count(const RawTensor *t) {
    int64_t n = 0;
    RawTensor copy = *t;
    return container_measure(&copy, &n) ? n : 0;
}

const char *raw_tensor_dtype(const RawTensor *t) {
    if (t->blocks) return t->blocks->name;
    return t->dt == DT_COUNT && t->type ? t->type : dtype_name(t->dt);
}

bool raw_tensor_readable(Diag *d, const RawTensor *t) {
    return t->blocks || t->dt != DT_COUNT ||
           diag_error(d, container_loc(t->file, t->name), "holds %s, a type that is not read",
                      raw_tensor_dtype(t));
}

void raw_tensor_doubles(const RawTensor *t, int64_t first, int64_t n, double *out) {
    enum { PIECE = 1024 };
    float some[PIECE];
    if (!t->blocks) dtype_convert(DT_F64, out, t->dt, t->data + first * (int64_t)dtype_size(t->dt), n);
    for (int64_t at = 0; at < n && t->blocks; at += PIECE) {
        int64_t m = n - at < PIECE ? n - at : PIECE;
        format_decode(t->blocks, t->data, first + at, m, some);
        for (int64_t i = 0; i < m; i++) out[at + i] = (double)some[i];
    }
}

const char *raw_tensor_type(Arena *a, const RawTensor *t) {
    Text text = text_new(a);
    text_add(&text, "%s[", raw_tensor_dtype(t));
    for (int i = 0; i < t->rank; i++) text_add(&text, "%s%lld", i ? "," : "", (long long)t->dim[i]);
    text_add(&text, "]");
    return text.s;
}

bool weights_put(Diag *d, WeightSet *w, const RawTensor *t) {
    ARENA_PUSH(w->arena, w->tensors, w->n, w->cap, *t);
    return container_seal(d, w, w->n - 1);
}

RawTensor *weights_find(const WeightSet *w, const char *name) {
    RawTensor key = {.name = name};
    return w->n ? bsearch(&key, w->tensors, (size_t)w->n, sizeof key, by_name) : NULL;
}
