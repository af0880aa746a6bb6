/* Products with the chosen experts. In a step, row by row: each choice is a matrix-vector product with one
 * expert's panels. Over many tokens the choices (row, j) are first sorted by expert, so that an expert's
 * weights are read from memory once, and multiplied with some rows at a time: begin[e]    where expert e's
 * choices begin in `order` order[i]    row*k + j Either way an output is one chain of fma over the inputs in
 * order. */
#include "linear_experts_lower.h"

#include "../lower/matmul.h"
#include "tile.h"

typedef struct Experts {
    Lower *l;
    Op *op;
    int64_t experts, choices;
    Matmul m;             /* w: of expert 0 */
    int64_t size;         /* bytes of one expert */
    Value *begin, *order; /* scratch, i32 */
} Experts;

/* By outputs of every chosen expert: each thread reads its panels of them all. */
void linear_experts_access(const Op *op, Form form, Access *a) {
    (void)op, (void)form;
    *a = (Access){.split = SPLIT_INNER, .multiple = 16, .rows = true, .all = {true, true}};
}

static Experts experts_new(Lower *l, Op *op) {
    const int64_t *dim = op->in[2]->type.dim;
    Experts x = {.l = l, .op = op, .experts = dim[0], .choices = op->in[1]->type.dim[0]};
    x.m = (Matmul){.x = op->in[0], .K = dim[2], .N = dim[1], .out = op->out[0], .O = x.choices};
    x.m.w = lw_weight(l, op->in[2], PACK_PANELS, &x.m.dt);
    int64_t panel = l->t->panel;
    x.size = (x.m.N + panel - 1) / panel * panel * x.m.K * (int64_t)dtype_size(x.m.dt);
    return x;
}

static Value *expert_weights(const Experts *x, Value *expert) {
    LB *b = &x->l->b;
    return lb_offset(b, x->m.w, lb_muli(b, expert, x->size));
}

static void by_rows(const Experts *x, Value *lo, Value *hi) {
    Lower *l = x->l;
    LB *b = &l->b;
    Matmul m = x->m;
    if (x->op->in[0]->type.rank == 1) m.x_at = lb_i64(b, 0);
    LW_ROWS (l, row)
        KFOR (b, j, lb_i64(b, 0), lb_i64(b, x->choices), 1) {
            m.o = j;
            m.w = expert_weights(x, lb_cast(b, lw_read1(l, x->op->in[1], row, j), DT_I64));
            matmul_row(l, &m, row, lo, hi);
        }
}

static Value *get(LB *b, Value *table, Value *i) {
    return lb_cast(b, lb_load(b, DT_I32, 0, table, i, 0), DT_I64);
}

static void put(LB *b, Value *table, Value *i, Value *v) {
    lb_store(b, DT_I32, table, i, lb_cast(b, v, DT_I32), 0);
}

/* A counting sort: counts at begin[e + 2], sums of them at begin[e + 1], which placing moves on to the end of
 * expert e, and that is the beginning of expert e + 1. */
static void sort_choices(Experts *x) {
    Lower *l = x->l;
    LB *b = &l->b;
    Value *zero = lb_i64(b, 0), *end = lb_i64(b, x->experts + 2), *choices = lb_i64(b, x->choices);
    x->begin = lw_scratch(l, (x->experts + 2) * 4);
    x->order = lw_scratch(l, l->t->chunk * x->choices * 4);
    KFOR (b, e, zero, end, 1) put(b, x->begin, e, zero);
    for (int pass = 0; pass < 2; pass++) {
        LW_ROWS (l, row)
            KFOR (b, j, zero, choices, 1) {
                Value *e = lb_cast(b, lw_read1(l, x->op->in[1], row, j), DT_I64);
                Value *at = lb_addi(b, e, pass ? 1 : 2), *n = get(b, x->begin, at);
                if (pass) put(b, x->order, n, lb_add(b, lb_muli(b, row, x->choices), j));
                put(b, x->begin, at, lb_addi(b, n, 1));
            }
        if (pass == 0)
            KFOR (b, e, lb_i64(b, 1), end, 1)
                put(b, x->begin, e, lb_add(b, get(b, x->begin, e), get(b, x->begin, lb_addi(b, e, -1))));
    }
}

/* Choices order[r->at ..] times columns c of an expert whose weights are at w. */
static void product(const Experts *x, Value *w, const Tiles *c, const Tiles *r) {
    Lower *l = x->l;
    LB *b = &l->b;
    int64_t panel = l->t->panel, panel_size = panel * x->m.K;
    Value *row[TILE_MAX], *j[TILE_MAX], *xp[TILE_MAX], *wp[TILE_MAX], *wv[TILE_MAX];
    for (int i = 0; i < r->count; i++) {
        Value *choice = get(b, x->order, lb_addi(b, r->at, i)), *k = lb_i64(b, x->choices);
        row[i] = lb_div(b, choice, k), j[i] = lb_rem(b, choice, k);
        xp[i] = lw_row_ptr(l, x->m.x, row[i]);
        if (x->op->in[0]->type.rank > 1) xp[i] = lb_offset(b, xp[i], lb_muli(b, j[i], x->m.K * 4));
    }
    for (int i = 0; i < c->count; i++) {
        Value *col = lb_addi(b, c->at, (int64_t)i * b->lanes), *width = lb_i64(b, panel);
        Value *at = lb_add(b, lb_muli(b, lb_div(b, col, width), panel_size), lb_rem(b, col, width));
        wp[i] = lb_offset(b, w, lb_muli(b, at, (int64_t)dtype_size(x->m.dt)));
    }
    Tile t = tile_new(l, r->count, c->count, c->tail);
    KFOR (b, k, lb_i64(b, 0), lb_i64(b, x->m.K), 1) {
        Value *at = lb_muli(b, k, panel);
        for (int i = 0; i < t.c; i++) wv[i] = lb_load(b, x->m.dt, b->lanes, wp[i], at, 0);
        for (int i = 0; i < t.r; i++) {
            Value *xs = lb_splat(b, lb_load(b, DT_F32, 0, xp[i], k, 0));
            for (int n = 0; n < t.c; n++)
                lb_set(b, t.acc[i][n], lb_fma(b, xs, wv[n], lb_get(b, t.acc[i][n])));
        }
    }
    for (int i = 0; i < t.r; i++)
        for (int n = 0; n < t.c; n++) {
            Ix ix = {.row = row[i], .o = j[i], .n = tile_lanes(t.c, t.tail, n), .O = x->choices, .I = x->m.N};
            ix.i = lb_addi(b, c->at, (int64_t)n * b->lanes);
            lw_write(l, x->m.out, &ix, lb_get(b, t.acc[i][n]));
        }
}

static void by_experts(Experts *x, Value *lo, Value *hi) {
    Lower *l = x->l;
    LB *b = &l->b;
    sort_choices(x);
    KFOR (b, e, lb_i64(b, 0), lb_i64(b, x->experts), 1) {
        Value *from = get(b, x->begin, e), *to = get(b, x->begin, lb_addi(b, e, 1));
        Value *w = expert_weights(x, e);
        TILES (l, c, lo, hi, x->m.N, b->lanes, 4)
            TILES (l, r, from, to, NO_END, 1, l->t->vregs < 32 ? 2 : 4) product(x, w, &c, &r);
    }
}

void linear_experts_lower(Lower *l, Op *op) {
    Experts x = experts_new(l, op);
    Value *lo, *hi;
    lw_range(l, x.m.N, &lo, &hi);
    if (l->form == FORM_CHUNK)
        by_experts(&x, lo, hi);
    else
        by_rows(&x, lo, hi);
}
