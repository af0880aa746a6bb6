/* See matmul.h. With one row, a product walks several streams of weights at once, each through a part of this
 * thread's share from its beginning to its end, so that memory is read in long runs. A step of several
 * sequences does the same with tiles. In a chunk, some panels at a time are multiplied with all rows, in
 * pieces of K that stay in the cache. A product that splits by inputs (bands.h) makes its sums for many
 * panels at a time, of one of its bands after the other. */
#include "matmul.h"

#include "amend.h"
#include "formats/squeeze.h"
#include "plan/stage.h"
#include "product.h"

void matmul_weights(Lower *l, const Op *op, Value *w, PackKind kind, Matmul *m) {
    m->w = lw_matrix(l, w, kind, &m->storage, &m->bands);
    m->math = math_of(op, w, NULL);
}

/* ---- calling kernels ---- */

typedef struct Piece { /* of inputs */
    Value *band;       /* the first one; NULL: weights have none */
    int64_t bands;     /* known; above 1 only of what is unpacked */
    Value *from;       /* first group, within the band */
    int64_t parts;     /* of each band */
    Value *more;       /* i64: whether sums go on */
} Piece;

/* All inputs, or those of a band. */
static Piece whole(const Product *p, Value *band) {
    LB *b = &p->l->b;
    return (Piece){band, 1, lb_i64(b, 0), p->parts, band && !p->split ? band : lb_i64(b, 0)};
}

/* Panels as kernels take them: the first, how far the next is, and the group to begin with. */
typedef struct Panels {
    Value *at, *apart, *from;
} Panels;

static Value *panel_at(const Product *p, Value *band, Value *panel) {
    LB *b = &p->l->b;
    Value *at = lb_offset(b, p->m->w, lb_muli(b, panel, p->panel_size));
    return band ? lb_offset(b, at, lb_muli(b, band, p->band_size)) : at;
}

static Panels packed(const Product *p, const Span *at, const Piece *k) {
    return (Panels){panel_at(p, k->band, at->first), lb_muli(&p->l->b, at->apart, p->panel_size), k->from};
}

/* Number of the group `from` of a band among all of x. */
static Value *group_of(const Product *p, const Piece *k, Value *from) {
    LB *b = &p->l->b;
    return k->band ? lb_add(b, lb_muli(b, k->band, p->parts / p->group_parts), from) : from;
}

/* spec.rows rows from row r, spec.panels panels; tiles: of so many tiles one panel after the other, or NULL.
 */
static void multiply(const Product *p, KernelSpec spec, Value *r, Panels w, const Piece *k, Value *tiles) {
    Lower *l = p->l;
    LB *b = &l->b;
    Value *group = group_of(p, k, k->from);
    Value *x = rows_at(l, &p->x, r, group), *scales = rows_scales(l, &p->x, r, group);
    Value *sums = lb_offset(b, p->sums, lb_muli(b, r, 4 * spec.panels * (int64_t)l->t->panel));
    Value *args[12] = {x, scales, p->x.stride, w.at, w.apart, w.from, lb_i64(b, k->parts), sums, k->more};
    if (tiles)
        args[9] = tiles, args[10] = lb_i64(b, p->panel_size), args[11] = product_tile_bytes(p, spec.panels);
    spec.repeats = tiles != NULL;
    lb_invoke(b, kernel_of(l, spec), args, tiles ? 12 : 9);
}

/* What the lists of squeezed panels add to the sums, [rows][panels][width], that kernels made of them. */
static void amend_tile(const Product *p, const Span *at, const Piece *k) {
    Lower *l = p->l;
    LB *b = &l->b;
    int64_t width = l->t->panel, list = p->panel_size - squeeze_list_bytes(p->m->K / p->bands, width);
    for (int i = 0; i < at->panels && p->m->storage.squeezed; i++) {
        Value *panel = panel_at(p, k->band, lb_add(b, at->first, lb_muli(b, at->apart, i)));
        Value *x = rows_at(l, &p->x, lb_i64(b, 0), group_of(p, k, lb_i64(b, 0)));
        Value *args[] = {
            lb_offseti(b, panel, list),       x, p->x.stride, p->rows, lb_offseti(b, p->sums, 4 * i * width),
            lb_i64(b, 4 * at->panels * width)};
        lb_invoke(b, amend_sums(l, p->m->math == MATH_BF16 ? DT_BF16 : DT_F32), args, 6);
    }
}

