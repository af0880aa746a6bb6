/* Products of tokens with tokens for the chunked form of scan.matrix, Gxy[t,s] = (x_t . y_s) exp(b_p(t) - b_s).
 *
 * A decay per head enters pair by pair, the exponent never above 0 and its sum in f64, so it may be as strong as it likes.
 *
 * A decay per channel must go into the factors. With a known bound that is x exp(b) and y exp(-b). Without one exp(-b) may
 * leave the range of f32 while the products of pairs do not (Yang et al. 2023, arXiv:2312.06635, section 4, secondary
 * chunking): a sub-chunk is walked in blocks of one vector of tokens. The keys of a block are the lanes of kT; each token
 * multiplies all of them by its exp(decay), puts its own key into its lane, and meets them. Keys of earlier blocks are
 * multiplied by the decay of a whole block at once, and meet rows that are decayed from their block's beginning. All
 * factors are products of exp(decay), at most 1: what fades becomes 0, and nothing is ever divided. */
#include "scan_matrix_chunk.h"

enum { MAX_EXPONENT = 30, SUMS = 4 };

bool scan_matrix_bounded(const MatrixShape *s, const Op *op, int64_t tokens) {
    double strongest = -attr_float(op, "min_decay", 0);
    return s->decay != DECAY_CHANNEL || (strongest > 0 && (double)tokens * strongest <= MAX_EXPONENT);
}

/* ---- scratch ---- */

static Mat scratch(const Chunked *c, int64_t rows, int64_t width) {
    return mat_fixed(c->l, lw_scratch(c->l, rows * width * 4), width);
}

static RowDecays row_decays(Lower *l, int64_t rows) {
    int64_t n = rows + 2 * l->b.lanes;
    return (RowDecays){lw_scratch(l, n * 8), lw_scratch(l, n * 4)};
}

/* With one write and one read the rows are the tokens, and all three are views of the same sums. */
static void decays_new(Chunked *c) {
    Lower *l = c->l;
    LB *b = &l->b;
    int64_t w = b->lanes, QL = (c->Q + w - 1) / w * w;
    c->sums = lw_scratch(l, (QL + 2 * w) * 8);
    c->decays = lw_scratch(l, (QL + w) * 4), c->to_end = lw_scratch(l, QL * 4);
    Value *sums1 = lb_offseti(b, c->sums, 8), *decays1 = lb_offseti(b, c->decays, 4);
    RowDecays old = {c->sums, c->decays}, new = {sums1, decays1};
    c->row_a = old, c->row_q = c->s.before ? old : new, c->row_w = (RowDecays){sums1, c->to_end};
    if (c->s.writes > 1)
        c->row_a = row_decays(l, c->Q * c->s.writes), c->row_w = row_decays(l, c->Q * c->s.writes);
    if (c->s.reads > 1) c->row_q = row_decays(l, c->Q * c->s.reads);
}

void scan_matrix_tokens_new(Chunked *c) {
    Lower *l = c->l;
    int64_t w = c->Q * c->s.writes, r = c->Q * c->s.reads, lanes = l->b.lanes;
    c->V = scratch(c, w, c->PL), c->Y = scratch(c, r, c->PL);
    c->qk = scratch(c, r, c->WL), c->kT = scratch(c, c->s.n, c->WL), c->k_out = scratch(c, w, c->NL);
    c->products = c->shared ? scratch(c, (l->t->chunk + c->Q - 1) / c->Q * r, c->WL) : c->qk;
    if (c->s.rank1) c->ak = scratch(c, w, c->WL);
    if (c->apart) {
        c->U = scratch(c, w, c->PL), c->bT = scratch(c, c->s.n, c->WL), c->b_out = scratch(c, w, c->NL);
        c->qb = scratch(c, r, c->WL), c->ab = scratch(c, w, c->WL);
    }
    if (c->s.reads > 1) c->q_rows = scratch(c, r, c->NL);
    if (c->s.writes > 1) {
        c->k_rows = scratch(c, w, c->NL);
        if (c->s.rank1) c->a_rows = scratch(c, w, c->NL);
        if (c->apart) c->b_rows = scratch(c, w, c->NL);
    }
    if (c->s.decay == DECAY_HEAD) decays_new(c);
    if (c->s.decay == DECAY_CHANNEL) {
        c->q_scaled = scratch(c, r, c->NL), c->end = lw_scratch(l, c->NL * 4);
        if (c->s.rank1) c->a_scaled = scratch(c, c->Q, c->NL);
    }
    if (!c->blocks) return;
    c->keep = scratch(c, c->Q, c->NL);
    if (c->Q <= lanes) return;
    c->block_end = lw_scratch(l, c->NL * 4), c->q_block = scratch(c, lanes * c->s.reads, c->NL);
    if (c->s.rank1) c->a_block = scratch(c, lanes, c->NL);
}

