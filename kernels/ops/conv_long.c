/* Loops of conv.long: relaxed (online) convolution, one algorithm for both forms (van der Hoeven 2002;
 * Oncescu et al. 2024, arXiv:2410.12982). Position p of a channel's state holds z[p], the sum of what known
 * inputs give to it, until token p comes, and x[p] from then on. A vector of channels is one stream of
 * memory: the state lies as [channels/lanes][l][lanes].
 *
 *     token p:   y[p] = z[p] + h[0] x[p] + skip x[p];  z[p] becomes x[p]
 *     tile:      i = p + 1, U = the lowest set bit of i:
 *                z[i + m] += sum_(n<U) h[U + m - n] x[i - U + n]      0 <= m < U, i + m < l
 *
 * The tile at a power of two is the first to meet its part of the state, which may hold anything before: it
 * is cleared. So a sequence uses what lies below the next power of two, and no more.
 *
 * Every pair (s, p) with s < p is met in exactly one tile: the one at the multiple of the largest power of
 * two in (s, p]. So a token costs log^2 l on average, nothing depends on how a sequence is cut into calls,
 * and step and chunk agree bit for bit.
 *
 * With states in 16 bits the inputs and the sums for the future are rounded whenever they are stored, in
 * chunks as in steps: they are spread over the whole filter and no chunk could hold them.
 *
 * Vectors run over channels, each lane a convolution of its own. Tiles below FFT_MIN run over the taps, four
 * outputs by four inputs at a time; larger ones are products of remainder trees (formats/pack_fft.h), whose
 * twiddles are scalars and whose order nobody needs to undo. */
#include "kernels/lower.h"

#include "formats/pack_fft.h"

typedef struct Conv {
    Lower *l;
    LB *b;
    int64_t c, len; /* channels, taps */
    PackFft pack;
    Value *w;        /* the packed filters */
    Value *twiddles; /* [umax][2] */
    Value *tree;     /* [umax][2][lanes]: scratch of a transform */
    /* the sequence and the vector of channels at hand */
    Value *ch;        /* first channel */
    LwAccessor state; /* [len][lanes] */
    Value *taps;      /* [len][lanes] */
} Conv;

/* Element j of an array of vectors. */
static Value *load_vector(Conv *k, Value *p, Value *j) {
    return lb_load(k->b, DT_F32, k->b->lanes, p, lb_muli(k->b, j, k->b->lanes), 0);
}

static Value *load_state(Conv *k, Value *pos) {
    return lw_accessor_load(k->l, k->state, lb_muli(k->b, pos, k->b->lanes), 0);
}

static void store_state(Conv *k, Value *pos, Value *v) {
    lw_accessor_store(k->l, k->state, lb_muli(k->b, pos, k->b->lanes), v, 0);
}

static void add_to_state(Conv *k, Value *pos, Value *v) {
    store_state(k, pos, lb_add(k->b, load_state(k, pos), v));
}

static Value *load_tap(Conv *k, Value *j) {
    return load_vector(k, k->taps, j);
}

/* The part of an array [c/lanes][len][lanes] that belongs to the channels at hand. */
static Value *of_channels(Conv *k, Value *p) {
    return lb_offset(k->b, p, lb_muli(k->b, k->ch, k->len * 4));
}

/* ---- a tile by its taps ---- */

/* Outputs m .. m+3, whose taps slide over the inputs: three of a block's seven are old. */
static void direct_four(Conv *k, Value *i, Value *u, Value *m) {
    LB *b = k->b;
    Value *acc[4], *old[3]; /* old[q]: tap U + m - n + 1 + q */
    Value *first = lb_sub(b, i, u), *tap = lb_add(b, u, m);
    for (int q = 0; q < 4; q++) acc[q] = lb_var(b, load_state(k, lb_addi(b, lb_add(b, i, m), q)));
    for (int q = 0; q < 3; q++) old[q] = lb_var(b, load_tap(k, lb_addi(b, tap, q + 1)));
    KFOR (b, n, lb_i64(b, 0), u, 4) {
        Value *h[7], *at = lb_sub(b, tap, n); /* h[3 + q]: tap U + m - n + q */
        for (int q = 0; q < 4; q++) h[q] = load_tap(k, lb_addi(b, at, q - 3));
        for (int q = 0; q < 3; q++) h[4 + q] = lb_get(b, old[q]);
        for (int r = 0; r < 4; r++) {
            Value *x = load_state(k, lb_addi(b, lb_add(b, first, n), r));
            for (int q = 0; q < 4; q++) lb_set(b, acc[q], lb_fma(b, x, h[3 + q - r], lb_get(b, acc[q])));
        }
        for (int q = 0; q < 3; q++) lb_set(b, old[q], h[q]);
    }
    for (int q = 0; q < 4; q++) store_state(k, lb_addi(b, lb_add(b, i, m), q), lb_get(b, acc[q]));
}

