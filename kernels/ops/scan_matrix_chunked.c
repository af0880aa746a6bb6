/* scan.matrix over many tokens: matrix products over sub-chunks of Q tokens, the state carried along. With
 * b_t the sum of the decays of the sub-chunk up to and with token t, S0 the state before it, and p(t) = t, or
 * t-1 where the old state is read (by a, and by q with read = before):
 *
 *     U = Gab U + Gak V + exp(b_(t-1)) (a S0)          by forward substitution: Gab is strictly lower
 *     Y = Gqk V + Gqb U + exp(b_p(t)) (q S0)
 *     S = exp(b_end) S0 + sum_s exp(b_end - b_s) (k_s vT_s + b_s uT_s)
 *     Gxy[t,s] = (x_t . y_s) exp(b_p(t) - b_s) for s <= p(t), else 0
 *
 * U (the WY form) only with a rank-one correction: Yang et al. 2024, arXiv:2406.06484; without it this is the
 * SSD algorithm of Dao & Gu 2024, arXiv:2405.21060.
 *
 * A decay per head enters Gxy pair by pair, the exponent never above 0 and its sum in f64, so it may be as
 * strong as it likes. A decay per channel must go into the factors, x exp(b) and y exp(-b): legal only while
 * Q times the strongest decay stays far inside the range of f32. */
#include "scan_matrix.h"

enum { MAX_EXPONENT = 30, MIN_TOKENS = 8 };

typedef struct Chunked {
    Lower *l;
    Op *op;
    MatrixShape s;
    int64_t Q, QL, NL, PL; /* tokens of a sub-chunk; widths in whole vectors */
    int rows, cols;        /* of a tile; cols: vectors */
    bool shared;           /* heads share q and k, and so their products */
    /* scratch */
    Mat V, U, Y;        /* [Q][PL] */
    Mat qk, qb, ak, ab; /* Gxy, [Q][QL] */
    Mat products;       /* q . k of all tokens of the chunk, before decay and mask */
    Mat kT, bT;         /* [n][QL] */
    Mat k_out, b_out;   /* [Q][NL]: what enters the state */
    Mat q_scaled, a_scaled;
    Value *sums;   /* f64 [Q+1]: b_(t-1) */
    Value *decays; /* [Q+1]: exp(b_(t-1)) */
    Value *to_end; /* [Q]: exp(b_end - b_t) */
    Value *end;    /* [NL]: exp(b_end), per channel */
    /* the sub-chunk at hand */
    Value *u, *row, *len, *zero;
    Mat q, k, v, a, b, decay; /* from its first token on */
    Mat S;                    /* [n][p] */
} Chunked;

static int64_t round_up(int64_t x, int64_t to) {
    return (x + to - 1) / to * to;
}

/* Tokens of a sub-chunk: the products inside it cost Q/2 (n + p) per token, loading and storing the state
 * n p / Q. */
static int64_t tokens(const MatrixShape *s, const Op *op, const Tuning *t) {
    int64_t q = s->n * s->p > 16384 ? 2 * t->scan_tokens : t->scan_tokens;
    double strongest = -attr_float(op, "min_decay", 0);
    while (s->decay == DECAY_CHANNEL && q > MIN_TOKENS && (double)q * strongest > MAX_EXPONENT) q /= 2;
    return q;
}

/* Bytes of a head's state up to which going token by token is as fast: the nearest cache hands the state out
 * fast enough, and the products inside a sub-chunk come on top. Measured where state_room is 16 KiB. */
static int64_t small_state(const MatrixShape *s, const LowerTarget *t) {
    return s->rank1 ? 2 * t->state_room : s->decay == DECAY_CHANNEL ? t->state_room : t->state_room / 2;
}

const char *scan_matrix_refuse_chunked(const Op *op, const LowerTarget *t, Arena *a) {
    MatrixShape s = scan_matrix_shape(op);
    double min = attr_float(op, "min_decay", 0);
    if (s.writes > 1 || s.reads > 1) return "several writes or reads of a token";
    if (s.decay == DECAY_CHANNEL && min >= 0)
        return "decays per channel without a known bound may leave the range of f32: give it as "
               "\"min_decay\" "
               "(-5, say, behind a map with max(decay, -5))";
    if (s.decay == DECAY_CHANNEL && -min * MIN_TOKENS > MAX_EXPONENT)
        return arena_printf(a, "decays down to %g leave the range of f32 within %d tokens", min, MIN_TOKENS);
    if (s.n * s.p * 4 <= small_state(&s, t))
        return arena_printf(a,
                            "a state of %g KiB per head stays in the nearest cache, where going token by "
                            "token is as fast",
                            (double)(s.n * s.p) / 256);
    return NULL;
}