/* ---- rows ---- */

/* to[t, 0..n) = from[t, ..], times factor[t] if there is one. Rows of an operand often lie a power of two
 * apart and would push each other out of the cache, so what is read again and again is copied. */
static void copy_rows(Chunked *c, Mat to, Mat from, int64_t n, Value *factor, Value *rows) {
    LB *b = &c->l->b;
    KFOR (b, t, c->zero, rows, 1) {
        Value *f = factor ? lb_load(b, DT_F32, 0, factor, t, 0) : NULL;
        TILES_OF (c->l, x, n, b->lanes, 1) {
            Value *v = mat_load(c->l, from, t, x.at, x.tail);
            mat_store(c->l, to, t, x.at, f ? lb_mul(b, v, f) : v, 0);
        }
    }
}

/* Every times-th row of a matrix, from row `which` on. */
static Mat each_row(Chunked *c, Mat m, int64_t times, int64_t which) {
    LB *b = &c->l->b;
    Mat from = mat_from(c->l, m, lb_i64(b, which));
    from.rows = lb_muli(b, m.rows, times);
    return from;
}

/* The rows of all tokens one behind the other. */
static Mat gather(Chunked *c, Mat to, int in, int64_t n, int64_t times) {
    for (int64_t i = 0; i < times; i++)
        copy_rows(c, each_row(c, to, times, i), scan_matrix_operand(c->l, c->op, in, c->u, c->row, i), n,
                  NULL, c->len);
    return to;
}

void scan_matrix_sub_chunk(Chunked *c, Value *u, Value *row) {
    Lower *l = c->l;
    LB *b = &l->b;
    c->u = u, c->row = row;
    c->len = lw_min_i64(l, lb_sub(b, l->row_hi, row), lb_i64(b, c->Q));
    c->writes = c->s.writes > 1 ? lb_muli(b, c->len, c->s.writes) : c->len;
    c->reads = c->s.reads > 1 ? lb_muli(b, c->len, c->s.reads) : c->len;
    c->q = scan_matrix_operand(l, c->op, IN_Q, u, row, 0);
    c->k = scan_matrix_operand(l, c->op, IN_K, u, row, 0);
    c->v = scan_matrix_operand(l, c->op, IN_V, u, row, 0);
    if (c->s.rank1) c->a = scan_matrix_operand(l, c->op, IN_A, u, row, 0);
    if (c->apart) c->b = scan_matrix_operand(l, c->op, IN_B, u, row, 0);
    if (c->s.decay != DECAY_NONE) c->decay = scan_matrix_operand(l, c->op, IN_DECAY, u, row, 0);
    if (c->s.reads > 1) c->q = gather(c, c->q_rows, IN_Q, c->s.n, c->s.reads);
    if (c->s.writes > 1) {
        c->k = gather(c, c->k_rows, IN_K, c->s.n, c->s.writes);
        if (c->s.rank1) c->a = gather(c, c->a_rows, IN_A, c->s.n, c->s.writes);
        if (c->apart) c->b = gather(c, c->b_rows, IN_B, c->s.n, c->s.writes);
    }
}

