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
 * SSD algorithm of Dao & Gu 2024, arXiv:2405.21060. Where corrections go along the keys (no b), W = V + U is all
 * that is needed: W = Gak W + V + exp(b_(t-1)) (a S0), Y = Gqk W + .. Further writes of a token are further rows, which
 * read the state behind its decay; further reads are further rows of q. */
#include "scan_matrix_chunk.h"

/* Tokens of a sub-chunk: the products inside it cost Q/2 (n + p) per token, loading and storing the state
 * n p / Q. */
static int64_t tokens(const MatrixShape *s, const Op *op, const Tuning *t) {
    int64_t q = t->scan_tokens;
    bool large = s->n * s->p > 16384;
    return large && (scan_matrix_bounded(s, op, 2 * q) || !scan_matrix_bounded(s, op, q)) ? 2 * q : q;
}

/* Bytes of a head's state up to which going token by token is as fast: the nearest cache hands the state out
 * fast enough, and the products inside a sub-chunk come on top. Measured where state_room is 16 KiB. */
static int64_t small_state(const MatrixShape *s, const LowerTarget *t) {
    return s->rank1 ? 2 * t->state_room : s->decay == DECAY_CHANNEL ? t->state_room : t->state_room / 2;
}

const char *scan_matrix_cannot_chunk(const Op *op, const LowerTarget *t, Arena *a) {
    (void)t, (void)a;
    MatrixShape s = scan_matrix_shape(op);
    if (s.decay == DECAY_CHANNEL && s.writes > 1)
        return "decays per channel and several writes of a token do not go together in it";
    return NULL;
}

const char *scan_matrix_refuse_chunked(const Op *op, const LowerTarget *t, Arena *a) {
    MatrixShape s = scan_matrix_shape(op);
    if (s.n * s.p * 4 <= small_state(&s, t))
        return arena_printf(a,
                            "a state of %g KiB per head stays in the nearest cache, where going token by "
                            "token is as fast",
                            (double)(s.n * s.p) / 256);
    return NULL;
}

static int64_t round_up(int64_t x, int64_t to) {
    return (x + to - 1) / to * to;
}

static Chunked chunked_new(Lower *l, Op *op) {
    Chunked c = {.l = l, .op = op, .s = scan_matrix_shape(op), .rows = l->t->tuning.inner_rows};
    int64_t w = l->b.lanes;
    c.cols = l->t->tuning.inner_columns;
    c.Q = tokens(&c.s, op, &l->t->tuning);
    c.blocks = !scan_matrix_bounded(&c.s, op, c.Q);
    c.WL = round_up(c.Q * c.s.writes, w), c.NL = round_up(c.s.n, w), c.PL = round_up(c.s.p, w);
    c.shared = c.s.g < c.s.h && c.s.decay != DECAY_CHANNEL;
    c.along = c.s.rank1 && !op->in[IN_B] && !op->in[IN_BONUS]; /* which is of the values alone */
    c.apart = c.s.rank1 && !c.along;
    scan_matrix_tokens_new(&c);
    c.zero = lb_i64(&l->b, 0);
    return c;
}

/* ---- tokens and state ---- */

/* rows x_t S0, decayed up to where they read it. */
static Tile read_state(Chunked *c, Value *row, int rows, const Tiles *x, Mat m, const RowDecays *decays) {
    Lower *l = c->l;
    Tile t = tile_new(l, rows, x->count, x->tail);
    tile_madd(l, &t, m, row, c->S, x->at, c->zero, lb_i64(&l->b, c->s.n));
    if (c->s.decay == DECAY_HEAD) tile_scale(l, &t, decays->factor, row);
    return t;
}

/* Corrections by forward substitution: rows before the tile from memory, those in it from its registers. What they
 * become is U, or added to V. */
