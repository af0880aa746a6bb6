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
    Value *u, *row;
    Mat q, k, v, a, b;
    Value *keep;   /* exp(decay) of the head: a scalar, or NULL */
    Value *keeps;  /* of the channels: scratch [n], or NULL */
    Value *direct; /* a scalar, or NULL */
    Mat S;         /* [n][p] */
} Head;

static Head head_at(Lower *l, Op *op, Value *u, Value *row, LwAccessor S, Value *keeps) {
    LB *b = &l->b;
    Head x = {.s = scan_matrix_shape(op), .u = u, .row = row};
    x.q = scan_matrix_operand(l, op, IN_Q, u, row);
    x.k = scan_matrix_operand(l, op, IN_K, u, row);
    x.v = scan_matrix_operand(l, op, IN_V, u, row);
    if (x.s.rank1) {
        x.a = scan_matrix_operand(l, op, IN_A, u, row);
        x.b = scan_matrix_operand(l, op, IN_B, u, row);
    }
    if (op->in[IN_BONUS]) x.direct = scan_matrix_direct(l, op, u, x.q, x.k, row);
    if (x.s.decay != DECAY_NONE) {
        Mat d = scan_matrix_operand(l, op, IN_DECAY, u, row);
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

/* c.count vectors of values from c->at on: both passes. */
static void columns(Lower *l, Op *op, const Head *x, const Tiles *c) {
    LB *b = &l->b;
    Value *zero = lb_i64(b, 0), *end = lb_i64(b, x->s.n), *v[TILE_MAX], *sa[TILE_MAX] = {0};
    Tile y = tile_new(l, 1, c->count, c->tail);
    if (x->s.rank1) {
        Tile sum = tile_new(l, 1, c->count, c->tail);
        tile_madd(l, &sum, x->a, zero, x->S, c->at, zero, end);
        for (int j = 0; j < c->count; j++) sa[j] = lb_get(b, sum.acc[0][j]);
    }
    for (int j = 0; j < c->count; j++)
        v[j] = mat_load(l, x->v, zero, lb_addi(b, c->at, (int64_t)j * b->lanes),
                        tile_lanes(c->count, c->tail, j));
    KFOR (b, n, zero, end, 1) {
        Value *k = mat_load1(l, x->k, zero, n), *q = mat_load1(l, x->q, zero, n);
        Value *keep = x->keeps ? lb_load(b, DT_F32, 0, x->keeps, n, 0) : x->keep;
        Value *bn = x->s.rank1 ? mat_load1(l, x->b, zero, n) : NULL;
        for (int j = 0; j < c->count; j++) {
            int active = tile_lanes(c->count, c->tail, j);
            Value *at = lb_addi(b, c->at, (int64_t)j * b->lanes), *old = mat_load(l, x->S, n, at, active);
            Value *new = update(b, old, keep, v[j], k, sa[j], bn);
            mat_store(l, x->S, n, at, new, active);
            lb_set(b, y.acc[0][j], lb_fma(b, x->s.before ? old : new, q, lb_get(b, y.acc[0][j])));
        }
    }
    for (int j = 0; j < c->count; j++) {
        Ix ix = {.row = x->row, .o = x->u, .n = tile_lanes(c->count, c->tail, j), .O = x->s.h, .I = x->s.p};
        ix.i = lb_addi(b, c->at, (int64_t)j * b->lanes);
        Value *out = lb_get(b, y.acc[0][j]);
        lw_write(l, op->out[0], &ix, x->direct ? lb_fma(b, x->direct, v[j], out) : out);
    }
}

static void recurrent(Lower *l, Op *op) {
    MatrixShape s = scan_matrix_shape(op);
    int64_t lanes = l->b.lanes;
    Value *keeps = lw_scratch(l, (s.n + lanes - 1) / lanes * lanes * 4);
    LwStaged staged = lw_staged_new(l, op, 0, s.n * s.p);
    LW_UNITS (l, u) {
        Value *first = lb_muli(&l->b, u, s.n * s.p);
        lw_staged_begin(&staged, first, lb_addi(&l->b, first, s.n * s.p));
        LW_ROWS (l, row) {
            Head x = head_at(l, op, u, row, lw_accessor_from(l, lw_staged(&staged, row), first), keeps);
            TILES_OF (l, c, s.p, l->b.lanes, l->t->tuning.inner_columns) columns(l, op, &x, &c);
        }
        lw_staged_end(&staged);
    }
}

static const OpForm forms[] = {
    {"chunked", "matrix products over some tokens at a time, the state carried between them",
     scan_matrix_refuse_chunked, scan_matrix_chunked},
    {"recurrent", "one token after the other", NULL, recurrent},
    {0},
};

const OpLowering lowering_scan_matrix = {
    .lower = recurrent,
    .access = access,
    .state_unpack = state_unpack,
    .forms = forms,
};
