/* scan.matrix, one token at a time: the step, and over many tokens the form that is always right.
 *
 * Per head and token two passes over the state [n][p], which the first-level cache holds:
 *     sa = sum_n S[n] a[n]                                          (with a rank-one correction only)
 *     S[n] = S[n] exp(decay[n]) + v k[n] + sa b[n],  y = sum_n S[n] q[n]
 * A few vectors of values at once, so that the broadcasts of k, q, a, b are shared and the chains of sums
 * overlap; each sum runs over n in order. */
#include "scan_matrix.h"

#include <string.h>

/* A unit is a head. Heads that share rows of q and k need them from whoever made them. */
static void access(const Op *op, Form form, Access *a) {
    MatrixShape s = scan_matrix_shape(op);
    *a = (Access){.split = SPLIT_FLAT, .units = s.h, .rows = form == FORM_STEP};
    a->all[IN_Q] = a->all[IN_K] = s.g != s.h;
    a->at_once = s.g != s.h; /* products of q and k are made for each share of their heads */
}

static void state_unpack(const Op *op, int slot, const LowerTarget *t, int64_t position,
                         const float *physical, double *logical) {
    (void)slot, (void)t, (void)position;
    MatrixShape s = scan_matrix_shape(op);
    for (int64_t h = 0; h < s.h; h++)
        for (int64_t p = 0; p < s.p; p++)
            for (int64_t n = 0; n < s.n; n++) *logical++ = (double)physical[(h * s.n + n) * s.p + p];
}

/* One token of one head. */
typedef struct Head {
    MatrixShape s;
    Op *op;
    Value *u, *row;
    Value *keep;   /* exp(decay) of the head: a scalar, or NULL */
    Value *keeps;  /* of the channels: scratch [n], or NULL */
    Value *direct; /* a scalar, or NULL */
    Mat S;         /* [n][p] */
} Head;

static Mat operand(Lower *l, const Head *x, int in, int64_t which) {
    return scan_matrix_operand(l, x->op, in, x->u, x->row, which);
}

static Head head_at(Lower *l, Op *op, Value *u, Value *row, LwAccessor S, Value *keeps) {
    LB *b = &l->b;
    Head x = {.s = scan_matrix_shape(op), .op = op, .u = u, .row = row};
    if (op->in[IN_BONUS])
        x.direct = scan_matrix_direct(l, op, u, operand(l, &x, IN_Q, 0), operand(l, &x, IN_K, 0), row);
    if (x.s.decay != DECAY_NONE) {
        Mat d = operand(l, &x, IN_DECAY, 0);
        Value *zero = lb_i64(b, 0);
        if (x.s.decay == DECAY_HEAD)
            x.keep = lb_exp(b, mat_load1(l, d, zero, zero));
        else
            TILES_OF (l, c, x.s.n, b->lanes, 1)
                lb_store(b, DT_F32, keeps, c.at, lb_exp(b, mat_load(l, d, zero, c.at, c.tail)), 0);
        if (x.s.decay == DECAY_CHANNEL) x.keeps = keeps;
    }
    x.S = mat_of(l, S, x.s.p);
    return x;
}

/* The new S[n] of one vector of values. keep, sa and bn may be NULL. */
static Value *update(LB *b, Value *s, Value *keep, Value *v, Value *k, Value *sa, Value *bn) {
    if (!keep) return lb_fma(b, v, k, sa ? lb_fma(b, sa, bn, s) : s);
    Value *add = lb_mul(b, v, k);
    if (sa) add = lb_fma(b, sa, bn, add);
    return lb_fma(b, s, keep, add);
}

/* Tile += what read r of c->count vectors of values finds in the state. */
static void read_state(Lower *l, const Head *x, const Tiles *c, int64_t r, Tile *y) {
    LB *b = &l->b;
    Value *zero = lb_i64(b, 0);
    tile_madd(l, y, operand(l, x, IN_Q, r), zero, x->S, c->at, zero, lb_i64(b, x->s.n));
}