static void amend_tiles(const Product *p, const Tiles *t, const Piece *k) {
    Span at;
    if (!p->m->storage.squeezed) return;
    Product one = product_begin_tile(p, t, &at);
    amend_tile(&one, &at, k);
    product_end_tile(p, t);
}

/* ---- one row: streams ---- */

/* The row times tiles of panels that are read side by side. */
static void side_by_side(const Product *p, const Tiles *t) {
    KernelSpec spec = {
        .w = p->m->storage, .math = p->m->math, .rows = 1, .panels = t->at.panels, .streams = true};
    Value *band;
    Product one = product_begin_band(p, 1, &band);
    Piece k = whole(p, band);
    multiply(&one, spec, lb_i64(&p->l->b, 0), packed(p, &t->at, &k), &k, t->count);
    amend_tiles(&one, t, &k);
    product_end_band(p);
    product_write_sums(p, t);
}

/* How many tiles are made of one band before the next: as many as there is room for their sums. */
static int64_t tiles_at_once(const Product *p, int panels, int64_t rows) {
    int64_t room = p->bands > 1 ? p->band_sums / (4 * rows * panels * p->l->t->panel) : 1;
    return room > 1 ? room : 1;
}

/* Tiles that begin `next` panels after each other, from panel i on: at most `most` of those before `end`. */
static Tiles tiles_from(const Product *p, Span at, int64_t next, Value *i, Value *end, int64_t most) {
    LB *b = &p->l->b;
    Value *left = lb_sub(b, end, i);
    at.first = i;
    if (most <= 1) return (Tiles){at, next, NULL};
    if (next > 1) left = lb_div(b, left, lb_i64(b, next));
    return (Tiles){at, next, lw_min_i64(p->l, left, lb_i64(b, most))};
}

/* Panels [lo, hi) as n streams through equal parts; returns the first panel that is left over. */
static Value *streams(const Product *p, int n, Value *lo, Value *hi) {
    LB *b = &p->l->b;
    int64_t most = tiles_at_once(p, n, 1);
    Value *part = lb_div(b, lb_sub(b, hi, lo), lb_i64(b, n)), *end = lb_add(b, lo, part);
    KFOR (b, i, lo, end, most) {
        Tiles t = tiles_from(p, (Span){i, part, n, p->l->t->panel}, 1, i, end, most);
        side_by_side(p, &t);
    }
    return lb_add(b, lo, lb_muli(b, part, n));
}

static void one_row(const Product *p) {
    Lower *l = p->l;
    LB *b = &l->b;
    int64_t full = p->m->N / l->t->panel, active = p->m->N % l->t->panel;
    Value *at = p->lo, *end = active ? lw_min_i64(l, p->hi, lb_i64(b, full)) : p->hi;
    for (int n = l->t->tuning.streams; n; n /= 2)
        if (full >= n) at = streams(p, n, at, end);
    if (!active) return;
    lb_if_begin(b, lb_cmp(b, "gt", p->hi, lb_i64(b, full)));
    Tiles t = {{lb_i64(b, full), lb_i64(b, 0), 1, active}, 1, NULL};
    side_by_side(p, &t);
    lb_if_end(b);
}

/* ---- many rows: tiles ---- */

