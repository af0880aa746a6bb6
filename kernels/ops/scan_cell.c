/* Loops of scan.cell: ir/ops/scan_cell.c says what they compute. */
#include "ops/scan_cell.h"
#include "kernels/matmul.h"
#include "kernels/tile.h"
#include "ops/common.h"
#include "plan/stage.h"

/* A panel of channels at a time: its gates are made by one call of a kernel, which reads a panel of each gate's matrix,
 * and the formula follows while they are in registers. The last y, which the matrices meet, is in scratch.
 *
 * In a step, the channels of one block are shared by the threads. All of them read all of the last y, so the next one
 * goes elsewhere: the state has room for two, and the position says which is the last. A chunk is computed by one
 * thread, or block by block: threads would meet at each token. */

static bool shares_channels(const Op *op, Form form) {
    CellShape s = cell_shape(op);
    return form == FORM_STEP && s.n == 1 && !s.projected;
}

static void access_scan_cell(const Op *op, Form form, Access *a) {
    *a = (Access){.split = SPLIT_FLAT};
    a->all[CELL_X] = true; /* the gates of a channel do not lie together */
    if (!shares_channels(op, form)) a->units = cell_shape(op).n;
}

typedef struct Cell {
    Lower *l;
    Op *op;
    CellShape s;
    Formula f;
    Matmul w, proj;
    Value *x, *sums;     /* the last y, padded; gates of a panel */
    Value *fresh;        /* [d] of the block: what the formula says y is; or NULL: it goes into the state */
    LwAccessor kept, to; /* the row's, and where the next y goes */
} Cell;

static Matmul matrix(Lower *l, Value *v, int64_t K, int64_t N) {
    Matmul m = {.K = K, .N = N};
    m.w = lw_weight(l, v, PACK_PANELS, &m.format);
    return m;
}

static Value *scratch(Lower *l, int64_t floats) {
    return lw_scratch(l, (floats + 15) / 16 * 64);
}

/* Zeros from `n` on, as far as products read. */
static void pad(Lower *l, Value *x, int64_t n, int64_t length) {
    LB *b = &l->b;
    for (int64_t i = n; i < length; i++) lb_store(b, DT_F32, x, lb_i64(b, i), lb_f32(b, 0), 0);
}

static void copy_in(Lower *l, LwAccessor from, Value *first, Value *to, int64_t n) {
    TILES_OF (l, t, n, l->b.lanes, 1)
        lb_store(&l->b, DT_F32, to, t.at, lw_accessor_load(l, from, lb_add(&l->b, first, t.at), t.tail),
                 t.tail);
}

static void copy_out(Lower *l, Value *from, LwAccessor to, Value *first, int64_t n) {
    TILES_OF (l, t, n, l->b.lanes, 1)
        lw_accessor_store(l, to, lb_add(&l->b, first, t.at),
                          lb_load(&l->b, DT_F32, l->b.lanes, from, t.at, t.tail), t.tail);
}

/* Where the y of a position begins in its slot. */
static Value *half_of(const Cell *c, Value *position) {
    LB *b = &c->l->b;
    return lb_muli(b, lb_and(b, position, lb_i64(b, 1)), c->s.p);
}

static int64_t panels_of(const Cell *c, int64_t n) {
    return (n + c->l->t->panel - 1) / c->l->t->panel;
}

/* sums = the panel number `panel` of each gate, of block u. */
static void multiply_gates(const Cell *c, Value *u, Value *panel) {
    Lower *l = c->l;
    LB *b = &l->b;
    int64_t bytes = panel_bytes(c->w.format, c->s.i, l->t->panel), apart = panels_of(c, c->s.d) * bytes;
    for (int64_t g = 0, n; g < c->s.g; g += n) {
        n = c->s.g - g < l->t->tuning.streams ? c->s.g - g : l->t->tuning.streams;
        Value *first = lb_addi(b, lb_muli(b, u, c->s.g), g);
        Value *at = lb_add(b, lb_muli(b, first, apart), lb_muli(b, panel, bytes));
        matmul_vector(l, &c->w, c->x, lb_offset(b, c->w.w, at), lb_i64(b, apart), (int)n,
                      lb_offseti(b, c->sums, g * l->t->panel * 4));
    }
}