static Mat scratch(const Chunked *c, int64_t rows, int64_t width) {
    return mat_fixed(c->l, lw_scratch(c->l, rows * width * 4), width);
}

static Chunked chunked_new(Lower *l, Op *op) {
    Chunked c = {.l = l, .op = op, .s = scan_matrix_shape(op), .rows = l->t->tuning.inner_rows};
    int64_t w = l->b.lanes;
    c.cols = l->t->tuning.inner_columns;
    c.Q = tokens(&c.s, op, &l->t->tuning);
    c.QL = round_up(c.Q, w), c.NL = round_up(c.s.n, w), c.PL = round_up(c.s.p, w);
    c.shared = c.s.g < c.s.h && c.s.decay != DECAY_CHANNEL;
    c.V = scratch(&c, c.Q, c.PL), c.Y = scratch(&c, c.Q, c.PL);
    c.qk = scratch(&c, c.Q, c.QL), c.kT = scratch(&c, c.s.n, c.QL), c.k_out = scratch(&c, c.Q, c.NL);
    c.products = c.shared ? scratch(&c, round_up(l->t->chunk, c.Q), c.QL) : c.qk;
    if (c.s.rank1) {
        c.U = scratch(&c, c.Q, c.PL), c.bT = scratch(&c, c.s.n, c.QL), c.b_out = scratch(&c, c.Q, c.NL);
        c.qb = scratch(&c, c.Q, c.QL), c.ak = scratch(&c, c.Q, c.QL), c.ab = scratch(&c, c.Q, c.QL);
    }
    if (c.s.decay == DECAY_HEAD) {
        c.sums = lw_scratch(l, (c.QL + 2 * w) * 8);
        c.decays = lw_scratch(l, (c.QL + w) * 4), c.to_end = lw_scratch(l, c.QL * 4);
    }
    if (c.s.decay == DECAY_CHANNEL) {
        c.q_scaled = scratch(&c, c.Q, c.NL), c.end = lw_scratch(l, c.NL * 4);
        if (c.s.rank1) c.a_scaled = scratch(&c, c.Q, c.NL);
    }
    c.zero = lb_i64(&l->b, 0);
    return c;
}

/* Head u, tokens from `row` on. */
static void sub_chunk(Chunked *c, Value *u, Value *row) {
    Lower *l = c->l;
    c->u = u, c->row = row;
    c->len = lw_min_i64(l, lb_sub(&l->b, l->row_hi, row), lb_i64(&l->b, c->Q));
    c->q = scan_matrix_operand(l, c->op, IN_Q, u, row, 0);
    c->k = scan_matrix_operand(l, c->op, IN_K, u, row, 0);
    c->v = scan_matrix_operand(l, c->op, IN_V, u, row, 0);
    if (c->s.rank1) {
        c->a = scan_matrix_operand(l, c->op, IN_A, u, row, 0);
        c->b = scan_matrix_operand(l, c->op, IN_B, u, row, 0);
    }
    if (c->s.decay != DECAY_NONE) c->decay = scan_matrix_operand(l, c->op, IN_DECAY, u, row, 0);
}

/* ---- what enters the products ---- */

/* to[t, 0..n) = from[t, ..], times factor[t] if there is one. Rows of an operand often lie a power of two
 * apart and would push each other out of the cache, so what is read again and again is copied. */
static void copy_rows(Chunked *c, Mat to, Mat from, int64_t n, Value *factor) {
    LB *b = &c->l->b;
    KFOR (b, t, c->zero, c->len, 1) {
        Value *f = factor ? lb_load(b, DT_F32, 0, factor, t, 0) : NULL;
        TILES_OF (c->l, x, n, b->lanes, 1) {
            Value *v = mat_load(c->l, from, t, x.at, x.tail);
            mat_store(c->l, to, t, x.at, f ? lb_mul(b, v, f) : v, 0);
        }
    }
}

static void transpose(Chunked *c, Mat to, Mat from) {
    LB *b = &c->l->b;
    KFOR (b, t, c->zero, c->len, 1)
        KFOR (b, n, c->zero, lb_i64(b, c->s.n), 1) mat_store(c->l, to, n, t, mat_load1(c->l, from, t, n), 0);
}