/* All rows times spec.panels panels: tiles of spec.rows rows, the rest in smaller ones. */
static void all_rows(const Product *p, KernelSpec spec, Panels w, const Piece *k, Value *tiles) {
    LB *b = &p->l->b;
    int most = spec.rows;
    Value *at = lb_i64(b, 0);
    for (int rows = most; rows; rows = rows > 4 ? 4 : rows > 2 ? 2 : rows - 1) {
        spec.rows = rows;
        Value *end =
            lb_add(b, at, lb_mul(b, lb_div(b, lb_sub(b, p->rows, at), lb_i64(b, rows)), lb_i64(b, rows)));
        KFOR (b, r, at, end, rows) multiply(p, spec, r, w, k, tiles);
        at = end;
    }
}

/* Weights in scratch as kernels of plain panels read them, where those are faster than taking apart what is
 * packed in every tile. */
typedef struct Unpacked {
    Storage as;         /* kernel_unpacked */
    int64_t group_size; /* bytes of one of the weights' groups; 0: they are read as they are packed */
    Value *at;
    int64_t panel_size;
} Unpacked;

/* How many rows are multiplied with some panels. */
typedef struct Way {
    KernelSpec spec;
    Unpacked u;
    int64_t groups, bands; /* at once: their panels fill at most a part of the cache */
} Way;

/* A step reads each weight once: unless all of them are widened, there is no unpacking. A chunk also brings
 * together what lies in bands: sums then need not be put down at the end of each. */
static Unpacked unpacked_as(const Product *p) {
    const Matmul *m = p->m;
    bool bytes = m->storage.quant && quant_in_bytes(m->storage.quant);
    bool often = m->storage.squeezed || (bytes && (m->storage.quant->factors || p->bands > 1));
    bool widened = m->storage.quant && m->math == MATH_F32;
    if (!widened && !(often && p->l->form == FORM_CHUNK)) return (Unpacked){0};
    Storage as = kernel_unpacked(m->storage, m->math);
    int64_t groups = panel_group(m->storage) / panel_group(as); /* of them, in one of the weights' */
    return (Unpacked){.as = as, .group_size = groups * panel_group_bytes(as, p->l->t->panel)};
}

static void at_once(const Product *p, int64_t group_size, Way *w) {
    int64_t most = p->l->t->l2 / 4 / (group_size * w->spec.panels);
    if (most < 1) most = 1;
    int64_t groups = (p->parts + p->group_parts - 1) / p->group_parts, pieces = (groups + most - 1) / most;
    w->groups = (groups + pieces - 1) / pieces, w->bands = 1;
    if (p->split || !w->u.group_size) return;
    for (int64_t n = 1; n <= p->bands && n * groups <= most; n++)
        if (p->bands % n == 0) w->bands = n;
}

static Way way_of(const Product *p) {
    const Matmul *m = p->m;
    Way w = {.spec = kernel_tile(p->l, m->storage, m->math), .u = unpacked_as(p)};
    Unpacked *u = &w.u;
    at_once(p, u->group_size ? u->group_size : p->group_size, &w);
    if (!u->group_size) return w;
    u->panel_size = w.bands * w.groups * u->group_size,
    u->at = lw_scratch(p->l, w.spec.panels * u->panel_size);
    return w;
}

/* The groups of one panel into scratch, of one of the piece's bands. */
static void unpack(const Product *p, Value *band, Value *panel, Value *out, const Piece *k) {
    Lower *l = p->l;
    LB *b = &l->b;
    Storage s = p->m->storage;
    Value *w = panel_at(p, band, panel), *args[] = {w, k->from, lb_i64(b, k->parts), out};
    lb_invoke(b, kernel_unpack(l, s, p->m->math), args, 4);
    if (!s.squeezed) return;
    args[0] = lb_offseti(b, w, p->panel_size - squeeze_list_bytes(p->m->K / p->bands, l->t->panel));
    args[1] = lb_muli(b, k->from, SQUEEZE_GROUP), args[2] = lb_i64(b, k->parts * SQUEEZE_GROUP);
    lb_invoke(b, amend_unpacked(l), args, 4);
}