static void transpose(Chunked *c, Mat to, Mat from) {
    LB *b = &c->l->b;
    KFOR (b, t, c->zero, c->writes, 1)
        KFOR (b, n, c->zero, lb_i64(b, c->s.n), 1) mat_store(c->l, to, n, t, mat_load1(c->l, from, t, n), 0);
}

/* ---- decays ---- */

/* Element t * times + i of a row's decays is element t + (i > 0 || later) of the tokens'. */
static void spread(Chunked *c, RowDecays to, Value *factor, int64_t times, bool first_later) {
    LB *b = &c->l->b;
    KFOR (b, t, c->zero, c->len, 1)
        for (int64_t i = 0; i < times; i++) {
            Value *at = lb_addi(b, lb_muli(b, t, times), i), *from = i || first_later ? lb_addi(b, t, 1) : t;
            lb_store(b, DT_F64, to.sums, at, lb_load(b, DT_F64, 0, c->sums, from, 0), 0);
            lb_store(b, DT_F32, to.factor, at,
                     lb_load(b, DT_F32, 0, factor ? factor : c->decays, factor ? t : from, 0), 0);
        }
}

/* The sums of the head's decays, and their exponentials. One of -1000 leaves nothing, as any below does: that of minus
 * infinity would make differences of sums NaN. */
static void decays_of_head(Chunked *c) {
    LB *b = &c->l->b;
    int64_t w = b->lanes, QL = (c->Q + w - 1) / w * w;
    Value *sum = lb_var(b, lb_f64(b, 0));
    lb_store(b, DT_F64, c->sums, c->zero, lb_get(b, sum), 0);
    KFOR (b, t, c->zero, c->len, 1) {
        Value *d = mat_load1(c->l, c->decay, t, c->zero);
        d = lb_keep_nan(b, d, lb_max(b, d, lb_f32(b, -1000)));
        lb_set(b, sum, lb_add(b, lb_get(b, sum), lb_cast(b, d, DT_F64)));
        lb_store(b, DT_F64, c->sums, lb_addi(b, t, 1), lb_get(b, sum), 0);
    }
    for (int64_t t = 0; t < QL + w; t += w) {
        Value *before = lb_load(b, DT_F64, (int)w, c->sums, lb_i64(b, t), 0);
        lb_store(b, DT_F32, c->decays, lb_i64(b, t), lb_exp(b, lb_cast(b, before, DT_F32)), 0);
        if (t >= QL) break;
        Value *here = lb_load(b, DT_F64, (int)w, c->sums, lb_i64(b, t + 1), 0);
        Value *rest = lb_cast(b, lb_sub(b, lb_get(b, sum), here), DT_F32);
        lb_store(b, DT_F32, c->to_end, lb_i64(b, t), lb_exp(b, rest), 0);
    }
    if (c->s.writes > 1) spread(c, c->row_a, NULL, c->s.writes, false);
    if (c->s.writes > 1) spread(c, c->row_w, c->to_end, c->s.writes, true);
    /* all reads of a token see the same state */
    for (int64_t i = 0; c->s.reads > 1 && i < c->s.reads; i++)
        KFOR (b, t, c->zero, c->len, 1) {
            Value *at = lb_addi(b, lb_muli(b, t, c->s.reads), i), *from = c->s.before ? t : lb_addi(b, t, 1);
            lb_store(b, DT_F64, c->row_q.sums, at, lb_load(b, DT_F64, 0, c->sums, from, 0), 0);
            lb_store(b, DT_F32, c->row_q.factor, at, lb_load(b, DT_F32, 0, c->decays, from, 0), 0);
        }
}

