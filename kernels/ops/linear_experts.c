/* Products with the chosen experts. The choices (row, j) are first sorted by expert, so that an expert's weights
 * are read from memory once, and multiplied with all rows that chose it:
 *     begin[e]    where expert e's choices begin in `order`
 *     order[i]    row*k + j
 * An output is one chain over the inputs in order, so it does not matter what is sorted beside it. */
#include "kernels/matmul.h"

typedef struct Experts {
    Lower *l;
    Op *op;
    int64_t experts, choices;
    Matmul m;             /* w: of expert 0 */
    int64_t size;         /* bytes of one expert */
    Value *begin, *order; /* scratch, i32 */
} Experts;

/* By outputs of every chosen expert: each thread reads its panels of them all. */
static void access(const Op *op, Form form, Access *a) {
    (void)op, (void)form;
    *a = (Access){.split = SPLIT_INNER, .rows = true, .all = {true, true}, .at_once = true};
}

static Experts experts_new(Lower *l, Op *op) {
    const int64_t *dim = op->in[2]->type.dim;
    int64_t width = l->t->panel;
    Experts x = {.l = l, .op = op, .experts = dim[0], .choices = op->in[1]->type.dim[0]};
    x.m = (Matmul){
        .x = op->in[0], .K = dim[2], .N = dim[1], .bias = op->in[3], .out = op->out[0], .O = x.choices};
    x.m.one_x = op->in[0]->type.rank == 1;
    matmul_weights(l, op, op->in[2], PACK_PANELS, &x.m);
    x.size = (x.m.N + width - 1) / width * panel_bytes(x.m.format, x.m.K, width);
    return x;
}

static Value *get(LB *b, Value *table, Value *i) {
    return lb_cast(b, lb_load(b, DT_I32, 0, table, i, 0), DT_I64);
}

static void put(LB *b, Value *table, Value *i, Value *v) {
    lb_store(b, DT_I32, table, i, lb_cast(b, v, DT_I32), 0);
}

/* A counting sort: counts at begin[e + 2], sums of them at begin[e + 1], which placing moves on to the end of
 * expert e, and that is the beginning of expert e + 1. */
static void sort_choices(Experts *x) {
    Lower *l = x->l;
    LB *b = &l->b;
    Value *zero = lb_i64(b, 0), *end = lb_i64(b, x->experts + 2), *choices = lb_i64(b, x->choices);
    int64_t rows = l->form == FORM_STEP ? l->t->max_rows_step : l->t->chunk;
    x->begin = lw_scratch(l, (x->experts + 2) * 4);
    x->order = lw_scratch(l, rows * x->choices * 4);
    KFOR (b, e, zero, end, 1) put(b, x->begin, e, zero);
    for (int pass = 0; pass < 2; pass++) {
        LW_ROWS (l, row)
            KFOR (b, j, zero, choices, 1) {
                Value *e = lb_cast(b, lw_read1(l, x->op->in[1], row, j), DT_I64);
                Value *at = lb_addi(b, e, pass ? 1 : 2), *n = get(b, x->begin, at);
                if (pass) put(b, x->order, n, lb_add(b, lb_muli(b, row, x->choices), j));
                put(b, x->begin, at, lb_addi(b, n, 1));
            }
        if (pass == 0)
            KFOR (b, e, lb_i64(b, 1), end, 1)
                put(b, x->begin, e, lb_add(b, get(b, x->begin, e), get(b, x->begin, lb_addi(b, e, -1))));
    }
}

static void lower(Lower *l, Op *op) {
    LB *b = &l->b;
    Experts x = experts_new(l, op);
    Value *lo, *hi;
    lw_range(l, x.m.N, &lo, &hi);
    sort_choices(&x);
    KFOR (b, e, lb_i64(b, 0), lb_i64(b, x.experts), 1) {
        Matmul m = x.m;
        m.list = x.order, m.first = get(b, x.begin, e);
        m.count = lb_sub(b, get(b, x.begin, lb_addi(b, e, 1)), m.first);
        m.w = lb_offset(b, m.w, lb_muli(b, e, x.size));
        if (m.bias) m.bias_at = lb_muli(b, e, m.N);
        lb_if_begin(b, lb_cmp(b, "gt", m.count, lb_i64(b, 0)));
        matmul_rows(l, &m, lo, hi);
        lb_if_end(b);
    }
}

const OpLowering lowering_linear_experts = {
    .access = access,
    .lower = lower,
};
