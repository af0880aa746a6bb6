/* Random modules for holding compiled ops against the interpreter. A module has one input row of many
 * columns; every operand that is an activation is a piece of it, every other one a weight. An instance of an
 * op stands in main, or in a block that main calls twice with different pieces and weights. What is drawn
 * into a column or a weight depends on what the operand means: decays, steps, gates. */
#ifndef BTC_TESTS_OPS_KIT_H
#define BTC_TESTS_OPS_KIT_H

#include "ir/gen.h"
#include "tools/check.h"

/* gen.h and module.h both have an Instance. */
#define Instance LoweredInstance
#include "tools/compiled.h"
#undef Instance

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
    bool wide; /* this instance gets extreme numbers where they make sense */
    /* the block that is being built; NULL: main */
    Func *block;
    Param *params;
    int nparams, params_cap;
    double min_decay;
    /* graphs only: activations of the function at hand, which further ops may use */
    bool graph;
    Value **values;
    int nvalues, values_cap;
} Kit;

static const int64_t VOCAB = 37;

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
    op_set_str(kit_func(k), op, "storage", dtype_name(k->storage));
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

/* ---- what operands mean ---- */

static inline bool one_of(const char *word, const char *words) {
    char padded[32];
    snprintf(padded, sizeof padded, " %s ", word);
    return strstr(words, padded) != NULL;
}

static inline Domain domain_of(const Kit *k, const OpDef *def, const char *operand) {
    if (def == &op_scan_diag && one_of(operand, " a ")) return GATE;
    if (def == &op_scan_max && one_of(operand, " a ")) return DECAY;
    if (def == &op_scan_expand && one_of(operand, " dt ")) return POSITIVE;
    if (def == &op_scan_expand && one_of(operand, " A ")) return NEGATIVE;
    if (def == &op_scan_modal && one_of(operand, " re ")) return FADING;
    if (def == &op_scan_modal && one_of(operand, " im ")) return TURNING;
    if (def == &op_scan_matrix && one_of(operand, " decay ")) return DECAY;
    if (def == &op_scan_matrix && one_of(operand, " a b ")) return SMALL;
    if (def == &op_where && one_of(operand, " c ")) return GATE;
    if (one_of(operand, " squares ")) return POSITIVE;
    if (one_of(def->name, " sqrt rsqrt log topk ")) return POSITIVE;
    if (def == &op_power && one_of(operand, " a ")) return k->wide ? LIVELY : POSITIVE;
    if (def == &op_power && k->wide) return WHOLE;
    if (def == &op_div && one_of(operand, " b ")) return POSITIVE;
    if (def == &op_linear_experts && one_of(operand, " index ")) return LIVELY;
    if (k->wide && (def->pattern == PAT_ELEMENTWISE || def == &op_softmax))
        return def == &op_exp ? LIVELY : WIDE;
    return LIVELY;
}

/* Sizes around the widths of vectors (4, 8, 16) and panels (16). */
static inline int64_t draw_size(Rng *r, const char *name) {
    static const int64_t widths[] = {1, 3, 7, 8, 12, 16, 17, 24, 33, 48};
    static const int64_t heads[] = {1, 2, 3, 4, 6}, taps[] = {1, 2, 3, 4, 5, 19}, lengths[] = {64, 67, 100};
    if (one_of(name, " h g ")) return heads[rng_int(r, 0, 4)];
    if (one_of(name, " k ")) return taps[rng_int(r, 0, 5)];
    if (one_of(name, " l ")) return lengths[rng_int(r, 0, 2)];
    if (one_of(name, " v ")) return VOCAB;
    if (one_of(name, " star middle any2 any3 ")) return rng_int(r, 1, 4);
    return widths[rng_int(r, 0, 9)];
}

