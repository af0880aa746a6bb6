/* The lowering API: see lower.h. Here: loops over a thread's share, reading and writing values, state. */
#include "lower.h"

#include <string.h>

#include "btc_call.h"
#include "plan/stage.h"

/* ---- loops ---- */

static bool whole_channels(const Lower *l) {
    return l->stage->axis != AXIS_CHANNELS;
}

void lw_range(Lower *l, int64_t n, Value **lo, Value **hi) {
    LB *b = &l->b;
    if (whole_channels(l)) {
        *lo = lb_i64(b, 0), *hi = lb_i64(b, n);
        return;
    }
    int64_t g = l->stage->grain;
    *lo = lb_muli(b, l->unit_lo, g);
    *hi = lb_muli(b, l->unit_hi, g);
    if (l->stage->units * g != n) {
        *lo = lw_min_i64(l, *lo, lb_i64(b, n));
        *hi = lw_min_i64(l, *hi, lb_i64(b, n));
    }
}

LwEach lw_each(Lower *l, Value *row) {
    LB *b = &l->b;
    const Stage *s = l->stage;
    LwEach e = {.l = l, .at = {.row = row, .O = s->O, .I = s->I}};
    e.olo = lb_i64(b, 0), e.ohi = lb_i64(b, s->O), e.ilo = lb_i64(b, 0), e.ihi = lb_i64(b, s->I);
    if (whole_channels(l)) return e;
    if (s->access.split == SPLIT_INNER || s->O == 1) {
        lw_range(l, s->I, &e.ilo, &e.ihi);
    } else {
        if (s->O % s->units)
            BTC_BUG("stage %s: %lld units over %lld heads", s->name, (long long)s->units, (long long)s->O);
        e.olo = lb_muli(b, l->unit_lo, s->O / s->units);
        e.ohi = lb_muli(b, l->unit_hi, s->O / s->units);
    }
    return e;
}

LwEach lw_part(Lower *l, Value *row, Value *lo, Value *hi) {
    const Stage *s = l->stage;
    if (s->O != 1) BTC_BUG("stage %s: a part of %lld rows", s->name, (long long)s->O);
    LwEach e = {.l = l, .at = {.row = row, .O = 1, .I = s->I}};
    e.ilo = lo, e.ihi = hi;
    return e;
}

LwEach lw_span(Lower *l, Value *row, Value *o, int64_t O, int64_t n) {
    LB *b = &l->b;
    LwEach e = {.l = l, .at = {.row = row, .o = o, .O = O, .I = n}};
    e.ilo = lb_i64(b, 0), e.ihi = lb_i64(b, n);
    return e;
}

/* Phase 0 opens the loop over full vectors, phase 1 the tail, phase 2 closes. */
bool lw_each_next(LwEach *e) {
    LB *b = &e->l->b;
    int64_t w = b->lanes, full = e->at.I / w * w, tail = e->at.I - full, known;
    bool whole = lb_const(e->ihi, &known) && known == e->at.I;
    if (e->phase == 0) {
        if (e->olo && e->at.O > 1) e->at.o = lb_for_begin(b, e->olo, e->ohi, 1);
        e->phase = 1;
        if (full) {
            Value *hi = whole ? lb_i64(b, full) : lw_min_i64(e->l, e->ihi, lb_i64(b, full));
            e->at.i = lb_for_begin(b, e->ilo, hi, w);
            e->at.n = 0;
            return true;
        }
    } else if (e->phase == 1) {
        lb_for_end(b); /* of the full vectors */
    } else {
        if (!whole) {
            lb_if_end(b);
            lb_if_end(b);
        }
        if (e->olo && e->at.O > 1) lb_for_end(b);
        return false;
    }
    e->phase = 2;
    if (!tail) { /* nothing is open but the loop over o */
        if (e->olo && e->at.O > 1) lb_for_end(b);
        return false;
    }
    /* the tail belongs to the thread whose range holds it */
    if (!whole) {
        lb_if_begin(b, lb_cmp(b, "lt", e->ilo, e->ihi));
        lb_if_begin(b, lb_cmp(b, "eq", e->ihi, lb_i64(b, e->at.I)));
    }
    e->at.i = lb_i64(b, full);
    e->at.n = (int)tail;
    return true;
}

