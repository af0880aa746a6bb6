/* Checks the weights of a module against a checkpoint. A block has other weights in every call, under the call's
 * prefix, so every call is checked; every tensor of the checkpoint must be used. */
#include <fnmatch.h>
#include <stdlib.h>
#include <string.h>

#include "desc/desc.h"
#include "op.h"
#include "weight_name.h"

/* What is wrong with a tensor; of each kind the first one is told in full, the others only named. */
typedef enum Fault { FAULT_MISSING, FAULT_SHAPE, FAULT_DTYPE, FAULT_COUNT } Fault;
static const char *const FAULTS[] = {"missing as well", "of another shape than expected, too",
                                     "no floating-point numbers either"};

typedef struct Wrong {
    const Op *op;           /* the weight that names it */
    const char *name;       /* in full */
    const RawTensor *found; /* NULL: missing */
    const char *shape;      /* expected */
} Wrong;

typedef struct Check {
    Diag *d;
    Arena *a;
    const Module *m;
    WeightSet *w;
    struct {
        Wrong *items;
        int n, cap;
    } wrong[FAULT_COUNT];
} Check;

/* Equal but for dimensions of size 1. */
static bool same_but_ones(const int64_t *x, int nx, const int64_t *y, int ny) {
    int i = 0, k = 0;
    for (;;) {
        while (i < nx && x[i] == 1) i++;
        while (k < ny && y[k] == 1) k++;
        if (i == nx || k == ny) return i == nx && k == ny;
        if (x[i++] != y[k++]) return false;
    }
}

static const char *shape_text(Arena *a, const int64_t *dim, int rank) {
    Text t = text_new(a);
    text_add(&t, "[");
    for (int i = 0; i < rank; i++) text_add(&t, "%s%lld", i ? "," : "", (long long)dim[i]);
    text_add(&t, "]");
    return t.s;
}

static void add_wrong(Check *c, Fault fault, Wrong one) {
    for (int i = 0; i < c->wrong[fault].n; i++) /* several statements may use one tensor */
        if (strcmp(c->wrong[fault].items[i].name, one.name) == 0) return;
    ARENA_PUSH(c->a, c->wrong[fault].items, c->wrong[fault].n, c->wrong[fault].cap, one);
}

static void check_tensor(Check *c, const Op *op, const char *name, const int64_t *dim, int rank) {
    RawTensor *t = weights_find(c->w, name);
    Wrong one = {op, name, t, shape_text(c->a, dim, rank)};
    if (!t) {
        add_wrong(c, FAULT_MISSING, one);
        return;
    }
    t->used = true;
    if (!same_but_ones(dim, rank, t->dim, t->rank))
        add_wrong(c, FAULT_SHAPE, one);
    else if (!t->blocks && t->dt != DT_F32 && t->dt != DT_F64 && t->dt != DT_F16 && t->dt != DT_BF16)
        add_wrong(c, FAULT_DTYPE, one);
}

static void check_weight(Check *c, const Op *op, const char *prefix) {
    const char *name = weight_name(c->a, prefix, attr_str(op, "name", ""));
    Type ty = op->out[0]->type;
    bool stacked = strchr(name, '{') != NULL;
    int64_t n = weight_count(name);
    if (stacked && (ty.rank == 0 || ty.dim[0] != n)) {
        diag_error(c->d, op->loc, "\"%s\" stacks %lld tensors, but the shape is %s", name, (long long)n,
                   shape_text(c->a, ty.dim, ty.rank));
        return;
    }
    for (int64_t k = 0; k < n; k++)
        check_tensor(c, op, weight_part(c->a, name, k), ty.dim + stacked, ty.rank - stacked);
}

static void check_func(Check *c, const Func *f, const char *prefix, int depth) {
    OPS_OF (f->body, op) {
        if (op->def->pattern == PAT_CALL) {
            const Func *g = ir_func_find(c->m, attr_str(op, "func", ""));
            const char *inner = weight_name(c->a, prefix, attr_str(op, "prefix", ""));
            if (g && depth < 64) check_func(c, g, inner, depth + 1);
        } else if (strcmp(op->def->name, "weight") == 0) {
            check_weight(c, op, prefix);
        }
    }
}

/* What stands before `name` in the file's name of it; NULL: there is no such tensor, or more than a wrapper's
 * word stands before it. */
static const char *wrapper_of(const Check *c, const char *name) {
    size_t n = strlen(name);
    for (int i = 0; i < c->w->n; i++) {
        const char *other = c->w->tensors[i].name;
        size_t m = strlen(other);
        if (m > n + 1 && other[m - n - 1] == '.' && !strcmp(other + m - n, name) && !c->w->tensors[i].used)
            return arena_strndup(c->a, other, m - n);
    }
    return NULL;
}

