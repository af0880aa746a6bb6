/* Random modules for holding compiled ops against the interpreter. A module has one input row of many
 * columns; every operand that is an activation is a piece of it, every other one a weight. An instance of an
 * op stands in main, or in a block that main calls twice with different pieces and weights. What is drawn
 * into a column or a weight depends on what the operand means: decays, steps, gates. */
#ifndef BTC_TESTS_OPS_KIT_H
#define BTC_TESTS_OPS_KIT_H

#include "ir/gen.h"
#include "tools/check.h"
#include "tools/compiled.h"

typedef enum Domain { LIVELY, WIDE, POSITIVE, GATE, DECAY, NEGATIVE, SMALL, WHOLE, FADING, TURNING } Domain;

typedef struct Piece {
    int64_t start, n;
    Domain domain;
    double p; /* DECAY: the lowest value; SMALL: the largest */
} Piece;

typedef struct Param {
    Domain domain;
    double p;
} Param;

typedef struct Kit {
    Arena *a;
    Diag d;
    Rng r;
    Module *m;
    Func *main;
    Value *input;
    Piece *pieces;
    int npieces, pieces_cap;
    int64_t width;
    RawTensor *weights;
    int nweights, weights_cap;
    DType storage;
    int calls, blocks;
    bool wide;   /* this instance gets extreme numbers where they make sense */
    bool odd;    /* and operands of all kinds (operands.h) */
    bool spoilt; /* some numbers of the input are NaN or infinite */
    /* the block that is being built; NULL: main */
    Func *block;
    Param *params;
    int nparams, params_cap;
    double min_decay;
    /* graphs only: activations of the function at hand, which further ops may use */
    bool graph, whole; /* whole: with ops that need whole sequences */
    Value **values;
    int nvalues, values_cap;
} Kit;

static const int64_t VOCAB = 37;
static const int64_t POSITIONS = 64; /* more than there are tokens */

static inline Kit kit_new(Arena *a, uint64_t seed, DType storage, bool tokens) {
    Kit k = {.a = a, .r = {seed}, .storage = storage};
    k.d = diag_new(a, stderr);
    k.m = ir_module_new(a, "ops");
    const char *kind = tokens ? "lm" : "features";
    attr_set(a, &k.m->attrs, (Attr){.name = "kind", .kind = AT_STR, .s = kind});
    attr_set(a, &k.m->attrs, (Attr){.name = "vocab", .kind = AT_INT, .i = VOCAB});
    k.main = ir_func_new(k.m, "main", LEVEL_MODEL);
    Type all = type_tensor(tokens ? DT_I32 : DT_F32, true, tokens ? 0 : 1, (int64_t[]){1 << 24});
    k.input = ir_param_add(k.main, "x", all);
    return k;
}

/* ---- numbers ---- */

static inline double draw_number(Rng *r, Domain d, double p) {
    int64_t luck = rng_int(r, 0, 15);
    switch (d) {
    case LIVELY:
        return rng_float(r, -1.5, 1.5);
    case WIDE:
        return luck ? rng_float(r, -30, 30) : 0;
    case POSITIVE: /* what softplus makes of -30 .. 30 */
        return luck == 0 ? 9.4e-14 : luck == 1 ? 30 : luck == 2 ? 1e-4 : rng_float(r, 0.01, 2);
    case GATE:
        return luck == 0 ? 0 : luck == 1 ? 1 : rng_float(r, 0, 1);
    case DECAY:
        if (p < 0) return luck == 0 ? 0 : luck == 1 ? p : rng_float(r, p, 0);
        return luck == 0 ? 0 : luck == 1 ? -1e-7 : luck == 2 ? -30 : luck == 3 ? -200 : rng_float(r, -1, 0);
    case NEGATIVE:
        return luck == 0 ? -60 : luck == 1 ? -1e-5 : rng_float(r, -4, -0.05);
    case SMALL:
        return rng_float(r, -p, p);
    case FADING: /* a - 1 of a mode that fades, whatever its imaginary part */
        return rng_float(r, -1.3, -0.4);
    case TURNING:
        return rng_float(r, -0.7, 0.7);
    case WHOLE:
        return (double)rng_int(r, -3, 3);
    }
    return 0;
}

