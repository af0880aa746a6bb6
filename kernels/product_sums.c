/* See product.h: the loops over tiles and bands, and where sums go. */
#include "product.h"

#include "plan/bands.h"

Value *product_tile_bytes(const Product *p, int panels) {
    return lb_muli(&p->l->b, p->rows, 4 * panels * (int64_t)p->l->t->panel);
}

Product product_begin_tile(const Product *p, const Tiles *t, Span *at) {
    LB *b = &p->l->b;
    Product one = *p;
    *at = t->at;
    if (!t->count) return one;
    Value *tile = lb_for_begin(b, lb_i64(b, 0), t->count, 1);
    at->first = lb_add(b, at->first, lb_muli(b, tile, t->next));
    one.sums = lb_offset(b, p->sums, lb_mul(b, tile, product_tile_bytes(p, at->panels)));
    return one;
}

void product_end_tile(const Product *p, const Tiles *t) {
    if (t->count) lb_for_end(&p->l->b);
}

Product product_begin_band(const Product *p, int64_t step, Value **band) {
    Lower *l = p->l;
    LB *b = &l->b;
    Product one = *p;
    *band = NULL;
    if (p->bands == 1) return one;
    Value *lo = p->split ? l->unit_lo : lb_i64(b, 0), *hi = p->split ? l->unit_hi : lb_i64(b, p->bands);
    *band = lb_for_begin(b, lo, hi, step);
    if (p->split) one.sums = lb_offset(b, p->sums, lb_muli(b, lb_sub(b, *band, lo), p->band_sums));
    return one;
}

void product_end_band(const Product *p) {
    if (p->bands > 1) lb_for_end(&p->l->b);
}

/* ---- handing sums on ---- */

/* Where listed or counted row r is: the row and the leading index, or the band. */
static void place_of(const Product *p, Value *r, Value *band, Ix *ix) {
    LB *b = &p->l->b;
    const Matmul *m = p->m;
    *ix = (Ix){.o = m->o, .O = m->o ? m->O : 1, .I = m->N};
    if (band) ix->o = band, ix->O = p->bands;
    if (!m->list) {
        ix->row = lb_add(b, p->l->row_lo, r);
        return;
    }
    Value *entry = rows_entry(p->l, m, r);
    ix->row = lb_div(b, entry, lb_i64(b, m->O));
    ix->o = lb_rem(b, entry, lb_i64(b, m->O)), ix->O = m->O;
}

/* Sums of a row at `from`, panel number `panel`; active: outputs in it. */
static void write_panel(const Product *p, const Ix *row, Value *from, Value *panel, int64_t active) {
    Lower *l = p->l;
    LB *b = &l->b;
    for (int64_t first = 0; first < active; first += b->lanes) {
        Ix ix = *row;
        ix.i = lb_addi(b, lb_muli(b, panel, l->t->panel), first);
        ix.n = active - first < b->lanes ? (int)(active - first) : 0;
        Value *y = lb_load(b, DT_F32, b->lanes, from, lb_i64(b, first), 0);
        if (p->m->bias && !p->split) y = lb_add(b, y, lw_read(l, p->m->bias, &ix));
        lw_write(l, p->m->out, &ix, y);
    }
}

/* All rows' sums [rows][panels][panel] of a tile, all inputs' or those of a band. */
static void write_tile(const Product *p, Value *band, const Span *at) {
    Lower *l = p->l;
    LB *b = &l->b;
    int64_t width = l->t->panel;
    KFOR (b, r, lb_i64(b, 0), p->rows, 1) {
        Ix row;
        place_of(p, r, band, &row);
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

static void write_tiles(const Product *p, Value *band, const Tiles *t) {
    Span at;
    Product one = product_begin_tile(p, t, &at);
    write_tile(&one, band, &at);
    product_end_tile(p, t);
}

/* Of this thread's bands, what is left when they are added to each other as far as may be. */
void product_write_sums(const Product *p, const Tiles *t) {
    Lower *l = p->l;
    LB *b = &l->b;
    if (!p->split) {
        write_tiles(p, NULL, t);
        return;
    }
    Value *numbers = lb_div(b, product_tile_bytes(p, t->at.panels), lb_i64(b, 4)), *band;
    bands_join(l, p->sums, p->band_sums, t->count ? lb_mul(b, t->count, numbers) : numbers);
    Product one = product_begin_band(p, 1, &band);
    lb_if_begin(b, bands_is_sum(l, band));
    write_tiles(&one, band, t);
    lb_if_end(b);
    product_end_band(p);
}