/* A piece of a tile's panels. */
static void some_groups(const Product *p, const Way *way, const Span *at, const Piece *k) {
    Lower *l = p->l;
    LB *b = &l->b;
    const Unpacked *u = &way->u;
    KernelSpec spec = way->spec;
    spec.panels = at->panels;
    if (!u->group_size) {
        all_rows(p, spec, packed(p, at, k), k, NULL);
        return;
    }
    int64_t band_bytes = k->parts / p->group_parts * u->group_size;
    for (int i = 0; i < at->panels; i++)
        KFOR (b, j, lb_i64(b, 0), lb_i64(b, k->bands), 1) {
            Value *band = k->band ? lb_add(b, k->band, j) : NULL,
                  *panel = lb_add(b, at->first, lb_muli(b, at->apart, i));
            unpack(p, band, panel,
                   lb_offset(b, lb_offseti(b, u->at, i * u->panel_size), lb_muli(b, j, band_bytes)), k);
        }
    Piece numbers = *k;
    numbers.parts *= k->bands * panel_part(p->m->storage) / panel_part(u->as);
    spec = kernel_tile(l, u->as, p->m->math);
    spec.panels = at->panels, spec.streams = false; /* scratch is near */
    all_rows(p, spec, (Panels){u->at, lb_i64(b, u->panel_size), lb_i64(b, 0)}, &numbers, NULL);
}

/* All inputs of a tile, or those of a band, in pieces. */
static void all_pieces(const Product *p, const Way *way, const Span *at, Value *band) {
    LB *b = &p->l->b;
    int64_t each = way->groups * p->group_parts, pieces = p->parts / each, rest = p->parts % each;
    Piece k = whole(p, band);
    if (way->bands > 1) {
        k.bands = way->bands;
        some_groups(p, way, at, &k);
        return;
    }
    k.parts = each;
    Value *before = k.more;
    if (pieces > 0)
        KFOR (b, from, lb_i64(b, 0), lb_i64(b, pieces * way->groups), way->groups) {
            k.from = from, k.more = band && !p->split ? lb_or(b, from, before) : from;
            some_groups(p, way, at, &k);
        }
    k.from = lb_i64(b, pieces * way->groups), k.parts = rest, k.more = pieces ? lb_i64(b, pieces) : before;
    if (rest || !pieces) some_groups(p, way, at, &k);
}

/* All rows times tiles, and what becomes of the sums. */
static void some_tiles(const Product *p, const Way *way, const Tiles *t) {
    Value *band;
    Product of_band = product_begin_band(p, way->bands, &band);
    Piece k = whole(p, band);
    if (p->split && !way->u.group_size) {
        KernelSpec spec = way->spec;
        spec.panels = t->at.panels;
        all_rows(&of_band, spec, packed(p, &t->at, &k), &k, t->count);
    } else {
        Span at;
        Product of_tile = product_begin_tile(&of_band, t, &at);
        all_pieces(&of_tile, way, &at, band);
        product_end_tile(p, t);
    }
    if (!way->u.group_size) amend_tiles(&of_band, t, &k);
    product_end_band(p);
    product_write_sums(p, t);
}

