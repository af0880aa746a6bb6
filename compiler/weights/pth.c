/* Files of torch.save: PyTorch's zip container, or the row of pickles that it wrote before (pth_row.h).
 * PyTorch's zip container (torch.save since 1.6): <root>/data.pkl is a pickle that names the tensors, each a
 * strided view of a storage; <root>/data/<key> are the storages' bytes. The pickle is read as data
 * (pickle.c); tensors point into the mapped file, only strided views are copied.
 * https://github.com/pytorch/pytorch/blob/main/torch/serialization.py */
#include <string.h>

#include "container.h"
#include "pickle.h"
#include "pth_row.h"
#include "zip.h"

enum { MAX_DEPTH = 16, FREE_COPIES = 16 << 20 };

typedef struct Pth {
    Diag *diag;
    Arena *arena;
    WeightSet *w;
    const char *file;
    Zip zip;
    const char *root;
    const PthRow *row;         /* NULL: it is a zip */
    size_t copied, copies_max; /* bytes of strided views */
} Pth;

static bool fail(const Pth *p, const char *tensor, const char *msg) {
    return diag_error(p->diag, container_loc(p->file, tensor), "%s", msg);
}

/* ---- one tensor ---- */

/* A strided view of a storage: element [i, j] is at offset + i * stride[0] + j * stride[1]. */
typedef struct View {
    int64_t offset, stride[RAW_MAX_RANK], count;
} View;

static bool read_counts(const PickleValue *v, int64_t *out, int *n) {
    if (v->kind != PK_TUPLE || v->n > RAW_MAX_RANK) return false;
    for (int i = 0; i < v->n; i++) {
        if (v->items[i]->kind != PK_INT || v->items[i]->i < 0) return false;
        out[i] = v->items[i]->i;
    }
    *n = v->n;
    return true;
}

static bool read_dtype(const Pth *p, RawTensor *t, const PickleValue *v) {
    const PickleGlobal *g = v->items[0]->global;
    /* _rebuild_tensor_v3 puts the dtype last, over a storage of bytes. */
    if (!strcmp(v->global->name, "_rebuild_tensor_v3")) {
        if (v->n < 7 || v->items[6]->kind != PK_NAME || v->items[6]->global->role != ROLE_DTYPE)
            return fail(p, t->name, "its dtype is not one that PyTorch writes");
        g = v->items[6]->global;
    }
    t->dt = g->dt;
    if (t->dt == DT_COUNT) t->type = arena_printf(p->arena, "%s.%s", g->module, g->name);
    return true;
}

static bool read_view(const Pth *p, RawTensor *t, View *view, const PickleValue *v) {
    int nstrides = 0;
    const PickleValue *shape = v->items[2];
    if (v->items[1]->kind != PK_INT || v->items[1]->i < 0)
        return fail(p, t->name, "its offset must be a non-negative integer");
    view->offset = v->items[1]->i;
    if (shape->kind == PK_TUPLE && shape->n > RAW_MAX_RANK)
        return fail(p, t->name, arena_printf(p->arena, "has more than %d axes", RAW_MAX_RANK));
    if (!read_counts(shape, t->dim, &t->rank))
        return fail(p, t->name, "its shape must be a tuple of non-negative integers");
    if (!read_counts(v->items[3], view->stride, &nstrides) || nstrides != t->rank)
        return fail(p, t->name,
                    arena_printf(p->arena,
                                 "its strides must be %d non-negative integers, as its shape has %d axes",
                                 t->rank, t->rank));
    return container_measure(t, &view->count) ||
           fail(p, t->name, "the product of its shape overflows 64 bits");
}

/* The last element of the view must be inside the storage. */
static bool check_inside(const Pth *p, const RawTensor *t, const View *view, int64_t storage) {
    int64_t last = view->offset, step;
    bool over = false;
    for (int i = 0; i < t->rank && view->count; i++)
        over |= __builtin_mul_overflow(t->dim[i] - 1, view->stride[i], &step) ||
                __builtin_add_overflow(last, step, &last);
    if (!over && (view->count ? last < storage : view->offset <= storage)) return true;
    return fail(p, t->name,
                arena_printf(p->arena, "%s at offset %lld reaches beyond its storage of %lld elements",
                             raw_tensor_type(p->arena, t), (long long)view->offset, (long long)storage));
}

