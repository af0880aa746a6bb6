/* Packing: how weights lie in memory, one layout per PackKind. Panels are the layout of products: `panel`
 * output rows side by side, so that one vector load feeds as many outputs and no sum ever runs across lanes;
 * a thread walks several panels at once, each a stream of its own for the prefetcher. */
#include "pack.h"

#include <stdlib.h>
#include <string.h>

#include "pack_fft.h"

static int64_t round_up(int64_t x, int64_t to) {
    return (x + to - 1) / to * to;
}

bool pack_keeps_dtype(PackKind kind) {
    return kind == PACK_PANELS || kind == PACK_PANELS_IO || kind == PACK_TABLE;
}

/* A tensor seen as `lead` matrices of [rows, cols]. */
typedef struct Matrices {
    int64_t lead, rows, cols;
} Matrices;

static Matrices matrices(Type t) {
    Matrices m = {1, 1, 1};
    if (t.rank > 0) m.cols = t.dim[t.rank - 1];
    if (t.rank > 1) m.rows = t.dim[t.rank - 2];
    for (int i = 0; i < t.rank - 2; i++) m.lead *= t.dim[i];
    return m;
}

int64_t pack_bytes(PackKind kind, Type t, DType dt, const LowerTarget *target) {
    Matrices m = matrices(t);
    int64_t size = (int64_t)dtype_size(dt);
    switch (kind) {
    case PACK_ROWS:
    case PACK_TRANSPOSED:
    case PACK_TABLE:
        return type_count(t) * size;
    case PACK_PANELS:
        return m.lead * round_up(m.rows, target->panel) * m.cols * size;
    case PACK_PANELS_IO:
        return m.lead * round_up(m.cols, target->panel) * m.rows * size;
    case PACK_FFT:
        return pack_fft_bytes(m.rows, m.cols, target->lanes);
    }
    return 0;
}

/* Copies element `from` of src to element `to` of out, converting. */
static inline void put(const PackSource *s, DType dt, void *out, int64_t to, int64_t from) {
    if (s->dt == dt && dtype_size(dt) == 2)
        memcpy((char *)out + 2 * to, (const char *)s->data + 2 * from, 2);
    else if (s->dt == dt && dtype_size(dt) == 4)
        memcpy((char *)out + 4 * to, (const char *)s->data + 4 * from, 4);
    else
        dtype_store(dt, out, to, dtype_load(s->dt, s->data, from));
}

/* out[i*panel + r] = matrix element (row p*panel + r, col i); ro, co: strides of source rows and columns */
static void write_panels(const PackSource *s, DType dt, int64_t n, int64_t k, int64_t ro, int64_t co,
                         int64_t base, int64_t panel, char *out) {
    enum { TILE = 64 };
    int64_t size = (int64_t)dtype_size(dt);
    for (int64_t p = 0; p < n; p += panel, out += panel * k * size)
        for (int64_t i0 = 0; i0 < k; i0 += TILE)
            for (int64_t r = 0; r < panel && p + r < n; r++)
                for (int64_t i = i0; i < i0 + TILE && i < k; i++)
                    put(s, dt, out, i * panel + r, base + (p + r) * ro + i * co);
}

void pack_write(PackKind kind, const PackSource *src, DType dt, const LowerTarget *target, void *out) {
    Matrices m = matrices(src->type);
    int64_t n = type_count(src->type), size = (int64_t)dtype_size(dt), each = m.rows * m.cols;
    memset(out, 0, (size_t)pack_bytes(kind, src->type, dt, target));
    switch (kind) {
    case PACK_ROWS:
    case PACK_TABLE:
        for (int64_t i = 0; i < n; i++) put(src, dt, out, i, i);
        break;
    case PACK_TRANSPOSED:
        for (int64_t l = 0; l < m.lead; l++)
            for (int64_t r = 0; r < m.rows; r++)
                for (int64_t c = 0; c < m.cols; c++)
                    put(src, dt, out, l * each + c * m.rows + r, l * each + r * m.cols + c);
        break;
    case PACK_PANELS:
        for (int64_t l = 0; l < m.lead; l++)
            write_panels(src, dt, m.rows, m.cols, m.cols, 1, l * each, target->panel,
                         (char *)out + l * round_up(m.rows, target->panel) * m.cols * size);
        break;
    case PACK_PANELS_IO:
        for (int64_t l = 0; l < m.lead; l++)
            write_panels(src, dt, m.cols, m.rows, 1, m.cols, l * each, target->panel,
                         (char *)out + l * round_up(m.cols, target->panel) * m.rows * size);
        break;
    case PACK_FFT: {
        double *h = xmalloc(sizeof *h * (size_t)n);
        for (int64_t i = 0; i < n; i++) h[i] = dtype_load(src->dt, src->data, i);
        pack_fft_write(h, m.rows, m.cols, target->lanes, out);
        free(h);
        break;
    }
    }
}

static const char *leaf_key(const Op *op, int64_t *index) {
    *index = attr_int(op, "index", -1);
    return attr_str(op, "name", "");
}

const PackItem *pack_item(PackList *l, Op *leaf, PackKind kind) {
    int64_t index, other;
    const char *key = leaf_key(leaf, &index);
    for (int i = 0; i < l->n; i++) {
        const PackItem *it = &l->items[i];
        if (it->kind == kind && it->leaf->def == leaf->def && !strcmp(leaf_key(it->leaf, &other), key) &&
            other == index)
            return it;
    }
    DType dt = DT_F32;
    if (pack_keeps_dtype(kind)) dtype_parse(attr_str(leaf, "storage", "f32"), &dt);
    if (dt == DT_F16 && !l->target->f16_loads) dt = DT_F32;
    PackItem it = {leaf, kind, dt, l->bytes, pack_bytes(kind, leaf->out[0]->type, dt, l->target)};
    l->bytes += round_up(it.bytes, 64);
    ARENA_PUSH(l->arena, l->items, l->n, l->cap, it);
    return &l->items[l->n - 1];
}