LwOuter lw_outer(Lower *l) {
    return (LwOuter){.l = l};
}

bool lw_outer_next(LwOuter *e) {
    LB *b = &e->l->b;
    const Stage *s = e->l->stage;
    if (e->phase++) {
        if (e->o) lb_for_end(b);
        return false;
    }
    if (s->O == 1) return true;
    Value *lo = lb_i64(b, 0), *hi = lb_i64(b, s->O);
    if (!whole_channels(e->l)) {
        lo = lb_muli(b, e->l->unit_lo, s->O / s->units);
        hi = lb_muli(b, e->l->unit_hi, s->O / s->units);
    }
    e->o = lb_for_begin(b, lo, hi, 1);
    return true;
}

/* ---- addresses ---- */

Value *lw_min_i64(Lower *l, Value *x, Value *y) {
    int64_t p, q;
    if (lb_const(x, &p) && lb_const(y, &q)) return p < q ? x : y;
    return lb_min(&l->b, x, y);
}

Value *lw_zero(Lower *l) {
    return lb_splat(&l->b, lb_f32(&l->b, 0));
}

/* Fields take eight bytes, whatever a pointer takes. */
Value *lw_call_pointer(LB *b, Value *call, int field) {
    return lb_loadp(b, lb_offseti(b, call, 8 * field), lb_i64(b, 0));
}

static Value *call_field(Lower *l, int index) {
    return lw_call_pointer(&l->b, l->call, index);
}

/* The first row's address of a value that is stored. */
static Value *memory_of(Lower *l, const ValueInfo *i, const char *name) {
    LB *b = &l->b;
    switch (i->space) {
    case SPACE_SHARED:
        return lb_offseti(b, l->work, l->plan->shared_base + i->offset);
    case SPACE_WORKER:
        return lb_offseti(b, l->worker_memory, l->plan->worker_base + i->offset);
    case SPACE_ARGUMENT:
        return l->io[i->io];
    case SPACE_INPUT:
        return call_field(l, BTC_CALL_INPUT);
    case SPACE_OUTPUT:
        if (i->io == 0) return call_field(l, BTC_CALL_OUTPUT);
        return lb_loadp(b, call_field(l, BTC_CALL_PROBES), lb_i64(b, i->io - 1));
    case SPACE_NONE:
        break;
    }
    BTC_BUG("%%%s is read but not stored", name);
}

static Value *row_base(Lower *l, Value *base, Value *row) {
    LB *b = &l->b;
    const ValueInfo *i = value_info(base);
    if (i->space == SPACE_OUTPUT) row = lb_sub(b, row, l->out_begin);
    return lb_offset(b, memory_of(l, i, base->name), lb_muli(b, row, i->stride * 4));
}

Value *lw_row_ptr(Lower *l, Value *v, Value *row) {
    int64_t offset;
    Value *base = value_base(v, &offset);
    return lb_offseti(&l->b, row_base(l, base, row), offset * 4);
}

int64_t lw_row_stride(Lower *l, Value *v) {
    (void)l;
    return value_info(value_base(v, NULL))->stride;
}

Value *lw_position(Lower *l, Value *row) {
    LB *b = &l->b;
    Value *states = call_field(l, BTC_CALL_STATES);
    Value *state = lb_loadp(b, states, l->form == FORM_STEP ? row : lb_i64(b, 0));
    Value *pos = lb_load(b, DT_I64, 0, state, lb_i64(b, BTC_STATE_POSITION), 0);
    return l->form == FORM_STEP ? pos : lb_add(b, pos, row);
}

