/* Loops of scan.expand: ir/ops/scan_expand.c says what they compute. */
#include "kernels/lower.h"
#include "kernels/ops/scan_panels.h"
#include "kernels/tile.h"
#include "ops/common.h"

/* ---- lowering: a vector is a vector of channels; states and A lie in panels (scan_panels.h) ----
 * The decay exp(dt A) depends on token, channel and state alike, so there is no product form: tokens come one
 * after the other, and the work is the exp, taken as a power of two so that the factor log2 e is met once a
 * channel. On a CPU, a block of channels goes through all tokens before the next one: its states and its part
 * of A stay in the nearest cache, and each is one stretch of memory. On a GPU, a vector of channels keeps its
 * states in registers. All do the same sums in the same order, so with f32 states step and
 * chunk agree bit for bit. */

static void access_scan_expand(const Op *op, Form form, Access *a) {
    (void)op;
    *a = (Access){.split = SPLIT_FLAT, .rows = form == FORM_STEP, .all = {[3] = true, true}};
}

/* What all states of a vector of channels share for one token. Read once: the compiler cannot know that
 * storing a state leaves them alone. */
typedef struct Token {
    Value *u, *dt; /* vectors; dt: times log2 e */
    Value *B, *C;  /* rows [n] */
} Token;

static Token token_at(Lower *l, Op *op, const Ix *ix) {
    Token k = {.u = lw_read(l, op->in[0], ix), .dt = lw_read(l, op->in[1], ix)};
    k.dt = lb_mul(&l->b, k.dt, lb_f32(&l->b, M_LOG2E));
    k.B = lw_row_ptr(l, op->in[3], ix->row), k.C = lw_row_ptr(l, op->in[4], ix->row);
    return k;
}

/* h' = exp(dt A_n) h + u B_n, and y += C_n h'. */
static Value *next(Lower *l, const Token *k, Value *n, Value *A, Value *h, Value **y) {
    LB *b = &l->b;
    Value *B = lb_load(b, DT_F32, 0, k->B, n, 0), *C = lb_load(b, DT_F32, 0, k->C, n, 0);
    h = lb_fma(b, lb_exp2(b, lb_mul(b, k->dt, A)), h, lb_mul(b, k->u, B));
    *y = lb_fma(b, C, h, *y);
    return h;
}

static void one_token(Lower *l, Op *op, const Ix *ix, LwAccessor state, Value *A) {
    enum { AT_ONCE = 4 };
    LB *b = &l->b;
    int64_t nn = op->in[2]->type.dim[1], whole = nn / AT_ONCE * AT_ONCE, panel = l->t->panel;
    Token k = token_at(l, op, ix);
    Value *sum = lb_var(b, lw_zero(l)), *first = panels_first(l, ix->i, nn);
    for (int tail = 0; tail < 2; tail++) {
        int step = tail ? 1 : AT_ONCE;
        KFOR (b, n, lb_i64(b, tail ? whole : 0), lb_i64(b, tail ? nn : whole), step) {
            Value *y = lb_get(b, sum);
            for (int i = 0; i < step; i++) {
                Value *number = lb_addi(b, n, i), *at = lb_add(b, first, lb_muli(b, number, panel));
                Value *h = lw_accessor_load(l, state, at, 0);
                h = next(l, &k, number, lb_load(b, DT_F32, b->lanes, A, at, 0), h, &y);
                lw_accessor_store(l, state, at, h, 0);
            }
            lb_set(b, sum, y);
        }
    }
    lw_write(l, op->out[0], ix, lb_get(b, sum));
}

static void lower_by_rows(Lower *l, Op *op) {
    LB *b = &l->b;
    int64_t ne = op->in[2]->type.dim[0], nn = op->in[2]->type.dim[1], block = panels_block(l, 2 * 4 * nn);
    LwStaged staged = lw_staged_new(l, op, 0, block * nn);
    Value *A = lw_weight(l, op->in[2], PACK_PANELS_F32, NULL), *lo, *hi;
    lw_range(l, ne, &lo, &hi);
    KFOR (b, from, lo, hi, block) {
        Value *to = lw_min_i64(l, hi, lb_addi(b, from, block));
        panels_staged_begin(&staged, from, to, nn);
        LW_ROWS (l, row) {
            LwAccessor state = lw_staged(&staged, row);
            LW_PART(l, row, from, to, ix) one_token(l, op, &ix, state, A);
        }
        lw_staged_end(&staged);
    }
}

enum { MAX_IN_REGISTERS = 32 };

static void lower_by_channels(Lower *l, Op *op) {
    LB *b = &l->b;
    int64_t ne = op->in[2]->type.dim[0], nn = op->in[2]->type.dim[1];
    Value *at[MAX_IN_REGISTERS], *A[MAX_IN_REGISTERS], *h[MAX_IN_REGISTERS], *lo, *hi;
    Value *weights = lw_weight(l, op->in[2], PACK_PANELS_F32, NULL);
    LwAccessor state = lw_state(l, op, 0, l->row_lo);
    lw_range(l, ne, &lo, &hi);
    TILES (l, t, lo, hi, ne, b->lanes, 1) {
        Value *first = panels_first(l, t.at, nn);
        for (int64_t n = 0; n < nn; n++) {
            at[n] = lb_addi(b, first, n * l->t->panel);
            A[n] = lb_load(b, DT_F32, b->lanes, weights, at[n], 0);
            h[n] = lb_var(b, lw_accessor_load(l, state, at[n], 0));
        }
        LW_ROWS (l, row) {
            Ix ix = {.row = row, .i = t.at, .n = t.tail, .O = 1, .I = ne};
            Token k = token_at(l, op, &ix);
            Value *y = lw_zero(l);
            for (int64_t n = 0; n < nn; n++)
                lb_set(b, h[n], next(l, &k, lb_i64(b, n), A[n], lb_get(b, h[n]), &y));
            lw_write(l, op->out[0], &ix, y);
        }
        for (int64_t n = 0; n < nn; n++) lw_accessor_store(l, state, at[n], lb_get(b, h[n]), 0);
    }
}

static void lower_scan_expand(Lower *l, Op *op) {
    bool fits = op->in[2]->type.dim[1] <= MAX_IN_REGISTERS;
    if (l->t->execution == EXECUTION_GRID && l->form == FORM_CHUNK && fits)
        lower_by_channels(l, op);
    else
        lower_by_rows(l, op);
}

static int64_t state_elements(const Op *op, int slot, const LowerTarget *t) {
    (void)slot;
    return panels_elements(t, op->in[2]->type.dim[0], op->in[2]->type.dim[1]);
}

static void unpack_state(const Op *op, int slot, const LowerTarget *t, int64_t position,
                         const float *physical, double *logical) {
    (void)slot, (void)position;
    panels_unpack(t, op->in[2]->type.dim[0], op->in[2]->type.dim[1], physical, logical);
}

const OpLowering lowering_scan_expand = {
    .lower = lower_scan_expand,
    .access = access_scan_expand,
    .state_elements = state_elements,
    .state_unpack = unpack_state,
};