/* One number in half of the pieces becomes NaN or infinite, in a row of its own. */
static inline void spoil_input(Kit *k, int64_t rows, float *x) {
    static const float what[] = {NAN, INFINITY, -INFINITY, NAN};
    for (int i = 0; i < k->npieces; i++) {
        const Piece *p = &k->pieces[i];
        int64_t t = rng_int(&k->r, 0, rows - 1), c = rng_int(&k->r, 0, p->n - 1);
        if (rng_int(&k->r, 0, 1)) x[t * k->width + p->start + c] = what[rng_int(&k->r, 0, 3)];
    }
}

/* Rows of the whole input, rounded to f32. Now and then a piece of a row is all zeros: a zero key, a silent
 * token. */
static inline float *draw_input(Kit *k, int64_t rows) {
    if (k->input->type.dt == DT_I32) {
        int32_t *ids = ARENA_ARRAY(k->a, int32_t, rows);
        for (int64_t t = 0; t < rows; t++) ids[t] = (int32_t)rng_int(&k->r, 0, VOCAB - 1);
        return (float *)(void *)ids;
    }
    float *x = ARENA_ARRAY(k->a, float, rows * k->width);
    for (int64_t t = 0; t < rows; t++)
        for (int i = 0; i < k->npieces; i++) {
            const Piece *p = &k->pieces[i];
            bool silent = p->domain == LIVELY && rng_int(&k->r, 0, 15) == 0;
            for (int64_t c = 0; c < p->n && !silent; c++)
                x[t * k->width + p->start + c] = (float)draw_number(&k->r, p->domain, p->p);
        }
    if (k->spoilt) spoil_input(k, rows, x);
    return x;
}

/* ---- building ---- */

static inline Func *kit_func(const Kit *k) {
    return k->block ? k->block : k->main;
}

static inline Op *kit_op(Kit *k, Func *f, const char *op, Value *const *in, int nin, Attr *attrs) {
    return ir_build(&k->d, f, f->body, op, in, nin, attrs, NULL, 0, NULL, (Loc){.path = "$.ops"});
}

static inline Attr *kit_attr(Kit *k, Attr *list, const char *name, int64_t v) {
    attr_set(k->a, &list, (Attr){.name = name, .kind = AT_INT, .i = v});
    return list;
}

static inline Value *kit_reshape(Kit *k, Value *v, int rank, const int64_t *dim) {
    Attr *shape = NULL;
    int64_t *dims = arena_copy(k->a, dim, sizeof *dim * MAX_RANK);
    attr_set(k->a, &shape, (Attr){.name = "shape", .kind = AT_INTS, .n = rank, .ints = dims});
    return kit_op(k, kit_func(k), "reshape", &v, 1, shape)->out[0];
}

/* A new piece of main's input under the given shape. */
static inline Value *kit_piece(Kit *k, Type t, Domain d, double p) {
    Piece piece = {k->width, type_count(t), d, p};
    ARENA_PUSH(k->a, k->pieces, k->npieces, k->pieces_cap, piece);
    k->width += piece.n;
    Attr *at = kit_attr(k, kit_attr(k, NULL, "start", piece.start), "size", piece.n);
    Value *v = kit_op(k, k->main, "slice", &k->input, 1, at)->out[0];
    if (t.rank == 1) return v;
    Func *block = k->block;
    k->block = NULL;
    v = kit_reshape(k, v, t.rank, t.dim);
    k->block = block;
    return v;
}

/* In graphs: a part of an earlier value in the shape of t, kept small by tanh; NULL: none is large enough. */
static inline Value *reuse_value(Kit *k, Type t) {
    for (int draw = 0; draw < 8 && k->nvalues; draw++) {
        Value *v = k->values[rng_int(&k->r, 0, k->nvalues - 1)];
        int64_t n = type_count(t), have = type_count(v->type);
        if (have < n) continue;
        bool early = rng_int(&k->r, 0, 1);
        if (early) v = kit_op(k, kit_func(k), "tanh", &v, 1, NULL)->out[0];
        if (have > n) {
            v = kit_reshape(k, v, 1, (int64_t[MAX_RANK]){have});
            Attr *at = kit_attr(k, kit_attr(k, NULL, "start", rng_int(&k->r, 0, have - n)), "size", n);
            v = kit_op(k, kit_func(k), "slice", &v, 1, at)->out[0];
        }
        if (!type_equal(v->type, t)) v = kit_reshape(k, v, t.rank, t.dim);
        return early ? v : kit_op(k, kit_func(k), "tanh", &v, 1, NULL)->out[0];
    }
    return NULL;
}