/* Write w of c->count vectors of values; read 0 goes along, where y is given. */
static void write_state(Lower *l, const Head *x, const Tiles *c, int64_t w, Tile *y) {
    LB *b = &l->b;
    Value *zero = lb_i64(b, 0), *end = lb_i64(b, x->s.n), *v[TILE_MAX], *sa[TILE_MAX] = {0};
    Mat q = operand(l, x, IN_Q, 0), k = operand(l, x, IN_K, w), from = operand(l, x, IN_V, w);
    if (x->s.rank1) {
        Tile sum = tile_new(l, 1, c->count, c->tail);
        tile_madd(l, &sum, operand(l, x, IN_A, w), zero, x->S, c->at, zero, end);
        for (int j = 0; j < c->count; j++) sa[j] = lb_get(b, sum.acc[0][j]);
    }
    for (int j = 0; j < c->count; j++) {
        v[j] = mat_load(l, from, zero, lb_addi(b, c->at, (int64_t)j * b->lanes),
                        tile_lanes(c->count, c->tail, j));
        if (sa[j] && !x->op->in[IN_B]) v[j] = lb_add(b, v[j], sa[j]), sa[j] = NULL;
    }
    KFOR (b, n, zero, end, 1) {
        Value *kn = mat_load1(l, k, zero, n), *qn = y ? mat_load1(l, q, zero, n) : NULL;
        Value *keep = w ? NULL : x->keeps ? lb_load(b, DT_F32, 0, x->keeps, n, 0) : x->keep;
        Value *bn = sa[0] ? mat_load1(l, operand(l, x, IN_B, w), zero, n) : NULL;
        for (int j = 0; j < c->count; j++) {
            int active = tile_lanes(c->count, c->tail, j);
            Value *at = lb_addi(b, c->at, (int64_t)j * b->lanes), *old = mat_load(l, x->S, n, at, active);
            Value *new = update(b, old, keep, v[j], kn, sa[j], bn);
            mat_store(l, x->S, n, at, new, active);
            if (y) lb_set(b, y->acc[0][j], lb_fma(b, x->s.before ? old : new, qn, lb_get(b, y->acc[0][j])));
        }
    }
}

static void write_out(Lower *l, const Head *x, const Tiles *c, int64_t r, const Tile *y) {
    LB *b = &l->b;
    Mat v = operand(l, x, IN_V, 0);
    for (int j = 0; j < c->count; j++) {
        int active = tile_lanes(c->count, c->tail, j);
        Ix ix = {.row = x->row, .n = active, .O = x->s.h * x->s.reads, .I = x->s.p};
        ix.o = lb_addi(b, lb_muli(b, x->u, x->s.reads), r);
        ix.i = lb_addi(b, c->at, (int64_t)j * b->lanes);
        Value *out = lb_get(b, y->acc[0][j]);
        if (x->direct) out = lb_fma(b, x->direct, mat_load(l, v, lb_i64(b, 0), ix.i, active), out);
        lw_write(l, x->op->out[0], &ix, out);
    }
}

/* c->count vectors of values from c->at on. Read 0 goes along with the first write or the last; the others are passes
 * of their own. */
static void columns(Lower *l, const Head *x, const Tiles *c) {
    Tile first = tile_new(l, 1, c->count, c->tail);
    for (int after = 0; after < 2; after++) {
        for (int64_t r = 1; r < x->s.reads && after == !x->s.before; r++) {
            Tile y = tile_new(l, 1, c->count, c->tail);
            read_state(l, x, c, r, &y);
            write_out(l, x, c, r, &y);
        }
        for (int64_t w = 0; w < x->s.writes && !after; w++)
            write_state(l, x, c, w, w == (x->s.before ? 0 : x->s.writes - 1) ? &first : NULL);
    }
    write_out(l, x, c, 0, &first);
}

static void recurrent(Lower *l, Op *op) {
    MatrixShape s = scan_matrix_shape(op);
    int64_t lanes = l->b.lanes;
    Value *keeps = lw_scratch(l, (s.n + lanes - 1) / lanes * lanes * 4);
    bool several = s.writes > 1 || s.reads > 1;
    LwStaged staged = several ? lw_staged_rows_new(l, op, 0, s.n * s.p) : lw_staged_new(l, op, 0, s.n * s.p);
    LW_UNITS (l, u) {
        Value *first = lb_muli(&l->b, u, s.n * s.p);
        lw_staged_begin(&staged, first, lb_addi(&l->b, first, s.n * s.p));
        LW_ROWS (l, row) {
            lw_staged_row_begin(&staged, row);
            Head x = head_at(l, op, u, row, lw_accessor_from(l, lw_staged(&staged, row), first), keeps);
            TILES_OF (l, c, s.p, l->b.lanes, l->t->tuning.inner_columns) columns(l, &x, &c);
            lw_staged_row_end(&staged, row);
        }
        lw_staged_end(&staged);
    }
}

static const OpForm forms[] = {
    {"chunked", "matrix products over some tokens at a time, the state carried between them",
     scan_matrix_cannot_chunk, scan_matrix_refuse_chunked, scan_matrix_chunked},
    {"recurrent", "one token after the other", NULL, NULL, recurrent},
    {0},
};

const OpLowering lowering_scan_matrix = {
    .lower = recurrent,
    .access = access,
    .state_unpack = state_unpack,
    .forms = forms,
};
