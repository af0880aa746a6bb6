/* See storage.h. A matrix can be quantised only if products or look-ups read it unchanged. If the compiler computes
 * with it before packing, the blocks would not lie along the inputs of the product.
 * If it only moves whole rows of the matrix, such as the halves of a fused one, the blocks do.
 *
 * --quant does not quantise small and sensitive tensors: low-rank matrices (of gates and decays), routers,
 * block-diagonal gates; nor tensors that are not matrices (norms, convolutions, recurrences). A rule of the
 * description can ask for any matrix. --quant=none quantises no matrix, whatever the rules say.
 *
 * If a format cannot hold the numbers of a tensor, the tensor keeps the checkpoint's type, with a warning. */
#include "storage.h"
#include "weight_name.h"

#include <fnmatch.h>
#include <string.h>

#include "formats/format.h"
#include "numbers.h"
#include "weight_view.h"

typedef struct Rule {
    const char *pattern;
    const NumberFormat *format;
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
    Arena *a = d->arena;
    if (o->dtype && !format_ask(o->dtype, FORMATS_PLAIN))
        return diag_usage(d, (Loc){0}, "--dtype=%s: must be %s", o->dtype,
                          format_names(a, FORMATS_PLAIN, ", ", " or "));
    if (o->quant && strcmp(o->quant, "none") && !format_ask(o->quant, FORMATS_QUANTIZED))
        return diag_usage(d, (Loc){0}, "--quant=%s: must be %s or none", o->quant,
                          format_names(a, FORMATS_QUANTIZED, ", ", ", "));
    return true;
}

/* The module's rules: "pattern format", a line each (desc.c). */
static void read_rules(Assign *a) {
    const Attr *t = attr_find(a->m->module->attrs, "quant");
    char *text = t ? arena_strdup(a->m->arena, t->s) : NULL, *rest = NULL;
    for (char *line = text ? strtok_r(text, "\n", &rest) : NULL; line; line = strtok_r(NULL, "\n", &rest)) {
        char *space = strchr(line, ' ');
        *space = 0;
        Rule r = {line, format_ask(space + 1, FORMATS_ASKED), 0};
        ARENA_PUSH(a->m->arena, a->rules, a->nrules, a->cap, r);
    }
}

/* Which operand of a product or look-up is its matrix, or -1. */
static int matrix_operand(const Op *op) {
    if (!op->def->contracted && op->def->pattern != PAT_GATHER) return -1;
    if (!op->out[0]->type.seq) return -1; /* of constants: computed before packing */
    for (int i = 0; i < op->nin; i++) {
        const Value *v = op->in[i];
        if (v && v->def && !v->type.seq && v->type.rank >= 2) return i;
    }
    return -1;
}

const Value *storage_matrix(const Op *op) {
    int i = matrix_operand(op);
    WeightView view;
    if (i < 0 || !weight_view(op->in[i], &view)) return NULL;
    if (op->in[i] == view.leaf->out[0]) return op->in[i];
    return weight_view_keeps_rows(&view) && !op->def->inputs_first ? view.leaf->out[0] : NULL;
}

/* What a weight is used as. */
typedef struct Uses {
    const Op *product, *gather;
    bool other;
} Uses;

static bool only_moves(const OpDef *def) {
    return def->pattern == PAT_VIEW || def == OP_TABLE[OP_transpose];
}

/* Uses of v, which is the weight `leaf` or rows of it. */
static void add_uses(const Func *f, const Value *v, const Value *leaf, Uses *u) {
    OPS_OF (f->body, op)
        for (int i = 0; i < op->nin; i++) {
            if (op->in[i] != v) continue;
            if (only_moves(op->def) && !op->out[0]->type.seq)
                add_uses(f, op->out[0], leaf, u);
            else if (storage_matrix(op) != leaf || matrix_operand(op) != i)
                u->other = true;
            else if (op->def->pattern == PAT_GATHER)
                u->gather = op;
            else
                u->product = op;
        }
}