static bool storage_bytes(const Pth *p, const RawTensor *t, const PickleValue *storage, int64_t *elements,
                          const uint8_t **data) {
    const char *name = p->row ? storage->s : arena_printf(p->arena, "%s/data/%s", p->root, storage->s);
    const char *shown = container_clean(p->arena, name, strlen(name));
    size_t unit = storage->global->dt == DT_COUNT ? 1 : dtype_size(storage->global->dt), size;
    uint64_t expected;
    const ZipEntry *e = p->row ? NULL : zip_find(&p->zip, name);
    if (p->row ? !pth_row_find(p->row, name, data, &size) : !e)
        return fail(p, t->name, arena_printf(p->arena, "its storage %s is not in the file", shown));
    if (e && !zip_bytes(&p->zip, e, data, &size)) return false;
    if (__builtin_mul_overflow((uint64_t)storage->i, unit, &expected) || expected != size)
        return fail(p, t->name,
                    arena_printf(p->arena,
                                 "its storage %s should have %lld elements of %zu bytes, but has %zu bytes",
                                 shown, (long long)storage->i, unit, size));
    *elements = (int64_t)(size / dtype_size(t->dt));
    return true;
}

static bool is_contiguous(const RawTensor *t, const View *view) {
    int64_t expected = 1;
    for (int i = t->rank - 1; i >= 0; i--) {
        if (t->dim[i] != 1 && view->stride[i] != expected) return false;
        expected *= t->dim[i];
    }
    return true;
}

static void copy_strided(const RawTensor *t, const View *view, const uint8_t *from, uint8_t *to) {
    size_t unit = dtype_size(t->dt);
    int64_t index[RAW_MAX_RANK] = {0};
    uint64_t at =
        0; /* unsigned: beside an axis of length 1 may stand any stride, which wraps and comes back */
    for (int64_t n = 0; n < view->count; n++, to += unit) {
        memcpy(to, from + at * unit, unit);
        for (int i = t->rank - 1; i >= 0; i--) {
            at += (uint64_t)view->stride[i];
            if (++index[i] < t->dim[i]) break;
            at -= (uint64_t)view->stride[i] * (uint64_t)t->dim[i];
            index[i] = 0;
        }
    }
}

static bool take_tensor(Pth *p, const char *name, const PickleValue *v) {
    RawTensor t = {.name = name, .file = p->file};
    View view = {0};
    const uint8_t *data = NULL;
    int64_t storage = 0;
    if (!container_check_name(p->diag, p->arena, p->file, name)) return false;
    if (v->items[0]->kind != PK_STORAGE) return fail(p, name, "is a tensor without a storage");
    if (!read_dtype(p, &t, v) || !read_view(p, &t, &view, v)) return false;
    if (t.dt == DT_COUNT) { /* whoever uses the tensor refuses it; nobody may */
        ARENA_PUSH(p->arena, p->w->tensors, p->w->n, p->w->cap, t);
        return true;
    }
    if (!storage_bytes(p, &t, v->items[0], &storage, &data)) return false;
    if (!check_inside(p, &t, &view, storage)) return false;
    t.data = data + (size_t)view.offset * dtype_size(t.dt);
    if (view.count && !is_contiguous(&t, &view)) {
        /* Strides of 0 let a file of 1 kB ask for a terabyte. */
        if (t.bytes > p->copies_max - p->copied)
            return fail(
                p, name,
                arena_printf(p->arena,
                             "%s is a strided view of a much smaller storage: save a contiguous tensor",
                             raw_tensor_type(p->arena, &t)));
        p->copied += t.bytes;
        uint8_t *copy = arena_alloc(p->arena, t.bytes);
        copy_strided(&t, &view, t.data, copy);
        t.data = copy;
    }
    ARENA_PUSH(p->arena, p->w->tensors, p->w->n, p->w->cap, t);
    return true;
}

/* ---- dicts ---- */

enum { UNSEEN, WITHOUT, WITH, FLATTENED };

/* Are there tensors in v or in dicts below? Cycles and shared dicts are met once, thanks to the mark. What is
 * too deep to look at counts as yes, so that flatten gets there and complains. */
static bool has_tensors(PickleValue *v, int depth) {
    if (v->kind == PK_TENSOR) return true;
    if (v->kind != PK_DICT) return false;
    if (depth > MAX_DEPTH) return true;
    if (v->mark != UNSEEN) return v->mark == WITH;
    v->mark = WITHOUT;
    for (int i = 1; i < v->n; i += 2)
        if (has_tensors(v->items[i], depth + 1)) v->mark = WITH;
    return v->mark == WITH;
}

static bool holds_directly(const PickleValue *dict) {
    for (int i = 1; i < dict->n; i += 2)
        if (dict->items[i]->kind == PK_TENSOR) return true;
    return false;
}

