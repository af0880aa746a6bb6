/* Loops of rope: ir/ops/rope.c says what they compute. */
#include "ops/rope.h"
#include "kernels/lower.h"
#include "ops/common.h"

static const double TWO_PI = 6.283185307179586476925;

/* sin and cos of a row's angles are made once in scratch and shared by this thread's heads. A table has one
 * entry per pair (half), or one per component (pairs), where each angle stands twice. */
typedef struct Rope {
    Lower *l;
    LB *b;
    Op *op;
    int64_t h, d, dims, n; /* n: entries of a table */
    bool pairs;
    double scale;
    Value *turns;   /* f64 [n]: frequency / 2 pi */
    Value *co, *si; /* f32 [n] */
    Value *head;    /* pairs: [lanes + dims + lanes], a head with room on both sides */
} Rope;

/* The `constant` that the frequencies come from, also when hoist-constants has moved it away; NULL: they are
 * computed or in the checkpoint. Its doubles matter: rounded to f32 they turn far positions elsewhere. */
static const Op *freqs_constant(const Rope *r) {
    const Op *op = r->op->in[2]->def;
    if (op->def == OP_TABLE[OP_derived]) {
        const Func *g = ir_func_find(r->op->parent->func->module, attr_str(op, "func", ""));
        int64_t index = attr_int(op, "index", 0);
        if (!g || index >= g->nresults || !g->results[index]->def) return NULL;
        op = g->results[index]->def;
    }
    return op->def == OP_TABLE[OP_constant] ? op : NULL;
}

static void fill_turns(Rope *r) {
    LB *b = r->b;
    const Op *known = freqs_constant(r);
    if (known) {
        const Attr *t = attr_find(known->attrs, "values");
        for (int64_t j = 0; j < r->n; j++) {
            double freq = t->floats[r->pairs ? j / 2 : j];
            lb_store(b, DT_F64, r->turns, lb_i64(b, j), lb_f64(b, freq / TWO_PI), 0);
        }
        return;
    }
    KFOR (b, j, lb_i64(b, 0), lb_i64(b, r->n), 1) {
        Value *i = r->pairs ? lb_shr(b, j, lb_i64(b, 1)) : j;
        Value *freq = lb_cast(b, lw_read1(r->l, r->op->in[2], NULL, i), DT_F64);
        lb_store(b, DT_F64, r->turns, j, lb_mul(b, freq, lb_f64(b, 1 / TWO_PI)), 0);
    }
}

/* f64, exact: counted by the runtime, or whatever the operand says. */
static Value *row_position(Rope *r, Value *row) {
    const Value *base = lw_base(r->op->in[1], NULL);
    bool counted = base->def && base->def->def == OP_TABLE[OP_position];
    Value *pos = counted ? lw_position(r->l, row) : lw_read1(r->l, r->op->in[1], row, lb_i64(r->b, 0));
    return lb_cast(r->b, pos, DT_F64);
}

/* Whole turns go away in f64; what is left, |angle| <= pi, fits f32. */
static void fill_tables(Rope *r, Value *row) {
    LB *b = r->b;
    Value *pos = row_position(r, row), *scale = lb_f32(b, r->scale);
    LW_SPAN (r->l, row, NULL, 1, r->n, ix) {
        Value *t = lb_mul(b, lb_load(b, DT_F64, b->lanes, r->turns, ix.i, ix.n), pos);
        Value *angle = lb_cast(b, lb_mul(b, lb_sub(b, t, lb_round(b, t)), lb_f64(b, TWO_PI)), DT_F32);
        lb_store(b, DT_F32, r->co, ix.i, lb_mul(b, lb_cos(b, angle), scale), ix.n);
        lb_store(b, DT_F32, r->si, ix.i, lb_mul(b, lb_sin(b, angle), scale), ix.n);
    }
}