/* Attributes that the table does not bound, but their meaning does. */
static inline void mend_attrs(Kit *k, const OpDef *def, Attr *list) {
    static const int64_t windows[] = {0, 1, 5, 17}, dims[] = {0, 2, 4, 6};
    k->min_decay = 0;
    for (Attr *t = list; t; t = t->next) {
        if (!strcmp(t->name, "window")) t->i = windows[rng_int(&k->r, 0, 3)];
        if (!strcmp(t->name, "dims")) t->i = dims[rng_int(&k->r, 0, 3)];
        if (!strcmp(t->name, "theta")) t->f = 500;
        if (!strcmp(t->name, "eps")) t->f = 1e-5;
        if (!strcmp(t->name, "start")) t->f = rng_float(&k->r, -2, 2);
        if (!strcmp(t->name, "min_decay")) t->f = k->min_decay = rng_float(&k->r, -4, -0.05);
        if (def == &op_weight && !strcmp(t->name, "name")) t->s = arena_printf(k->a, "leaf%d", k->nweights);
    }
    for (Attr *t = list; t; t = t->next) { /* a cache holds the window, or the whole sequence */
        const Attr *window = attr_find(list, "window");
        if (!strcmp(t->name, "context")) t->i = window && window->i ? window->i : 64 + rng_int(&k->r, 0, 9);
    }
}

/* Whether compiled code takes this broadcast: of a scalar, along the last axis, or of the last axis. */
static inline bool broadcasts(const Op *op) {
    Type y = op->out[0]->type;
    int64_t n = type_count(y), last = y.rank ? y.dim[y.rank - 1] : 1;
    for (int i = 0; i < op->nin; i++) {
        Type t = op->in[i]->type;
        int64_t c = type_count(t);
        bool column = t.rank && t.dim[t.rank - 1] == 1;
        if (c != n && c != 1 && c != last && !(column && c == n / last)) return false;
        if (c == last && c != n && column && c != 1) return false;
    }
    return true;
}

static inline Value *draw_operand(Kit *k, const OpDef *def, const SigTensor *t, Type ty, bool ids) {
    Domain d = domain_of(k, def, t->name);
    double p = d == DECAY ? k->min_decay : d == SMALL ? 0.9 / sqrt((double)ty.dim[ty.rank - 1]) : 0;
    if (ids && def == &op_embed) return k->input;
    if (ids) { /* the indices of the experts: what top-k chooses */
        Type scores = type_tensor(DT_F32, true, 1, (int64_t[]){6});
        Value *s = kit_activation(k, scores, LIVELY, 0);
        return kit_op(k, kit_func(k), "topk", &s, 1, kit_attr(k, NULL, "k", ty.dim[0]))->out[1];
    }
    if (def == &op_rope && !strcmp(t->name, "pos") && rng_int(&k->r, 0, 2))
        return kit_op(k, kit_func(k), "position", NULL, 0, NULL)->out[0];
    return ty.seq ? kit_activation(k, ty, d, p) : kit_weight(k, ty, d, p);
}

/* The op with random operands in the function at hand; NULL: refused. */
static inline Op *draw_op(Kit *k, const OpDef *def, int64_t (*size)(Rng *, const char *)) {
    Func *f = kit_func(k);
    const Signature *s = signature_of(k->a, def);
    Dims dims = {.draw = size};
    Value *in[SIG_MAX] = {0};
    Type types[SIG_MAX] = {0};
    bool absent[SIG_MAX] = {0}, ids[SIG_MAX] = {0};
    int nin = s->nin + (def->flags & OPF_VARIADIC ? (int)rng_int(&k->r, 0, 2) : 0);
    for (int i = 0; i < nin; i++) {
        const SigTensor *t = &s->in[i < s->nin ? i : s->nin - 1];
        absent[i] = t->optional && rng_int(&k->r, 0, 1);
        types[i] = gen_type(&k->r, &dims, t, def->flags & OPF_CONST_ONLY);
        ids[i] = strstr(arena_printf(k->a, " %s", def->sig), arena_printf(k->a, " %s:i32", t->name)) != NULL;
        if (ids[i] && types[i].rank && types[i].dim[0] > 6) return NULL;
        if (type_count(types[i]) > 20000) return NULL;
    }
    if (def == &op_linear_experts) types[2].dim[0] = 6;
    Attr *attrs = gen_attrs(&k->r, k->a, def, types[0]);
    mend_attrs(k, def, attrs);
    for (int i = 0; i < nin; i++) {
        const SigTensor *t = &s->in[i < s->nin ? i : s->nin - 1];
        if (!absent[i]) in[i] = draw_operand(k, def, t, types[i], ids[i]);
    }
    FILE *out = k->d.out;
    int errors = k->d.errors;
    k->d.out = NULL; /* refusals are no news */
    Op *op = kit_op(k, f, def->name, in, nin, attrs);
    k->d.out = out, k->d.errors = errors;
    if (op && def == &op_weight) register_weight(k, op, LIVELY, 0);
    return op && (def->pattern != PAT_ELEMENTWISE || broadcasts(op)) ? op : NULL;
}