static void direct_one(Conv *k, Value *i, Value *u, Value *m) {
    LB *b = k->b;
    Value *first = lb_sub(b, i, u), *tap = lb_add(b, u, m);
    Value *acc = lb_var(b, load_state(k, lb_add(b, i, m)));
    KFOR (b, n, lb_i64(b, 0), u, 1) {
        Value *x = load_state(k, lb_add(b, first, n));
        lb_set(b, acc, lb_fma(b, x, load_tap(k, lb_sub(b, tap, n)), lb_get(b, acc)));
    }
    store_state(k, lb_add(b, i, m), lb_get(b, acc));
}

/* count: outputs of the tile inside the filter's length, at most U. */
static void direct_tile(Conv *k, Value *i, Value *u, Value *count) {
    LB *b = k->b;
    Value *fours = lb_and(b, count, lb_i64(b, -4));
    KFOR (b, m, lb_i64(b, 0), fours, 4) direct_four(k, i, u, m);
    KFOR (b, m, fours, count, 1) direct_one(k, i, u, m);
}

/* ---- a tile by remainder trees ---- */

typedef struct Complex {
    Value *re, *im;
} Complex;

static Complex cx_add(LB *b, Complex x, Complex y) {
    return (Complex){lb_add(b, x.re, y.re), lb_add(b, x.im, y.im)};
}

static Complex cx_sub(LB *b, Complex x, Complex y) {
    return (Complex){lb_sub(b, x.re, y.re), lb_sub(b, x.im, y.im)};
}

static Complex cx_mul(LB *b, Complex x, Complex w) {
    return (Complex){lb_fma(b, lb_neg(b, x.im), w.im, lb_mul(b, x.re, w.re)),
                     lb_fma(b, x.im, w.re, lb_mul(b, x.re, w.im))};
}

/* times conj(w) */
static Complex cx_mul_conj(LB *b, Complex x, Complex w) {
    return (Complex){lb_fma(b, x.im, w.im, lb_mul(b, x.re, w.re)),
                     lb_fma(b, lb_neg(b, x.re), w.im, lb_mul(b, x.im, w.re))};
}

static Complex cx_times_i(LB *b, Complex x) {
    return (Complex){lb_neg(b, x.im), x.re};
}

static Complex cx_times_minus_i(LB *b, Complex x) {
    return (Complex){x.im, lb_neg(b, x.re)};
}

/* Element j of an array of complex vectors. */
static Complex cx_load(LB *b, Value *p, Value *j) {
    Value *at = lb_muli(b, j, 2 * b->lanes);
    return (Complex){lb_load(b, DT_F32, b->lanes, p, at, 0),
                     lb_load(b, DT_F32, b->lanes, p, lb_addi(b, at, b->lanes), 0)};
}

static void cx_store(LB *b, Value *p, Value *j, Complex x) {
    Value *at = lb_muli(b, j, 2 * b->lanes);
    lb_store(b, DT_F32, p, at, x.re, 0);
    lb_store(b, DT_F32, p, lb_addi(b, at, b->lanes), x.im, 0);
}

static Complex load_twiddle(Conv *k, Value *node) {
    LB *b = k->b;
    Value *at = lb_muli(b, node, 2);
    return (Complex){lb_splat(b, lb_load(b, DT_F32, 0, k->twiddles, at, 0)),
                     lb_splat(b, lb_load(b, DT_F32, 0, k->twiddles, lb_addi(b, at, 1), 0))};
}

static void split(LB *b, Complex *lo, Complex *hi, Complex w) {
    Complex t = cx_mul(b, *hi, w);
    *hi = cx_sub(b, *lo, t);
    *lo = cx_add(b, *lo, t);
}