/* The sums of the head's decays, and their exponentials. */
static void decays_of_head(Chunked *c) {
    LB *b = &c->l->b;
    int64_t w = b->lanes;
    Value *sum = lb_var(b, lb_f64(b, 0));
    lb_store(b, DT_F64, c->sums, c->zero, lb_get(b, sum), 0);
    KFOR (b, t, c->zero, c->len, 1) {
        Value *d = mat_load1(c->l, c->decay, t, c->zero);
        lb_set(b, sum, lb_add(b, lb_get(b, sum), lb_cast(b, d, DT_F64)));
        lb_store(b, DT_F64, c->sums, lb_addi(b, t, 1), lb_get(b, sum), 0);
    }
    for (int64_t t = 0; t < c->QL + w; t += w) {
        Value *before = lb_load(b, DT_F64, (int)w, c->sums, lb_i64(b, t), 0);
        lb_store(b, DT_F32, c->decays, lb_i64(b, t), lb_exp(b, lb_cast(b, before, DT_F32)), 0);
        if (t >= c->QL) break;
        Value *here = lb_load(b, DT_F64, (int)w, c->sums, lb_i64(b, t + 1), 0);
        Value *rest = lb_cast(b, lb_sub(b, lb_get(b, sum), here), DT_F32);
        lb_store(b, DT_F32, c->to_end, lb_i64(b, t), lb_exp(b, rest), 0);
    }
}

/* Rows of q and a times exp(b), of k and b times exp(-b), for one vector of channels after the other. */
static void scale_by_channel(Chunked *c) {
    Lower *l = c->l;
    LB *b = &l->b;
    TILES_OF (l, x, c->s.n, b->lanes, 1) {
        Value *sum = lb_var(b, lw_zero(l)), *e = lb_var(b, lb_splat(b, lb_f32(b, 1)));
        KFOR (b, t, c->zero, c->len, 1) {
            Value *before = lb_get(b, e);
            lb_set(b, sum, lb_add(b, lb_get(b, sum), mat_load(l, c->decay, t, x.at, x.tail)));
            lb_set(b, e, lb_exp(b, lb_get(b, sum)));
            Value *inverse = lb_exp(b, lb_neg(b, lb_get(b, sum))), *q = c->s.before ? before : lb_get(b, e);
            mat_store(l, c->q_scaled, t, x.at, lb_mul(b, mat_load(l, c->q, t, x.at, x.tail), q), 0);
            mat_store(l, c->k_out, t, x.at, lb_mul(b, mat_load(l, c->k, t, x.at, x.tail), inverse), 0);
            if (!c->s.rank1) continue;
            mat_store(l, c->a_scaled, t, x.at, lb_mul(b, mat_load(l, c->a, t, x.at, x.tail), before), 0);
            mat_store(l, c->b_out, t, x.at, lb_mul(b, mat_load(l, c->b, t, x.at, x.tail), inverse), 0);
        }
        lb_store(b, DT_F32, c->end, x.at, lb_get(b, e), 0);
    }
    c->q = c->q_scaled, c->k = c->k_out;
    if (c->s.rank1) c->a = c->a_scaled, c->b = c->b_out;
}

/* ---- products of tokens with tokens ---- */

/* to[t, s] = x_t . y_s where the block of columns reaches below the diagonal. */
static void token_products(Chunked *c, Mat to, Mat x, Mat yT) {
    Lower *l = c->l;
    LB *b = &l->b;
    int rows = c->QL == b->lanes && l->t->vregs >= 32 ? 2 * c->rows : c->rows; /* few columns: more rows */
    if (rows > TILE_MAX) rows = TILE_MAX;
    TILES_OF (l, s, c->QL, b->lanes, c->cols)
        TILES (l, r, c->zero, c->len, NO_END, 1, rows) {
            lb_if_begin(b, lb_cmp(b, "lt", s.at, lb_addi(b, r.at, r.count)));
            Tile t = tile_new(l, r.count, s.count, 0);
            tile_madd(l, &t, x, r.at, yT, s.at, c->zero, lb_i64(b, c->s.n));
            tile_store(l, &t, to, r.at, s.at);
            lb_if_end(b);
        }
}

/* to = from, decayed (per head) and 0 above the diagonal; strict: on it, too. Masked before the exp: above
 * the diagonal the exponents are positive. */
