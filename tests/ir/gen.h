/* Random instances of an op, drawn from its row of the table: shapes from the signature, attributes from the
 * AttrDefs. What the op refuses is drawn again, so new ops are covered without an edit here. */
#ifndef BTC_TESTS_IR_GEN_H
#define BTC_TESTS_IR_GEN_H

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "op.h"

typedef struct Rng {
    uint64_t s;
} Rng;

static inline uint64_t rng_next(Rng *r) {
    r->s += 0x9e3779b97f4a7c15u;
    uint64_t z = (r->s ^ (r->s >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}
static inline int64_t rng_int(Rng *r, int64_t lo, int64_t hi) {
    return lo + (int64_t)(rng_next(r) % (uint64_t)(hi - lo + 1));
}
static inline double rng_float(Rng *r, double lo, double hi) {
    return lo + (hi - lo) * (double)(rng_next(r) >> 11) / 9007199254740992.0;
}

/* A module whose main is one op; operands are the parameters, results the results. */
typedef struct Instance {
    Module *m;
    Op *op;
} Instance;

typedef struct Dims {
    char name[16][16];
    int64_t size[16];
    int n;
    int64_t (*draw)(Rng *r, const char *name); /* NULL: small sizes */
} Dims;

static inline int64_t gen_dim(Rng *r, Dims *d, const char *text) {
    const char *bar = strchr(text, '|'), *star = strchr(text, '*');
    if (*text >= '0' && *text <= '9' && !bar) return atoll(text);
    if (bar) return rng_int(r, 0, 1) ? atoll(text) : gen_dim(r, d, bar + 1);
    if (star) { /* a product of two names */
        char left[16] = {0};
        memcpy(left, text, (size_t)(star - text));
        return gen_dim(r, d, left) * gen_dim(r, d, star + 1);
    }
    for (int i = 0; i < d->n; i++)
        if (!strcmp(d->name[i], text)) return d->size[i];
    snprintf(d->name[d->n], sizeof d->name[0], "%s", text);
    int64_t size = d->draw ? d->draw(r, text) : rng_int(r, 1, 4) * (rng_int(r, 0, 2) ? 1 : 2);
    return d->size[d->n++] = size;
}

static inline Type gen_type(Rng *r, Dims *d, const SigTensor *t, bool constant) {
    Type ty = {.kind = TY_TENSOR, .dt = DT_F32};
    if (t->ndim < 0) { /* any shape: tails of one shape, with ones in it, broadcast with each other */
        ty.seq = !constant && rng_int(r, 0, 3) > 0;
        ty.rank = (int)rng_int(r, 0, 3);
        for (int i = 0; i < ty.rank; i++) {
            char axis[16];
            snprintf(axis, sizeof axis, "any%d", ty.rank - i);
            ty.dim[i] = rng_int(r, 0, 3) ? gen_dim(r, d, axis) : 1;
        }
        return ty;
    }
    for (int i = 0; i < t->ndim; i++) {
        if (i == 0 && (sig_has_t(t) || sig_may_have_t(t)))
            ty.seq = sig_has_t(t) || rng_int(r, 0, 1);
        else if (strcmp(t->dim[i], "*"))
            ty.dim[ty.rank++] = gen_dim(r, d, t->dim[i]);
        else
            for (int64_t k = gen_dim(r, d, "middle") % 3; k > 0; k--)
                ty.dim[ty.rank++] = gen_dim(r, d, "star");
    }
    return ty;
}

static inline const char *gen_word(Rng *r, Arena *a, const char *words) {
    int n = 1;
    for (const char *p = words; *p; p++) n += *p == '|';
    const char *p = words;
    for (int64_t k = rng_int(r, 0, n - 1); k > 0; k--) p = strchr(p, '|') + 1;
    return arena_strndup(a, p, strcspn(p, "|"));
}

/* dims: an attribute of this name is the size that was drawn for it. */
static inline Attr *gen_attrs(Rng *r, Arena *a, const OpDef *def, Type first, const Dims *dims) {
    Attr *list = NULL;
    int64_t ints[MAX_RANK] = {1, 1, 1, 1, 1};
    double floats[1] = {rng_float(r, -2, 2)};
    for (const AttrDef *d = def->attrs; d && d->name; d++) {
        int64_t drawn = 0;
        for (int i = 0; i < dims->n; i++)
            if (!strcmp(dims->name[i], d->name)) drawn = dims->size[i];
        if (!d->required && !drawn && rng_int(r, 0, 1)) continue;
        Attr t = {.name = d->name, .kind = d->kind, .i = rng_int(r, 0, 3), .f = rng_float(r, 0.01, 2)};
        if (d->kind == AT_INT && d->required) t.i = rng_int(r, 1, 6);
        if (d->kind == AT_INT && drawn) t.i = drawn;
        if (d->kind == AT_BOOL) t.i &= 1;
        if (d->kind == AT_FLOAT && attr_wrong(a, d, &t)) t.f = -t.f; /* ranges have one end, or begin at 1 */
        if (d->kind == AT_FLOAT && attr_wrong(a, d, &t)) t.f = 1 - t.f;
        if (!strcmp(d->name, "context")) t.i = 16;
        bool named = d->kind == AT_FORMAT || d->kind == AT_ARITHMETIC; /* names of records */
        if (named) t.kind = AT_STR;
        if (d->kind == AT_STR || named)
            t.s = d->str && strchr(d->str, '|') ? gen_word(r, a, d->str)
                  : d->str && *d->str           ? d->str
                                                : "name";
        if (d->kind == AT_FORMAT) t.s = "bf16";
        if (d->kind == AT_FLOATS) t.n = 1, t.floats = floats;
        if (d->kind == AT_INTS) { /* a shape of all elements, or a permutation that turns around */
            bool perm = !strcmp(d->name, "perm");
            t.n = perm ? first.rank : 1, t.ints = ints;
            if (first.kind == TY_TENSOR) ints[0] = type_count(first);
            for (int i = 0; i < first.rank && perm; i++) ints[i] = first.rank - 1 - i;
        }
        attr_set(a, &list, t);
    }
    return list;
}

/* Recurrent cells, whose formula and sizes must fit: one of these, with as many gates. */
static inline void gen_cell(Rng *r, Arena *a, const OpDef *def, Dims *d, Attr **attrs) {
    static const struct {
        int gates;
        const char *names, *keeps, *cell;
    } cells[] = {
        {4, "i f g o", "c", "f sigmoid c mul i sigmoid g tanh mul add =c o sigmoid c tanh mul =y"},
        {3, "r z n", "", "z sigmoid =z 1 z sub n_x r sigmoid n_w mul add tanh mul z y mul add =y"},
        {1, "h", "", "h tanh =y"},
        {4, "i f z o", "c n m",
         "m f neg softplus sub =l n 0 equal i i l maximum where =q i q sub exp 1 minimum =a l q sub exp 1 "
         "minimum =b "
         "b c mul a z tanh mul add =c b n mul a add =n q =m o sigmoid c mul n div =y"},
    };
    if (def != &op_scan_cell) return;
    int64_t k = d->n ? d->size[0] == 4 ? 0 : d->size[0] == 3 ? 1 : 2 : rng_int(r, 0, 3);
    if (attrs) {
        if (k == 0 && rng_int(r, 0, 1)) k = 3;
        attr_set(a, attrs, (Attr){.name = "gates", .kind = AT_STR, .s = cells[k].names});
        attr_set(a, attrs, (Attr){.name = "keeps", .kind = AT_STR, .s = cells[k].keeps});
        attr_set(a, attrs, (Attr){.name = "cell", .kind = AT_STR, .s = cells[k].cell});
        return;
    }
    int64_t size = d->draw ? d->draw(r, "d") : rng_int(r, 1, 5);
    const char *const names[] = {"g", "d", "i", "n"};
    const int64_t sizes[] = {cells[k].gates, size, size, rng_int(r, 1, 3)};
    for (int i = 0; i < 4; i++) {
        snprintf(d->name[d->n], sizeof d->name[0], "%s", names[i]);
        d->size[d->n++] = sizes[i];
    }
}

/* false: refused, draw again. */
static inline bool gen_instance(Arena *a, Rng *r, const OpDef *def, Instance *out) {
    Diag d = diag_new(a, NULL);
    const Signature *s = signature_of(a, def);
    Dims dims = {0};
    gen_cell(r, a, def, &dims, NULL);
    out->m = ir_module_new(a, "instance");
    Func *f = ir_func_new(out->m, "main", LEVEL_MODEL);
    Value *in[SIG_MAX] = {0};
    int nin = s->nin + (def->flags & OPF_VARIADIC ? (int)rng_int(r, 0, 2) : 0);
    for (int i = 0; i < nin; i++) {
        const SigTensor *t = &s->in[i < s->nin ? i : s->nin - 1];
        if (t->optional && rng_int(r, 0, 1)) continue;
        Type ty = gen_type(r, &dims, t, def->flags & OPF_CONST_ONLY);
        const char *p = strstr(arena_printf(a, " %s", def->sig), arena_printf(a, " %s:i32", t->name));
        if (p) ty.dt = DT_I32;
        in[i] = ir_param_add(f, t->name, ty);
    }
    Attr *attrs = gen_attrs(r, a, def, in[0] ? in[0]->type : (Type){0}, &dims);
    gen_cell(r, a, def, &dims, &attrs);
    out->op = ir_build(&d, f, f->body, def->name, in, nin, attrs, NULL, 0, NULL, (Loc){.path = "$.ops[0]"});
    if (!out->op) return false;
    for (int i = 0; i < out->op->nout - op_state_count(def); i++) ir_result_add(f, NULL, out->op->out[i]);
    return true;
}

/* Numbers for a parameter. Indices stay below 1, so that they lie in every table. */
static inline Tensor gen_tensor(Arena *a, Rng *r, Type type, int64_t rows) {
    Tensor t = {.type = type, .rows = type.seq ? rows : 1};
    int64_t n = t.rows * type_count(type);
    t.data = ARENA_ARRAY(a, double, n);
    for (int64_t i = 0; i < n; i++) t.data[i] = type.dt == DT_I32 ? 0 : rng_float(r, -1.5, 1.5);
    return t;
}

#endif