LwAccessor lw_state(Lower *l, const Op *op, int slot, Value *row) {
    LB *b = &l->b;
    int first = op->nin - op_state_count(op->def);
    const State *s = ir_state_of(l->plan->f, op->in[first + slot]);
    int64_t at = l->plan->state_offset[s - l->plan->f->states];
    DType dt = op_state_dtype(op, l->t->state_dt);
    Value *state = lb_loadp(b, call_field(l, BTC_CALL_STATES), l->form == FORM_STEP ? row : lb_i64(b, 0));
    return (LwAccessor){lb_offset(b, state, lb_addi(b, l->state_base, BTC_STATE_HEADER + at)), dt};
}

Value *lw_scratch(Lower *l, int64_t bytes) {
    int64_t at = l->scratch_used;
    l->scratch_used += (bytes + 63) / 64 * 64;
    if (l->scratch_used > l->scratch_peak) l->scratch_peak = l->scratch_used;
    return lb_offseti(&l->b, l->worker_memory, l->plan->worker_base + l->plan->worker_bytes + at);
}

static Op *leaf_of(const Value *v) {
    while (v->def->def == OP_TABLE[OP_reshape]) v = v->def->in[0];
    return v->def;
}

const NumberFormat *lw_format(const Lower *l, const Value *v) {
    return pack_format(leaf_of(v), l->t);
}

/* The stage reads this item: the schedule says so. */
static void note_weight(Lower *l, int item) {
    Stage *s = l->stage;
    for (int i = 0; i < s->nweights; i++)
        if (s->weights[i] == item) return;
    ARENA_PUSH(l->arena, s->weights, s->nweights, s->weights_cap, item);
}

Value *lw_weight(Lower *l, Value *v, PackKind kind, const NumberFormat **f) {
    const PackItem *i = pack_item(l->packs, leaf_of(v), kind);
    note_weight(l, (int)(i - l->packs->items));
    if (f) *f = i->format;
    return lb_offseti(&l->b, l->w, i->offset);
}

/* ---- values ---- */

static Value *flat_index(Lower *l, const Ix *ix) {
    return ix->o ? lb_add(&l->b, lb_muli(&l->b, ix->o, ix->I), ix->i) : ix->i;
}

static Value *read_constant_scalar(Lower *l, Value *v) {
    const Attr *t = attr_find(v->def->attrs, "values");
    if (v->def->def != OP_TABLE[OP_constant] || !t) return NULL;
    if (t->kind == AT_FLOATS && t->n == 1) return lb_f32(&l->b, t->floats[0]);
    if (t->kind == AT_INTS && t->n == 1) return lb_f32(&l->b, (double)t->ints[0]);
    if (t->kind == AT_FLOAT) return lb_f32(&l->b, t->f);
    if (t->kind == AT_INT) return lb_f32(&l->b, (double)t->i);
    return NULL;
}

/* Address of the row (or of a constant's first element) and the storage type. */
static Value *source(Lower *l, Value *v, Value *row, DType *dt) {
    *dt = value_is_constant(v) ? DT_F32 : v->type.dt;
    if (value_is_constant(v)) return lw_weight(l, v, PACK_ROWS, NULL);
    return lw_row_ptr(l, v, row);
}

static Value *in_flight(Lower *l, Value *v) {
    ValueInfo *i = value_info(v);
    return i && i->flight && i->flight_gen == l->plan->gen ? i->flight : NULL;
}

/* The position, or a view of it: it lies in no memory, and has one element. */
static bool is_position(Value *v) {
    const Value *base = value_base(v, NULL);
    return base->def && base->def->def == OP_TABLE[OP_position];
}