/* The nearest name that nothing uses: a used one cannot have been meant. */
static const char *did_you_mean(Check *c, const char *name) {
    const char *wrapper = wrapper_of(c, name);
    if (wrapper) return arena_printf(c->a, " (did you mean \"%s%s\"?)", wrapper, name);
    const char **spare = ARENA_ARRAY(c->a, const char *, c->w->n + 1);
    int n = 0;
    for (int i = 0; i < c->w->n; i++)
        if (!c->w->tensors[i].used) spare[n++] = c->w->tensors[i].name;
    return diag_did_you_mean(c->a, name, spare, n);
}

static void report(Check *c, Fault fault) {
    enum { NAMED = 4 };
    const Wrong *all = c->wrong[fault].items, *w = all;
    int n = c->wrong[fault].n;
    if (n == 0) return;
    Loc loc = {.file = w->found ? w->found->file : c->w->name};
    if (fault == FAULT_MISSING)
        diag_error(c->d, w->op->loc, "%s has no tensor \"%s\" (%s is expected)%s", c->w->name, w->name,
                   w->shape, did_you_mean(c, w->name));
    else if (fault == FAULT_SHAPE)
        diag_error(c->d, w->op->loc, "%s: tensor \"%s\" is %s, expected the shape %s", w->found->file,
                   w->name, raw_tensor_type(c->a, w->found), w->shape);
    else
        diag_error(c->d, w->op->loc,
                   "%s: tensor \"%s\" holds %s, expected floating-point numbers (f32, f64, f16, bf16)",
                   w->found->file, w->name, raw_tensor_dtype(w->found));
    const char *wrapper = fault == FAULT_MISSING ? wrapper_of(c, w->name) : NULL;
    if (wrapper)
        diag_note(c->d, loc,
                  "the names of the file begin with \"%s\": where a wrapper (torch.compile, DataParallel, a "
                  "trainer) "
                  "put it there, save the state_dict of the model inside",
                  wrapper);
    if (n == 1) return;
    Text t = text_new(c->a);
    for (int i = 1; i < n && i <= NAMED; i++)
        text_add(&t, "%s\"%s\"%s", i > 1 ? ", " : "", all[i].name,
                 fault == FAULT_MISSING ? did_you_mean(c, all[i].name) : "");
    if (n - 1 > NAMED) text_add(&t, " and %d more", n - 1 - NAMED);
    diag_note(c->d, loc, "%s: %s", FAULTS[fault], t.s);
}

static bool is_ignored(Arena *a, const char *patterns, const char *name) {
    for (const char *p = patterns; *p;) {
        size_t n = strcspn(p, " ");
        if (fnmatch(arena_strndup(a, p, n), name, 0) == 0) return true;
        p += n;
        p += *p == ' ';
    }
    return false;
}

static bool check_surplus(Check *c) {
    enum { NAMED = 5 };
    const Attr *ignore = attr_find(c->m->attrs, "ignore");
    Text t = text_new(c->a);
    int n = 0;
    for (int i = 0; i < c->w->n; i++) {
        const RawTensor *r = &c->w->tensors[i];
        if (r->used || (ignore && is_ignored(c->a, ignore->s, r->name))) continue;
        if (n++ < NAMED) text_add(&t, "%s\"%s\"", n > 1 ? ", " : "", r->name);
    }
    if (n == 0) return true;
    if (n > NAMED) text_add(&t, " and %d more", n - NAMED);
    Loc loc = {.file = c->w->name};
    diag_error(c->d, loc, "the model does not use %s", t.s);
    diag_note(c->d, loc, "if they do not belong to the model, name them (or a pattern) under \"ignore\"");
    return false;
}

/* A description may name no file where no op uses a weight. */
static bool check_named(Diag *d, const Module *m) {
    for (const Func *f = m->first; f; f = f->next)
        OPS_OF (f->body, op)
            if (op->def == OP_TABLE[OP_weight])
                return diag_error(d, op->loc,
                                  "the description names no \"weights\", where \"%s\" would be: add "
                                  "\"weights\": \"FILE.safetensors\", its path from this file",
                                  attr_str(op, "name", ""));
    return true;
}

bool desc_check_weights(Diag *d, Arena *a, const Module *m, WeightSet *w) {
    Check c = {.d = d, .a = a, .m = m, .w = w};
    if (!w->nmaps && !w->n) return check_named(d, m);
    int errors = d->errors;
    const Func *f = ir_func_find(m, "main");
    if (f) check_func(&c, f, "", 0);
    for (int i = 0; i < FAULT_COUNT; i++) report(&c, (Fault)i);
    return f && d->errors == errors && check_surplus(&c);
}
