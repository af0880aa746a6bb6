/* What both forms of scan.matrix read. */
#include "scan_matrix.h"

#include <string.h>

#include "ops/common.h"

MatrixShape scan_matrix_shape(const Op *op) {
    const int64_t *q = op->in[IN_Q]->type.dim, *v = op->in[IN_V]->type.dim;
    MatrixShape s = {.writes = attr_int(op, "writes", 1), .reads = attr_int(op, "reads", 1)};
    s.g = q[0] / s.reads, s.n = q[1], s.h = v[0] / s.writes, s.p = v[1], s.rank1 = op->in[IN_A] != NULL;
    s.before = reads_before(op);
    if (op->in[IN_DECAY]) s.decay = op->in[IN_DECAY]->type.dim[1] == 1 ? DECAY_HEAD : DECAY_CHANNEL;
    return s;
}

Mat scan_matrix_operand(Lower *l, Op *op, int in, Value *u, Value *row, int64_t which) {
    LB *b = &l->b;
    MatrixShape s = scan_matrix_shape(op);
    if (in == IN_B && !op->in[IN_B]) in = IN_K;
    Value *v = op->in[in];
    bool grouped = (in == IN_Q || in == IN_K) && s.g != s.h;
    int64_t times = in == IN_Q ? s.reads : in == IN_DECAY ? 1 : s.writes, width = v->type.dim[1];
    if (grouped) u = lb_div(b, u, lb_i64(b, s.h / s.g));
    Value *p =
        lb_offset(b, lw_row_ptr(l, v, row), lb_addi(b, lb_muli(b, u, times * width * 4), which * width * 4));
    return mat_fixed(l, p, lw_row_stride(l, v));
}

Value *scan_matrix_direct(Lower *l, Op *op, Value *u, Mat q, Mat k, Value *row) {
    LB *b = &l->b;
    Value *zero = lb_i64(b, 0), *sum = lb_var(b, lw_zero(l));
    int64_t nn = op->in[IN_Q]->type.dim[1];
    TILES_OF (l, c, nn, b->lanes, 1) {
        Value *at = lb_add(b, lb_muli(b, u, nn), c.at);
        Value *bonus = lw_read_flat(l, op->in[IN_BONUS], row, at, c.tail);
        Value *qk = lb_mul(b, mat_load(l, q, zero, c.at, c.tail), mat_load(l, k, zero, c.at, c.tail));
        lb_set(b, sum, lb_fma(b, qk, bonus, lb_get(b, sum)));
    }
    return lb_reduce(b, "add", lb_get(b, sum));
}
