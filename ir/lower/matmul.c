/* See matmul.h. With one row, a product walks several streams of weights at once, each through a part of this
 * thread's share from its beginning to its end, so that memory is read in long runs. A step of several
 * sequences does the same with tiles. In a chunk, some panels at a time are multiplied with all rows, in
 * pieces of K that stay in the cache. */
#include "matmul.h"

#include "amend.h"
#include "rows.h"
#include "squeeze.h"
#include "stage.h"

typedef struct Product {
    Lower *l;
    const Matmul *m;
    XRows x;
    Value *rows;    /* how many */
    Value *lo, *hi; /* panels */
    int64_t parts;  /* of inputs, and how many make a group */
    int64_t group_parts;
    int64_t group_size; /* bytes of a group of one panel */
    int64_t panel_size;
    Value *sums; /* scratch */
} Product;

void matmul_weights(Lower *l, const Op *op, Value *w, PackKind kind, Matmul *m) {
    m->w = lw_weight(l, w, kind, &m->storage);
    m->math = math_of(op, w, NULL);
}

/* ---- handing sums on ---- */

/* Where listed or counted row r is: the row and the leading index. */
static void place_of(const Product *p, Value *r, Ix *ix) {
    LB *b = &p->l->b;
    const Matmul *m = p->m;
    *ix = (Ix){.o = m->o, .O = m->o ? m->O : 1, .I = m->N};
    if (!m->list) {
        ix->row = lb_add(b, p->l->row_lo, r);
        return;
    }
    Value *entry = rows_entry(p->l, m, r);
    ix->row = lb_div(b, entry, lb_i64(b, m->O));
    ix->o = lb_rem(b, entry, lb_i64(b, m->O)), ix->O = m->O;
}

/* Sums of row r at `from`, panel number `panel`; active: outputs in it. */
static void write_panel(const Product *p, const Ix *row, Value *from, Value *panel, int64_t active) {
    Lower *l = p->l;
    LB *b = &l->b;
    for (int64_t first = 0; first < active; first += b->lanes) {
        Ix ix = *row;
        ix.i = lb_addi(b, lb_muli(b, panel, l->t->panel), first);
        ix.n = active - first < b->lanes ? (int)(active - first) : 0;
        Value *y = lb_load(b, DT_F32, b->lanes, from, lb_i64(b, first), 0);
        if (p->m->bias) y = lb_add(b, y, lw_read(l, p->m->bias, &ix));
        lw_write(l, p->m->out, &ix, y);
    }
}

/* All rows' sums [rows][n][panel]: panel i of them is number first + i*step. active: outputs of the last one.
 */
static void write_sums(const Product *p, Value *first, Value *step, int n, int64_t active) {
    Lower *l = p->l;
    LB *b = &l->b;
    int64_t width = l->t->panel;
    KFOR (b, r, lb_i64(b, 0), p->rows, 1) {
        Ix row;
        place_of(p, r, &row);
        Value *sums = lb_offset(b, p->sums, lb_muli(b, r, 4 * n * width));
        if (active < width || n == 1) {
            write_panel(p, &row, sums, first, active);
            continue;
        }
        KFOR (b, i, lb_i64(b, 0), lb_i64(b, n), 1) {
            Value *from = lb_offset(b, sums, lb_muli(b, i, 4 * width));
            write_panel(p, &row, from, lb_add(b, first, lb_mul(b, i, step)), width);
        }
    }
}

/* ---- calling kernels ---- */

typedef struct Piece { /* of K */
    Value *from;       /* first group */
    int64_t parts;
    Value *more; /* i64: whether sums go on */
} Piece;

/* Panels as kernels take them: the first, how far the next is, and the group to begin with. */
typedef struct Panels {
    Value *at, *apart, *from;
} Panels;