static Uses uses_of(const Func *f, const Value *v) {
    Uses u = {0};
    add_uses(f, v, v, &u);
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
            bool moves = only_moves(def) || def == OP_TABLE[OP_concat];
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

/* Whether the blocks that the checkpoint has can be packed as they are: they must lie along the inputs of what is
 * read as a matrix. */
static bool keeps_blocks(const Uses *u) {
    return may_be_quantised(u) && !(u->product && u->product->def->inputs_first);
}

/* The format in which the checkpoint has it, or f32, which holds all of them. */
static const NumberFormat *own_format(const Assign *a, const char *name, const Uses *u) {
    const RawTensor *t = weights_find(&a->m->weights, weight_part(a->m->arena, name, 0));
    if (a->o->dtype) return format_find(a->o->dtype);
    if (t && t->blocks) return keeps_blocks(u) ? t->blocks : &format_f32;
    return t && (t->dt == DT_BF16 || t->dt == DT_F16) ? format_of_dtype(t->dt) : &format_f32;
}

/* The format of one weight under its full name, or NULL: a message is filed. */
static const NumberFormat *decide(Assign *a, const Func *f, const Value *v, const Uses *u, const char *name) {
    const NumberFormat *own = becomes_matrix(f, v) ? own_format(a, name, u) : &format_f32;
    bool none = a->o->quant && !strcmp(a->o->quant, "none");
    Rule *r = rule_for(a, name, u);
    if (r) {
        if (r->format->block && none) return own;
        if (!r->format->block || may_be_quantised(u)) return r->format;
        diag_error(
            a->d, rule_loc(a, r),
            "%s is not only the matrix of a product or a table: it cannot be %s, only %s; let a pattern "
            "before this one take it (\"%s\": \"f32\"), or give --quant=%s instead, which takes what can be",
            name, r->format->name, format_names(a->m->arena, FORMATS_PLAIN, ", ", " or "), name,
            r->format->name);
        return NULL;
    }
    bool in_main = !strcmp(f->name, "main");
    return a->o->quant && !none && may_be_quantised(u) && is_worthwhile(v, u, in_main)
               ? format_find(a->o->quant)
               : own;
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
static const NumberFormat *exact_format(const Assign *a, const Names *names) {
    const RawTensor *first = tensor_of(a, names->full[0], 0);
    for (int i = 0; i < names->n; i++)
        for (int64_t k = 0; k < weight_count(names->full[i]); k++) {
            const RawTensor *t = tensor_of(a, names->full[i], k);
            if (!t || t->blocks || t->dt != first->dt || (t->dt != DT_BF16 && t->dt != DT_F16))
                return &format_f32;
        }
    return format_of_dtype(first->dt);
}

static const char *misfit_text(Arena *a, const RawTensor *t, const Misfit *w, const NumberFormat *f) {
    const char *place = numbers_place(a, t, w->at);
    if (w->kind == NOT_FINITE)
        return arena_printf(a, "%s is %g, for which %s has no code", place, w->value, f->name);
    if (w->kind == TOO_LARGE) return arena_printf(a, "%s is %g, too large for %s", place, w->value, f->name);
    return arena_printf(a, "the %s from %s on is at most %g, too small for %s", f->block ? "block" : "row",
                        place, w->value, f->name);
}

/* The first tensor whose numbers the format cannot hold; NULL: it holds all. */
static const RawTensor *first_misfit(const Assign *a, const Op *op, const Names *names, const NumberFormat *f,
                                     bool across, Misfit *out) {
    Type type = op->out[0]->type;
    for (int i = 0; i < names->n; i++) {
        bool stacked = strchr(names->full[i], '{') != NULL;
        Type one = stacked ? type_tensor(type.dt, false, type.rank - 1, type.dim + 1) : type;
        for (int64_t k = 0; k < weight_count(names->full[i]); k++) {
            const RawTensor *t = tensor_of(a, names->full[i], k);
            if (t && !numbers_fit(t, one, f, across, out)) return t;
        }
    }
    return NULL;
}

/* The format, or what takes its place. NULL: nothing does, a message is filed. */
static const NumberFormat *that_fits(Assign *a, const Op *op, const Names *names, const NumberFormat *f,
                                     bool across) {
    Misfit w;
    const RawTensor *t = first_misfit(a, op, names, f, across, &w);
    if (!t) return f;
    const NumberFormat *exact = exact_format(a, names);
    const char *what = misfit_text(a->m->arena, t, &w, f);
    Loc loc = {.file = t->file, .path = t->name};
    if (exact == f) {
        diag_error(a->d, loc, "%s, and there is no wider type", what);
        return NULL;
    }
    diag_warning(a->d, loc, "%s: it is stored as %s%s", what, exact->name,
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

static bool is_kept(const NumberFormat *f) {
    return f->block && !f->quantize;
}

/* Layers of one block share their code, and with it the format. Of plain numbers the first one's is taken, and what it
 * does not hold is found later; blocks of several formats become f32, which holds all of them. NULL: a message is
 * filed. */
static const NumberFormat *shared_format(Assign *a, const Names *names, const NumberFormat *const *each) {
    for (int i = 1; i < names->n; i++) {
        const NumberFormat *f = each[0], *g = each[i];
        if (f == g || (!f->block && !g->block)) continue;
        if (is_kept(f) || is_kept(g)) {
            diag_warning(a->d, (Loc){.file = a->m->weights.name, .path = names->full[i]},
                         "is %s, and %s is %s: layers of one block share their code, so all of them are "
                         "stored as f32; "
                         "give those of one format a block of their own, or a format with --quant",
                         g->name, names->full[0], f->name);
            return &format_f32;
        }
        diag_error(a->d, (Loc){.file = a->m->description_name, .path = "quant"},
                   "%s is to be %s and %s %s, but layers of one block share their code; use a pattern that "
                   "holds for all of them",
                   names->full[0], f->name, names->full[i], g->name);
        return NULL;
    }
    return names->n ? each[0] : &format_f32;
}

/* Tensors that are stacked must all be as the first. */
static const NumberFormat *of_stack(const Assign *a, const char *name, const NumberFormat *f) {
    for (int64_t k = 1; is_kept(f) && k < weight_count(name); k++) {
        const RawTensor *t = tensor_of(a, name, k);
        if (t && t->blocks != f) return &format_f32;
    }
    return f;
}

static bool assign_weight(Assign *a, Func *f, Op *op) {
    Uses u = uses_of(f, op->out[0]);
    Names names = names_of(a, f, op);
    const NumberFormat **each = ARENA_ARRAY(a->m->arena, const NumberFormat *, names.n);
    for (int i = 0; i < names.n; i++) {
        if (!(each[i] = decide(a, f, op->out[0], &u, names.full[i]))) return false;
        each[i] = of_stack(a, names.full[i], each[i]);
    }
    const NumberFormat *format = shared_format(a, &names, each);
    bool across = u.product && u.product->def->inputs_first;
    if (format && names.n) format = that_fits(a, op, &names, format, across);
    if (!format) return false;
    warn_of_denormals(a, &names);
    op_set_format(f, op, "storage", format);
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
