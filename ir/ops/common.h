/* Shared by the op files: access to tensors from eval, and counting work for cost. */
#ifndef BTC_OPS_COMMON_H
#define BTC_OPS_COMMON_H

#include <math.h>
#include <string.h>

#include "../op.h"

/* Row r of a tensor; one without T is the same in every row. */
static inline double *tensor_row(const Tensor *t, int64_t r) {
    return t->data ? t->data + (t->type.seq ? r * type_count(t->type) : 0) : NULL;
}

static inline int64_t last_dim(Type t) {
    return t.rank > 0 ? t.dim[t.rank - 1] : 1;
}

/* How many vectors along the last axis a tensor holds, over all its rows. */
static inline int64_t vector_count(const Tensor *t) {
    int64_t d = last_dim(t->type);
    return d > 0 ? t->rows * (type_count(t->type) / d) : 0;
}

/* Whether the attribute `read` of a recurrence says that its result is made of the state before the token. */
static inline bool reads_before(const Op *op) {
    return !strcmp(attr_str(op, "read", "after"), "before");
}

/* New state = old state, to be advanced in place by the eval. */
static inline double *state_begin(const Tensor *in, Tensor *out) {
    if (out->type.rank >= 0 && type_count(out->type) > 0)
        memcpy(out->data, in->data, sizeof(double) * (size_t)type_count(out->type));
    return out->data;
}

/* Work of one call: flops per row as given; bytes from the operands' types. An op that has nothing to do
 * with the sequence is evaluated by the compiler and costs nothing. */
static inline Cost op_cost(const Op *op, int64_t rows, double flops_per_row) {
    Cost c = {0};
    bool seq = false;
    int nstate = op_state_count(op->def);
    for (int i = 0; i < op->nin; i++) {
        if (!op->in[i]) continue;
        Type t = op->in[i]->type;
        double bytes = 4.0 * (double)type_count(t);
        if (t.seq)
            c.act_bytes += bytes * (double)rows, seq = true;
        else if (i >= op->nin - nstate)
            c.act_bytes += bytes;
        else
            c.weight_bytes += bytes;
    }
    for (int i = 0; i < op->nout; i++) {
        Type t = op->out[i]->type;
        c.act_bytes += 4.0 * (double)type_count(t) * (t.seq ? (double)rows : 1);
        seq = seq || t.seq;
    }
    if (!seq) return (Cost){0};
    c.flops = flops_per_row * (double)rows;
    return c;
}

static inline Cost op_no_cost(const Op *op, int64_t rows) {
    return (void)op, (void)rows, (Cost){0};
}

/* Elements of one row of the first result or operand, for cost functions. */
static inline double out_count(const Op *op) {
    return (double)type_count(op->out[0]->type);
}
static inline double in_count(const Op *op, int i) {
    return op->in[i] ? (double)type_count(op->in[i]->type) : 0;
}

#endif