/* An activation: a piece of the input, or a parameter of the block. */
static inline Value *kit_activation(Kit *k, Type t, Domain d, double p) {
    if (k->graph && d == LIVELY && rng_int(&k->r, 0, 3)) {
        Value *v = reuse_value(k, t);
        if (v) return v;
    }
    if (!k->block) return kit_piece(k, t, d, p);
    Param param = {d, p};
    ARENA_PUSH(k->a, k->params, k->nparams, k->params_cap, param);
    return ir_param_add(k->block, ir_fresh_name(k->block, "p"), t);
}

static inline void add_tensor(Kit *k, const char *name, Type t, Domain d, double p) {
    RawTensor w = {.name = name, .dt = k->storage, .rank = t.rank, .file = "drawn"};
    for (int i = 0; i < t.rank; i++) w.dim[i] = t.dim[i];
    int64_t n = type_count(t);
    w.bytes = (size_t)n * dtype_size(w.dt);
    uint8_t *data = arena_alloc(k->a, w.bytes);
    for (int64_t i = 0; i < n; i++) dtype_store(w.dt, data, i, draw_number(&k->r, d, p));
    w.data = data;
    ARENA_PUSH(k->a, k->weights, k->nweights, k->weights_cap, w);
}

/* One tensor in main, one for each of the two calls of a block. */
static inline void register_weight(Kit *k, Op *op, Domain d, double p) {
    const char *name = attr_str(op, "name", "");
    op_set_format(kit_func(k), op, "storage", format_of_dtype(k->storage));
    if (!k->block) add_tensor(k, name, op->out[0]->type, d, p);
    for (int i = 0; i < 2 && k->block; i++)
        add_tensor(k, arena_printf(k->a, "%d.%s", k->calls + i, name), op->out[0]->type, d, p);
}

static inline Value *kit_weight(Kit *k, Type t, Domain d, double p) {
    Attr *at = NULL;
    int64_t *dims = arena_copy(k->a, t.dim, sizeof t.dim);
    const char *name = arena_printf(k->a, "w%d", k->nweights);
    attr_set(k->a, &at, (Attr){.name = "name", .kind = AT_STR, .s = name});
    attr_set(k->a, &at, (Attr){.name = "shape", .kind = AT_INTS, .n = t.rank, .ints = dims});
    Op *op = kit_op(k, kit_func(k), "weight", NULL, 0, at);
    register_weight(k, op, d, p);
    return op->out[0];
}

/* ---- the whole ---- */

static inline int by_tensor_name(const void *x, const void *y) {
    return strcmp(((const RawTensor *)x)->name, ((const RawTensor *)y)->name);
}

/* Closes the module; a model with a copy of it (compiling changes a module) and the weights. */
static inline bool kit_model(Kit *k, Model *out) {
    if (whole_reader(k->m))
        attr_set(k->a, &k->m->attrs, (Attr){.name = "context", .kind = AT_INT, .i = POSITIONS});
    if (k->input->type.dt == DT_F32) k->input->type.dim[0] = k->width;
    *out = (Model){.arena = k->a,
                   .path = "ops",
                   .allow_nonfinite = true,
                   .description = (char *)(uintptr_t) "ops",
                   .description_size = 3};
    if (k->nweights) qsort(k->weights, (size_t)k->nweights, sizeof *k->weights, by_tensor_name);
    out->weights = (WeightSet){.arena = k->a, .tensors = k->weights, .n = k->nweights, .name = "drawn"};
    out->module = ir_parse(&k->d, k->a, "ops", ir_print_module(k->a, k->m));
    return out->module && ir_verify(&k->d, k->m) && ir_verify(&k->d, out->module);
}

#endif