/* The vector of v at ix, in v's own type. */
static Value *read_typed(Lower *l, Value *v, const Ix *ix) {
    LB *b = &l->b;
    if (is_position(v)) return lb_cast(b, lw_position(l, ix->row), DT_I32);
    if (value_is_constant(v)) {
        Value *c = read_constant_scalar(l, v);
        if (c) return c;
    } else {
        Value *flight = in_flight(l, value_base(v, NULL));
        if (flight) return flight;
    }
    int64_t n = type_count(v->type);
    DType dt;
    Value *p = source(l, v, ix->row, &dt), *x;
    if (n == ix->O * ix->I)
        x = lb_load(b, dt, b->lanes, p, flat_index(l, ix), ix->n);
    else if (n == 1)
        x = lb_load(b, dt, 0, p, lb_i64(b, 0), 0);
    else if (v->type.rank && v->type.dim[v->type.rank - 1] == 1 && n == ix->O)
        x = lb_load(b, dt, 0, p, ix->o ? ix->o : lb_i64(b, 0), 0);
    else if (n == ix->I)
        x = lb_load(b, dt, b->lanes, p, ix->i, ix->n);
    else
        BTC_BUG("%%%s cannot be read in stage %s", v->name, l->stage->name);
    return x;
}

Value *lw_read(Lower *l, Value *v, const Ix *ix) {
    Value *x = read_typed(l, v, ix);
    return x->type.dt == DT_I32 ? lb_cast(&l->b, x, DT_F32) : x;
}

Value *lw_read1(Lower *l, Value *v, Value *row, Value *at) {
    if (is_position(v)) return lb_cast(&l->b, lw_position(l, row), DT_I32);
    if (value_is_constant(v)) {
        Value *c = read_constant_scalar(l, v);
        if (c) return c;
    }
    DType dt;
    Value *p = source(l, v, row, &dt);
    return lb_load(&l->b, dt, 0, p, at, 0);
}

Value *lw_read_flat(Lower *l, Value *v, Value *row, Value *at, int n) {
    if (is_position(v)) return lb_splat(&l->b, lw_read1(l, v, row, at));
    DType dt;
    Value *p = source(l, v, row, &dt);
    return lb_load(&l->b, dt, l->b.lanes, p, at, n);
}

static void store_if_needed(Lower *l, Value *v, const Ix *ix, Value *vec) {
    ValueInfo *i = value_info(v);
    i->flight = vec, i->flight_gen = l->plan->gen;
    if (!i->stored) return;
    /* a stage that must see every row has room in the output for the last ones only */
    bool some = i->space == SPACE_OUTPUT && !l->stage->out_rows;
    if (some) lb_if_begin(&l->b, lb_cmp(&l->b, "ge", ix->row, l->out_begin));
    lb_store(&l->b, v->type.dt, row_base(l, v, ix->row), flat_index(l, ix), vec, ix->n);
    if (some) lb_if_end(&l->b);
}

/* Computes and stores the elementwise ops of the stage at ix. */
void lower_epilogue(Lower *l, const Ix *ix) {
    const Stage *s = l->stage;
    Loc loc = l->b.loc;
    for (int k = 0; k < s->nepilogue; k++) {
        const Op *op = s->epilogue[k];
        Value *in[SIG_MAX] = {0};
        l->b.loc = op->loc;
        bool numbers = op->out[0]->type.dt == DT_F32; /* else a copy of i32, as they are */
        for (int i = 0; i < op->nin; i++) in[i] = (numbers ? lw_read : read_typed)(l, op->in[i], ix);
        store_if_needed(l, op->out[0], ix, lb_splat(&l->b, plan_lowering(l->plan, op)->elem(l, op, in)));
    }
    l->b.loc = loc;
}

void lw_write(Lower *l, Value *v, const Ix *ix, Value *vec) {
    l->plan->gen++;
    store_if_needed(l, v, ix, lb_splat(&l->b, vec));
    if (l->stage->anchor && v == l->stage->anchor->out[0]) lower_epilogue(l, ix);
    l->plan->gen++; /* nothing is at hand beyond this index */
}

void lw_write1(Lower *l, Value *v, Value *row, Value *at, Value *scalar) {
    if (value_info(v)->stored) lb_store(&l->b, v->type.dt, row_base(l, v, row), at, scalar, 0);
}

/* ---- small mathematics ---- */

Value *lw_sigmoid(Lower *l, Value *x) {
    LB *b = &l->b;
    Value *one = lb_f32(b, 1);
    return lb_div(b, one, lb_add(b, lb_exp(b, lb_neg(b, x)), one));
}
