/* Rows of a table by index. */
#include "common.h"
#include "kernels/lower.h"
#include "kernels/panel_read.h"

static void eval_embed(EvalCtx *c) {
    int64_t v = c->in[1].type.dim[0], d = c->in[1].type.dim[1];
    for (int64_t t = 0; t < c->in[0].rows; t++) {
        double id = c->in[0].data[t];
        if (!(id >= 0 && id < (double)v)) {
            c->error = arena_printf(c->scratch, "id %.0f of token %lld is outside 0..%lld", id,
                                    (long long)(c->pos + t), (long long)v - 1);
            return;
        }
        const double *row = c->in[1].data + (int64_t)id * d;
        for (int64_t i = 0; i < d; i++) c->out[0].data[t * d + i] = row[i];
    }
}

/* Only the rows that are asked for are read. */
static Cost cost_embed(const Op *op, int64_t rows) {
    Cost c = op_cost(op, rows, 0);
    c.weight_bytes = 4 * out_count(op) * (double)rows;
    return c;
}

static void access_embed(const Op *op, Form form, Access *a) {
    (void)op, (void)form;
    *a = (Access){.split = SPLIT_FLAT, .multiple = 16, .rows = true};
}

static bool is_also_a_matrix(const Op *embed) {
    OPS_OF (embed->parent, op) {
        if (op->def->pattern == PAT_CONTRACT && op->in[1] == embed->in[1]) return true;
    }
    return false;
}

/* Row `id` out of panels: one number at a time, as they lie apart. */
static void lower_embed_panels(Lower *l, Op *op) {
    LB *b = &l->b;
    Storage s;
    int64_t width = l->t->panel, d = op->in[1]->type.dim[1];
    Value *table = lw_weight(l, op->in[1], PACK_PANELS, &s), *row_of = lw_scratch(l, 4 * (d + b->lanes));
    LW_ROWS (l, row) {
        Value *id = lb_cast(b, lw_read1(l, op->in[0], row, lb_i64(b, 0)), DT_I64), *lo, *hi;
        Value *number = lb_div(b, id, lb_i64(b, width)), *lane = lb_rem(b, id, lb_i64(b, width));
        Value *panel = lb_offset(b, table, lb_muli(b, number, panel_bytes(s, d, width)));
        lw_range(l, d, &lo, &hi);
        panel_read(b, s, d, width, panel, lane, lo, hi, row_of);
        LW_EACH (l, row, ix) lw_write(l, op->out[0], &ix, lb_load(b, DT_F32, b->lanes, row_of, ix.i, ix.n));
    }
}

/* A tied table is also the head's matrix: then its panels serve both, and the weights exist once. Numbers in
 * blocks lie in panels, too. */
static void lower_embed(Lower *l, Op *op) {
    LB *b = &l->b;
    Storage s = lw_storage(l, op->in[1]);
    if (s.quant || is_also_a_matrix(op)) {
        lower_embed_panels(l, op);
        return;
    }
    Value *table = lw_weight(l, op->in[1], PACK_TABLE, &s);
    int64_t row_bytes = op->in[1]->type.dim[1] * (int64_t)dtype_size(s.dt);
    LW_ROWS (l, row) {
        Value *id = lb_cast(b, lw_read1(l, op->in[0], row, lb_i64(b, 0)), DT_I64);
        Value *from = lb_offset(b, table, lb_muli(b, id, row_bytes));
        LW_EACH (l, row, ix) lw_write(l, op->out[0], &ix, lb_load(b, s.dt, b->lanes, from, ix.i, ix.n));
    }
}

const OpDef op_embed = {
    .name = "embed",
    .pattern = PAT_GATHER,
    .doc = "One row of a table per id; an id outside the table is an error.",
    .formula = "y = table[id]",
    .source = "Bengio et al. 2003, A neural probabilistic language model, sec. 2",
    .sig = "ids:i32[t] table[v,d] -> y[t,d]",
    .eval = eval_embed,
    .access = access_embed,
    .lower = lower_embed,
    .cost = cost_embed,
};
