/* See storage.h. Only matrices that products or look-ups read as they are can be quantised: what is computed
 * with before packing would have to be quantised along other numbers than its product's inputs.
 *
 * By itself --quant leaves alone what is small and sensitive: matrices of low rank (gates of decays and the
 * like), routers, block-diagonal gates; and all that is no matrix (norms, convolutions, recurrences). A rule
 * of the description can still ask for any matrix. --quant=none takes no matrix, whatever the rules say.
 *
 * Where the numbers of a tensor do not fit what was chosen it keeps the checkpoint's type instead, with a
 * warning: rules and options say what is wanted, not what must be at any price. */
#include "storage.h"
#include "weight_name.h"

#include <fnmatch.h>
#include <string.h>

#include "formats/quant.h"
#include "numbers.h"

typedef struct Rule {
    const char *pattern, *format;
    int used;
} Rule;

typedef struct Assign {
    Diag *d;
    Model *m;
    const ModelOptions *o;
    Rule *rules;
    int nrules, cap;
} Assign;

bool storage_check_options(Diag *d, const ModelOptions *o) {
    Storage s;
    if (o->dtype && strcmp(o->dtype, "f32") && strcmp(o->dtype, "bf16") && strcmp(o->dtype, "f16"))
        return diag_usage(d, (Loc){0}, "--dtype=%s: must be f32, bf16 or f16", o->dtype);
    if (o->quant && strcmp(o->quant, "none") && !(storage_parse(o->quant, &s) && s.quant))
        return diag_usage(d, (Loc){0}, "--quant=%s: must be q8, q6, q4 or none", o->quant);
    return true;
}

/* The module's rules: "pattern format", a line each (desc.c). */
static void read_rules(Assign *a) {
    const Attr *t = attr_find(a->m->module->attrs, "quant");
    char *text = t ? arena_strdup(a->m->arena, t->s) : NULL, *rest = NULL;
    for (char *line = text ? strtok_r(text, "\n", &rest) : NULL; line; line = strtok_r(NULL, "\n", &rest)) {
        char *space = strchr(line, ' ');
        *space = 0;
        Rule r = {line, space + 1, 0};
        ARENA_PUSH(a->m->arena, a->rules, a->nrules, a->cap, r);
    }
}

/* Which operand of a product or look-up is its matrix, or -1. */
static int matrix_operand(const Op *op) {
    if (op->def->pattern != PAT_CONTRACT && op->def->pattern != PAT_GATHER) return -1;
    if (!op->out[0]->type.seq) return -1; /* of constants: computed before packing */
    for (int i = 0; i < op->nin; i++) {
        const Value *v = op->in[i];
        if (v && v->def && !v->type.seq && v->type.rank >= 2) return i;
    }
    return -1;
}

const Value *storage_matrix(const Op *op) {
    int i = matrix_operand(op);
    return i >= 0 && op->in[i]->def->def == OP_TABLE[OP_weight] ? op->in[i] : NULL;
}

/* What a weight is used as. */
typedef struct Uses {
    const Op *product, *gather;
    bool other;
} Uses;

static Uses uses_of(const Func *f, const Value *v) {
    Uses u = {0};
    OPS_OF (f->body, op)
        for (int i = 0; i < op->nin; i++) {
            if (op->in[i] != v) continue;
            if (storage_matrix(op) != v)
                u.other = true;
            else if (op->def->pattern == PAT_GATHER)
                u.gather = op;
            else
                u.product = op;
        }
    return u;
}

/* Whether v, or what only moves its elements, is what a product or look-up takes as its matrix: what is
 * packed in its own type. All else is packed in f32. */
static bool becomes_matrix(const Func *f, const Value *v) {
    OPS_OF (f->body, op)
        for (int i = 0; i < op->nin; i++) {
            if (op->in[i] != v) continue;
            const OpDef *def = op->def;
            if (i == matrix_operand(op)) return true;
            bool moves =
                def->pattern == PAT_VIEW || def == OP_TABLE[OP_transpose] || def == OP_TABLE[OP_concat];
            if (moves && becomes_matrix(f, op->out[0])) return true;
        }
    return false;
}

static bool may_be_quantised(const Uses *u) {
    return !u->other && (u->product || u->gather);
}

