/* See matmul.h. With one row, a product reads several streams of weights at once. Each stream is a contiguous part of
 * this thread's share, so memory is read in long runs. A step of several sequences does the same with tiles. In a
 * chunk, a few panels at a time are multiplied with all rows, in slices of K that stay in the cache. */
#include "matmul.h"

#include "formats/compressed.h"
#include "outliers.h"
#include "plan/stage.h"
#include "rows.h"

void matmul_weights(Lower *l, const Op *op, Value *w, PackKind kind, Matmul *m) {
    m->w = lw_weight(l, w, kind, &m->format);
    m->math = arithmetic_of(op, w, NULL);
}

typedef struct Product {
    Lower *l;
    const Matmul *m;
    XRows x;
    Value *rows;    /* how many */
    Value *lo, *hi; /* panels */
    int64_t parts;  /* of the inputs, and how many make a group */
    int64_t group_parts;
    int64_t group_size; /* bytes of a group of one panel */
    int64_t panel_size;
    Value *sums; /* scratch, of a tile */
} Product;

/* Panels that are multiplied together: the number of the first, and how far the next is. */
typedef struct Span {
    Value *first, *apart;
    int panels;     /* known */
    int64_t active; /* outputs of the last one */
} Span;

/* ---- calling kernels ---- */

typedef struct Slice { /* of inputs */
    Value *from;       /* first group */
    int64_t parts;
    Value *more; /* i64: whether sums go on */
} Slice;

static Slice whole(const Product *p) {
    LB *b = &p->l->b;
    return (Slice){lb_i64(b, 0), p->parts, lb_i64(b, 0)};
}

/* Panels as kernels take them: the first, how far the next is, and the group to begin with. */
typedef struct Panels {
    Value *at, *apart, *from;
} Panels;

static Value *panel_at(const Product *p, Value *panel) {
    LB *b = &p->l->b;
    return lb_offset(b, p->m->w, lb_muli(b, panel, p->panel_size));
}

static Panels packed(const Product *p, const Span *at, const Slice *k) {
    return (Panels){panel_at(p, at->first), lb_muli(&p->l->b, at->apart, p->panel_size), k->from};
}

/* spec.rows rows from row r, spec.panels panels. */
static void multiply(const Product *p, KernelSpec spec, Value *r, Panels w, const Slice *k) {
    Lower *l = p->l;
    LB *b = &l->b;
    Value *x = rows_at(l, &p->x, r, k->from), *scales = rows_scales(l, &p->x, r, k->from);
    Value *sums = lb_offset(b, p->sums, lb_muli(b, r, 4 * spec.panels * (int64_t)l->t->panel));
    Value *args[] = {x, scales, p->x.stride, w.at, w.apart, w.from, lb_i64(b, k->parts), sums, k->more};
    lb_invoke(b, kernel_of(l, spec), args, 9);
}

/* What the lists of compressed panels add to the sums, [rows][panels][width], that kernels made of them. */
static void correct_outliers(const Product *p, const Span *at) {
    Lower *l = p->l;
    LB *b = &l->b;
    int64_t width = l->t->panel, list = p->panel_size - panel_tail(p->m->format, p->m->K, width);
    for (int i = 0; i < at->panels && format_is_compressed(p->m->format); i++) {
        Value *panel = panel_at(p, lb_add(b, at->first, lb_muli(b, at->apart, i)));
        Value *x = rows_at(l, &p->x, lb_i64(b, 0), lb_i64(b, 0));
        Value *args[] = {
            lb_offseti(b, panel, list),       x, p->x.stride, p->rows, lb_offseti(b, p->sums, 4 * i * width),
            lb_i64(b, 4 * at->panels * width)};
        lb_invoke(b, outliers_to_sums(l, p->m->math->input), args, 6);
    }
}

/* ---- sums become results ---- */

/* Where listed or counted row r is: the row and the leading index. */
static void place_of(const Product *p, Value *r, Ix *ix) {
    LB *b = &p->l->b;
    const Matmul *m = p->m;
    *ix = (Ix){.o = m->o, .O = m->o ? m->O : 1, .I = m->begin ? m->axis : m->N};
    if (!m->list) {
        ix->row = lb_add(b, p->l->row_lo, r);
        return;
    }
    Value *entry = rows_entry(p->l, m, r);
    ix->row = lb_div(b, entry, lb_i64(b, m->O));
    ix->o = lb_rem(b, entry, lb_i64(b, m->O)), ix->O = m->O;
}

