/* Loops of rope: ir/ops/rope.c says what they compute. */
#include "ops/rope.h"
#include "kernels/ops/turn.h"
#include "ops/common.h"

static const double TWO_PI = 6.283185307179586476925;

/* sin and cos of a row's angles are made once and shared by this thread's heads. */
typedef struct Rope {
    Turn turn;
    double scale;
    Value *turns; /* f64, an entry each of the tables: frequency / 2 pi */
} Rope;

/* The `constant` that the frequencies come from, also when hoist-constants has moved it away; NULL: they are
 * computed or in the checkpoint. Its doubles matter: rounded to f32 they turn far positions elsewhere. */
static const Op *freqs_constant(const Rope *r) {
    const Op *op = r->turn.op->in[2]->def;
    if (op->def == OP_TABLE[OP_derived]) {
        const Func *g = ir_func_find(r->turn.op->parent->func->module, attr_str(op, "func", ""));
        int64_t index = attr_int(op, "index", 0);
        if (!g || index >= g->nresults || !g->results[index]->def) return NULL;
        op = g->results[index]->def;
    }
    return op->def == OP_TABLE[OP_constant] ? op : NULL;
}

static void fill_turns(Rope *r) {
    LB *b = r->turn.b;
    int64_t n = turn_entries(&r->turn);
    const Op *known = freqs_constant(r);
    if (known) {
        const Attr *t = attr_find(known->attrs, "values");
        for (int64_t j = 0; j < n; j++) {
            double freq = t->floats[r->turn.pairs ? j / 2 : j];
            lb_store(b, DT_F64, r->turns, lb_i64(b, j), lb_f64(b, freq / TWO_PI), 0);
        }
        return;
    }
    KFOR (b, j, lb_i64(b, 0), lb_i64(b, n), 1) {
        Value *i = r->turn.pairs ? lb_shr(b, j, lb_i64(b, 1)) : j;
        Value *freq = lb_cast(b, lw_read1(r->turn.l, r->turn.op->in[2], NULL, i), DT_F64);
        lb_store(b, DT_F64, r->turns, j, lb_mul(b, freq, lb_f64(b, 1 / TWO_PI)), 0);
    }
}

/* f64, exact: counted by the runtime, or whatever the operand says. */
static Value *row_position(Rope *r, Value *row) {
    Lower *l = r->turn.l;
    Value *pos = r->turn.op->in[1];
    const Value *base = value_base(pos, NULL);
    bool counted = base->def && base->def->def == OP_TABLE[OP_position];
    return lb_cast(&l->b, counted ? lw_position(l, row) : lw_read1(l, pos, row, lb_i64(&l->b, 0)), DT_F64);
}

/* Whole turns go away in f64; what is left, |angle| <= pi, fits f32. */
static void fill_tables(Rope *r, Value *row) {
    LB *b = r->turn.b;
    Value *pos = row_position(r, row), *scale = lb_f32(b, r->scale);
    LW_SPAN (r->turn.l, row, NULL, 1, turn_entries(&r->turn), ix) {
        Value *t = lb_mul(b, lb_load(b, DT_F64, b->lanes, r->turns, ix.i, ix.n), pos);
        Value *angle = lb_cast(b, lb_mul(b, lb_sub(b, t, lb_round(b, t)), lb_f64(b, TWO_PI)), DT_F32);
        lb_store(b, DT_F32, r->turn.co, ix.i, lb_mul(b, lb_cos(b, angle), scale), ix.n);
        lb_store(b, DT_F32, r->turn.si, ix.i, lb_mul(b, lb_sin(b, angle), scale), ix.n);
    }
}

static void lower_rope(Lower *l, Op *op) {
    int64_t planes = rope_dims(op) / 2;
    bool pairs = strcmp(attr_str(op, "layout", "half"), "half") != 0;
    Rope r = {.turn = turn_new(l, op, planes, pairs, planes), .scale = attr_float(op, "scale", 1)};
    r.turns = lw_scratch(l, turn_entries(&r.turn) * 8);
    fill_turns(&r);
    LW_ROWS (l, row) {
        fill_tables(&r, row);
        LW_UNITS (l, head) turn_head(&r.turn, row, head);
    }
}

static void access_rope(const Op *op, Form form, Access *a) {
    (void)form;
    *a = (Access){.split = SPLIT_FLAT, .units = op->in[0]->type.dim[0], .rows = true};
    a->all[1] = a->all[2] = true;
}

const OpLowering lowering_rope = {
    .lower = lower_rope,
    .access = access_rope,
};