/* spec.rows rows from row r, spec.panels panels. */
static void multiply(const Product *p, KernelSpec spec, Value *r, Panels w, const Piece *k) {
    Lower *l = p->l;
    LB *b = &l->b;
    Value *x = rows_at(l, &p->x, r, k->from), *scales = rows_scales(l, &p->x, r, k->from);
    Value *sums = lb_offset(b, p->sums, lb_muli(b, r, 4 * spec.panels * (int64_t)l->t->panel));
    Value *args[] = {x, scales, p->x.stride, w.at, w.apart, w.from, lb_i64(b, k->parts), sums, k->more};
    lb_invoke(b, kernel_of(l, spec), args, 9);
}

static Value *panel_at(const Product *p, Value *panel) {
    LB *b = &p->l->b;
    return lb_offset(b, p->m->w, lb_muli(b, panel, p->panel_size));
}

/* What the list of a squeezed panel adds to the sums, [rows][n][width], that its kernels made of it. */
static void amend_panel(const Product *p, Value *panel, Value *sums, int n) {
    Lower *l = p->l;
    LB *b = &l->b;
    int64_t width = l->t->panel;
    if (!p->m->storage.squeezed) return;
    Value *list = lb_offseti(b, panel_at(p, panel), p->panel_size - squeeze_list_bytes(p->m->K, width));
    Value *args[] = {list, p->x.p, p->x.stride, p->rows, sums, lb_i64(b, 4 * n * width)};
    lb_invoke(b, amend_sums(l, p->m->math == MATH_BF16 ? DT_BF16 : DT_F32), args, 6);
}

static void amend_all_sums(const Product *p, Value *first, Value *step, int n) {
    LB *b = &p->l->b;
    for (int i = 0; i < n; i++)
        amend_panel(p, lb_add(b, first, lb_muli(b, step, i)), lb_offseti(b, p->sums, 4 * i * p->l->t->panel),
                    n);
}

static Piece whole(const Product *p) {
    LB *b = &p->l->b;
    return (Piece){lb_i64(b, 0), p->parts, lb_i64(b, 0)};
}

/* ---- one row: streams ---- */

