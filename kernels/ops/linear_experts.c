/* Products with the chosen experts. The choices (row, j) are first sorted by expert, so that an expert's weights
 * are read from memory once, and multiplied with all rows that chose it. An output is one chain over the inputs in order, so it does not matter what is sorted beside it. */
#include "kernels/matmul.h"
#include "kernels/sort.h"

typedef struct Experts {
    Lower *l;
    Op *op;
    int64_t experts;
    Matmul m;     /* w: of expert 0 */
    int64_t size; /* bytes of one expert */
} Experts;

/* By outputs of every chosen expert: each thread reads its panels of them all. */
static void access(const Op *op, Form form, Access *a) {
    (void)op, (void)form;
    *a = (Access){.split = SPLIT_INNER, .rows = true, .all = {true, true}, .at_once = true};
}

static Experts experts_new(Lower *l, Op *op) {
    const int64_t *dim = op->in[2]->type.dim;
    int64_t width = l->t->panel;
    Experts x = {.l = l, .op = op, .experts = dim[0]};
    x.m = (Matmul){.x = op->in[0],
                   .K = dim[2],
                   .N = dim[1],
                   .bias = op->in[3],
                   .out = op->out[0],
                   .O = op->in[1]->type.dim[0]};
    x.m.one_x = op->in[0]->type.rank == 1;
    matmul_weights(l, op, op->in[2], PACK_PANELS, &x.m);
    x.size = (x.m.N + width - 1) / width * panel_bytes(x.m.format, x.m.K, width);
    return x;
}

static void lower(Lower *l, Op *op) {
    LB *b = &l->b;
    Experts x = experts_new(l, op);
    Value *lo, *hi;
    lw_range(l, x.m.N, &lo, &hi);
    Sorted choices = sort_indices(l, op->in[1], lb_i64(b, x.experts), x.experts, false);
    KFOR (b, e, lb_i64(b, 0), lb_i64(b, x.experts), 1) {
        Matmul m = x.m;
        m.list = choices.order, m.first = sort_get(b, choices.begin, e);
        m.count = lb_sub(b, sort_get(b, choices.begin, lb_addi(b, e, 1)), m.first);
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
