/* Operands of all kinds that an op's signature allows, besides a piece of the input or a weight as they are:
 * views of larger ones, what was put together of pieces, numbers that are the same for all tokens, constants,
 * the position, ids and indices, an operand given twice. */
#ifndef BTC_TESTS_OPS_OPERANDS_H
#define BTC_TESTS_OPS_OPERANDS_H

#include "kit.h"

static inline Value *kit_unary(Kit *k, const char *op, Value *x, Attr *attrs) {
    return kit_op(k, kit_func(k), op, &x, 1, attrs)->out[0];
}

static inline Value *kit_binary(Kit *k, const char *op, Value *a, Value *b, Attr *attrs) {
    Value *in[] = {a, b};
    return kit_op(k, kit_func(k), op, in, 2, attrs)->out[0];
}

static inline Value *kit_slice(Kit *k, Value *v, int axis, int64_t start, int64_t size) {
    Attr *at = kit_attr(k, kit_attr(k, NULL, "start", start), "size", size);
    return kit_unary(k, "slice", v, kit_attr(k, at, "axis", axis));
}

/* The type with `more` in front of and behind it along one axis. */
static inline Type wider(Type t, int axis, int64_t more) {
    t.dim[axis] += more;
    return t;
}

/* An activation of type t, or a weight, as it is. */
static inline Value *plain_operand(Kit *k, Type t, Domain d, double p) {
    return t.seq ? kit_activation(k, t, d, p) : kit_weight(k, t, d, p);
}

/* A range of a larger operand, along any axis. */
static inline Value *sliced_operand(Kit *k, Type t, Domain d, double p) {
    int axis = (int)rng_int(&k->r, 0, t.rank - 1);
    int64_t before = rng_int(&k->r, 0, 3), behind = rng_int(&k->r, 0, 2);
    Value *v = plain_operand(k, wider(t, axis, before + behind), d, p);
    return kit_slice(k, v, axis, before, t.dim[axis]);
}

/* The same elements of an operand of another shape. */
static inline Value *reshaped_operand(Kit *k, Type t, Domain d, double p) {
    Type flat = type_tensor(DT_F32, t.seq, 1, (int64_t[]){type_count(t)});
    return kit_reshape(k, plain_operand(k, flat, d, p), t.rank, t.dim);
}

/* Two pieces along one axis; one of an activation's may be a weight. */
static inline Value *joined_operand(Kit *k, Type t, Domain d, double p) {
    int axis = (int)rng_int(&k->r, 0, t.rank - 1);
    int64_t first = t.dim[axis] / 2;
    if (!first) return NULL;
    Type a = wider(t, axis, first - t.dim[axis]), b = wider(t, axis, -first);
    if (t.seq) b.seq = rng_int(&k->r, 0, 1);
    Value *x = plain_operand(k, a, d, p), *y = plain_operand(k, b, d, p);
    return kit_binary(k, "concat", x, y, kit_attr(k, NULL, "axis", axis));
}

/* Two dimensions in another order: of weights only. */
static inline Value *turned_operand(Kit *k, Type t, Domain d, double p) {
    int64_t perm[MAX_RANK] = {0, 1, 2, 3, 4};
    if (t.seq || t.rank < 2) return NULL;
    int last = t.rank - 1;
    Type from = t;
    from.dim[last] = t.dim[last - 1], from.dim[last - 1] = t.dim[last];
    perm[last] = last - 1, perm[last - 1] = last;
    Attr *at = NULL;
    int64_t *list = arena_copy(k->a, perm, sizeof perm);
    attr_set(k->a, &at, (Attr){.name = "perm", .kind = AT_INTS, .n = t.rank, .ints = list});
    return kit_unary(k, "transpose", kit_weight(k, from, d, p), at);
}

/* Numbers that stand in the module. */
static inline Value *written_operand(Kit *k, Type t, Domain d, double p) {
    int64_t n = type_count(t);
    if (t.seq || n > 64) return NULL;
    double *values = ARENA_ARRAY(k->a, double, n);
    int64_t *dims = arena_copy(k->a, t.dim, sizeof t.dim);
    Attr *at = NULL;
    for (int64_t i = 0; i < n; i++) values[i] = (float)draw_number(&k->r, d, p);
    attr_set(k->a, &at, (Attr){.name = "values", .kind = AT_FLOATS, .n = (int)n, .floats = values});
    attr_set(k->a, &at, (Attr){.name = "shape", .kind = AT_INTS, .n = t.rank, .ints = dims});
    return kit_op(k, kit_func(k), "constant", NULL, 0, at)->out[0];
}

/* The same numbers for every token. */
static inline Value *repeated_operand(Kit *k, Type t, Domain d, double p) {
    if (!t.seq) return NULL;
    t.seq = false;
    return kit_unary(k, "per_token", kit_weight(k, t, d, p), NULL);
}

static inline Value *kit_position(Kit *k) {
    return kit_op(k, kit_func(k), "position", NULL, 0, NULL)->out[0];
}

/* As they are drawn: what is computed may lie so close together that rounding decides who is chosen. */
static inline Value *drawn_scores(Kit *k) {
    bool graph = k->graph;
    k->graph = false;
    Value *s = kit_activation(k, type_tensor(DT_F32, true, 1, (int64_t[]){5}), LIVELY, 0);
    k->graph = graph;
    return s;
}

/* One i32 for every token, in the shape [1]: the position, or a view of it, what topk chose, a part of
 * what was put together of them. */
static inline Value *whole_number(Kit *k) {
    static const int64_t one[MAX_RANK] = {1};
    int64_t kind = rng_int(&k->r, 0, 3);
    Value *p = kit_position(k);
    if (kind == 0) return p;
    if (kind == 1) return kit_reshape(k, kit_reshape(k, p, 0, one), 1, one);
    Value *s = drawn_scores(k);
    Value *chosen = kit_op(k, kit_func(k), "topk", &s, 1, kit_attr(k, NULL, "k", 3))->out[1];
    if (kind == 2) return kit_slice(k, chosen, 0, rng_int(&k->r, 0, 2), 1);
    return kit_slice(k, kit_binary(k, "concat", p, chosen, NULL), 0, rng_int(&k->r, 0, 3), 1);
}

/* Of an i32 for every token: 0.1 sin(n) and a weight, or what fits beside it by itself. */
static inline Value *counted_operand(Kit *k, Type t, Domain d, double p) {
    if (!t.seq || d != LIVELY) return NULL;
    Value *n = kit_unary(k, "sin", whole_number(k), NULL);
    if (t.rank == 0) return kit_reshape(k, n, 0, t.dim);
    t.seq = false;
    return kit_binary(k, "add", n, kit_weight(k, t, LIVELY, p), NULL);
}

typedef Value *Operand(Kit *k, Type t, Domain d, double p);

/* An operand of type t that is neither a piece of the input nor a weight; now and then NULL: it should be. */
static inline Value *odd_operand(Kit *k, Type t, Domain d, double p) {
    static Operand *const kinds[] = {sliced_operand,  reshaped_operand, joined_operand, turned_operand,
                                     written_operand, repeated_operand, counted_operand};
    int64_t i = rng_int(&k->r, 0, 2 * (int64_t)(sizeof kinds / sizeof *kinds) - 1);
    if (i >= (int64_t)(sizeof kinds / sizeof *kinds)) return NULL;
    if (t.rank == 0 && kinds[i] != counted_operand && kinds[i] != repeated_operand) return NULL;
    return kinds[i](k, t, d, p);
}

#endif