static void join(LB *b, Complex *lo, Complex *hi, Complex w) {
    Complex d = cx_sub(b, *lo, *hi);
    *lo = cx_add(b, *lo, *hi);
    *hi = cx_mul_conj(b, d, w);
}

/* Two levels on four elements a quarter of a node apart. w: of the node, v: of its left child; that of the
 * right child is i v. */
static void split_four(LB *b, Complex x[4], Complex w, Complex v) {
    split(b, &x[0], &x[2], w);
    split(b, &x[1], &x[3], w);
    split(b, &x[0], &x[1], v);
    Complex t = cx_times_i(b, cx_mul(b, x[3], v));
    x[3] = cx_sub(b, x[2], t);
    x[2] = cx_add(b, x[2], t);
}

static void join_four(LB *b, Complex x[4], Complex w, Complex v) {
    join(b, &x[0], &x[1], v);
    join(b, &x[2], &x[3], v);
    x[3] = cx_times_minus_i(b, x[3]);
    join(b, &x[0], &x[2], w);
    join(b, &x[1], &x[3], w);
}

/* The root's split of U real numbers, from the state; its twiddle is (1 + i) / sqrt 2. */
static void split_root(Conv *k, Value *first, Value *half) {
    LB *b = k->b;
    KFOR (b, j, lb_i64(b, 0), half, 1) {
        Value *at = lb_add(b, first, j), *r = lb_f32(b, 0.70710678118654752);
        Value *lo = load_state(k, at), *t = lb_mul(b, load_state(k, lb_add(b, at, half)), r);
        cx_store(b, k->tree, j, (Complex){lb_add(b, lo, t), t});
        cx_store(b, k->tree, lb_add(b, j, half), (Complex){lb_sub(b, lo, t), lb_neg(b, t)});
    }
}

/* The root's join, of which only the imaginary parts are wanted: remainders of the product's coefficients
 * U .. 2U-1. */
static void join_root(Conv *k, Value *i, Value *half, Value *count) {
    LB *b = k->b;
    Value *zero = lb_i64(b, 0);
    KFOR (b, j, zero, lb_min(b, half, count), 1) {
        Complex lo = cx_load(b, k->tree, j), hi = cx_load(b, k->tree, lb_add(b, j, half));
        add_to_state(k, lb_add(b, i, j), lb_add(b, lo.im, hi.im));
    }
    Value *above = lb_add(b, i, half);
    KFOR (b, j, zero, lb_sub(b, count, half), 1) {
        Complex lo = cx_load(b, k->tree, j), hi = cx_load(b, k->tree, lb_add(b, j, half));
        Complex d = cx_sub(b, lo, hi);
        add_to_state(k, lb_add(b, above, j),
                     lb_mul(b, lb_sub(b, d.im, d.re), lb_f32(b, 0.70710678118654752)));
    }
}

/* One level below the root: nodes 2 and 3, of `size` elements. */
static void pass_two(Conv *k, Value *size, void (*butterfly)(LB *, Complex *, Complex *, Complex)) {
    LB *b = k->b;
    Value *half = lb_shr(b, size, lb_i64(b, 1));
    KFOR (b, node, lb_i64(b, 0), lb_i64(b, 2), 1) {
        Complex w = load_twiddle(k, lb_addi(b, node, 2));
        Value *base = lb_mul(b, node, size);
        KFOR (b, j, lb_i64(b, 0), half, 1) {
            Value *p = lb_add(b, base, j), *q = lb_add(b, p, half);
            Complex lo = cx_load(b, k->tree, p), hi = cx_load(b, k->tree, q);
            butterfly(b, &lo, &hi, w);
            cx_store(b, k->tree, p, lo);
            cx_store(b, k->tree, q, hi);
        }
    }
}