/* What --quant takes without being told. */
static bool is_worthwhile(const Value *v, const Uses *u, bool in_main) {
    enum { LOW_RANK = 256 };
    if (u->product && u->product->def == OP_TABLE[OP_linear_blocks]) return false;
    if (in_main) return true; /* embedding, head */
    int64_t o = v->type.dim[v->type.rank - 2], i = v->type.dim[v->type.rank - 1], least = o < i ? o : i;
    return least > LOW_RANK || 4 * least > (o < i ? i : o);
}

static bool matches(Arena *a, const char *pattern, const char *name, const Uses *u) {
    static const char END[] = ".weight";
    size_t n = strlen(name), k = sizeof END - 1;
    if (u->gather && !strcmp(pattern, "embedding")) return true;
    if (!fnmatch(pattern, name, 0)) return true;
    if (n <= k || strcmp(name + n - k, END)) return false;
    return !fnmatch(pattern, arena_strndup(a, name, n - k), 0);
}

static Rule *rule_for(Assign *a, const char *name, const Uses *u) {
    for (int i = 0; i < a->nrules; i++)
        if (matches(a->m->arena, a->rules[i].pattern, name, u)) return a->rules[i].used++, &a->rules[i];
    return NULL;
}

static Loc rule_loc(const Assign *a, const Rule *r) {
    return (Loc){.file = a->m->description_name, .path = arena_printf(a->m->arena, "quant.%s", r->pattern)};
}

static const char *own_type(const Assign *a, const char *name) {
    const RawTensor *t = weights_find(&a->m->weights, weight_part(a->m->arena, name, 0));
    if (a->o->dtype) return a->o->dtype;
    return t && (t->dt == DT_BF16 || t->dt == DT_F16) ? dtype_name(t->dt) : "f32";
}

/* The storage of one weight under its full name, or NULL: a message is filed. */
static const char *decide(Assign *a, const Func *f, const Value *v, const Uses *u, const char *name) {
    const char *own = becomes_matrix(f, v) ? own_type(a, name) : "f32";
    bool none = a->o->quant && !strcmp(a->o->quant, "none");
    Rule *r = rule_for(a, name, u);
    Storage s;
    if (r) {
        storage_parse(r->format, &s);
        if (s.quant && none) return own;
        if (!s.quant || may_be_quantised(u)) return r->format;
        diag_error(
            a->d, rule_loc(a, r),
            "%s is not only the matrix of a product or a table: it cannot be %s, only "
            "f32, bf16 or f16; let a pattern before this one take it (\"%s\": \"f32\"), or give --quant=%s "
            "instead, which takes what can be",
            name, r->format, name, r->format);
        return NULL;
    }
    bool in_main = !strcmp(f->name, "main");
    return a->o->quant && !none && may_be_quantised(u) && is_worthwhile(v, u, in_main) ? a->o->quant : own;
}

/* ---- formats that cannot hold the numbers ---- */

/* The weight of one call: a tensor, or several that are stacked. */
typedef struct Names {
    const char **full;
    int n, cap;
} Names;

static const RawTensor *tensor_of(const Assign *a, const char *name, int64_t k) {
    return weights_find(&a->m->weights, weight_part(a->m->arena, name, k));
}

/* The smallest type that keeps all of them as they are: what one block of code reads. */
static const char *exact_type(const Assign *a, const Names *names) {
    const RawTensor *first = tensor_of(a, names->full[0], 0);
    for (int i = 0; i < names->n; i++)
        for (int64_t k = 0; k < weight_count(names->full[i]); k++) {
            const RawTensor *t = tensor_of(a, names->full[i], k);
            if (!t || t->dt != first->dt || (t->dt != DT_BF16 && t->dt != DT_F16)) return "f32";
        }
    return dtype_name(first->dt);
}

static const char *misfit_text(Arena *a, const RawTensor *t, const Misfit *w, const char *storage,
                               bool blocks) {
    const char *place = numbers_place(a, t, w->at);
    if (w->kind == NOT_FINITE)
        return arena_printf(a, "%s is %g, for which %s has no code", place, w->value, storage);
    if (w->kind == TOO_LARGE) return arena_printf(a, "%s is %g, too large for %s", place, w->value, storage);
    return arena_printf(a, "the %s from %s on is at most %g, too small for %s", blocks ? "block" : "row",
                        place, w->value, storage);
}

