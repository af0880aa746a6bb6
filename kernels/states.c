/* States in memory: cells of a storage type, slots that a chunk holds in f32, and reading a block from
 * outside. */
#include "btc_call.h"
#include "lower.h"
#include "module.h"
#include "op_table.h"

#include <string.h>

/* ---- cells ---- */

LwCells lw_cells_from(Lower *l, LwCells c, Value *element) {
    LB *b = &l->b;
    return (LwCells){lb_offset(b, c.p, lb_muli(b, element, (int64_t)dtype_size(c.dt))), c.dt};
}

Value *lw_cells_load(Lower *l, LwCells c, Value *at, int n) {
    return lb_load(&l->b, c.dt, l->b.lanes, c.p, at, n);
}

Value *lw_cells_load1(Lower *l, LwCells c, Value *at) {
    return lb_load(&l->b, c.dt, 0, c.p, at, 0);
}

void lw_cells_store(Lower *l, LwCells c, Value *at, Value *v, int n) {
    lb_store(&l->b, c.dt, c.p, at, v, n);
}

/* ---- slots that are held ---- */

LwHeld lw_hold(Lower *l, const Op *op, int slot, int64_t most) {
    LwHeld h = {.l = l, .op = op, .slot = slot};
    if (l->form == FORM_CHUNK && l->t->state_dt != DT_F32) h.scratch = lw_scratch(l, most * 4);
    return h;
}

/* Element `lo` of the slot is the first of the scratch. */
static LwCells in_scratch(const LwHeld *h) {
    LB *b = &h->l->b;
    return (LwCells){lb_offset(b, h->scratch, lb_muli(b, h->lo, -4)), DT_F32};
}

static void copy(const LwHeld *h, LwCells to, LwCells from) {
    Lower *l = h->l;
    LB *b = &l->b;
    int64_t w = b->lanes;
    Value *vectors = lb_div(b, lb_sub(b, h->hi, h->lo), lb_i64(b, w));
    Value *full = lb_add(b, h->lo, lb_muli(b, vectors, w));
    KFOR (b, i, h->lo, full, w) lw_cells_store(l, to, i, lw_cells_load(l, from, i, 0), 0);
    KFOR (b, i, full, h->hi, 1) lw_cells_store(l, to, i, lw_cells_load1(l, from, i), 0);
}

void lw_hold_begin(LwHeld *h, Value *lo, Value *hi) {
    h->lo = lo, h->hi = hi;
    if (h->scratch) copy(h, in_scratch(h), lw_state(h->l, h->op, h->slot, h->l->row_lo));
}

LwCells lw_held(const LwHeld *h, Value *row) {
    return h->scratch ? in_scratch(h) : lw_state(h->l, h->op, h->slot, row);
}

void lw_hold_end(const LwHeld *h) {
    if (h->scratch) copy(h, lw_state(h->l, h->op, h->slot, h->l->row_lo), in_scratch(h));
}

/* ---- from outside ---- */

const Op *state_slot_owner(const Func *f, int k, int *slot) {
    OPS_OF (f->body, op) {
        int n = op->def->state ? op_state_count(op->def) : 0;
        for (int i = 0; i < n; i++)
            if (op->in[op->nin - n + i] == f->states[k].in) return *slot = i, op;
    }
    return NULL;
}

int64_t state_slot_elements(const Func *f, int k, const LowerTarget *t) {
    int slot;
    const Op *op = state_slot_owner(f, k, &slot);
    if (op && op_lowering(op->def)->state_elements) return op_lowering(op->def)->state_elements(op, slot, t);
    return type_count(f->states[k].type);
}

DType state_slot_dtype(const Func *f, int k, const LowerTarget *t) {
    int slot;
    const Op *op = state_slot_owner(f, k, &slot);
    return op ? op_state_dtype(op, t->state_dt) : t->state_dt;
}

bool state_slot_use(const Func *f, int k, const LowerTarget *t, StateUse *out) {
    int slot;
    const Op *op = state_slot_owner(f, k, &slot);
    return op && op_lowering(op->def)->state_use && op_lowering(op->def)->state_use(op, slot, t, out);
}

int64_t state_used(const StateUse *u, int64_t position) {
    int64_t n = u->ahead ? 1 : position;
    while (u->ahead && n <= position && n < u->most) n *= 2;
    if (n > u->most) n = u->most;
    return (n + u->tokens - 1) / u->tokens * u->elements;
}

void state_slot_read(Arena *a, const Instance *inst, int k, const LowerTarget *t, const void *block,
                     double *out) {
    const Func *f = inst->plan->f;
    int slot;
    const Op *op = state_slot_owner(f, k, &slot);
    const char *from = (const char *)block + BTC_STATE_HEADER + inst->state + inst->plan->state_offset[k];
    bool as_is = !op || !op_lowering(op->def)->state_unpack;
    int64_t n = state_slot_elements(f, k, t);
    DType dt = state_slot_dtype(f, k, t);
    float *wide = as_is ? NULL : ARENA_ARRAY(a, float, n);
    btc_state_header header; /* copied: a block may lie at any address */
    memcpy(&header, block, sizeof header);
    StateUse use;
    bool grows = state_slot_use(f, k, t, &use);
    int64_t piece = grows ? n / use.pieces : n, used = grows ? state_used(&use, header.position) : n;
    for (int64_t i = 0; i < n; i++) {
        double x = i % piece < used ? dtype_load(dt, from, i) : 0;
        if (as_is)
            out[i] = x;
        else
            wide[i] = (float)x;
    }
    if (!as_is) op_lowering(op->def)->state_unpack(op, slot, t, header.position, wide, out);
}
