/* See matmul.h. A tile is MR rows by NP panels, kept in registers over the whole of K. With one row it is a
 * matrix-vector product that walks NP streams of weights at once, each prefetched some way ahead; with
 * many rows each weight vector is used MR times. */
#include "matmul.h"

#include "stage.h"

enum { MAX_TILE = 64, MAX_PANELS = 8 };

typedef struct Tile {
    int rows, panels, vectors; /* vectors per panel */
    int last;                  /* active outputs of the last panel, 0: all */
} Tile;

static int vectors_per_panel(const Lower *l) {
    return l->t->panel / l->t->lanes;
}

static int at_least_one(int n) {
    return n < 1 ? 1 : n;
}

static Tile wide_tile(const Lower *l) {
    const Tuning *u = &l->t->tuning;
    int v = vectors_per_panel(l);
    return (Tile){.rows = u->tile_rows, .panels = at_least_one(u->tile_columns / v), .vectors = v};
}

static Tile thin_tile(const Lower *l) {
    return (Tile){.rows = 1, .panels = l->t->tuning.streams, .vectors = vectors_per_panel(l)};
}

/* acc[r][p*v] += x[r][k] * w[p][k][v] for the step k + u */
static void multiply(Lower *l, const Matmul *m, const Tile *t, Value **xp, Value **wp, Value **acc,
                     Value *k) {
    LB *b = &l->b;
    int cols = t->panels * t->vectors;
    Value *w[MAX_TILE], *at = lb_muli(b, k, l->t->panel);
    for (int c = 0; c < cols; c++)
        w[c] = lb_load(b, m->dt, b->lanes, wp[c / t->vectors], lb_addi(b, at, c % t->vectors * b->lanes), 0);
    for (int r = 0; r < t->rows; r++) {
        Value *x = lb_splat(b, lb_load(b, DT_F32, 0, xp[r], k, 0));
        for (int c = 0; c < cols; c++)
            lb_set(b, acc[r * cols + c], lb_fma(b, x, w[c], lb_get(b, acc[r * cols + c])));
    }
}

static void inner_loop(Lower *l, const Matmul *m, const Tile *t, Value **xp, Value **wp, Value **acc) {
    LB *b = &l->b;
    int64_t step_bytes = l->t->panel * (int64_t)dtype_size(m->dt);
    const Tuning *tuning = &l->t->tuning;
    int unroll = t->rows > 1 ? tuning->tile_unroll : at_least_one(tuning->stream_bytes / (int)step_bytes);
    int64_t main_k = m->K / unroll * unroll;
    KFOR (b, k, lb_i64(b, 0), lb_i64(b, main_k), unroll) {
        bool prefetch = t->rows == 1 && tuning->prefetch_bytes && !l->t->warp;
        for (int p = 0; p < t->panels && prefetch; p++)
            for (int64_t line = 0; line < unroll * step_bytes; line += 64)
                lb_prefetch(b, lb_offseti(b, wp[p], tuning->prefetch_bytes + line),
                            lb_muli(b, k, l->t->panel), m->dt);
        for (int u = 0; u < unroll; u++) multiply(l, m, t, xp, wp, acc, lb_addi(b, k, u));
    }
    for (int64_t k = main_k; k < m->K; k++) multiply(l, m, t, xp, wp, acc, lb_i64(b, k));
}

static Value *x_row(Lower *l, const Matmul *m, Value *row) {
    LB *b = &l->b;
    Value *p = lw_row_ptr(l, m->x, row);
    Value *at = m->x_at ? m->x_at : m->o ? lb_muli(b, m->o, m->K) : NULL;
    return at ? lb_offset(b, p, lb_muli(b, at, 4)) : p;
}

