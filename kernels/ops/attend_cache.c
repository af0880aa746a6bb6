/* See attend_cache.h. */
#include "attend_cache.h"

#include "attend.h"
#include "ops/attend.h"

static int64_t padded(int64_t keys) {
    return attend_round_up(keys, ATTEND_PANEL);
}

/* Rows of values that so many keys take. */
static int64_t value_rows(bool bf16, int64_t keys) {
    return bf16 ? padded(keys) / 2 : keys;
}

KeyValues attend_cached(const Attend *a, Value *row, Value *kv) {
    Lower *l = a->l;
    LB *b = a->b;
    LwAccessor k = lw_state(l, a->op, 0, row), v = lw_state(l, a->op, 1, row);
    if (a->bf16) k.dt = v.dt = DT_I32;
    Value *keys = lb_muli(b, kv, padded(a->context) * a->depth);
    Value *values = lb_muli(b, kv, value_rows(a->bf16, a->context) * a->p);
    return (KeyValues){lw_accessor_from(l, k, keys), mat_of(l, lw_accessor_from(l, v, values), a->p)};
}

static void put_key(const Attend *a, LwAccessor panels, Value *slot, Value *row, Value *kv) {
    LB *b = a->b;
    enum { UNROLL = 8 };
    Value *k = lb_offset(b, lw_row_ptr(a->l, a->op->in[1], row), lb_muli(b, kv, a->d * 4));
    if (a->bf16) attend_pack_bf16(a, a->key, k);
    LwAccessor from = a->bf16 ? (LwAccessor){a->key, DT_I32} : (LwAccessor){k, DT_F32};
    Value *panel = attend_whole_panels(a, slot), *lane = lb_and(b, slot, lb_i64(b, ATTEND_PANEL - 1));
    LwAccessor to = lw_accessor_from(a->l, panels, lb_add(b, lb_muli(b, panel, a->depth), lane));
    TILES_OF (a->l, c, a->depth, 1, UNROLL)
        for (int j = 0; j < c.count; j++) {
            Value *at = lb_addi(b, c.at, j);
            lw_accessor_store(a->l, to, lb_muli(b, at, ATTEND_PANEL), lw_accessor_load1(a->l, from, at), 0);
        }
}

KeyValues attend_own_scratch(const Attend *a, int64_t tokens) {
    Lower *l = a->l;
    KeyValues own = {.k = {lw_scratch(l, padded(tokens) * a->depth * 4), a->bf16 ? DT_I32 : DT_F32}};
    if (!a->bf16) return own;
    LwAccessor v = {lw_scratch(l, value_rows(true, tokens) * a->width * 4), DT_I32};
    own.v = mat_of(l, v, a->width);
    return own;
}

KeyValues attend_own(const Attend *a, const KeyValues *scratch, Value *lo, Value *hi, Value *kv) {
    LB *b = a->b;
    Value *v = a->op->in[2], *at = lb_offset(b, lw_row_ptr(a->l, v, lo), lb_muli(b, kv, a->p * 4));
    Mat values = mat_fixed(a->l, at, lw_row_stride(a->l, v));
    KeyValues own = *scratch;
    KFOR (b, row, lo, hi, 1) put_key(a, own.k, lb_sub(b, row, lo), row, kv);
    if (a->bf16)
        attend_put_values(a, own.v, values, lb_sub(b, hi, lo));
    else
        own.v = values;
    return own;
}

static void put_value(const Attend *a, Mat values, Value *slot, Value *row, Value *kv) {
    LB *b = a->b;
    Value *from = lb_muli(b, kv, a->p);
    LW_SPAN (a->l, row, NULL, 1, a->p, ix) {
        Value *x = lw_read_flat(a->l, a->op->in[2], row, lb_add(b, from, ix.i), ix.n);
        mat_store(a->l, values, slot, ix.i, x, ix.n);
    }
}

/* A ring that a chunk may go around is small, and always in use. */
static bool grows(const Op *op, const LowerTarget *t) {
    return attr_int(op, "window", 0) <= 0 || attr_int(op, "context", 0) > t->chunk;
}

static void clear(const Attend *a, LwAccessor c, int64_t n) {
    LB *b = a->b;
    KFOR (b, i, lb_i64(b, 0), lb_i64(b, n), b->lanes)
        lb_store(b, c.dt, c.p, i, lb_splat(b, c.dt == DT_I32 ? lb_i32(b, 0) : lb_f32(b, 0)), 0);
}