/* Two levels of all `nodes` nodes of four quarters each. */
static void pass_four(Conv *k, Value *nodes, Value *quarter,
                      void (*butterfly)(LB *, Complex *, Complex, Complex)) {
    LB *b = k->b;
    KFOR (b, node, lb_i64(b, 0), nodes, 1) {
        Value *number = lb_add(b, nodes, node), *base = lb_muli(b, lb_mul(b, node, quarter), 4);
        Complex w = load_twiddle(k, number), v = load_twiddle(k, lb_muli(b, number, 2));
        KFOR (b, j, lb_i64(b, 0), quarter, 1) {
            Value *at[4] = {lb_add(b, base, j)};
            Complex x[4];
            for (int q = 1; q < 4; q++) at[q] = lb_add(b, at[q - 1], quarter);
            for (int q = 0; q < 4; q++) x[q] = cx_load(b, k->tree, at[q]);
            butterfly(b, x, w, v);
            for (int q = 0; q < 4; q++) cx_store(b, k->tree, at[q], x[q]);
        }
    }
}

/* The last two levels down, the product with the filter's spectrum, and the first two levels up. */
static void leaves(Conv *k, Value *u, Value *spectrum) {
    LB *b = k->b;
    Value *nodes = lb_shr(b, u, lb_i64(b, 2));
    KFOR (b, node, lb_i64(b, 0), nodes, 1) {
        Value *number = lb_add(b, nodes, node), *base = lb_muli(b, node, 4);
        Complex w = load_twiddle(k, number), v = load_twiddle(k, lb_muli(b, number, 2)), x[4];
        for (int q = 0; q < 4; q++) x[q] = cx_load(b, k->tree, lb_addi(b, base, q));
        split_four(b, x, w, v);
        for (int q = 0; q < 4; q++) x[q] = cx_mul(b, x[q], cx_load(b, spectrum, lb_addi(b, base, q)));
        join_four(b, x, w, v);
        for (int q = 0; q < 4; q++) cx_store(b, k->tree, lb_addi(b, base, q), x[q]);
    }
}

/* log2 of a power of two: the exponent of the float. */
static Value *log2_of(LB *b, Value *u) {
    Value *bits = lb_bits(b, lb_cast(b, u, DT_F32), DT_I32);
    return lb_addi(b, lb_cast(b, lb_shr(b, bits, lb_i32(b, 23)), DT_I64), -127);
}

/* Between the root (one level) and the leaves (two) lie log2(U) - 3 levels: perhaps one, then pairs. */
static void tree_tile(Conv *k, Value *i, Value *u, Value *count) {
    LB *b = k->b;
    Value *one = lb_i64(b, 1), *zero = lb_i64(b, 0), *half = lb_shr(b, u, one);
    Value *levels = lb_addi(b, log2_of(b, u), -3), *pairs = lb_shr(b, levels, one);
    Value *odd = lb_cmp(b, "ne", lb_and(b, levels, one), zero);
    /* spectrum of this U (pack_fft.h), of this vector of channels */
    Value *before = lb_muli(b, lb_addi(b, u, -FFT_MIN), k->pack.channels * 8);
    Value *mine = lb_muli(b, lb_mul(b, k->ch, u), 8);
    Value *spectrum = lb_offset(b, k->w, lb_addi(b, lb_add(b, before, mine), k->pack.spectra));

    split_root(k, lb_sub(b, i, u), half);
    Value *nodes = lb_var(b, lb_i64(b, 2)), *size = lb_var(b, half);
    lb_if_begin(b, odd);
    pass_two(k, half, split);
    lb_set(b, nodes, lb_i64(b, 4));
    lb_set(b, size, lb_shr(b, half, one));
    lb_if_end(b);
    KFOR (b, down, zero, pairs, 1) {
        Value *m = lb_get(b, nodes), *quarter = lb_shr(b, lb_get(b, size), lb_i64(b, 2));
        pass_four(k, m, quarter, split_four);
        lb_set(b, nodes, lb_muli(b, m, 4));
        lb_set(b, size, quarter);
    }
    leaves(k, u, spectrum);
    KFOR (b, up, zero, pairs, 1) {
        Value *m = lb_shr(b, lb_get(b, nodes), lb_i64(b, 2)), *quarter = lb_get(b, size);
        pass_four(k, m, quarter, join_four);
        lb_set(b, nodes, m);
        lb_set(b, size, lb_muli(b, quarter, 4));
    }
    lb_if_begin(b, odd);
    pass_two(k, half, join);
    lb_if_end(b);
    join_root(k, i, half, count);
}

/* ---- tokens ---- */