static Value *read_bias(const Product *p, const Ix *ix) {
    const Matmul *m = p->m;
    if (!m->bias_at) return lw_read(p->l, m->bias, ix);
    return lw_read_flat(p->l, m->bias, ix->row, lb_add(&p->l->b, m->bias_at, ix->i), ix->n);
}

/* Sums of a row at `from`, panel number `panel`; active: outputs in it. */
static void write_panel(const Product *p, const Ix *row, Value *from, Value *panel, int64_t active) {
    Lower *l = p->l;
    LB *b = &l->b;
    for (int64_t first = 0; first < active; first += b->lanes) {
        Ix ix = *row;
        ix.i = lb_addi(b, lb_muli(b, panel, l->t->panel), first);
        if (p->m->begin) ix.i = lb_add(b, p->m->begin, ix.i);
        ix.n = active - first < b->lanes ? (int)(active - first) : 0;
        Value *y = lb_load(b, DT_F32, b->lanes, from, lb_i64(b, first), 0);
        if (p->m->bias) y = lb_add(b, y, read_bias(p, &ix));
        lw_write(l, p->m->out, &ix, y);
    }
}

/* All rows' sums [rows][panels][width] of a tile, with the sums of all inputs there. */
static void write_sums(const Product *p, const Span *at) {
    Lower *l = p->l;
    LB *b = &l->b;
    int64_t width = l->t->panel;
    KFOR (b, r, lb_i64(b, 0), p->rows, 1) {
        Ix row;
        place_of(p, r, &row);
        Value *sums = lb_offset(b, p->sums, lb_muli(b, r, 4 * at->panels * width));
        if (at->active < width || at->panels == 1) {
            write_panel(p, &row, sums, at->first, at->active);
            continue;
        }
        KFOR (b, i, lb_i64(b, 0), lb_i64(b, at->panels), 1) {
            Value *from = lb_offset(b, sums, lb_muli(b, i, 4 * width));
            write_panel(p, &row, from, lb_add(b, at->first, lb_mul(b, i, at->apart)), width);
        }
    }
}

/* ---- one row: streams ---- */

/* The row times panels that are read side by side. */
static void side_by_side(const Product *p, const Span *at) {
    KernelSpec spec = {
        .w = p->m->format, .math = p->m->math, .rows = 1, .panels = at->panels, .streams = true};
    Slice k = whole(p);
    multiply(p, spec, lb_i64(&p->l->b, 0), packed(p, at, &k), &k);
    correct_outliers(p, at);
    write_sums(p, at);
}

/* Panels [lo, hi) as n streams through equal parts; returns the first panel that is left over. */
static Value *streams(const Product *p, int n, Value *lo, Value *hi) {
    LB *b = &p->l->b;
    Value *part = lb_div(b, lb_sub(b, hi, lo), lb_i64(b, n)), *end = lb_add(b, lo, part);
    KFOR (b, i, lo, end, 1) side_by_side(p, &(Span){i, part, n, p->l->t->panel});
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
    side_by_side(p, &(Span){lb_i64(b, full), lb_i64(b, 0), 1, active});
    lb_if_end(b);
}

/* ---- many rows: tiles ---- */