/* One tile: rows row .. row+t->rows, panels panel .. panel+t->panels. */
static void tile(Lower *l, const Matmul *m, const Tile *t, Value *row, Value *panel) {
    LB *b = &l->b;
    int cols = t->panels * t->vectors;
    int64_t panel_bytes = m->K * l->t->panel * (int64_t)dtype_size(m->dt);
    Value *xp[MAX_TILE], *wp[MAX_TILE], *acc[MAX_TILE * 8];
    for (int r = 0; r < t->rows; r++) xp[r] = x_row(l, m, lb_addi(b, row, r));
    for (int p = 0; p < t->panels; p++)
        wp[p] = lb_offset(b, m->w, lb_muli(b, lb_addi(b, panel, p), panel_bytes));
    for (int i = 0; i < t->rows * cols; i++) acc[i] = lb_var(b, lw_zero(l));
    inner_loop(l, m, t, xp, wp, acc);
    for (int r = 0; r < t->rows; r++)
        for (int c = 0; c < cols; c++) {
            Ix ix = {.row = lb_addi(b, row, r), .o = m->o, .O = m->o ? m->O : 1, .I = m->N};
            int first = c % t->vectors * b->lanes;
            ix.i = lb_addi(b, lb_muli(b, lb_addi(b, panel, c / t->vectors), l->t->panel), first);
            if (t->last && c / t->vectors == t->panels - 1) {
                int n = t->last - first;
                if (n <= 0) continue;
                ix.n = n < b->lanes ? n : 0;
            }
            Value *y = lb_get(b, acc[r * cols + c]);
            if (m->bias) y = lb_add(b, y, lw_read(l, m->bias, &ix));
            lw_write(l, m->out, &ix, y);
        }
}

/* Panels [lo, hi) for `rows` rows from `row`: groups of panels, single ones, the padded last one. */
static void panels(Lower *l, const Matmul *m, Tile t, Value *row, Value *lo, Value *hi) {
    LB *b = &l->b;
    int64_t full = m->N / l->t->panel, last = m->N % l->t->panel;
    Value *full_hi = last ? lw_min_i64(l, hi, lb_i64(b, full)) : hi;
    int64_t a, z;
    bool known = lb_const(lo, &a) && lb_const(full_hi, &z);
    int64_t count = known ? z - a : -1;
    Value *group_hi = lo;
    if (t.panels > 1 && (!known || count >= t.panels)) {
        Value *n = lb_sub(b, full_hi, lo), *g = lb_i64(b, t.panels);
        group_hi =
            known ? lb_i64(b, a + count / t.panels * t.panels) : lb_add(b, lo, lb_mul(b, lb_div(b, n, g), g));
        KFOR (b, p, lo, group_hi, t.panels) tile(l, m, &t, row, p);
    }
    Tile one = t;
    one.panels = 1;
    if (!known || count % t.panels || t.panels == 1)
        KFOR (b, p, group_hi, full_hi, 1) tile(l, m, &one, row, p);
    if (last) {
        one.last = (int)last;
        lb_if_begin(b, lb_cmp(b, "gt", hi, lb_i64(b, full)));
        tile(l, m, &one, row, lb_i64(b, full));
        lb_if_end(b);
    }
}

static Value *to_panels(Lower *l, Value *channels, bool up) {
    LB *b = &l->b;
    int64_t c, P = l->t->panel;
    if (lb_const(channels, &c)) return lb_i64(b, (c + (up ? P - 1 : 0)) / P);
    return lb_div(b, up ? lb_addi(b, channels, P - 1) : channels, lb_i64(b, P));
}

void matmul_row(Lower *l, const Matmul *m, Value *row, Value *lo, Value *hi) {
    panels(l, m, thin_tile(l), row, to_panels(l, lo, false), to_panels(l, hi, true));
}

/* Groups of panels outside, rows inside: a group's weights are read from memory once and then from cache. */
static void grouped_rows(Lower *l, const Matmul *m, Value *lo, Value *hi) {
    LB *b = &l->b;
    Tile wide = wide_tile(l), thin = {.rows = 1, .panels = wide.panels, .vectors = wide.vectors};
    Value *n = lb_sub(b, l->row_hi, l->row_lo), *mr = lb_i64(b, wide.rows);
    Value *tiled = lb_add(b, l->row_lo, lb_mul(b, lb_div(b, n, mr), mr));
    KFOR (b, p, lo, hi, wide.panels) {
        Value *end = lw_min_i64(l, lb_addi(b, p, wide.panels), hi);
        KFOR (b, row, l->row_lo, tiled, wide.rows) panels(l, m, wide, row, p, end);
        KFOR (b, row, tiled, l->row_hi, 1) panels(l, m, thin, row, p, end);
    }
}

void matmul_rows(Lower *l, const Matmul *m, Value *lo, Value *hi) {
    LB *b = &l->b;
    lo = to_panels(l, lo, false), hi = to_panels(l, hi, true);
    lb_if_begin(b, lb_cmp(b, "eq", l->rows, lb_i64(b, 1)));
    LW_ROWS (l, row) panels(l, m, thin_tile(l), row, lo, hi);
    lb_else(b);
    grouped_rows(l, m, lo, hi);
    lb_if_end(b);
}