/* The results of op as results of its function. Constants are added to an activation; now and then an
 * elementwise op hangs on the first one. */
static inline void add_results(Kit *k, const OpDef *def, Op *op, const char *label) {
    Func *f = kit_func(k);
    for (int i = 0; i < op->nout - op_state_count(def); i++) {
        Value *y = op->out[i];
        const char *name = arena_printf(k->a, "%s.%d", label, i);
        if (!y->type.seq || y->type.dt != DT_F32) {
            Type t = y->type;
            t.seq = true, t.dt = DT_F32;
            Value *both[] = {kit_activation(k, t, LIVELY, 0), y};
            y = kit_op(k, f, "add", both, 2, NULL)->out[0];
        }
        ir_result_add(f, name, y);
        if (i || !rng_int(&k->r, 0, 1)) continue;
        Type w = y->type, last = w;
        w.seq = false;
        if (w.rank > 1) w = type_tensor(DT_F32, false, 1, &last.dim[w.rank - 1]);
        Value *scaled[] = {y, kit_weight(k, w, LIVELY, 0)};
        Value *z = kit_op(k, f, "mul", scaled, 2, NULL)->out[0];
        ir_result_add(f, arena_printf(k->a, "%s.post", label), kit_op(k, f, "sigmoid", &z, 1, NULL)->out[0]);
    }
}

static inline void call_block(Kit *k, Func *block, const char *label) {
    for (int c = 0; c < 2; c++, k->calls++) {
        Value *in[64];
        for (int i = 0; i < k->nparams; i++)
            in[i] = kit_piece(k, block->params[i]->type, k->params[i].domain, k->params[i].p);
        Attr *at = kit_attr(k, NULL, "index", k->calls);
        const char *prefix = arena_printf(k->a, "%d.", k->calls);
        attr_set(k->a, &at, (Attr){.name = "func", .kind = AT_STR, .s = block->name});
        attr_set(k->a, &at, (Attr){.name = "prefix", .kind = AT_STR, .s = prefix});
        Op *call = kit_op(k, k->main, "call", in, k->nparams, at);
        for (int i = 0; i < call->nout; i++)
            ir_result_add(k->main, arena_printf(k->a, "%s call %d result %d", label, c, i), call->out[i]);
    }
}

/* A size for the dimension `name` of a signature (" i "). */
typedef int64_t DrawSize(Rng *r, const char *name);

/* One instance of an op; false: refused, draw again. */
static inline bool kit_draw(Kit *k, const OpDef *def, DrawSize *size) {
    bool in_main = def == &op_embed || rng_int(&k->r, 0, 2) == 0;
    const char *label = arena_printf(k->a, "%s#%d", def->name, k->blocks);
    k->wide = rng_int(&k->r, 0, 1), k->block = NULL, k->nparams = 0;
    if (!in_main) k->block = ir_func_new(k->m, arena_printf(k->a, "b%d", k->blocks), LEVEL_MODEL);
    Op *op = draw_op(k, def, size);
    Func *block = k->block;
    if (op) add_results(k, def, op, label), k->blocks++;
    k->block = NULL;
    if (block && (!op || block->nparams == 0))
        ir_func_remove(k->m, block);
    else if (block)
        call_block(k, block, label);
    return op != NULL;
}

static inline int by_tensor_name(const void *x, const void *y) {
    return strcmp(((const RawTensor *)x)->name, ((const RawTensor *)y)->name);
}

/* Closes the module; a model with a copy of it (compiling changes a module) and the weights. */
static inline bool kit_model(Kit *k, Model *out) {
    if (k->input->type.dt == DT_F32) k->input->type.dim[0] = k->width;
    *out = (Model){
        .arena = k->a, .path = "ops", .description = (char *)(uintptr_t) "ops", .description_size = 3};
    if (k->nweights) qsort(k->weights, (size_t)k->nweights, sizeof *k->weights, by_tensor_name);
    out->weights = (WeightSet){.arena = k->a, .tensors = k->weights, .n = k->nweights, .name = "drawn"};
    out->module = ir_parse(&k->d, k->a, "ops", ir_print_module(k->a, k->m));
    return out->module && ir_verify(&k->d, k->m) && ir_verify(&k->d, out->module);
}

#endif