/* The reads of token i of `to` become those of token t times e. */
static void scale_reads(Chunked *c, const Tiles *x, Value *e, Value *t, Value *i, Mat to) {
    LB *b = &c->l->b;
    for (int64_t k = 0; k < c->s.reads; k++) {
        Value *from = lb_addi(b, lb_muli(b, t, c->s.reads), k),
              *at = lb_addi(b, lb_muli(b, i, c->s.reads), k);
        mat_store(c->l, to, at, x->at, lb_mul(b, mat_load(c->l, c->q, from, x->at, x->tail), e), 0);
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
            scale_reads(c, &x, q, t, t, c->q_scaled);
            mat_store(l, c->k_out, t, x.at, lb_mul(b, mat_load(l, c->k, t, x.at, x.tail), inverse), 0);
            if (c->s.rank1)
                mat_store(l, c->a_scaled, t, x.at, lb_mul(b, mat_load(l, c->a, t, x.at, x.tail), before), 0);
            if (c->apart)
                mat_store(l, c->b_out, t, x.at, lb_mul(b, mat_load(l, c->b, t, x.at, x.tail), inverse), 0);
        }
        lb_store(b, DT_F32, c->end, x.at, lb_get(b, e), 0);
    }
    c->q = c->q_scaled, c->k = c->k_out;
    if (c->s.rank1) c->a = c->a_scaled;
    if (c->apart) c->b = c->b_out;
}

/* Rows i of q and a: those of token t, times what has decayed so far, the variable e, which goes on. */
static void scale_rows(Chunked *c, const Tiles *x, Value *e, Value *t, Value *i, Mat q, Mat a) {
    Lower *l = c->l;
    LB *b = &l->b;
    Value *before = lb_get(b, e), *after = lb_mul(b, before, mat_load(l, c->keep, t, x->at, 0));
    lb_set(b, e, after);
    scale_reads(c, x, c->s.before ? before : after, t, i, q);
    if (c->s.rank1) mat_store(l, a, i, x->at, lb_mul(b, mat_load(l, c->a, t, x->at, x->tail), before), 0);
}

/* exp(decay) of all tokens; q and a decayed from the beginning, k and b up to the end. */
static void decays_of_channels(Chunked *c) {
    Lower *l = c->l;
    LB *b = &l->b;
    TILES_OF (l, x, c->s.n, b->lanes, 1) {
        Value *e = lb_var(b, lb_splat(b, lb_f32(b, 1))), *rest = lb_var(b, lb_splat(b, lb_f32(b, 1)));
        KFOR (b, t, c->zero, c->len, 1) {
            mat_store(l, c->keep, t, x.at, lb_exp(b, mat_load(l, c->decay, t, x.at, x.tail)), 0);
            scale_rows(c, &x, e, t, t, c->q_scaled, c->a_scaled);
        }
        lb_store(b, DT_F32, c->end, x.at, lb_get(b, e), 0);
        KFOR (b, i, c->zero, c->len, 1) {
            Value *t = lb_sub(b, lb_addi(b, c->len, -1), i), *to_end = lb_get(b, rest);
            mat_store(l, c->k_out, t, x.at, lb_mul(b, mat_load(l, c->k, t, x.at, x.tail), to_end), 0);
            if (c->apart)
                mat_store(l, c->b_out, t, x.at, lb_mul(b, mat_load(l, c->b, t, x.at, x.tail), to_end), 0);
            lb_set(b, rest, lb_mul(b, to_end, mat_load(l, c->keep, t, x.at, 0)));
        }
    }
}

/* ---- products of tokens with tokens ---- */

