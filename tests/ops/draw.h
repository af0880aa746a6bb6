/* Drawing instances of ops from their rows of the table: shapes, attributes, and operands of every kind. */
#ifndef BTC_TESTS_OPS_DRAW_H
#define BTC_TESTS_OPS_DRAW_H

#include "operands.h"

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
    if (def == &op_scan_modal && one_of(operand, " fre fim qre qim ")) return SMALL;
    if (def == &op_scan_matrix && one_of(operand, " decay ")) return DECAY;
    if (def == &op_scan_matrix && one_of(operand, " a b ")) return SMALL;
    if (def == &op_where && one_of(operand, " c ")) return GATE;
    if (def == &op_scan_cell && one_of(operand, " w proj ")) return SMALL;
    if (one_of(def->name, " sqrt rsqrt log topk largest ")) return POSITIVE;
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
    if (one_of(name, " writes reads ")) return rng_int(r, 0, 1) ? 1 : rng_int(r, 2, 3);
    if (one_of(name, " v ")) return VOCAB;
    if (one_of(name, " s m ")) return 1; /* a system for all channels, a step for all modes */
    if (one_of(name, " star middle any2 any3 ")) return rng_int(r, 1, 4);
    return widths[rng_int(r, 0, 9)];
}

/* Attributes that the table does not bound, but their meaning does. */
static inline void mend_attrs(Kit *k, const OpDef *def, Attr *list) {
    static const int64_t windows[] = {0, 1, 5, 17, 40}, dims[] = {0, 2, 4, 6};
    k->min_decay = 0;
    for (Attr *t = list; t; t = t->next) {
        if (!strcmp(t->name, "window")) t->i = windows[rng_int(&k->r, 0, 4)];
        if (!strcmp(t->name, "dims")) t->i = dims[rng_int(&k->r, 0, 3)];
        if (!strcmp(t->name, "theta")) t->f = 500;
        if (!strcmp(t->name, "eps")) t->f = 1e-5;
        if (!strcmp(t->name, "factor")) t->f = rng_float(&k->r, 0, 4);
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

/* Ids for a table of so many rows. */
static inline Value *ids_operand(Kit *k, int64_t rows) {
    if (rows < POSITIONS || rng_int(&k->r, 0, 1)) return k->input;
    return kit_reshape(k, kit_position(k), 0, (int64_t[MAX_RANK]){1});
}

/* Numbers of tokens: n in each row. */
static inline Value *token_operand(Kit *k, int64_t n) {
    Value *s = kit_activation(k, type_tensor(DT_F32, true, 1, (int64_t[]){7}), LIVELY, 0);
    Attr *at = kit_attr(k, NULL, "k", n);
    attr_set(k->a, &at,
             (Attr){.name = "factor", .kind = AT_FLOAT, .f = rng_float(&k->r, 0.1, 1) * (double)n});
    return kit_op(k, kit_func(k), "topk.tokens", &s, 1, at)->out[1];
}

/* rows: how many an index chooses from; 0: it chooses tokens. */
static inline Value *draw_operand(Kit *k, const OpDef *def, const SigTensor *t, Type ty, bool ids,
                                  int64_t rows) {
    Domain d = domain_of(k, def, t->name);
    double p = d == DECAY ? k->min_decay : d == SMALL ? 0.9 / sqrt((double)ty.dim[ty.rank - 1]) : 0;
    if (ids && def == &op_embed) return ids_operand(k, rows);
    if (ids && !rows) return token_operand(k, ty.dim[0]);
    if (ids && ty.dim[0] == 1 && rows >= POSITIONS) return whole_number(k);
    if (ids) { /* the indices of the experts: what top-k chooses */
        Type scores = type_tensor(DT_F32, true, 1, (int64_t[]){6});
        Value *s = kit_activation(k, scores, LIVELY, 0);
        return kit_op(k, kit_func(k), "topk", &s, 1, kit_attr(k, NULL, "k", ty.dim[0]))->out[1];
    }
    if (def == &op_rope && !strcmp(t->name, "pos") && rng_int(&k->r, 0, 2))
        return kit_op(k, kit_func(k), "position", NULL, 0, NULL)->out[0];
    bool any = t->ndim < 0 && def->pattern == PAT_ELEMENTWISE && def != &op_exp;
    if (k->odd && any && ty.seq && type_count(ty) == 1 && d == LIVELY && rng_int(&k->r, 0, 1))
        return kit_reshape(k, whole_number(k), ty.rank, ty.dim);
    Value *odd = k->odd ? odd_operand(k, ty, d, p) : NULL;
    return odd ? odd : plain_operand(k, ty, d, p);
}

/* The operand of the same type, domain and place that an earlier one is: given twice. */
static inline Value *given_already(Kit *k, const OpDef *def, Value *const *in, const Type *types, int i) {
    const Signature *s = signature_of(k->a, def);
    for (int j = 0; j < i && i < s->nin && k->odd && rng_int(&k->r, 0, 3) == 0; j++)
        if (in[j] && type_equal(types[i], in[j]->type) &&
            domain_of(k, def, s->in[i].name) == domain_of(k, def, s->in[j].name))
            return in[j];
    return NULL;
}

/* The op with random operands in the function at hand; NULL: refused. */
static inline Op *draw_op(Kit *k, const OpDef *def, int64_t (*size)(Rng *, const char *)) {
    Func *f = kit_func(k);
    const Signature *s = signature_of(k->a, def);
    Dims dims = {.draw = size};
    gen_cell(&k->r, k->a, def, &dims, NULL);
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
    if (def == &op_linear_experts)
        types[2].dim[0] = types[3].dim[0] = k->odd && types[1].dim[0] == 1 ? POSITIONS : 6;
    if (def == &op_embed && k->odd) types[1].dim[0] = POSITIONS;
    Attr *attrs = gen_attrs(&k->r, k->a, def, types[0], &dims);
    mend_attrs(k, def, attrs);
    gen_cell(&k->r, k->a, def, &dims, &attrs);
    for (int i = 0; i < nin; i++) {
        const SigTensor *t = &s->in[i < s->nin ? i : s->nin - 1];
        int64_t rows = ids[i] && i + 1 < nin ? types[i + 1].dim[0] : 0;
        if (!absent[i]) in[i] = given_already(k, def, in, types, i);
        if (!absent[i] && !in[i]) in[i] = draw_operand(k, def, t, types[i], ids[i], rows);
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
 * elementwise op uses the first one. */
static inline void add_results(Kit *k, const OpDef *def, Op *op, const char *label) {
    Func *f = kit_func(k);
    int n = op->nout - op_state_count(def);
    for (int i = 0; i < n; i++) {
        Value *y = op->out[i];
        if (i < n - 1 && k->odd && rng_int(&k->r, 0, 2) == 0) continue; /* nobody uses it */
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
        ir_result_add(f, arena_printf(k->a, "%s.epilogue", label),
                      kit_op(k, f, "sigmoid", &z, 1, NULL)->out[0]);
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
    k->wide = rng_int(&k->r, 0, 1), k->odd = rng_int(&k->r, 0, 1), k->block = NULL, k->nparams = 0;
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

#endif