static void solve(Chunked *c, const Tiles *x) {
    Lower *l = c->l;
    LB *b = &l->b;
    Mat G = c->along ? c->ak : c->ab, W = c->along ? c->V : c->U;
    TILES (l, r, c->zero, c->writes, NO_END, 1, c->rows) {
        Tile t = read_state(c, r.at, r.count, x, c->a, &c->row_a);
        if (c->apart) tile_madd_below(l, &t, c->ak, r.at, c->V, x->at, false);
        for (int i = 0; c->along && i < t.r; i++)
            for (int j = 0; j < t.c; j++) {
                Value *v =
                    mat_load(l, c->V, lb_addi(b, r.at, i), lb_addi(b, x->at, (int64_t)j * b->lanes), 0);
                lb_set(b, t.acc[i][j], lb_add(b, lb_get(b, t.acc[i][j]), v));
            }
        tile_madd(l, &t, G, r.at, W, x->at, c->zero, r.at);
        for (int i = 1; i < r.count; i++)
            for (int s = 0; s < i; s++) {
                Value *f = lb_splat(b, mat_load1(l, G, lb_addi(b, r.at, i), lb_addi(b, r.at, s)));
                for (int j = 0; j < t.c; j++)
                    lb_set(b, t.acc[i][j], lb_fma(b, f, lb_get(b, t.acc[s][j]), lb_get(b, t.acc[i][j])));
            }
        tile_store(l, &t, W, r.at, x->at);
    }
}

static void read_out(Chunked *c, const Tiles *x) {
    Lower *l = c->l;
    LB *b = &l->b;
    int reads = (int)c->s.reads, writes = (int)c->s.writes, most = c->rows / reads > 1 ? c->rows / reads : 1;
    TILES (l, r, c->zero, c->len, NO_END, 1, most) {
        Value *row = lb_muli(b, r.at, reads);
        Tile t = read_state(c, row, r.count * reads, x, c->q, &c->row_q);
        tile_madd_steps(l, &t, c->qk, r.at, reads, c->V, x->at, writes, !c->s.before || c->op->in[IN_BONUS]);
        if (c->apart) tile_madd_steps(l, &t, c->qb, r.at, reads, c->U, x->at, writes, !c->s.before);
        tile_store(l, &t, c->Y, row, x->at);
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
        if (c->blocks) tile_scale(l, &t, c->end, n.at);
        tile_madd(l, &t, mat_turned(c->k_out), n.at, c->V, x->at, c->zero, c->writes);
        if (c->apart) tile_madd(l, &t, mat_turned(c->b_out), n.at, c->U, x->at, c->zero, c->writes);
        /* with a bound k_out carries exp(-b): the whole sum is brought to the end at once */
        if (c->s.decay == DECAY_CHANNEL && !c->blocks) tile_scale(l, &t, c->end, n.at);
        tile_store(l, &t, c->S, n.at, x->at);
    }
}

/* From scratch, so that the epilogue of y is written once and not for every element of a tile. */
static void write_out(Chunked *c) {
    LB *b = &c->l->b;
    KFOR (b, t, c->zero, c->len, 1)
        for (int64_t r = 0; r < c->s.reads; r++)
            TILES_OF (c->l, x, c->s.p, b->lanes, 1) {
                Ix ix = {.row = lb_add(b, c->row, t),
                         .i = x.at,
                         .n = x.tail,
                         .O = c->s.h * c->s.reads,
                         .I = c->s.p};
                ix.o = lb_addi(b, lb_muli(b, c->u, c->s.reads), r);
                Value *from = lb_addi(b, lb_muli(b, t, c->s.reads), r);
                lw_write(c->l, c->op->out[0], &ix, mat_load(c->l, c->Y, from, x.at, x.tail));
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
        if (c.shared) scan_matrix_products_of_group(&c, u);
        KFOR (b, row, l->row_lo, l->row_hi, c.Q) {
            scan_matrix_sub_chunk(&c, u, row);
            scan_matrix_products(&c);
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