/* Element `from` + i of a head, as the stage's shape sees it. */
static Ix head_ix(const Rope *r, const Ix *span, Value *head, int64_t from) {
    Ix ix = {.row = span->row, .o = r->h > 1 ? head : NULL, .n = span->n, .O = r->h, .I = r->d};
    ix.i = lb_addi(r->b, span->i, from);
    return ix;
}

static Value *table(const Rope *r, Value *p, const Ix *span) {
    return lb_load(r->b, DT_F32, r->b->lanes, p, span->i, span->n);
}

static void turn_halves(Rope *r, Value *row, Value *head) {
    LB *b = r->b;
    LW_SPAN (r->l, row, NULL, 1, r->n, ix) {
        Ix lo = head_ix(r, &ix, head, 0), hi = head_ix(r, &ix, head, r->n);
        Value *x = lw_read(r->l, r->op->in[0], &lo), *y = lw_read(r->l, r->op->in[0], &hi);
        Value *co = table(r, r->co, &ix), *si = table(r, r->si, &ix);
        lw_write(r->l, r->op->out[0], &lo, lb_fma(b, x, co, lb_neg(b, lb_mul(b, y, si))));
        lw_write(r->l, r->op->out[0], &hi, lb_fma(b, y, co, lb_mul(b, x, si)));
    }
}

/* y_j = x_j cos + x_(j xor 1) (+-sin): neighbours are loads one element aside, from a copy of the head. */
static void turn_pairs(Rope *r, Value *row, Value *head) {
    LB *b = r->b;
    int w = b->lanes;
    LW_SPAN (r->l, row, NULL, 1, r->n, ix) {
        Ix at = head_ix(r, &ix, head, 0);
        lb_store(b, DT_F32, r->head, lb_addi(b, ix.i, w), lb_splat(b, lw_read(r->l, r->op->in[0], &at)),
                 ix.n);
    }
    Value *odd = lb_cmp(b, "ne", lb_and(b, lb_iota(b), lb_i32(b, 1)), lb_i32(b, 0));
    LW_SPAN (r->l, row, NULL, 1, r->n, ix) {
        Ix at = head_ix(r, &ix, head, 0);
        Value *x = lb_load(b, DT_F32, w, r->head, lb_addi(b, ix.i, w), 0);
        Value *before = lb_load(b, DT_F32, w, r->head, lb_addi(b, ix.i, w - 1), 0);
        Value *after = lb_load(b, DT_F32, w, r->head, lb_addi(b, ix.i, w + 1), 0);
        Value *si = table(r, r->si, &ix), *other = lb_select(b, odd, before, lb_neg(b, after));
        lw_write(r->l, r->op->out[0], &at, lb_fma(b, x, table(r, r->co, &ix), lb_mul(b, other, si)));
    }
}

static void lower_rope(Lower *l, Op *op) {
    LB *b = &l->b;
    Type ty = op->in[0]->type;
    Rope r = {.l = l, .b = b, .op = op, .h = ty.dim[0], .d = ty.dim[1], .dims = rope_dims(op)};
    r.pairs = strcmp(attr_str(op, "layout", "half"), "half") != 0;
    r.n = r.pairs ? r.dims : r.dims / 2;
    r.scale = attr_float(op, "scale", 1);
    r.turns = lw_scratch(l, r.n * 8);
    r.co = lw_scratch(l, r.n * 4), r.si = lw_scratch(l, r.n * 4);
    if (r.pairs) r.head = lw_scratch(l, (r.dims + 2 * b->lanes) * 4);
    fill_turns(&r);
    LW_ROWS (l, row) {
        fill_tables(&r, row);
        LW_UNITS (l, head) {
            if (r.pairs)
                turn_pairs(&r, row, head);
            else
                turn_halves(&r, row, head);
            LW_SPAN (l, row, NULL, 1, r.d - r.dims, ix) {
                Ix at = head_ix(&r, &ix, head, r.dims);
                lw_write(l, op->out[0], &at, lw_read(l, op->in[0], &at));
            }
        }
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
