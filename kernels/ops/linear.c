/* Loops of linear and linear.blocks: ir/ops/linear.c says what they compute. */
#include "kernels/lower.h"
#include "kernels/matmul.h"
#include "ops/common.h"

/* By outputs: a unit is one panel of weights. With leading dimensions, the same outputs of every index. */
static void access_linear(const Op *op, Form form, Access *a) {
    (void)form;
    *a = (Access){.split = op->in[0]->type.rank > 1 ? SPLIT_INNER : SPLIT_FLAT, .rows = true, .all = {true}};
}

static void lower_linear(Lower *l, Op *op) {
    Type x = op->in[0]->type;
    int64_t o = op->in[1]->type.dim[0], i = op->in[1]->type.dim[1], lead = i ? type_count(x) / i : 1;
    Matmul m = {.x = op->in[0], .K = i, .N = o, .bias = op->in[2], .out = op->out[0], .O = lead};
    matmul_weights(l, op, op->in[1], PACK_PANELS, &m);
    if (lead == 1) {
        matmul_share(l, &m);
        return;
    }
    KFOR (&l->b, k, lb_i64(&l->b, 0), lb_i64(&l->b, lead), 1) {
        m.o = k;
        matmul_share(l, &m);
    }
}

/* A unit is a block: it reads its own part of x only. */
static void access_blocks(const Op *op, Form form, Access *a) {
    (void)form;
    Split split = op->in[0]->type.rank > 1 ? SPLIT_INNER : SPLIT_FLAT;
    *a = (Access){.split = split, .units = op->in[1]->type.dim[0], .rows = true};
}

/* Block u of each leading index. */
static void all_leads(Lower *l, Matmul *m, Value *u, int64_t lead) {
    LB *b = &l->b;
    int64_t blocks = m->O;
    m->O = lead, m->begin = lb_muli(b, u, m->N), m->axis = blocks * m->N;
    KFOR (b, i, lb_i64(b, 0), lb_i64(b, lead), 1) {
        m->o = i, m->x_o = lb_add(b, lb_muli(b, i, blocks), u);
        matmul_rows(l, m, lb_i64(b, 0), lb_i64(b, m->N));
    }
}

static void lower_blocks(Lower *l, Op *op) {
    LB *b = &l->b;
    const int64_t *dim = op->in[1]->type.dim;
    Matmul m = {.x = op->in[0], .K = dim[1], .N = dim[2], .bias = op->in[2], .out = op->out[0], .O = dim[0]};
    matmul_weights(l, op, op->in[1], PACK_PANELS_IO, &m);
    Value *w = m.w;
    int64_t width = l->t->panel, panels = (m.N + width - 1) / width;
    int64_t lead = type_count(op->in[0]->type) / (dim[0] * dim[1]);
    LW_UNITS (l, u) {
        Matmul one = m;
        one.o = u, one.w = lb_offset(b, w, lb_muli(b, u, panels * panel_bytes(m.format, m.K, width)));
        if (op->in[0]->type.rank > 1)
            all_leads(l, &one, u, lead);
        else
            matmul_rows(l, &one, lb_i64(b, 0), lb_i64(b, m.N));
    }
}

const OpLowering lowering_linear = {
    .access = access_linear,
    .lower = lower_linear,
};

const OpLowering lowering_linear_blocks = {
    .access = access_blocks,
    .lower = lower_blocks,
};