/* The first key of a panel finds any bytes in it: they are cleared, so that what is in use is known. */
static void begin_panel(const Attend *a, const KeyValues *cache, Value *slot, Value *position) {
    LB *b = a->b;
    Value *first = lb_cmp(b, "eq", lb_and(b, slot, lb_i64(b, ATTEND_PANEL - 1)), lb_i64(b, 0));
    if (a->window > 0) first = lb_and(b, first, lb_cmp(b, "lt", position, lb_i64(b, a->context)));
    lb_if_begin(b, first);
    clear(a, lw_accessor_from(a->l, cache->k, lb_muli(b, slot, a->depth)), ATTEND_PANEL * a->depth);
    if (a->bf16) {
        Mat v = mat_from(a->l, cache->v, attend_bf16_row(a, slot));
        clear(a, v.m, ATTEND_HALF * a->p);
    }
    lb_if_end(b);
}

void attend_keep(const Attend *a, Value *lo, Value *hi) {
    LB *b = a->b;
    Lower *l = a->l;
    Value *first = l->row_lo;
    if (l->form != FORM_STEP && !grows(a->op, l->t)) /* of one slot's tokens, the last */
        first = lb_max(b, first, lb_addi(b, l->rows, -a->context));
    KFOR (b, row, first, l->row_hi, 1) {
        Value *position = lw_position(l, row), *slot = lb_rem(b, position, lb_i64(b, a->context));
        KFOR (b, kv, lo, hi, 1) {
            KeyValues cache = attend_cached(a, row, kv);
            if (grows(a->op, l->t)) begin_panel(a, &cache, slot, position);
            put_key(a, cache.k, slot, row, kv);
            (a->bf16 ? attend_put_value : put_value)(a, cache.v, slot, row, kv);
        }
    }
}

static int64_t depth_of(const Op *op) { /* numbers, padding of a pair included */
    int64_t d = op->in[1]->type.dim[1];
    return attend_in_bf16(op) ? attend_round_up(d, 2) : d;
}

int64_t attend_state_elements(const Op *op, int slot, const LowerTarget *t) {
    (void)t;
    Type k = op->in[1]->type, v = op->in[2]->type;
    int64_t context = attr_int(op, "context", 0);
    if (slot == 0) return k.dim[0] * padded(context) * depth_of(op);
    bool bf16 = attend_in_bf16(op);
    return v.dim[0] * value_rows(bf16, context) * (bf16 ? 2 : 1) * v.dim[1];
}

/* Keys come in whole panels, and values that are pairs with them. */
bool attend_state_use(const Op *op, int slot, const LowerTarget *t, StateUse *out) {
    bool panels = slot == 0 || attend_in_bf16(op);
    *out = (StateUse){.pieces = op->in[1]->type.dim[0], .tokens = panels ? ATTEND_PANEL : 1};
    out->elements = (slot ? op->in[2]->type.dim[1] : depth_of(op)) * out->tokens;
    out->most = attr_int(op, "context", 0);
    return grows(op, t);
}

/* Where number i of key s lies in a head's panels. */
static int64_t key_at(const Op *op, int64_t s, int64_t i) {
    int64_t panel = s / ATTEND_PANEL * ATTEND_PANEL * depth_of(op), lane = s % ATTEND_PANEL;
    if (!attend_in_bf16(op)) return panel + i * ATTEND_PANEL + lane;
    return panel + (i / 2 * ATTEND_PANEL + lane) * 2 + i % 2;
}

static int64_t value_at(const Op *op, int64_t s, int64_t i) {
    int64_t p = op->in[2]->type.dim[1], lane = s % ATTEND_PANEL;
    if (!attend_in_bf16(op)) return s * p + i;
    int64_t row = s / ATTEND_PANEL * ATTEND_HALF + lane % ATTEND_HALF;
    return (row * p + i) * 2 + lane / ATTEND_HALF;
}

/* To k[context,g,d] and v[context,g,p]. */
void attend_state_unpack(const Op *op, int slot, const LowerTarget *t, int64_t position,
                         const float *physical, double *logical) {
    (void)position;
    Type ty = op->in[slot ? 2 : 1]->type;
    int64_t context = attr_int(op, "context", 0), g = ty.dim[0], d = ty.dim[1];
    int64_t head = attend_state_elements(op, slot, t) / g;
    for (int64_t s = 0; s < context; s++)
        for (int64_t j = 0; j < g; j++)
            for (int64_t i = 0; i < d; i++) {
                int64_t at = slot ? value_at(op, s, i) : key_at(op, s, i);
                logical[(s * g + j) * d + i] = physical[j * head + at];
            }
}