/* All rows times spec.panels panels: tiles of spec.rows rows, the rest in smaller ones. */
static void all_rows(const Product *p, KernelSpec spec, Panels w, const Slice *k) {
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

/* Weights in scratch as kernels read them faster than they decode what is packed in every tile. */
typedef struct Dequantized {
    const NumberFormat *as; /* kernel_dequantized */
    int64_t group_size;     /* bytes of one of the weights' groups; 0: they are read as they are packed */
    Value *at;
    int64_t panel_size;
} Dequantized;

/* How many rows are multiplied with some panels. */
typedef struct TilePlan {
    KernelSpec spec;
    Dequantized u;
    int64_t groups; /* at once: their panels fill at most a part of the cache */
} TilePlan;

/* A step reads each weight once: unless all of them are widened, there is no dequantizing. */
static Dequantized dequantized_as(const Product *p) {
    const Matmul *m = p->m;
    bool often = format_is_compressed(m->format) || m->format->fold;
    bool widened = m->format->block && !arithmetic_rounds(m->math);
    if (!widened && !(often && p->l->form == FORM_CHUNK)) return (Dequantized){0};
    const NumberFormat *as = kernel_dequantized(m->format, m->math);
    int64_t groups = panel_group(m->format) / panel_group(as); /* of them, in one of the weights' */
    return (Dequantized){.as = as, .group_size = groups * panel_group_bytes(as, p->l->t->panel)};
}

static void at_once(const Product *p, int64_t group_size, TilePlan *w) {
    int64_t most = p->l->t->weight_room / (group_size * w->spec.panels);
    if (most < 1) most = 1;
    int64_t groups = (p->parts + p->group_parts - 1) / p->group_parts, slices = (groups + most - 1) / most;
    w->groups = (groups + slices - 1) / slices;
}

static TilePlan tile_plan(const Product *p) {
    const Matmul *m = p->m;
    TilePlan w = {.spec = kernel_tile(p->l, m->format, m->math), .u = dequantized_as(p)};
    Dequantized *u = &w.u;
    at_once(p, u->group_size ? u->group_size : p->group_size, &w);
    if (!u->group_size) return w;
    u->panel_size = w.groups * u->group_size, u->at = lw_scratch(p->l, w.spec.panels * u->panel_size);
    return w;
}

/* The groups of one panel into scratch. */
static void dequantize(const Product *p, Value *panel, Value *out, const Slice *k) {
    Lower *l = p->l;
    LB *b = &l->b;
    const NumberFormat *f = p->m->format;
    Value *w = panel_at(p, panel), *args[] = {w, k->from, lb_i64(b, k->parts), out};
    lb_invoke(b, kernel_dequantize(l, f, p->m->math), args, 4);
    if (!format_is_compressed(f)) return;
    args[0] = lb_offseti(b, w, p->panel_size - panel_tail(f, p->m->K, l->t->panel));
    args[1] = lb_muli(b, k->from, COMPRESSED_GROUP), args[2] = lb_i64(b, k->parts * COMPRESSED_GROUP);
    lb_invoke(b, outliers_to_panel(l), args, 4);
}

/* A slice of K of a tile's panels. */
static void multiply_slice(const Product *p, const TilePlan *plan, const Span *at, const Slice *k) {
    Lower *l = p->l;
    LB *b = &l->b;
    const Dequantized *u = &plan->u;
    KernelSpec spec = plan->spec;
    spec.panels = at->panels;
    if (!u->group_size) {
        all_rows(p, spec, packed(p, at, k), k);
        return;
    }
    for (int i = 0; i < at->panels; i++)
        dequantize(p, lb_add(b, at->first, lb_muli(b, at->apart, i)), lb_offseti(b, u->at, i * u->panel_size),
                   k);
    Slice numbers = *k;
    numbers.parts *= panel_part(p->m->format) / panel_part(u->as);
    spec = kernel_tile(l, u->as, p->m->math);
    spec.panels = at->panels, spec.streams = false; /* scratch is near */
    all_rows(p, spec, (Panels){u->at, lb_i64(b, u->panel_size), lb_i64(b, 0)}, &numbers);
}

/* All inputs of a tile, slice by slice. */
static void all_slices(const Product *p, const TilePlan *plan, const Span *at) {
    LB *b = &p->l->b;
    int64_t each = plan->groups * p->group_parts, slices = p->parts / each, rest = p->parts % each;
    Slice k = {.parts = each};
    if (slices > 0)
        KFOR (b, from, lb_i64(b, 0), lb_i64(b, slices * plan->groups), plan->groups) {
            k.from = from, k.more = from;
            multiply_slice(p, plan, at, &k);
        }
    k.from = lb_i64(b, slices * plan->groups), k.parts = rest, k.more = lb_i64(b, slices);
    if (rest || !slices) multiply_slice(p, plan, at, &k);
}

/* All rows times a tile's panels, and what becomes of the sums. */
static void one_tile(const Product *p, const TilePlan *plan, const Span *at) {
    all_slices(p, plan, at);
    if (!plan->u.group_size) correct_outliers(p, at);
    write_sums(p, at);
}

static void many_rows(const Product *p) {
    Lower *l = p->l;
    LB *b = &l->b;
    TilePlan plan = tile_plan(p);
    int n = plan.spec.panels;
    int64_t full = p->m->N / l->t->panel, active = p->m->N % l->t->panel;
    Value *end = active ? lw_min_i64(l, p->hi, lb_i64(b, full)) : p->hi, *next = lb_i64(b, 1);
    Value *part = lb_div(b, lb_sub(b, end, p->lo), lb_i64(b, n));
    Value *tiled = lb_add(b, p->lo, lb_muli(b, part, n));
    bool streams = l->form == FORM_STEP;
    if (full >= n) {
        Value *hi = streams ? lb_add(b, p->lo, part) : tiled;
        KFOR (b, panel, p->lo, hi, streams ? 1 : n)
            one_tile(p, &plan, &(Span){panel, streams ? part : next, n, l->t->panel});
    }
    if (n > 1 && full)
        KFOR (b, panel, full >= n ? tiled : p->lo, end, 1)
            one_tile(p, &plan, &(Span){panel, next, 1, l->t->panel});
    if (!active) return;
    lb_if_begin(b, lb_cmp(b, "gt", p->hi, lb_i64(b, full)));
    one_tile(p, &plan, &(Span){lb_i64(b, full), next, 1, active});
    lb_if_end(b);
}

static Value *to_panels(Lower *l, Value *channels, bool up) {
    LB *b = &l->b;
    int64_t c, P = l->t->panel;
    if (lb_const(channels, &c)) return lb_i64(b, (c + (up ? P - 1 : 0)) / P);
    return lb_div(b, up ? lb_addi(b, channels, P - 1) : channels, lb_i64(b, P));
}

/* Bytes of the sums of a tile. */
static int64_t sums_bytes(const Product *p, int64_t rows) {
    const LowerTarget *t = p->l->t;
    int panels = kernel_tile(p->l, p->m->format, p->m->math).panels;
    if (panels < t->tuning.streams) panels = t->tuning.streams;
    return panels * 4 * rows * t->panel;
}

void matmul_rows(Lower *l, const Matmul *m, Value *lo, Value *hi) {
    LB *b = &l->b;
    int64_t used = l->scratch_used, part = panel_part(m->format);
    int64_t most = l->form == FORM_STEP ? l->t->max_rows_step : l->t->chunk;
    if (m->list) most *= m->O;
    Product p = {.l = l, .m = m, .lo = to_panels(l, lo, false), .hi = to_panels(l, hi, true)};
    p.rows = m->list ? m->count : lb_sub(b, l->row_hi, l->row_lo);
    p.parts = (m->K + part - 1) / part, p.group_parts = panel_group(m->format) / part;
    p.group_size = panel_group_bytes(m->format, l->t->panel);
    p.panel_size = panel_bytes(m->format, m->K, l->t->panel);
    p.x = rows_prepare(l, m, p.rows, most);
    p.sums = lw_scratch(l, sums_bytes(&p, most));
    if (l->form == FORM_CHUNK && format_is_compressed(m->format)) {
        many_rows(&p); /* a row alone, too: its bits do not depend on how many others there are */
    } else {
        lb_if_begin(b, lb_cmp(b, "eq", p.rows, lb_i64(b, 1)));
        one_row(&p);
        lb_else(b);
        many_rows(&p);
        lb_if_end(b);
    }
    l->scratch_used = used; /* free for the next product of the stage */
}

void matmul_share(Lower *l, const Matmul *m) {
    Value *lo, *hi;
    lw_range(l, m->N, &lo, &hi);
    matmul_rows(l, m, lo, hi);
}

/* ---- a vector in memory ---- */

int64_t matmul_vector_length(const Matmul *m) {
    int64_t part = panel_part(m->format);
    return (m->K + part - 1) / part * part;
}

void matmul_vector(Lower *l, const Matmul *m, Value *x, Value *panel, Value *apart, int count, Value *sums) {
    LB *b = &l->b;
    KernelSpec spec = {.w = m->format, .math = &arithmetic_f32, .rows = 1, .panels = count};
    spec.streams = l->form == FORM_STEP;
    int64_t parts = matmul_vector_length(m) / panel_part(m->format);
    Value *zero = lb_i64(b, 0), *args[] = {x, x, zero, panel, apart, zero, lb_i64(b, parts), sums, zero};
    lb_invoke(b, kernel_of(l, spec), args, 9);
}
