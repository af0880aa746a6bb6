/* States in memory: accessors of a storage type, slots that a chunk stages in f32, and reading a block from
 * outside. */
#include "btc_call.h"
#include "lower.h"
#include "module.h"

#include <string.h>

/* ---- accessors ---- */

LwAccessor lw_accessor_from(Lower *l, LwAccessor c, Value *element) {
    LB *b = &l->b;
    return (LwAccessor){lb_offset(b, c.p, lb_muli(b, element, (int64_t)dtype_size(c.dt))), c.dt};
}

Value *lw_accessor_load(Lower *l, LwAccessor c, Value *at, int n) {
    return lb_load(&l->b, c.dt, l->b.lanes, c.p, at, n);
}

Value *lw_accessor_load1(Lower *l, LwAccessor c, Value *at) {
    return lb_load(&l->b, c.dt, 0, c.p, at, 0);
}

void lw_accessor_store(Lower *l, LwAccessor c, Value *at, Value *v, int n) {
    lb_store(&l->b, c.dt, c.p, at, v, n);
}

/* ---- staged slots ---- */

static bool is_narrow(const Lower *l, const Op *op) {
    return op_state_dtype(op, l->t->state_dt) != DT_F32;
}

LwStaged lw_staged_new(Lower *l, const Op *op, int slot, int64_t most) {
    LwStaged h = {.l = l, .op = op, .slot = slot};
    if (l->form == FORM_CHUNK && is_narrow(l, op)) h.scratch = lw_scratch(l, most * 4);
    return h;
}

LwStaged lw_staged_rows_new(Lower *l, const Op *op, int slot, int64_t most) {
    LwStaged h = lw_staged_new(l, op, slot, most);
    h.each = l->form == FORM_STEP && is_narrow(l, op);
    if (h.each) h.scratch = lw_scratch(l, most * 4);
    return h;
}

/* Element `lo` of the slot is the first of the scratch. */
static LwAccessor in_scratch(const LwStaged *h) {
    LB *b = &h->l->b;
    return (LwAccessor){lb_offset(b, h->scratch, lb_muli(b, h->lo, -4)), DT_F32};
}

static void copy(const LwStaged *h, LwAccessor to, LwAccessor from) {
    Lower *l = h->l;
    LB *b = &l->b;
    int64_t w = b->lanes;
    Value *vectors = lb_div(b, lb_sub(b, h->hi, h->lo), lb_i64(b, w));
    Value *full = lb_add(b, h->lo, lb_muli(b, vectors, w));
    KFOR (b, i, h->lo, full, w) lw_accessor_store(l, to, i, lw_accessor_load(l, from, i, 0), 0);
    KFOR (b, i, full, h->hi, 1) lw_accessor_store(l, to, i, lw_accessor_load1(l, from, i), 0);
}

void lw_staged_begin(LwStaged *h, Value *lo, Value *hi) {
    h->lo = lo, h->hi = hi;
    if (h->scratch && !h->each) copy(h, in_scratch(h), lw_state(h->l, h->op, h->slot, h->l->row_lo));
}

void lw_staged_row_begin(const LwStaged *h, Value *row) {
    if (h->each) copy(h, in_scratch(h), lw_state(h->l, h->op, h->slot, row));
}

LwAccessor lw_staged(const LwStaged *h, Value *row) {
    return h->scratch ? in_scratch(h) : lw_state(h->l, h->op, h->slot, row);
}

void lw_staged_row_end(const LwStaged *h, Value *row) {
    if (h->each) copy(h, lw_state(h->l, h->op, h->slot, row), in_scratch(h));
}

void lw_staged_end(const LwStaged *h) {
    if (h->scratch && !h->each) copy(h, lw_state(h->l, h->op, h->slot, h->l->row_lo), in_scratch(h));
}

/* ---- from outside ---- */

void state_slot_read(Arena *a, const BlockCall *call, int k, const LowerTarget *t, const void *block,
                     double *out) {
    const FuncPlan *p = call->plan;
    int slot;
    const Op *op = state_slot_owner(p->f, k, &slot);
    const char *from = (const char *)block + BTC_STATE_HEADER + call->state + p->state_offset[k];
    bool as_is = !op || !plan_lowering(p, op)->state_unpack;
    int64_t n = state_slot_elements(p, k, t);
    DType dt = state_slot_dtype(p, k, t);
    float *wide = as_is ? NULL : ARENA_ARRAY(a, float, n);
    btc_state_header header; /* copied: a block may lie at any address */
    memcpy(&header, block, sizeof header);
    StateUse use;
    bool grows = state_slot_use(p, k, t, &use);
    int64_t piece = grows ? n / use.pieces : n, used = grows ? state_used(&use, header.position) : n;
    for (int64_t i = 0; i < n; i++) {
        double x = i % piece < used ? dtype_load(dt, from, i) : 0;
        if (as_is)
            out[i] = x;
        else
            wide[i] = (float)x;
    }
    if (!as_is) plan_lowering(p, op)->state_unpack(op, slot, t, header.position, wide, out);
}