/* Panels [lo, hi) as n streams through equal parts; returns the first panel that is left over. */
static Value *streams(const Product *p, int n, Value *lo, Value *hi) {
    Lower *l = p->l;
    LB *b = &l->b;
    KernelSpec spec = {p->m->storage, p->m->math, 1, n, true};
    Value *part = lb_div(b, lb_sub(b, hi, lo), lb_i64(b, n));
    Piece k = whole(p);
    KFOR (b, i, lo, lb_add(b, lo, part), 1) {
        Panels w = {panel_at(p, i), lb_muli(b, part, p->panel_size), k.from};
        multiply(p, spec, lb_i64(b, 0), w, &k);
        amend_all_sums(p, i, part, n);
        write_sums(p, i, part, n, l->t->panel);
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
    Piece k = whole(p);
    lb_if_begin(b, lb_cmp(b, "gt", p->hi, lb_i64(b, full)));
    KernelSpec spec = {p->m->storage, p->m->math, 1, 1, true};
    multiply(p, spec, lb_i64(b, 0), (Panels){panel_at(p, lb_i64(b, full)), k.from, k.from}, &k);
    amend_all_sums(p, lb_i64(b, full), lb_i64(b, 0), 1);
    write_sums(p, lb_i64(b, full), lb_i64(b, 0), 1, active);
    lb_if_end(b);
}

/* ---- many rows: tiles ---- */

/* All rows times spec.panels panels: tiles of spec.rows rows, the rest in smaller ones. */
static void all_rows(const Product *p, KernelSpec spec, Panels w, const Piece *k) {
    LB *b = &p->l->b;
    int most = spec.rows;
    Value *at = lb_i64(b, 0);
    for (int rows = most; rows; rows = rows > 4 ? 4 : rows > 2 ? 2 : rows - 1) {
        spec.rows = rows;
        Value *end =
            lb_add(b, at, lb_mul(b, lb_div(b, lb_sub(b, p->rows, at), lb_i64(b, rows)), lb_i64(b, rows)));
        KFOR (b, r, at, end, rows) multiply(p, spec, r, w, k);
        at = end;
    }
}

/* Groups of K whose panels fill at most a part of the cache. */
static int64_t groups_at_once(const Product *p, int panels, int64_t group_size) {
    int64_t most = p->l->t->l2 / 4 / (group_size * panels);
    if (most < 1) most = 1;
    int64_t groups = (p->parts + p->group_parts - 1) / p->group_parts, pieces = (groups + most - 1) / most;
    return (groups + pieces - 1) / pieces;
}

/* Weights in scratch as kernels of plain panels read them, where those are faster than taking apart what is
 * packed in every tile. */
typedef struct Unpacked {
    Storage as;         /* kernel_unpacked */
    int64_t group_size; /* bytes of one of the weights' groups; 0: they are read as they are packed */
    Value *at;
    int64_t panel_size;
} Unpacked;

/* A step reads each weight once: unless all of them are widened, there is no unpacking. */
static Unpacked unpacked_as(const Product *p) {
    const Matmul *m = p->m;
    bool often = m->storage.squeezed || (m->storage.quant && m->storage.quant->factors);
    bool widened = m->storage.quant && m->math == MATH_F32;
    if (!widened && !(often && p->l->form == FORM_CHUNK)) return (Unpacked){0};
    Storage as = kernel_unpacked(m->storage, m->math);
    int64_t groups = panel_group(m->storage) / panel_group(as); /* of them, in one of the weights' */
    return (Unpacked){.as = as, .group_size = groups * panel_group_bytes(as, p->l->t->panel)};
}

/* The panels of a tile: the number of the first, and how far the next is. */
typedef struct Span {
    Value *first, *apart;
} Span;

/* The piece's groups of one panel into scratch. */
static void unpack(const Product *p, Value *panel, Value *out, const Piece *k) {
    Lower *l = p->l;
    LB *b = &l->b;
    Storage s = p->m->storage;
    Value *w = panel_at(p, panel), *args[] = {w, k->from, lb_i64(b, k->parts), out};
    lb_invoke(b, kernel_unpack(l, s, p->m->math), args, 4);
    if (!s.squeezed) return;
    args[0] = lb_offseti(b, w, p->panel_size - squeeze_list_bytes(p->m->K, l->t->panel));
    args[1] = lb_muli(b, k->from, SQUEEZE_GROUP), args[2] = lb_i64(b, k->parts * SQUEEZE_GROUP);
    lb_invoke(b, amend_unpacked(l), args, 4);
}

/* Groups [from, from + n) of spec.panels panels. */
static void some_groups(const Product *p, KernelSpec spec, const Unpacked *u, Span at, const Piece *k) {
    Lower *l = p->l;
    LB *b = &l->b;
    if (!u->group_size) {
        Panels w = {panel_at(p, at.first), lb_muli(b, at.apart, p->panel_size), k->from};
        all_rows(p, spec, w, k);
        return;
    }
    for (int i = 0; i < spec.panels; i++)
        unpack(p, lb_add(b, at.first, lb_muli(b, at.apart, i)), lb_offseti(b, u->at, i * u->panel_size), k);
    Piece numbers = *k;
    numbers.parts *= panel_part(p->m->storage) / panel_part(u->as);
    KernelSpec near = kernel_tile(l, u->as, p->m->math);
    near.panels = spec.panels, near.streams = false; /* scratch is near */
    all_rows(p, near, (Panels){u->at, lb_i64(b, u->panel_size), lb_i64(b, 0)}, &numbers);
}

/* spec.panels panels over all of K, and what becomes of the sums. */
static void some_panels(const Product *p, KernelSpec spec, const Unpacked *u, int64_t at_once, Span at,
                        int64_t active) {
    LB *b = &p->l->b;
    int64_t each = at_once * p->group_parts, pieces = p->parts / each, rest = p->parts % each;
    if (pieces > 0)
        KFOR (b, from, lb_i64(b, 0), lb_i64(b, pieces * at_once), at_once) {
            Piece k = {from, each, from};
            some_groups(p, spec, u, at, &k);
        }
    Piece k = {lb_i64(b, pieces * at_once), rest, lb_i64(b, pieces)};
    if (rest || !pieces) some_groups(p, spec, u, at, &k);
    if (!u->group_size) amend_all_sums(p, at.first, at.apart, spec.panels);
    write_sums(p, at.first, at.apart, spec.panels, active);
}

static void many_rows(const Product *p) {
    Lower *l = p->l;
    LB *b = &l->b;
    const Matmul *m = p->m;
    KernelSpec spec = kernel_tile(l, m->storage, m->math), one = spec;
    one.panels = 1;
    int64_t full = m->N / l->t->panel, active = m->N % l->t->panel;
    Unpacked u = unpacked_as(p);
    int64_t at_once = groups_at_once(p, spec.panels, u.group_size ? u.group_size : p->group_size);
    if (u.group_size) u.panel_size = at_once * u.group_size, u.at = lw_scratch(l, spec.panels * u.panel_size);
    Value *end = active ? lw_min_i64(l, p->hi, lb_i64(b, full)) : p->hi, *next = lb_i64(b, 1);
    Value *part = lb_div(b, lb_sub(b, end, p->lo), lb_i64(b, spec.panels));
    Value *tiled = lb_add(b, p->lo, lb_muli(b, part, spec.panels));
    bool streams = l->form == FORM_STEP;
    if (full >= spec.panels)
        KFOR (b, panel, p->lo, streams ? lb_add(b, p->lo, part) : tiled, streams ? 1 : spec.panels)
            some_panels(p, spec, &u, at_once, (Span){panel, streams ? part : next}, l->t->panel);
    if (spec.panels > 1 && full)
        KFOR (b, panel, full >= spec.panels ? tiled : p->lo, end, 1)
            some_panels(p, one, &u, at_once, (Span){panel, next}, l->t->panel);
    if (!active) return;
    lb_if_begin(b, lb_cmp(b, "gt", p->hi, lb_i64(b, full)));
    some_panels(p, one, &u, at_once, (Span){lb_i64(b, full), next}, active);
    lb_if_end(b);
}

static Value *to_panels(Lower *l, Value *channels, bool up) {
    LB *b = &l->b;
    int64_t c, P = l->t->panel;
    if (lb_const(channels, &c)) return lb_i64(b, (c + (up ? P - 1 : 0)) / P);
    return lb_div(b, up ? lb_addi(b, channels, P - 1) : channels, lb_i64(b, P));
}

void matmul_rows(Lower *l, const Matmul *m, Value *lo, Value *hi) {
    LB *b = &l->b;
    int64_t used = l->scratch_used, part = panel_part(m->storage);
    int64_t most = l->form == FORM_STEP ? l->t->max_rows_step : l->t->chunk;
    if (m->list) most *= m->O;
    Product p = {.l = l, .m = m, .lo = to_panels(l, lo, false), .hi = to_panels(l, hi, true)};
    p.rows = m->list ? m->count : lb_sub(b, l->row_hi, l->row_lo);
    p.parts = (m->K + part - 1) / part, p.group_parts = panel_group(m->storage) / part;
    p.group_size = panel_group_bytes(m->storage, l->t->panel);
    p.panel_size = panel_bytes(m->storage, m->K, l->t->panel);
    p.x = rows_prepare(l, m, p.rows, most);
    int panels = kernel_tile(l, m->storage, m->math).panels;
    if (panels < l->t->tuning.streams) panels = l->t->tuning.streams;
    p.sums = lw_scratch(l, 4 * most * panels * (int64_t)l->t->panel);
    lb_if_begin(b, lb_cmp(b, "eq", p.rows, lb_i64(b, 1)));
    one_row(&p);
    lb_else(b);
    many_rows(&p);
    lb_if_end(b);
    l->scratch_used = used; /* free for the next product of the stage */
}