/* The formula for the vector of channels at `at` of block u, the vector `lane` of its panel; n: active lanes. */
static void one_vector(const Cell *c, Value *row, Value *u, Value *at, int64_t lane, int n) {
    Lower *l = c->l;
    LB *b = &l->b;
    const CellShape *s = &c->s;
    Value *channel = lb_add(b, lb_muli(b, u, s->d), at), **v = ARENA_ARRAY(l->arena, Value *, c->f.n);
    Value *mine = lb_add(b, lb_muli(b, u, s->kept * s->d), at);
    int y = cell_input_y(s), kept = cell_input_kept(s);
    for (int i = 0; i < c->f.n; i++) {
        const FormulaNode *node = &c->f.nodes[i];
        int in = node->op ? -1 : node->input;
        if (node->op) {
            Value *operands[FORMULA_OPERANDS];
            for (int k = 0; k < FORMULA_OPERANDS; k++) operands[k] = v[node->in[k]];
            Op op = {.def = node->op};
            v[i] = plan_lowering(l->plan, &op)->elem(l, &op, operands);
        } else if (in < 0) {
            v[i] = lb_splat(b, lb_f32(b, node->number));
        } else if (in >= kept) {
            v[i] = lw_accessor_load(l, c->kept, lb_addi(b, mine, (in - kept) * s->d), n);
        } else if (in == y) {
            v[i] = lb_load(b, DT_F32, b->lanes, c->x, at, n);
        } else if (in % 3 == 0) { /* both parts follow */
            int64_t g = in / 3;
            Value *x = lw_read_flat(l, c->op->in[CELL_X], row, lb_addi(b, channel, g * s->e), n);
            Value *w = lb_load(b, DT_F32, b->lanes, c->sums, lb_i64(b, g * l->t->panel + lane), 0);
            if (c->op->in[CELL_B])
                w = lb_add(b, w, lw_read_flat(l, c->op->in[CELL_B], row, lb_addi(b, channel, g * s->e), n));
            v[i] = lb_add(b, x, w), v[i + 1] = x, v[i + 2] = w;
        }
    }
    for (int k = 0; k < s->kept; k++)
        lw_accessor_store(l, c->kept, lb_addi(b, mine, k * s->d), v[c->f.out[k]], n);
    Value *h = v[c->f.out[s->kept]];
    if (c->fresh)
        lb_store(b, DT_F32, c->fresh, at, h, n);
    else
        lw_accessor_store(l, c->to, channel, h, n);
    if (s->projected) return;
    Ix ix = {.row = row, .i = channel, .n = n, .O = 1, .I = s->p};
    lw_write(l, c->op->out[0], &ix, h);
}

/* Channels [lo, hi) of block u for one token. */
static void channels(const Cell *c, Value *row, Value *u, Value *lo, Value *hi) {
    Lower *l = c->l;
    LB *b = &l->b;
    TILES (l, t, lo, hi, c->s.d, (int)l->t->panel, 1) {
        int64_t active = t.tail ? t.tail : l->t->panel;
        multiply_gates(c, u, lb_div(b, t.at, lb_i64(b, l->t->panel)));
        for (int64_t lane = 0; lane < active; lane += b->lanes)
            one_vector(c, row, u, lb_addi(b, t.at, lane), lane,
                       active - lane < b->lanes ? (int)(active - lane) : 0);
    }
}

/* y = proj h, of one token, to *out and into scratch `to`. */
static void project(const Cell *c, Value *row, Value *to) {
    Lower *l = c->l;
    LB *b = &l->b;
    int64_t bytes = panel_bytes(c->proj.format, c->s.e, l->t->panel);
    TILES_OF (l, t, c->s.p, (int)l->t->panel, 1) {
        Value *panel = lb_div(b, t.at, lb_i64(b, l->t->panel));
        int64_t active = t.tail ? t.tail : l->t->panel;
        matmul_vector(l, &c->proj, c->fresh, lb_offset(b, c->proj.w, lb_muli(b, panel, bytes)), lb_i64(b, 0),
                      1, c->sums);
        for (int64_t lane = 0; lane < active; lane += b->lanes) {
            int n = active - lane < b->lanes ? (int)(active - lane) : 0;
            Value *y = lb_load(b, DT_F32, b->lanes, c->sums, lb_i64(b, lane), 0);
            Ix ix = {.row = row, .i = lb_addi(b, t.at, lane), .n = n, .O = 1, .I = c->s.p};
            lb_store(b, DT_F32, to, ix.i, y, n);
            lw_write(l, c->op->out[0], &ix, y);
        }
    }
}

