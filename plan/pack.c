/* See pack.h; the layouts and their writers are in formats/layout.c. */
#include "pack.h"

#include <string.h>

static int64_t round_up(int64_t x, int64_t to) {
    return (x + to - 1) / to * to;
}

const NumberFormat *pack_format(const Op *leaf, const LowerTarget *target) {
    const NumberFormat *f = attr_format(leaf, "storage");
    return f == &format_f16 && !target->f16_loads ? &format_f32 : f;
}

static Layout layout_of(PackKind kind, Type t, const NumberFormat *f, const LowerTarget *target) {
    Layout l = {kind, f, 1, 1, 1, target->panel, target->lanes};
    if (t.rank > 0) l.cols = t.dim[t.rank - 1];
    if (t.rank > 1) l.rows = t.dim[t.rank - 2];
    for (int i = 0; i < t.rank - 2; i++) l.lead *= t.dim[i];
    return l;
}

int64_t pack_bytes(PackKind kind, Type t, const NumberFormat *f, const LowerTarget *target) {
    Layout l = layout_of(kind, t, f, target);
    return layout_bytes(&l);
}

int64_t pack_slices(PackKind kind, Type t, const LowerTarget *target) {
    Layout l = layout_of(kind, t, NULL, target);
    return layout_slices(&l);
}

void pack_write(PackKind kind, const PackSource *src, const NumberFormat *f, const LowerTarget *target,
                int64_t first, int64_t n, void *out) {
    Layout l = layout_of(kind, src->type, f, target);
    layout_write(&l, &src->numbers, first, n, out);
}

bool pack_fits(PackKind kind, const PackSource *src, const NumberFormat *f, const LowerTarget *target,
               int64_t first, int64_t n) {
    Layout l = layout_of(kind, src->type, f, target);
    return layout_fits(&l, &src->numbers, first, n);
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
    if (kind == PACK_TABLE && f->panels) f = format_of_dtype(f->dt); /* only panels are compressed */
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