static void many_rows(const Product *p, int64_t rows) {
    Lower *l = p->l;
    LB *b = &l->b;
    Way way = way_of(p);
    int n = way.spec.panels;
    int64_t full = p->m->N / l->t->panel, active = p->m->N % l->t->panel, most = tiles_at_once(p, n, rows);
    Value *end = active ? lw_min_i64(l, p->hi, lb_i64(b, full)) : p->hi, *next = lb_i64(b, 1);
    Value *part = lb_div(b, lb_sub(b, end, p->lo), lb_i64(b, n));
    Value *tiled = lb_add(b, p->lo, lb_muli(b, part, n));
    bool streams = l->form == FORM_STEP;
    if (full >= n) {
        Value *hi = streams ? lb_add(b, p->lo, part) : tiled;
        int64_t far = streams ? 1 : n;
        KFOR (b, panel, p->lo, hi, far * most) {
            Span at = {panel, streams ? part : next, n, l->t->panel};
            Tiles t = tiles_from(p, at, far, panel, hi, most);
            some_tiles(p, &way, &t);
        }
    }
    if (n > 1 && full)
        KFOR (b, panel, full >= n ? tiled : p->lo, end, 1) {
            Tiles t = {{panel, next, 1, l->t->panel}, 1, NULL};
            some_tiles(p, &way, &t);
        }
    if (!active) return;
    lb_if_begin(b, lb_cmp(b, "gt", p->hi, lb_i64(b, full)));
    Tiles t = {{lb_i64(b, full), next, 1, active}, 1, NULL};
    some_tiles(p, &way, &t);
    lb_if_end(b);
}

static Value *to_panels(Lower *l, Value *channels, bool up) {
    LB *b = &l->b;
    int64_t c, P = l->t->panel;
    if (lb_const(channels, &c)) return lb_i64(b, (c + (up ? P - 1 : 0)) / P);
    return lb_div(b, up ? lb_addi(b, channels, P - 1) : channels, lb_i64(b, P));
}

/* Bytes of the sums of all inputs: of a tile; or of a band: of as many outputs as the second cache has room
 * for. */
static int64_t sums_bytes(const Product *p, int64_t rows) {
    const LowerTarget *t = p->l->t;
    int panels = kernel_tile(p->l, p->m->storage, p->m->math).panels;
    if (panels < t->tuning.streams) panels = t->tuning.streams;
    int64_t panel = 4 * rows * t->panel, tile = panels * panel, all = p->band_size / p->panel_size * panel;
    int64_t room = p->split ? t->l2 / 4 / p->bands / 64 * 64 : 0;
    if (room > all) room = all;
    return tile > room ? tile : room;
}

void matmul_rows(Lower *l, const Matmul *m, Value *lo, Value *hi) {
    LB *b = &l->b;
    int64_t used = l->scratch_used, part = panel_part(m->storage);
    int64_t most = l->form == FORM_STEP ? l->t->max_rows_step : l->t->chunk,
            panels = (m->N + l->t->panel - 1) / l->t->panel;
    if (m->list) most *= m->O;
    Product p = {.l = l, .m = m, .lo = to_panels(l, lo, false), .hi = to_panels(l, hi, true)};
    p.bands = m->bands > 1 ? m->bands : 1, p.split = l->stage->bands > 0;
    if (p.split && l->stage->bands != p.bands)
        BTC_BUG("stage %s: weights in %d bands", l->stage->name, m->bands);
    p.rows = m->list ? m->count : lb_sub(b, l->row_hi, l->row_lo);
    p.parts = (m->K / p.bands + part - 1) / part, p.group_parts = panel_group(m->storage) / part;
    p.group_size = panel_group_bytes(m->storage, l->t->panel);
    p.panel_size = panel_bytes(m->storage, m->K / p.bands, l->t->panel), p.band_size = panels * p.panel_size;
    p.x = rows_prepare(l, m, p.rows, most);
    p.band_sums = sums_bytes(&p, most), p.sums = lw_scratch(l, p.band_sums * (p.split ? p.bands : 1));
    lb_if_begin(b, lb_cmp(b, "eq", p.rows, lb_i64(b, 1)));
    one_row(&p);
    lb_else(b);
    many_rows(&p, most);
    lb_if_end(b);
    l->scratch_used = used; /* free for the next product of the stage */
}

void matmul_share(Lower *l, const Matmul *m) {
    Value *lo = lb_i64(&l->b, 0), *hi = lb_i64(&l->b, m->N);
    if (!l->stage->bands) lw_range(l, m->N, &lo, &hi);
    matmul_rows(l, m, lo, hi);
}