/* to[t, s] = x_t . y_s where the block of columns reaches below the diagonal. */
static void token_products(Chunked *c, Mat to, Mat x, Mat yT, Value *x_rows) {
    Lower *l = c->l;
    LB *b = &l->b;
    bool square = c->s.writes == 1 && c->s.reads == 1;
    int rows = c->WL == b->lanes && l->t->vregs >= 32 ? 2 * c->rows : c->rows; /* few columns: more rows */
    if (rows > TILE_MAX) rows = TILE_MAX;
    TILES_OF (l, s, c->WL, b->lanes, c->cols)
        TILES (l, r, c->zero, x_rows, NO_END, 1, rows) {
            if (square) lb_if_begin(b, lb_cmp(b, "lt", s.at, lb_addi(b, r.at, r.count)));
            Tile t = tile_new(l, r.count, s.count, 0);
            tile_madd(l, &t, x, r.at, yT, s.at, c->zero, lb_i64(b, c->s.n));
            tile_store(l, &t, to, r.at, s.at);
            if (square) lb_if_end(b);
        }
}

/* to[row] = from[row] in the columns below `limit`, decayed (per head), and 0 in the others. Masked before the exp: there
 * the exponents are positive. */
static void decay_row(Chunked *c, Mat to, Mat from, Value *row, Value *limit, const RowDecays *decays) {
    LB *b = &c->l->b;
    Value *upto = c->s.decay == DECAY_HEAD ? lb_load(b, DT_F64, 0, decays->sums, row, 0) : NULL;
    Value *limit32 = lb_cast(b, limit, DT_I32);
    for (int64_t j = 0; j < c->WL; j += b->lanes) {
        Value *s = lb_add(b, lb_iota(b), lb_i32(b, (int32_t)j)), *at = lb_i64(b, j);
        Value *keep = lb_cmp(b, "lt", s, limit32), *x = mat_load(c->l, from, row, at, 0);
        if (upto) {
            Value *sum = lb_load(b, DT_F64, b->lanes, c->row_w.sums, at, 0);
            Value *d = lb_cast(b, lb_sub(b, upto, sum), DT_F32);
            x = lb_mul(b, x, lb_exp(b, lb_select(b, keep, d, lw_zero(c->l))));
        }
        mat_store(c->l, to, row, at, lb_select(b, keep, x, lw_zero(c->l)), 0);
    }
}

/* Corrections see the writes before them. */
static void decay_corrections(Chunked *c, Mat m) {
    LB *b = &c->l->b;
    KFOR (b, row, c->zero, c->writes, 1) decay_row(c, m, m, row, row, &c->row_a);
}

/* Reads see the writes of the tokens before theirs, and of their own, if they come behind it. */
static void decay_reads(Chunked *c, Mat to, Mat from) {
    LB *b = &c->l->b;
    KFOR (b, t, c->zero, c->len, 1) {
        Value *limit = lb_muli(b, c->s.before ? t : lb_addi(b, t, 1), c->s.writes);
        for (int64_t i = 0; i < c->s.reads; i++)
            decay_row(c, to, from, lb_addi(b, lb_muli(b, t, c->s.reads), i), limit, &c->row_q);
    }
}

void scan_matrix_products_of_group(Chunked *c, Value *u) {
    Lower *l = c->l;
    LB *b = &l->b;
    Value *in_group = lb_rem(b, u, lb_i64(b, c->s.h / c->s.g));
    lb_if_begin(b, lb_or(b, lb_cmp(b, "eq", u, l->unit_lo), lb_cmp(b, "eq", in_group, c->zero)));
    KFOR (b, row, l->row_lo, l->row_hi, c->Q) {
        scan_matrix_sub_chunk(c, u, row);
        transpose(c, c->kT, c->k);
        token_products(c, mat_from(l, c->products, lb_muli(b, row, c->s.reads)), c->q, c->kT, c->reads);
    }
    lb_if_end(b);
}

/* ---- the same in blocks ---- */

