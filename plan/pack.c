/* Packing: how weights lie in memory, one layout per PackKind; panels are in panel.c. */
#include "pack.h"

#include <stdlib.h>
#include <string.h>

#include "formats/compressed.h"
#include "formats/pack_fft.h"
#include "formats/pack_move.h"

static int64_t round_up(int64_t x, int64_t to) {
    return (x + to - 1) / to * to;
}

const NumberFormat *pack_format(const Op *leaf, const LowerTarget *target) {
    const NumberFormat *f = attr_format(leaf, "storage");
    return f == &format_f16 && !target->f16_loads ? &format_f32 : f;
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

int64_t pack_bytes(PackKind kind, Type t, const NumberFormat *f, const LowerTarget *target) {
    Matrices m = matrices(t);
    int64_t width = target->panel;
    switch (kind) {
    case PACK_ROWS:
    case PACK_TRANSPOSED:
    case PACK_TABLE:
        return type_count(t) * (int64_t)dtype_size(f->dt);
    case PACK_PANELS:
    case PACK_PANELS_F32:
        return m.lead * (round_up(m.rows, width) / width) * panel_bytes(f, m.cols, width);
    case PACK_PANELS_IO:
        return m.lead * (round_up(m.cols, width) / width) * panel_bytes(f, m.rows, width);
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

/* Panels of matrices: their rows are outputs (PACK_PANELS), else their columns are. */
typedef struct Panels {
    const PackSource *src;
    Matrices m;
    bool by_rows;
    int64_t outputs, inputs, width;
} Panels;

static Panels panels_of(PackKind kind, const PackSource *src, const LowerTarget *target) {
    Panels p = {.src = src, .m = matrices(src->type), .width = target->panel};
    p.by_rows = kind != PACK_PANELS_IO;
    p.outputs = p.by_rows ? p.m.rows : p.m.cols, p.inputs = p.by_rows ? p.m.cols : p.m.rows;
    return p;
}

/* Panel number `panel`, counted over all matrices; *count: the outputs in it. */
static PanelSource panel_source(const Panels *p, int64_t panel, int64_t *count) {
    int64_t each = round_up(p->outputs, p->width) / p->width, from = panel % each * p->width;
    const PackSource *src = p->src;
    *count = p->outputs - from < p->width ? p->outputs - from : p->width;
    PanelSource v = {
        .dt = src->dt, .blocks = src->blocks, .data = src->data, .stride = p->m.cols, .by_rows = p->by_rows};
    if (src->importance) v.importance = src->importance + panel / each * p->inputs;
    v.start = panel / each * p->m.rows * p->m.cols + (p->by_rows ? from * p->m.cols : from);
    return v;
}

static void write_panels(const Panels *p, const NumberFormat *f, int64_t first, int64_t n, char *out) {
    int64_t bytes = panel_bytes(f, p->inputs, p->width), count;
    for (int64_t i = first; i < first + n; i++, out += bytes) {
        PanelSource v = panel_source(p, i, &count);
        panel_write(&v, f, count, p->inputs, p->width, out);
    }
}

bool pack_compresses(PackKind kind, const PackSource *src, const LowerTarget *target, int64_t first,
                     int64_t n) {
    Panels p = panels_of(kind, src, target);
    bool fits = true;
    for (int64_t i = first, count; i < first + n && fits; i++) {
        PanelSource v = panel_source(&p, i, &count);
        fits = compressed_fits(&v, count, p.inputs, p.width);
    }
    return fits;
}

static void write_fft(const PackSource *s, Matrices m, const LowerTarget *target, void *out) {
    double *h = xmalloc(sizeof *h * (size_t)type_count(s->type));
    dtype_convert(DT_F64, h, s->dt, s->data, type_count(s->type));
    pack_fft_write(h, m.rows, m.cols, target->lanes, out);
    free(h);
}

void pack_write(PackKind kind, const PackSource *src, const NumberFormat *f, const LowerTarget *target,
                int64_t first, int64_t n, void *out) {
    Matrices m = matrices(src->type);
    int64_t pieces = pack_pieces(kind, src->type, target), each = m.rows * m.cols;
    if (!pieces) return;
    memset(out, 0, (size_t)(pack_bytes(kind, src->type, f, target) / pieces * n));
    switch (kind) {
    case PACK_ROWS:
    case PACK_TABLE:
        dtype_convert(f->dt, out, src->dt, pack_element(src->dt, src->data, first * m.cols), n * m.cols);
        break;
    case PACK_TRANSPOSED:
        for (int64_t l = first; l < first + n; l++) {
            PackMove v = {src->dt, f->dt, src->data, l * each, m.cols, m.rows, 1};
            pack_move_transposed(&v, m.rows, m.cols,
                                 (char *)out + (l - first) * each * (int64_t)dtype_size(f->dt));
        }
        break;
    case PACK_PANELS:
    case PACK_PANELS_F32:
    case PACK_PANELS_IO: {
        Panels p = panels_of(kind, src, target);
        write_panels(&p, f, first, n, out);
        break;
    }
    case PACK_FFT:
        write_fft(src, m, target, out);
        break;
    }
}

const char *pack_kind_name(PackKind kind) {
    static const char *const names[] = {"rows",       "transposed", "panels", "panels of columns",
                                        "f32 panels", "table",      "fft"};
    return names[kind];
}

static const char *leaf_key(const Op *op, int64_t *index) {
    *index = attr_int(op, "index", -1);
    return attr_str(op, "name", "");
}

bool pack_same_leaf(const Op *x, const Op *y) {
    int64_t i, k;
    const char *a = leaf_key(x, &i), *b = leaf_key(y, &k);
    return x->def == y->def && i == k && !strcmp(a, b);
}

const PackItem *pack_item(PackList *l, Op *leaf, PackKind kind) {
    for (int i = 0; i < l->n; i++)
        if (l->items[i].kind == kind && pack_same_leaf(l->items[i].leaf, leaf)) return &l->items[i];
    bool stored = kind == PACK_PANELS || kind == PACK_PANELS_IO || kind == PACK_TABLE;
    const NumberFormat *f = stored ? pack_format(leaf, l->target) : &format_f32;
    if (kind == PACK_TABLE && f->compressed) f = format_of_dtype(f->dt); /* only panels are */
    PackItem it = {leaf, kind, f, l->bytes, pack_bytes(kind, leaf->out[0]->type, f, l->target)};
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
        text_add(t, "%s %lld %s %s %d %s %lld %lld\n", key, (long long)index, attr_str(it->leaf, "func", ""),
                 type_text(t->arena, it->leaf->out[0]->type), (int)it->kind, it->format->name,
                 (long long)it->offset, (long long)it->bytes);
    }
}