static void tile(Conv *k, Value *i) {
    LB *b = k->b;
    Value *u = lb_and(b, i, lb_neg(b, i)), *left = lb_sub(b, lb_i64(b, k->len), i);
    Value *count = lb_min(b, left, u);
    lb_if_begin(b, lb_cmp(b, "eq", u, i));
    KFOR (b, m, lb_i64(b, 0), count, 1) store_state(k, lb_add(b, i, m), lw_zero(k->l));
    lb_if_end(b);
    if (!k->pack.umax) {
        direct_tile(k, i, u, count);
        return;
    }
    lb_if_begin(b, lb_cmp(b, "lt", u, lb_i64(b, FFT_MIN)));
    direct_tile(k, i, u, count);
    lb_else(b);
    lb_if_begin(b, lb_cmp(b, "gt", count, lb_i64(b, 0)));
    tree_tile(k, i, u, count);
    lb_if_end(b);
    lb_if_end(b);
}

static void token(Conv *k, Op *op, Ix ix, Value *row, Value *h0, Value *skip) {
    LB *b = k->b;
    Value *pos = lw_position(k->l, row);
    ix.row = row;
    k->state = lw_accessor_from(k->l, lw_state(k->l, op, 0, row), lb_muli(b, k->ch, k->len));
    Value *x = lw_read(k->l, op->in[0], &ix);
    Value *y = lb_fma(b, x, h0, load_state(k, pos));
    if (skip) y = lb_fma(b, x, skip, y);
    store_state(k, pos, lb_splat(b, x));
    lw_write(k->l, op->out[0], &ix, y);
    tile(k, lb_addi(b, pos, 1));
}

/* Channels outside, rows inside: a vector of channels stays in the cache over all tokens of a chunk, and so
 * do its filters over all sequences of a step. */
static void lower(Lower *l, Op *op) {
    LB *b = &l->b;
    Type h = op->in[1]->type;
    Conv k = {.l = l, .b = b, .c = h.dim[0], .len = h.dim[1]};
    k.pack = pack_fft_layout(k.c, k.len, b->lanes);
    k.w = lw_weight(l, op->in[1], PACK_FFT, NULL);
    k.twiddles = lb_offseti(b, k.w, k.pack.twiddles);
    if (k.pack.umax) k.tree = lw_scratch(l, k.pack.umax * 2 * b->lanes * 4);
    LW_EACH (l, l->row_lo, ix) {
        k.ch = ix.i, k.taps = of_channels(&k, k.w);
        Value *h0 = load_tap(&k, lb_i64(b, 0));
        Value *skip = op->in[2] ? lb_splat(b, lw_read(l, op->in[2], &ix)) : NULL;
        LW_ROWS (l, row) token(&k, op, ix, row, h0, skip);
    }
}

static int64_t state_elements(const Op *op, int slot, const LowerTarget *t) {
    (void)slot;
    Type h = op->in[1]->type;
    return (h.dim[0] + t->lanes - 1) / t->lanes * t->lanes * h.dim[1];
}

static bool state_use(const Op *op, int slot, const LowerTarget *t, StateUse *out) {
    (void)slot;
    Type h = op->in[1]->type;
    int64_t vectors = (h.dim[0] + t->lanes - 1) / t->lanes;
    *out = (StateUse){.pieces = vectors, .elements = t->lanes, .tokens = 1, .most = h.dim[1], .ahead = true};
    return true;
}

/* To s[l,c]. Beyond the position lie sums for the future, not inputs. */
static void state_unpack(const Op *op, int slot, const LowerTarget *t, int64_t position,
                         const float *physical, double *logical) {
    (void)slot;
    int64_t c = op->in[1]->type.dim[0], len = op->in[1]->type.dim[1], w = t->lanes;
    for (int64_t p = 0; p < len; p++)
        for (int64_t i = 0; i < c; i++)
            logical[p * c + i] = p < position ? physical[(i / w * len + p) * w + i % w] : 0;
}

static const OpForm forms[] = {
    {"online tiles + FFT",
     "relaxed convolution: inputs meet later outputs in power-of-two tiles, the large ones by transforms",
     NULL, NULL, lower},
    {0},
};

const OpLowering lowering_conv_long = {
    .lower = lower,
    .state_elements = state_elements,
    .state_use = state_use,
    .state_unpack = state_unpack,
    .forms = forms,
};