static void decay_and_mask(Chunked *c, Mat to, Mat from, bool strict) {
    LB *b = &c->l->b;
    KFOR (b, t, c->zero, c->len, 1) {
        Value *t32 = lb_cast(b, t, DT_I32), *upto = NULL;
        if (c->s.decay == DECAY_HEAD) upto = lb_load(b, DT_F64, 0, c->sums, strict ? t : lb_addi(b, t, 1), 0);
        for (int64_t j = 0; j < c->QL; j += b->lanes) {
            Value *s = lb_add(b, lb_iota(b), lb_i32(b, (int32_t)j)), *at = lb_i64(b, j);
            Value *keep = lb_cmp(b, strict ? "lt" : "le", s, t32), *x = mat_load(c->l, from, t, at, 0);
            if (upto) {
                Value *sum = lb_load(b, DT_F64, b->lanes, c->sums, lb_i64(b, j + 1), 0);
                Value *d = lb_cast(b, lb_sub(b, upto, sum), DT_F32);
                x = lb_mul(b, x, lb_exp(b, lb_select(b, keep, d, lw_zero(c->l))));
            }
            mat_store(c->l, to, t, at, lb_select(b, keep, x, lw_zero(c->l)), 0);
        }
    }
}

/* q . k of a group of heads for all tokens of the chunk, when the first of its heads comes by. */
static void products_of_group(Chunked *c, Value *u) {
    Lower *l = c->l;
    LB *b = &l->b;
    Value *in_group = lb_rem(b, u, lb_i64(b, c->s.h / c->s.g));
    lb_if_begin(b, lb_or(b, lb_cmp(b, "eq", u, l->unit_lo), lb_cmp(b, "eq", in_group, c->zero)));
    KFOR (b, row, l->row_lo, l->row_hi, c->Q) {
        sub_chunk(c, u, row);
        transpose(c, c->kT, c->k);
        token_products(c, mat_from(l, c->products, row), c->q, c->kT);
    }
    lb_if_end(b);
}

static void all_products(Chunked *c) {
    Lower *l = c->l;
    LB *b = &l->b;
    Mat raw_q = scan_matrix_operand(l, c->op, IN_Q, c->u, c->row, 0);
    Mat raw_k = scan_matrix_operand(l, c->op, IN_K, c->u, c->row, 0);
    if (!c->shared || c->s.rank1) transpose(c, c->kT, c->k);
    if (!c->shared) token_products(c, c->qk, c->q, c->kT);
    decay_and_mask(c, c->qk, c->shared ? mat_from(l, c->products, c->row) : c->qk, c->s.before);
    if (c->op->in[IN_BONUS])
        KFOR (b, t, c->zero, c->len, 1) {
            Mat q = mat_from(l, raw_q, t), k = mat_from(l, raw_k, t);
            mat_store(l, c->qk, t, t, scan_matrix_direct(l, c->op, c->u, q, k, c->row), 0);
        }
    if (!c->s.rank1) return;
    transpose(c, c->bT, c->b);
    token_products(c, c->qb, c->q, c->bT);
    token_products(c, c->ak, c->a, c->kT);
    token_products(c, c->ab, c->a, c->bT);
    decay_and_mask(c, c->qb, c->qb, c->s.before);
    decay_and_mask(c, c->ak, c->ak, true);
    decay_and_mask(c, c->ab, c->ab, true);
}

/* ---- tokens and state ---- */

/* x_t S0, decayed up to where token t reads it. */
static Tile read_state(Chunked *c, const Tiles *r, const Tiles *x, Mat m, bool before) {
    Lower *l = c->l;
    Tile t = tile_new(l, r->count, x->count, x->tail);
    tile_madd(l, &t, m, r->at, c->S, x->at, c->zero, lb_i64(&l->b, c->s.n));
    if (c->s.decay == DECAY_HEAD) tile_scale(l, &t, c->decays, before ? r->at : lb_addi(&l->b, r->at, 1));
    return t;
}