/* Token t meets the keys of its block, which begins at `first`: its rows of to_q and to_a. T: [n][WL], keys as lanes. */
static void meet_block(Chunked *c, Mat T, Mat keys, Mat to_q, Mat to_a, Value *t, Value *first) {
    enum { MOST = 8 }; /* reads */
    Lower *l = c->l;
    LB *b = &l->b;
    int reads = (int)c->s.reads, sums = reads > 1 ? 1 : SUMS;
    Value *lane = lb_cast(b, lb_sub(b, t, first), DT_I32), *own = lb_cmp(b, "eq", lb_iota(b), lane);
    Value *q[MOST][SUMS], *a[SUMS], *earlier = lb_cmp(b, "lt", lb_iota(b), lane), *row = lb_muli(b, t, reads);
    for (int i = 0; i < sums; i++) {
        a[i] = lb_var(b, lw_zero(l));
        for (int k = 0; k < reads; k++) q[k][i] = lb_var(b, lw_zero(l));
    }
    TILES_OF (l, x, c->s.n, 1, sums)
        for (int i = 0; i < x.count; i++) {
            Value *n = lb_addi(b, x.at, i), *old = mat_load(l, T, n, first, 0);
            Value *new = lb_mul(b, old, lb_splat(b, mat_load1(l, c->keep, t, n)));
            new = lb_select(b, own, lb_splat(b, mat_load1(l, keys, t, n)), new);
            mat_store(l, T, n, first, new, 0);
            for (int k = 0; k < reads; k++) {
                Value *qn = lb_splat(b, mat_load1(l, c->q, lb_addi(b, row, k), n));
                lb_set(b, q[k][i], lb_fma(b, c->s.before ? old : new, qn, lb_get(b, q[k][i])));
            }
            if (!c->s.rank1) continue;
            lb_set(b, a[i], lb_fma(b, old, lb_splat(b, mat_load1(l, c->a, t, n)), lb_get(b, a[i])));
        }
    for (int i = 1; i < sums; i++) {
        lb_set(b, q[0][0], lb_add(b, lb_get(b, q[0][0]), lb_get(b, q[0][i])));
        lb_set(b, a[0], lb_add(b, lb_get(b, a[0]), lb_get(b, a[i])));
    }
    Value *seen = c->s.before ? earlier : lb_or(b, earlier, own);
    for (int k = 0; k < reads; k++)
        mat_store(l, to_q, lb_addi(b, row, k), first, lb_select(b, seen, lb_get(b, q[k][0]), lw_zero(l)), 0);
    if (c->s.rank1) mat_store(l, to_a, t, first, lb_select(b, earlier, lb_get(b, a[0]), lw_zero(l)), 0);
}

/* Rows of the block from its beginning, and what its tokens decay together. */
static void scale_block(Chunked *c, Value *first, Value *n) {
    Lower *l = c->l;
    LB *b = &l->b;
    TILES_OF (l, x, c->s.n, b->lanes, 1) {
        Value *e = lb_var(b, lb_splat(b, lb_f32(b, 1)));
        KFOR (b, i, c->zero, n, 1) scale_rows(c, &x, e, lb_add(b, first, i), i, c->q_block, c->a_block);
        lb_store(b, DT_F32, c->block_end, x.at, lb_get(b, e), 0);
    }
}

/* Rows of the block meet the keys of earlier blocks, decayed up to its beginning. */
static void meet_earlier(Chunked *c, Mat to, Mat x, Mat T, Value *first, Value *n, int64_t times) {
    Lower *l = c->l;
    LB *b = &l->b;
    TILES (l, s, c->zero, first, c->WL, b->lanes, c->cols)
        TILES (l, r, c->zero, lb_muli(b, n, times), NO_END, 1, c->rows) {
            Tile t = tile_new(l, r.count, s.count, 0);
            tile_madd(l, &t, x, r.at, T, s.at, c->zero, lb_i64(b, c->s.n));
            tile_store(l, &t, mat_from(l, to, lb_muli(b, first, times)), r.at, s.at);
        }
}