static Cell cell_new(Lower *l, Op *op) {
    Cell c = {.l = l, .op = op, .s = cell_shape(op)};
    if (cell_formula(l->arena, op, &c.f)) BTC_BUG("scan.cell: not checked");
    c.w = matrix(l, op->in[CELL_W], c.s.i, c.s.d);
    int64_t length = matmul_vector_length(&c.w), gates = c.s.g;
    c.x = scratch(l, length);
    pad(l, c.x, c.s.i, length);
    c.sums = scratch(l, gates * l->t->panel);
    if (!shares_channels(op, l->form)) {
        int64_t most = c.s.d;
        if (c.s.projected) {
            c.proj = matrix(l, op->in[CELL_PROJ], c.s.e, c.s.p);
            most = matmul_vector_length(&c.proj);
        }
        c.fresh = scratch(l, most);
        pad(l, c.fresh, c.s.d, most);
    }
    return c;
}

/* A step whose channels are shared: every row has a state of its own. */
static void shared_step(Cell *c) {
    Lower *l = c->l;
    LB *b = &l->b;
    Value *lo, *hi;
    lw_range(l, c->s.e, &lo, &hi);
    LW_ROWS (l, row) {
        Value *position = lw_position(l, row);
        LwAccessor y = lw_state(l, c->op, 0, row);
        copy_in(l, y, half_of(c, position), c->x, c->s.p);
        c->to = lw_accessor_from(l, y, half_of(c, lb_addi(b, position, 1)));
        c->kept = lw_state(l, c->op, 1, row);
        channels(c, row, lb_i64(b, 0), lo, hi);
    }
}

/* One token of a block, whose last y is in c->x; the next one comes there. */
static void one_token(Cell *c, Value *row, Value *u) {
    Lower *l = c->l;
    LB *b = &l->b;
    channels(c, row, u, lb_i64(b, 0), lb_i64(b, c->s.d));
    if (c->s.projected)
        project(c, row, c->x);
    else
        copy_in(l, (LwAccessor){c->fresh, DT_F32}, lb_i64(b, 0), c->x, c->s.d);
}

static void block_step(Cell *c, Value *u) {
    Lower *l = c->l;
    LB *b = &l->b;
    Value *first = lb_muli(b, u, c->s.i);
    LW_ROWS (l, row) {
        Value *position = lw_position(l, row);
        LwAccessor y = lw_state(l, c->op, 0, row);
        copy_in(l, y, lb_add(b, half_of(c, position), first), c->x, c->s.i);
        c->kept = lw_state(l, c->op, 1, row);
        one_token(c, row, u);
        copy_out(l, c->x, y, lb_add(b, half_of(c, lb_addi(b, position, 1)), first), c->s.i);
    }
}

static void block_chunk(Cell *c, Value *u, LwStaged *kept) {
    Lower *l = c->l;
    LB *b = &l->b;
    int64_t each = c->s.kept * c->s.d;
    Value *first = lb_muli(b, u, c->s.i), *from = lb_muli(b, u, each), *begin = lw_position(l, l->row_lo);
    LwAccessor y = lw_state(l, c->op, 0, l->row_lo);
    copy_in(l, y, lb_add(b, half_of(c, begin), first), c->x, c->s.i);
    lw_staged_begin(kept, from, lb_addi(b, from, each));
    LW_ROWS (l, row) {
        c->kept = lw_staged(kept, row);
        one_token(c, row, u);
    }
    lw_staged_end(kept);
    Value *end = lb_add(b, begin, lb_sub(b, l->row_hi, l->row_lo));
    copy_out(l, c->x, y, lb_add(b, half_of(c, end), first), c->s.i);
}

static void lower_scan_cell(Lower *l, Op *op) {
    Cell c = cell_new(l, op);
    if (shares_channels(op, l->form)) {
        shared_step(&c);
        return;
    }
    LwStaged kept = lw_staged_new(l, op, 1, c.s.kept * c.s.d);
    LW_UNITS (l, u) {
        if (l->form == FORM_STEP)
            block_step(&c, u);
        else
            block_chunk(&c, u, &kept);
    }
}

static int64_t state_elements(const Op *op, int slot, const LowerTarget *t) {
    CellShape s = cell_shape(op);
    (void)t;
    return slot ? s.kept * s.e : 2 * s.p;
}

static void unpack_state(const Op *op, int slot, const LowerTarget *t, int64_t position,
                         const float *physical, double *logical) {
    CellShape s = cell_shape(op);
    (void)t;
    for (int64_t i = 0; i < s.p && !slot; i++) logical[i] = (double)physical[position % 2 * s.p + i];
    for (int64_t k = 0; k < s.kept && slot; k++)
        for (int64_t c = 0; c < s.e; c++)
            logical[k * s.e + c] = (double)physical[(c / s.d * s.kept + k) * s.d + c % s.d];
}

const OpLowering lowering_scan_cell = {
    .lower = lower_scan_cell,
    .access = access_scan_cell,
    .state_elements = state_elements,
    .state_unpack = unpack_state,
};
