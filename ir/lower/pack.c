/* Packing: how weights lie in memory, one layout per PackKind; panels are in panel.c. */
#include "pack.h"

#include <stdlib.h>
#include <string.h>

#include "pack_fft.h"
#include "pack_move.h"

static int64_t round_up(int64_t x, int64_t to) {
    return (x + to - 1) / to * to;
}

Storage pack_storage(const Op *leaf, const LowerTarget *target) {
    Storage s;
    if (!storage_parse(attr_str(leaf, "storage", "f32"), &s)) BTC_BUG("no such storage");
    if (!s.quant && s.dt == DT_F16 && !target->f16_loads) s.dt = DT_F32;
    return s;
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

int64_t pack_bytes(PackKind kind, Type t, Storage s, const LowerTarget *target) {
    Matrices m = matrices(t);
    int64_t width = target->panel;
    switch (kind) {
    case PACK_ROWS:
    case PACK_TRANSPOSED:
    case PACK_TABLE:
        return type_count(t) * (int64_t)dtype_size(s.dt);
    case PACK_PANELS:
    case PACK_PANELS_F32:
        return m.lead * (round_up(m.rows, width) / width) * panel_bytes(s, m.cols, width);
    case PACK_PANELS_IO:
        return m.lead * (round_up(m.cols, width) / width) * panel_bytes(s, m.rows, width);
    case PACK_FFT:
        return pack_fft_bytes(m.rows, m.cols, target->lanes);
    }
    return 0;
}

int64_t pack_pieces(PackKind kind, Type t, const LowerTarget *target) {
    Matrices m = matrices(t);
    switch (kind) {
    case PACK_ROWS:
    case PACK_TABLE:
        return m.lead * m.rows;
    case PACK_TRANSPOSED:
        return m.lead;
    case PACK_PANELS:
    case PACK_PANELS_F32:
        return m.lead * (round_up(m.rows, target->panel) / target->panel);
    case PACK_PANELS_IO:
        return m.lead * (round_up(m.cols, target->panel) / target->panel);
    case PACK_FFT:
        return 1;
    }
    return 0;
}

/* n panels from panel `first`, counted over all matrices. by_rows: the rows of a matrix are outputs
 * (PACK_PANELS), else its columns are. */
static void write_panels(const PackSource *src, Storage s, Matrices m, bool by_rows, int64_t width,
                         int64_t first, int64_t n, char *out) {
    int64_t outputs = by_rows ? m.rows : m.cols, inputs = by_rows ? m.cols : m.rows;
    int64_t each = round_up(outputs, width) / width, bytes = panel_bytes(s, inputs, width);
    for (int64_t p = first; p < first + n; p++, out += bytes) {
        int64_t from = p % each * width, count = outputs - from < width ? outputs - from : width;
        PanelSource v = {.dt = src->dt,
                         .data = src->data,
                         .stride = m.cols,
                         .by_rows = by_rows,
                         .importance = src->importance ? src->importance + p / each * inputs : NULL};
        v.start = p / each * m.rows * m.cols + (by_rows ? from * m.cols : from);
        panel_write(&v, s, count, inputs, width, out);
    }
}

static void write_fft(const PackSource *s, Matrices m, const LowerTarget *target, void *out) {
    double *h = xmalloc(sizeof *h * (size_t)type_count(s->type));
    dtype_convert(DT_F64, h, s->dt, s->data, type_count(s->type));
    pack_fft_write(h, m.rows, m.cols, target->lanes, out);
    free(h);
}

void pack_write(PackKind kind, const PackSource *src, Storage s, const LowerTarget *target, int64_t first,
                int64_t n, void *out) {
    Matrices m = matrices(src->type);
    int64_t pieces = pack_pieces(kind, src->type, target), each = m.rows * m.cols;
    if (!pieces) return;
    memset(out, 0, (size_t)(pack_bytes(kind, src->type, s, target) / pieces * n));
    switch (kind) {
    case PACK_ROWS:
    case PACK_TABLE:
        dtype_convert(s.dt, out, src->dt, pack_element(src->dt, src->data, first * m.cols), n * m.cols);
        break;
    case PACK_TRANSPOSED:
        for (int64_t l = first; l < first + n; l++) {
            PackMove v = {src->dt, s.dt, src->data, l * each, m.cols, m.rows, 1};
            pack_move_transposed(&v, m.rows, m.cols,
                                 (char *)out + (l - first) * each * (int64_t)dtype_size(s.dt));
        }
        break;
    case PACK_PANELS:
    case PACK_PANELS_F32:
    case PACK_PANELS_IO:
        write_panels(src, s, m, kind != PACK_PANELS_IO, target->panel, first, n, out);
        break;
    case PACK_FFT:
        write_fft(src, m, target, out);
        break;
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
    bool stored = kind == PACK_PANELS || kind == PACK_PANELS_IO || kind == PACK_TABLE;
    Storage s = stored ? pack_storage(leaf, l->target) : (Storage){DT_F32, NULL};
    PackItem it = {leaf, kind, s, l->bytes, pack_bytes(kind, leaf->out[0]->type, s, l->target)};
    l->bytes += round_up(it.bytes, 64);
    ARENA_PUSH(l->arena, l->items, l->n, l->cap, it);
    return &l->items[l->n - 1];
}

void pack_layout(Text *t, const PackList *l) {
    text_add(t, "%s %d %d\n", l->block, l->target->panel, l->target->lanes);
    for (int i = 0; i < l->n; i++) {
        const PackItem *it = &l->items[i];
        int64_t index;
        const char *key = leaf_key(it->leaf, &index);
        text_add(t, "%s %lld %s %d %s %lld %lld\n", key, (long long)index, attr_str(it->leaf, "func", ""),
                 (int)it->kind, storage_name(it->storage), (long long)it->offset, (long long)it->bytes);
    }
}