static void decay_earlier(Chunked *c, Mat T, Value *first) {
    Lower *l = c->l;
    LB *b = &l->b;
    KFOR (b, n, c->zero, lb_i64(b, c->s.n), 1) {
        Value *f = lb_splat(b, lb_load(b, DT_F32, 0, c->block_end, n, 0));
        KFOR (b, s, c->zero, first, b->lanes) mat_store(l, T, n, s, lb_mul(b, mat_load(l, T, n, s, 0), f), 0);
    }
}

static void block_products(Chunked *c) {
    Lower *l = c->l;
    LB *b = &l->b;
    bool several = c->Q > b->lanes;
    KFOR (b, first, c->zero, c->len, b->lanes) {
        Value *n = lw_min_i64(l, lb_sub(b, c->len, first), lb_i64(b, b->lanes));
        if (several) {
            scale_block(c, first, n);
            meet_earlier(c, c->qk, c->q_block, c->kT, first, n, c->s.reads);
            if (c->s.rank1) meet_earlier(c, c->ak, c->a_block, c->kT, first, n, 1);
            if (c->apart) meet_earlier(c, c->qb, c->q_block, c->bT, first, n, c->s.reads);
            if (c->apart) meet_earlier(c, c->ab, c->a_block, c->bT, first, n, 1);
        }
        KFOR (b, i, c->zero, n, 1) {
            Value *t = lb_add(b, first, i);
            meet_block(c, c->kT, c->k, c->qk, c->ak, t, first);
            if (c->apart) meet_block(c, c->bT, c->b, c->qb, c->ab, t, first);
        }
        if (several) decay_earlier(c, c->kT, first);
        if (several && c->apart) decay_earlier(c, c->bT, first);
    }
}

/* ---- all ---- */

static void all_products(Chunked *c) {
    Lower *l = c->l;
    LB *b = &l->b;
    if (!c->shared || c->s.rank1) transpose(c, c->kT, c->k);
    if (!c->shared) token_products(c, c->qk, c->q, c->kT, c->reads);
    decay_reads(c, c->qk, c->shared ? mat_from(l, c->products, lb_muli(b, c->row, c->s.reads)) : c->qk);
    if (!c->s.rank1) return;
    token_products(c, c->ak, c->a, c->kT, c->writes);
    decay_corrections(c, c->ak);
    if (!c->apart) return;
    transpose(c, c->bT, c->b);
    token_products(c, c->qb, c->q, c->bT, c->reads);
    token_products(c, c->ab, c->a, c->bT, c->writes);
    decay_reads(c, c->qb, c->qb);
    decay_corrections(c, c->ab);
}

static void own_tokens(Chunked *c, Mat q, Mat k) {
    Lower *l = c->l;
    LB *b = &l->b;
    KFOR (b, t, c->zero, c->len, 1) {
        Value *direct = scan_matrix_direct(l, c->op, c->u, mat_from(l, q, t), mat_from(l, k, t), c->row);
        mat_store(l, c->qk, t, t, direct, 0);
    }
}

void scan_matrix_products(Chunked *c) {
    Mat raw_q = c->q, raw_k = c->k;
    gather(c, c->V, IN_V, c->s.p, c->s.writes);
    if (c->s.decay == DECAY_HEAD) decays_of_head(c);
    if (c->blocks) {
        decays_of_channels(c);
        block_products(c);
        c->q = c->q_scaled;
        if (c->s.rank1) c->a = c->a_scaled;
    } else {
        if (c->s.decay == DECAY_CHANNEL) {
            scale_by_channel(c);
        } else {
            Value *factor = c->s.decay == DECAY_HEAD ? c->row_w.factor : NULL;
            copy_rows(c, c->k_out, c->k, c->s.n, factor, c->writes);
            if (c->apart) copy_rows(c, c->b_out, c->b, c->s.n, factor, c->writes);
        }
        all_products(c);
    }
    if (c->op->in[IN_BONUS]) own_tokens(c, raw_q, raw_k);
}
