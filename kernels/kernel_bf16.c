/* See kernel_write.h: products of bf16 weights, plain or compressed (formats/compressed.h). */
#include "formats/compressed.h"
#include "kernel_write.h"

/* acc += x[r][2 pair] * lower half + x[r][2 pair + 1] * upper half */
void bf16_multiply(Kernel *k, const Vectors *w, Value *pair) {
    LB *b = &k->b;
    Vectors half;
    Value *i = lb_muli(b, pair, 2);
    for (int c = 0; c < kernel_columns(k); c++)
        half.v[c] = lb_bits(b, lb_shl(b, w->v[c], lb_i32(b, 16)), DT_F32);
    kernel_multiply(k, &half, i);
    for (int c = 0; c < kernel_columns(k); c++)
        half.v[c] = lb_bits(b, lb_and(b, w->v[c], lb_i32(b, (int32_t)0xffff0000)), DT_F32);
    kernel_multiply(k, &half, lb_addi(b, i, 1));
}

/* Of a half of a compressed group, four inputs: the pairs of inputs 2j and 2j + 1 of vector c are in
 * pairs[j].v[c]. */
static void compressed_half(Kernel *k, Value *at, int half, Vectors pairs[2]) {
    LB *b = &k->b;
    int64_t row = 4 * k->t->panel;
    for (int c = 0; c < kernel_columns(k); c++) {
        Value *codes = kernel_load(k, DT_I32, c, at, 2 * row),
              *low = kernel_load(k, DT_I32, c, at, half * row);
        Value *high = lb_lookup(b, half ? lb_shr(b, codes, lb_i32(b, 4)) : codes, k->table[c]);
        pairs[0].v[c] = lb_zip_low(b, low, high), pairs[1].v[c] = lb_zip_high(b, low, high);
    }
}

void bf16_group(Kernel *k, Value *group, Value *at, KernelUse *use) {
    LB *b = &k->b;
    Vectors pairs[2];
    if (!format_is_compressed(k->s.w)) {
        for (int c = 0; c < kernel_columns(k); c++) pairs[0].v[c] = kernel_load(k, DT_I32, c, at, 0);
        use(k, &pairs[0], group);
        return;
    }
    for (int i = 0; i < COMPRESSED_GROUP / 2; i++) {
        if (i % 2 == 0) compressed_half(k, at, i / 2, pairs);
        use(k, &pairs[i % 2], lb_addi(b, lb_muli(b, group, COMPRESSED_GROUP / 2), i));
    }
}

void bf16_dot(Kernel *k, const Vectors *w, Value *pair) {
    kernel_accumulate(k, DT_I32, w, pair, lb_dot2);
}
