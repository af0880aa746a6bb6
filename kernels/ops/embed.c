/* Loops of embed: ir/ops/embed.c says what they compute. */
#include "kernels/lower.h"
#include "kernels/panel_read.h"
#include "ops/common.h"

static void access_embed(const Op *op, Form form, Access *a) {
    (void)op, (void)form;
    *a = (Access){.split = SPLIT_FLAT, .rows = true};
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
    const NumberFormat *f;
    int64_t width = l->t->panel, d = op->in[1]->type.dim[1];
    Value *table = lw_weight(l, op->in[1], PACK_PANELS, &f), *row_of = lw_scratch(l, 4 * (d + b->lanes));
    LW_ROWS (l, row) {
        Value *id = lb_cast(b, lw_read1(l, op->in[0], row, lb_i64(b, 0)), DT_I64), *lo, *hi;
        Value *number = lb_div(b, id, lb_i64(b, width)), *lane = lb_rem(b, id, lb_i64(b, width));
        Value *panel = lb_offset(b, table, lb_muli(b, number, panel_bytes(f, d, width)));
        lw_range(l, d, &lo, &hi);
        panel_read(b, f, d, width, panel, lane, lo, hi, row_of);
        LW_EACH (l, row, ix) lw_write(l, op->out[0], &ix, lb_load(b, DT_F32, b->lanes, row_of, ix.i, ix.n));
    }
}

/* A tied table is also the head's matrix: then its panels serve both, and the weights exist once. Numbers in
 * blocks lie in panels, too. */
static void lower_embed(Lower *l, Op *op) {
    LB *b = &l->b;
    const NumberFormat *f = lw_format(l, op->in[1]);
    if (f->block || is_also_a_matrix(op)) {
        lower_embed_panels(l, op);
        return;
    }
    Value *table = lw_weight(l, op->in[1], PACK_TABLE, &f);
    int64_t row_bytes = op->in[1]->type.dim[1] * (int64_t)dtype_size(f->dt);
    LW_ROWS (l, row) {
        Value *id = lb_cast(b, lw_read1(l, op->in[0], row, lb_i64(b, 0)), DT_I64);
        Value *from = lb_offset(b, table, lb_muli(b, id, row_bytes));
        LW_EACH (l, row, ix) lw_write(l, op->out[0], &ix, lb_load(b, f->dt, b->lanes, from, ix.i, ix.n));
    }
}

const OpLowering lowering_embed = {
    .access = access_embed,
    .lower = lower_embed,
};