/* The first tensor whose numbers the storage cannot hold; NULL: it holds all. */
static const RawTensor *first_misfit(const Assign *a, const Op *op, const Names *names, Storage s,
                                     bool across, Misfit *out) {
    Type type = op->out[0]->type;
    for (int i = 0; i < names->n; i++) {
        bool stacked = strchr(names->full[i], '{') != NULL;
        Type one = stacked ? type_tensor(type.dt, false, type.rank - 1, type.dim + 1) : type;
        for (int64_t k = 0; k < weight_count(names->full[i]); k++) {
            const RawTensor *t = tensor_of(a, names->full[i], k);
            if (t && !numbers_fit(t, one, s, across, out)) return t;
        }
    }
    return NULL;
}

/* The storage, or what takes its place. NULL: nothing does, a message is filed. */
static const char *that_fits(Assign *a, const Op *op, const Names *names, const char *storage, bool across) {
    Storage s;
    Misfit w;
    storage_parse(storage, &s);
    const RawTensor *t = first_misfit(a, op, names, s, across, &w);
    if (!t) return storage;
    const char *exact = exact_type(a, names),
               *what = misfit_text(a->m->arena, t, &w, storage, s.quant != NULL);
    Loc loc = {.file = t->file, .path = t->name};
    if (!strcmp(exact, storage)) {
        diag_error(a->d, loc, "%s, and there is no wider type", what);
        return NULL;
    }
    diag_warning(a->d, loc, "%s: it is stored as %s%s", what, exact,
                 names->n > 1 ? ", in all layers of its block" : "");
    return that_fits(a, op, names, exact, across);
}

/* Calls flush numbers that small to 0. */
static void warn_of_denormals(Assign *a, const Names *names) {
    for (int i = 0; i < names->n; i++)
        for (int64_t k = 0; k < weight_count(names->full[i]); k++) {
            const RawTensor *t = tensor_of(a, names->full[i], k);
            if (t && t->numbers.largest > 0 && t->numbers.largest < 0x1p-126)
                diag_warning(a->d, (Loc){.file = t->file, .path = t->name},
                             "all its numbers are below 1.2e-38 (%g at most), and count as 0",
                             t->numbers.largest);
        }
}

/* ---- all weights ---- */

/* All calls of a block share its code. */
static Names names_of(const Assign *a, const Func *f, const Op *op) {
    Arena *arena = a->m->arena;
    const Func *main_func = ir_func_find(a->m->module, "main");
    Names names = {0};
    if (f == main_func) {
        const char *name = weight_name(arena, "", attr_str(op, "name", ""));
        ARENA_PUSH(arena, names.full, names.n, names.cap, name);
    }
    OPS_OF (main_func->body, call) {
        if (f == main_func || call->def->pattern != PAT_CALL || strcmp(attr_str(call, "func", ""), f->name))
            continue;
        const char *name = weight_name(arena, attr_str(call, "prefix", ""), attr_str(op, "name", ""));
        ARENA_PUSH(arena, names.full, names.n, names.cap, name);
    }
    return names;
}

static bool assign_weight(Assign *a, Func *f, Op *op) {
    Uses u = uses_of(f, op->out[0]);
    Names names = names_of(a, f, op);
    const char *first = names.n ? NULL : "f32";
    for (int i = 0; i < names.n; i++) {
        const char *s = decide(a, f, op->out[0], &u, names.full[i]);
        if (!s) return false;
        Storage other;
        bool same = !first || !strcmp(s, first), floats = storage_parse(s, &other) && !other.quant;
        if (!first) first = s;
        if (same || (floats && storage_parse(first, &other) && !other.quant)) continue;
        return diag_error(
            a->d, (Loc){.file = a->m->description_name, .path = "quant"},
            "%s is to be %s and %s %s, but layers of one block share their code; use a pattern that "
            "holds for all of them",
            names.full[0], first, names.full[i], s);
    }
    bool across = u.product && u.product->def == OP_TABLE[OP_linear_blocks];
    if (names.n) first = that_fits(a, op, &names, first, across);
    if (!first) return false;
    warn_of_denormals(a, &names);
    op_set_str(f, op, "storage", first);
    if (across) op_set_int(f, op, "inputs", -2);
    return true;
}

bool storage_assign(Diag *d, Model *m, const ModelOptions *o) {
    Assign a = {.d = d, .m = m, .o = o};
    read_rules(&a);
    for (Func *f = m->module->first; f; f = f->next)
        OPS_OF (f->body, op)
            if (op->def == OP_TABLE[OP_weight] && !assign_weight(&a, f, op)) return false;
    for (int i = 0; i < a.nrules; i++)
        if (!a.rules[i].used)
            return diag_error(
                d, rule_loc(&a, &a.rules[i]),
                "no weight has a name like this ; btc import or --emit=description shows the names");
    return true;
}