/* Training checkpoints keep the weights one level down, beside an optimizer's tensors and plain numbers. */
static PickleValue *choose_dict(PickleValue *top) {
    static const char *const usual[] = {"state_dict", "model_state_dict", "model"};
    PickleValue *only = NULL;
    int n = 0;
    if (holds_directly(top)) return top;
    for (int i = 1; i < top->n; i += 2)
        if (has_tensors(top->items[i], 1)) only = top->items[i], n++;
    if (n == 1) return only;
    for (size_t u = 0; u < sizeof usual / sizeof *usual; u++)
        for (int i = 0; i < top->n; i += 2) {
            const PickleValue *key = top->items[i];
            if (key->kind != PK_TEXT || strcmp(key->s, usual[u])) continue;
            if (top->items[i + 1]->kind == PK_DICT && holds_directly(top->items[i + 1]))
                return top->items[i + 1];
        }
    return top;
}

static bool flatten(Pth *p, PickleValue *dict, const char *prefix, int depth) {
    if (depth > MAX_DEPTH) return fail(p, prefix, "dicts are nested too deeply");
    if (dict->mark == FLATTENED) return fail(p, prefix, "the same dict is stored in two places");
    dict->mark = FLATTENED;
    for (int i = 0; i + 1 < dict->n; i += 2) {
        const PickleValue *key = dict->items[i];
        PickleValue *v = dict->items[i + 1];
        bool nested = v->kind == PK_DICT && (v->mark == FLATTENED || has_tensors(v, depth));
        if (v->kind != PK_TENSOR && !nested) continue; /* epochs, learning rates, ... */
        const char *dot = *prefix ? "." : "", *name;
        if (key->kind == PK_TEXT)
            name = arena_printf(p->arena, "%s%s%s", prefix, dot, key->s);
        else if (key->kind == PK_INT)
            name = arena_printf(p->arena, "%s%s%lld", prefix, dot, (long long)key->i);
        else
            return fail(p, prefix, "a tensor's key is neither text nor an integer");
        if (nested ? !flatten(p, v, name, depth + 1) : !take_tensor(p, name, v)) return false;
    }
    return true;
}

/* ---- the file ---- */

static bool find_root(Pth *p) {
    static const char tail[] = "/data.pkl";
    size_t m = sizeof tail - 1;
    for (int i = 0; i < p->zip.n; i++) {
        const ZipEntry *e = &p->zip.entries[i];
        if (e->name_n <= m || memcmp(e->name + e->name_n - m, tail, m)) continue;
        if (memchr(e->name, '/', e->name_n - m) || memchr(e->name, 0, e->name_n)) continue;
        if (p->root) return fail(p, NULL, "the zip has more than one data.pkl");
        p->root = arena_strndup(p->arena, e->name, e->name_n - m);
    }
    return p->root || fail(p, NULL, "the zip has no <name>/data.pkl: it was not saved by torch.save");
}

static bool check_byte_order(const Pth *p) {
    const ZipEntry *e = zip_find(&p->zip, arena_printf(p->arena, "%s/byteorder", p->root));
    const uint8_t *s;
    size_t n;
    if (!e) return true;
    if (!zip_bytes(&p->zip, e, &s, &n)) return false;
    if (n == 6 && !memcmp(s, "little", 6)) return true;
    return fail(p, NULL,
                arena_printf(p->arena, "its byte order is \"%s\"; only \"little\" is supported",
                             container_clean(p->arena, (const char *)s, n)));
}

static bool read_dict(Pth *p, PickleValue *top) {
    if (!top) return false;
    if (top->kind != PK_DICT)
        return fail(p, NULL, "its pickle is not a dict from names to tensors: save model.state_dict()");
    int first = p->w->n;
    if (!flatten(p, choose_dict(top), "", 0)) return false;
    if (p->w->n == first) return fail(p, NULL, "holds no tensors");
    return container_seal(p->diag, p->w, first);
}

static bool read_zip(Pth *p) {
    const uint8_t *data;
    size_t size;
    if (!zip_open(&p->zip) || !find_root(p) || !check_byte_order(p)) return false;
    const ZipEntry *e = zip_find(&p->zip, arena_printf(p->arena, "%s/data.pkl", p->root));
    return zip_bytes(&p->zip, e, &data, &size) &&
           read_dict(p, pickle_read(p->diag, p->arena, p->file, data, size, NULL));
}

static bool read_row(Pth *p, const uint8_t *data, size_t size) {
    PthRow row;
    p->row = &row;
    return pth_row_open(p->diag, p->arena, p->file, data, size, &row) && read_dict(p, row.top);
}

bool pth_read(Diag *d, WeightSet *w, const char *file, const uint8_t *data, size_t size) {
    Pth p = {
        .diag = d, .arena = w->arena, .w = w, .file = file, .zip = {d, w->arena, file, data, size, 0, 0, 0}};
    p.copies_max = FREE_COPIES + (size > SIZE_MAX / 8 ? SIZE_MAX / 8 : size) * 4;
    return pth_is_row(data, size) ? read_row(&p, data, size) : read_zip(&p);
}