/* U by forward substitution: tokens before the tile from memory, those in it from its registers. */
static void solve(Chunked *c, const Tiles *x) {
    Lower *l = c->l;
    LB *b = &l->b;
    TILES (l, r, c->zero, c->len, NO_END, 1, c->rows) {
        Tile t = read_state(c, &r, x, c->a, true);
        tile_madd_below(l, &t, c->ak, r.at, c->V, x->at, false);
        tile_madd(l, &t, c->ab, r.at, c->U, x->at, c->zero, r.at);
        for (int i = 1; i < r.count; i++)
            for (int s = 0; s < i; s++) {
                Value *f = lb_splat(b, mat_load1(l, c->ab, lb_addi(b, r.at, i), lb_addi(b, r.at, s)));
                for (int j = 0; j < t.c; j++)
                    lb_set(b, t.acc[i][j], lb_fma(b, f, lb_get(b, t.acc[s][j]), lb_get(b, t.acc[i][j])));
            }
        tile_store(l, &t, c->U, r.at, x->at);
    }
}

static void read_out(Chunked *c, const Tiles *x) {
    Lower *l = c->l;
    TILES (l, r, c->zero, c->len, NO_END, 1, c->rows) {
        Tile t = read_state(c, &r, x, c->q, c->s.before);
        tile_madd_below(l, &t, c->qk, r.at, c->V, x->at, !c->s.before || c->op->in[IN_BONUS]);
        if (c->s.rank1) tile_madd_below(l, &t, c->qb, r.at, c->U, x->at, !c->s.before);
        tile_store(l, &t, c->Y, r.at, x->at);
    }
}

static void update_state(Chunked *c, const Tiles *x) {
    Lower *l = c->l;
    LB *b = &l->b;
    TILES_OF (l, n, c->s.n, 1, c->rows) {
        Tile t = tile_new(l, n.count, x->count, x->tail);
        tile_load(l, &t, c->S, n.at, x->at);
        if (c->s.decay == DECAY_HEAD) {
            Value *end = lb_load(b, DT_F32, 0, c->decays, c->len, 0);
            for (int i = 0; i < t.r; i++)
                for (int j = 0; j < t.c; j++) lb_set(b, t.acc[i][j], lb_mul(b, lb_get(b, t.acc[i][j]), end));
        }
        tile_madd(l, &t, mat_turned(c->k_out), n.at, c->V, x->at, c->zero, c->len);
        if (c->s.rank1) tile_madd(l, &t, mat_turned(c->b_out), n.at, c->U, x->at, c->zero, c->len);
        /* per channel, k_out carries exp(-b): the whole sum is brought to the end at once */
        if (c->s.decay == DECAY_CHANNEL) tile_scale(l, &t, c->end, n.at);
        tile_store(l, &t, c->S, n.at, x->at);
    }
}

/* From scratch, so that the epilogue of y is written once and not for every element of a tile. */
static void write_out(Chunked *c) {
    LB *b = &c->l->b;
    KFOR (b, t, c->zero, c->len, 1)
        TILES_OF (c->l, x, c->s.p, b->lanes, 1) {
            Ix ix = {
                .row = lb_add(b, c->row, t), .o = c->u, .i = x.at, .n = x.tail, .O = c->s.h, .I = c->s.p};
            lw_write(c->l, c->op->out[0], &ix, mat_load(c->l, c->Y, t, x.at, x.tail));
        }
}

void scan_matrix_chunked(Lower *l, Op *op) {
    LB *b = &l->b;
    Chunked c = chunked_new(l, op);
    LwStaged staged = lw_staged_new(l, op, 0, c.s.n * c.s.p);
    LW_UNITS (l, u) {
        Value *first = lb_muli(b, u, c.s.n * c.s.p);
        lw_staged_begin(&staged, first, lb_addi(b, first, c.s.n * c.s.p));
        c.S = mat_of(l, lw_accessor_from(l, lw_staged(&staged, l->row_lo), first), c.s.p);
        if (c.shared) products_of_group(&c, u);
        KFOR (b, row, l->row_lo, l->row_hi, c.Q) {
            sub_chunk(&c, u, row);
            copy_rows(&c, c.V, c.v, c.s.p, NULL);
            if (c.s.decay == DECAY_HEAD) decays_of_head(&c);
            if (c.s.decay == DECAY_CHANNEL)
                scale_by_channel(&c);
            else {
                copy_rows(&c, c.k_out, c.k, c.s.n, c.to_end);
                if (c.s.rank1) copy_rows(&c, c.b_out, c.b, c.s.n, c.to_end);
            }
            all_products(&c);
            TILES_OF (l, x, c.s.p, l->b.lanes, c.cols) {
                if (c.s.rank1) solve(&c, &x);
                read_out(&c, &x);
                update_state(&c, &x);
            }
            write_out(&c);
        }
        lw_staged_end(&staged);
    }
}
