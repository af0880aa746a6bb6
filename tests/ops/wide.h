/* Rows so wide that planning treats them otherwise than those that are drawn: inputs of a product are rounded
 * beside what makes them, and stages run in tile loops. What is rounded to bytes is exact in f32 (a weight, or
 * an input), so that the interpreter rounds it alike. */
#ifndef BTC_TESTS_OPS_WIDE_H
#define BTC_TESTS_OPS_WIDE_H

#include "agree.h"
#include "plan/stage.h"

static inline Value *wide_input(Kit *k, int64_t n) {
    return kit_activation(k, type_tensor(DT_F32, true, 1, (int64_t[]){n}), LIVELY, 0);
}

/* y[outputs] = W x + bias, with W stored as `quant` and multiplied in `math`, or as it is. */
static inline Value *wide_product(Kit *k, Value *x, int64_t outputs, Value *bias, const Variant *v) {
    int64_t inputs = type_count(x->type);
    Value *w = kit_weight(k, type_tensor(DT_F32, false, 2, (int64_t[]){outputs, inputs}), SMALL, 0.05);
    Value *in[] = {x, w, bias};
    Op *op = kit_op(k, k->main, "linear", in, 3, NULL);
    if (v->quant) op_set_format(k->main, w->def, "storage", format_find(v->quant));
    op_set_arithmetic(k->main, op, "math",
                      arithmetic_find(v->math ? v->math : "f32")); /* here x need not be exact */
    return op->out[0];
}

/* Weights or inputs, whichever is larger: made beside a product, and exact. */
static inline Value *wide_choice(Kit *k, int64_t n) {
    static const Variant plain = {0};
    Value *one[] = {wide_input(k, 1), wide_input(k, 1)};
    Value *either = kit_op(k, k->main, "less", one, 2, NULL)->out[0]; /* 0 or 1 */
    Value *both[] = {wide_product(k, either, n, NULL, &plain), wide_input(k, n)};
    return kit_op(k, k->main, "maximum", both, 2, NULL)->out[0];
}

/* Product, elementwise, rounding and product split alike. */
static inline void wide_rounding(Kit *k, int64_t n, const Variant *v) {
    ir_result_add(k->main, "linear#wide", wide_product(k, wide_choice(k, n), 40, NULL, v));
}

/* Whether the plans are what this file is about: a rounding in a tile loop behind a product. */
static inline bool are_wide(const Case *c, const OpDef *behind) {
    const ModulePlan *plans = &c->l.compiled.lowered.schedule.plans;
    for (int i = 0; i < plans->n; i++)
        for (int k = 1; k < plans->plans[i]->n; k++) {
            const Stage *s = plans->plans[i]->stages[k];
            if (s->tile && !s->tile_stages && s->axis == AXIS_CHANNELS && s->anchor &&
                s->anchor->def == behind)
                return true;
        }
    return false;
}

static inline bool wide_rows_agree(const Variant *v) {
    Case c = {.k = kit_new(arena_new(), seed_of(v), v->storage, false), .slack = 1};
    Variant stored = *v;
    stored.quant = stored.math = NULL; /* of these products alone, not of all */
    wide_rounding(&c.k, 4096, v);
    wide_rounding(&c.k, 4224, v);
    return agrees(&c, &stored, compared) && (!v->quant || are_wide(&c, &op_quantize_rows));
}

#endif
