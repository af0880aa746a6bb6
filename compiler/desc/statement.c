/* One statement of a block or of `model`:
 *     { "out": "y", "op": "linear", "x": "u", "w": "@proj.weight[D, E]" }     an op: operands, attributes by name
 *     { "out": "x", "map": "x + silu(g)*y" }                                  elementwise arithmetic
 *     { "out": ["q", "k"], "split": "u", "sizes": ["D", "D"] }                slices of the last axis
 * The table of ops says which operands and attributes an op has; nothing here knows an op. */
#include <math.h>
#include <string.h>

#include "desc/scope.h"

enum { MAX_VALUES = 1 << 20, MAX_OUT = 64 };

typedef struct Stmt {
    Scope *s;
    const cJSON *node;
    const char *path;
    const char **out;
    int nout;
} Stmt;

static const char *sub_path(const Stmt *st, const char *key) {
    return arena_printf(st->s->r->arena, "%s.%s", st->path, key);
}

static bool fail(const Stmt *st, const cJSON *node, const char *key, const char *msg) {
    const char *path = key ? sub_path(st, key) : st->path;
    return json_error(&st->s->r->json, node ? node : st->node, path, "%s", msg);
}

/* After an error: the names exist, so that later statements do not complain about them. */
static void bind_failed(const Stmt *st) {
    for (int i = 0; i < st->nout; i++) scope_bind(st->s, st->out[i], NULL);
}

/* ---- operands ---- */

static Value *read_constant_list(const Stmt *st, const cJSON *list, const char *path) {
    Reader *r = st->s->r;
    int n = cJSON_GetArraySize(list), i = 0;
    if (n == 0 || n > MAX_VALUES) return json_error(&r->json, list, path, "a list of %d numbers", n), NULL;
    double *v = ARENA_ARRAY(r->arena, double, n);
    for (const cJSON *c = list->child; c; c = c->next, i++) {
        if (!cJSON_IsNumber(c))
            return json_error(&r->json, c, path, "must hold numbers only, got %s", json_what(r->arena, c)),
                   NULL;
        v[i] = c->valuedouble;
        if (!constant_fits(r->diag, json_loc(&r->json, c, path), v[i])) return NULL;
    }
    int64_t *shape = ARENA_NEW(r->arena, int64_t);
    *shape = n;
    Attr *attrs = NULL;
    attr_set(r->arena, &attrs, (Attr){.name = "values", .kind = AT_FLOATS, .n = n, .floats = v});
    attr_set(r->arena, &attrs, (Attr){.name = "shape", .kind = AT_INTS, .n = 1, .ints = shape});
    Op *op = ir_build(r->diag, st->s->func, st->s->func->body, "constant", NULL, 0, attrs, NULL, 1, NULL,
                      json_loc(&r->json, list, path));
    return op ? op->out[0] : NULL;
}

/* The name of a value, a weight, a number or a list of numbers. NULL: filed (here or before). */
static Value *read_operand(const Stmt *st, const cJSON *n, const char *path) {
    Reader *r = st->s->r;
    if (cJSON_IsNumber(n)) return scope_constant(st->s, n->valuedouble, json_loc(&r->json, n, path));
    if (cJSON_IsArray(n)) return read_constant_list(st, n, path);
    if (!cJSON_IsString(n)) {
        json_error(&r->json, n, path, "must be the name of a value, a weight (\"@name\") or numbers, got %s",
                   json_what(r->arena, n));
        return NULL;
    }
    if (n->valuestring[0] == '@') return read_weight(st->s, n, path);
    Value *v = NULL;
    if (!scope_find(st->s, n->valuestring, &v))
        json_error(&r->json, n, path, "unknown value \"%s\"%s", n->valuestring,
                   scope_did_you_mean(st->s, n->valuestring, false));
    return v;
}

/* By name, or all in order under "in". Returns how many, -1: filed. */
static int read_operands(const Stmt *st, const OpDef *def, const Signature *sig, Value ***out) {
    Arena *a = st->s->r->arena;
    const cJSON *list = json_get(st->node, "in");
    int given = list ? cJSON_GetArraySize(list) : 0, n = given > sig->nin ? given : sig->nin;
    Value **in = *out = ARENA_ARRAY(a, Value *, n + 1);
    bool ok = true;
    if (list) {
        if (!cJSON_IsArray(list) || given == 0 || (given > sig->nin && !(def->flags & OPF_VARIADIC)))
            return fail(st, list, "in", "must be the list of the operands, in order"), -1;
        int i = 0;
        for (const cJSON *c = list->child; c; c = c->next, i++)
            ok &= (in[i] = read_operand(st, c, arena_printf(a, "%s.in[%d]", st->path, i))) != NULL;
    }
    for (int i = given; i < sig->nin; i++) {
        const cJSON *c = json_get(st->node, sig->in[i].name);
        if (c && !cJSON_IsNull(c)) {
            ok &= (in[i] = read_operand(st, c, sub_path(st, sig->in[i].name))) != NULL;
        } else if (!sig->in[i].optional) {
            ok = fail(st, NULL, NULL,
                      arena_printf(a, "%s needs the operand \"%s\"", def->name, sig->in[i].name));
        }
    }
    return ok ? n : -1;
}

/* ---- attributes ---- */

static bool read_ints(const Stmt *st, const cJSON *n, const char *path, Attr *t) {
    Reader *r = st->s->r;
    int count = cJSON_GetArraySize(n), i = 0;
    if (!cJSON_IsArray(n) || count > 4096) return fail(st, n, t->name, "must be a list of sizes");
    int64_t *v = ARENA_ARRAY(r->arena, int64_t, count);
    for (const cJSON *c = n->child; c; c = c->next, i++)
        if (!read_size(r, c, arena_printf(r->arena, "%s[%d]", path, i), -1, MAX_DIM_SIZE, &v[i]))
            return false;
    return t->n = count, t->ints = v, true;
}

static bool read_floats(const Stmt *st, const cJSON *n, Attr *t) {
    int count = cJSON_GetArraySize(n), i = 0;
    if (!cJSON_IsArray(n) || count > MAX_VALUES) return fail(st, n, t->name, "must be a list of numbers");
    double *v = ARENA_ARRAY(st->s->r->arena, double, count);
    for (const cJSON *c = n->child; c; c = c->next, i++) {
        if (!cJSON_IsNumber(c)) return fail(st, c, t->name, "must hold numbers only");
        v[i] = c->valuedouble;
    }
    return t->n = count, t->floats = v, true;
}

static bool read_attr_value(const Stmt *st, const AttrDef *def, const cJSON *n, const char *path, Attr *t) {
    Reader *r = st->s->r;
    *t = (Attr){.name = def->name, .kind = def->kind};
    switch (def->kind) {
    case AT_INT:
        return read_size(r, n, path, -MAX_DIM_SIZE, MAX_DIM_SIZE, &t->i);
    case AT_FLOAT:
        if (!cJSON_IsNumber(n)) return fail(st, n, def->name, "must be a number");
        return t->f = n->valuedouble, true;
    case AT_INTS:
        return read_ints(st, n, path, t);
    case AT_FLOATS:
        return read_floats(st, n, t);
    case AT_BOOL:
        if (!cJSON_IsBool(n)) return fail(st, n, def->name, "must be true or false");
        return t->i = cJSON_IsTrue(n), true;
    case AT_FORMULA:
        t->kind = AT_STR;
        if (!cJSON_IsString(n)) return fail(st, n, def->name, "must be maps with names in a string");
        return (t->s = read_formula(r, n, path)) != NULL;
    case AT_STR:
    case AT_FORMAT:
    case AT_ARITHMETIC:
        t->kind = AT_STR;
        if (!cJSON_IsString(n)) return fail(st, n, def->name, "must be a string");
        return t->s = arena_strdup(r->arena, n->valuestring), true;
    }
    return false;
}

static bool read_attr(const Stmt *st, const AttrDef *def, const cJSON *n, Attr *t) {
    const char *path = sub_path(st, def->name);
    if (!read_attr_value(st, def, n, path, t)) return false;
    if (t->kind == AT_STR) attr_convert(st->s->r->arena, t, def->kind); /* the name of a record */
    const char *wrong = attr_wrong(st->s->r->arena, def, t);
    return !wrong || json_error(&st->s->r->json, n, path, "%s", wrong);
}

static bool read_attrs(const Stmt *st, const OpDef *def, Attr **out) {
    bool ok = true;
    for (const AttrDef *ad = def->attrs; ad && ad->name; ad++) {
        const cJSON *n = json_get(st->node, ad->name);
        Attr t;
        if (!n || cJSON_IsNull(n)) continue;
        if (read_attr(st, ad, n, &t))
            attr_set(st->s->r->arena, out, t);
        else
            ok = false;
    }
    return ok;
}

static bool check_required(const Stmt *st, const OpDef *def, const Attr *attrs) {
    bool ok = true;
    for (const AttrDef *ad = def->attrs; ad && ad->name; ad++)
        if (ad->required && !attr_find(attrs, ad->name))
            ok = fail(st, NULL, NULL,
                      arena_printf(st->s->r->arena, "%s needs \"%s\": %s", def->name, ad->name, ad->doc));
    return ok;
}

/* An op that remembers the whole past keeps `context` slots: those of its window, else the model's. */
static bool set_context(const Stmt *st, const OpDef *def, Attr **attrs) {
    const AttrDef *ad = def->attrs;
    while (ad && ad->name && strcmp(ad->name, "context") != 0) ad++;
    if (!ad || !ad->name || attr_find(*attrs, "context")) return true;
    const Attr *window = attr_find(*attrs, "window");
    int64_t slots = window && window->i > 0 ? window->i : st->s->r->context;
    if (slots == 0)
        return fail(
            st, NULL, NULL,
            arena_printf(st->s->r->arena,
                         "%s without a window needs the longest sequence: \"context\" at the top level",
                         def->name));
    attr_set(st->s->r->arena, attrs, (Attr){.name = "context", .kind = AT_INT, .i = slots});
    return true;
}

/* An op that needs whole sequences needs to know the longest one, which is computed at once. */
static bool check_whole(const Stmt *st, const OpDef *def) {
    return !(def->flags & OPF_WHOLE) || st->s->r->context ||
           fail(st, NULL, NULL,
                arena_printf(st->s->r->arena,
                             "%s needs whole sequences, and so the longest one: \"context\" at the top level",
                             def->name));
}

/* ---- an op ---- */

static bool check_op_keys(const Stmt *st, const OpDef *def, const Signature *sig) {
    int n = 4 + sig->nin;
    for (const AttrDef *ad = def->attrs; ad && ad->name; ad++) n++;
    const char **keys = ARENA_ARRAY(st->s->r->arena, const char *, n + 1); /* ends with NULL */
    keys[0] = "out", keys[1] = "op", keys[2] = "in", n = 3;
    if (op_state_count(def)) keys[n++] = "state";
    for (int i = 0; i < sig->nin; i++) keys[n++] = sig->in[i].name;
    for (const AttrDef *ad = def->attrs; ad && ad->name; ad++) keys[n++] = ad->name;
    return json_check_keys(&st->s->r->json, st->node, st->path, keys);
}

static const OpDef *find_op(const Stmt *st, const cJSON *n) {
    Reader *r = st->s->r;
    if (!cJSON_IsString(n)) return fail(st, n, "op", "must be the name of an op"), NULL;
    const OpDef *def = op_find(n->valuestring);
    if (!def || def->level != LEVEL_MODEL || (def->flags & OPF_INTERNAL)) {
        json_error(&r->json, n, sub_path(st, "op"), "unknown op \"%s\"%s", n->valuestring,
                   op_did_you_mean(r->arena, n->valuestring, LEVEL_MODEL));
        return NULL;
    }
    if (def->pattern == PAT_CALL)
        return fail(st, n, "op", "blocks are called by { \"layers\": N, \"pattern\": [..] }"), NULL;
    if (strcmp(def->name, "weight") == 0)
        return fail(st, n, "op", "a weight is written \"@name[shape]\" where it is used"), NULL;
    return def;
}

static bool build_op(const Stmt *st) {
    Reader *r = st->s->r;
    const OpDef *def = find_op(st, json_get(st->node, "op"));
    if (!def) return false;
    const Signature *sig = signature_of(r->arena, def);
    if (!check_op_keys(st, def, sig)) return false; /* what misses now is what was misspelt */
    bool ok = true;
    Value **in;
    int nin = read_operands(st, def, sig, &in), nstates = 0;
    Attr *attrs = NULL;
    ok = read_attrs(st, def, &attrs) && ok && nin >= 0;
    ok = ok && set_context(st, def, &attrs) && check_whole(st, def) && check_required(st, def, attrs);
    if (def->sig && st->nout != sig->nout)
        return json_error(&r->json, json_get(st->node, "out"), sub_path(st, "out"),
                          "%s gives %d value%s, named: %d", def->name, sig->nout, sig->nout == 1 ? "" : "s",
                          st->nout);
    const char **states = NULL;
    const cJSON *state = json_get(st->node, "state");
    if (state && op_state_count(def)) {
        states = read_names(r, state, sub_path(st, "state"), &nstates);
        if (states && nstates != op_state_count(def))
            return json_error(&r->json, state, sub_path(st, "state"), "%s keeps %d state%s, named: %d",
                              def->name, op_state_count(def), op_state_count(def) == 1 ? "" : "s", nstates);
        ok = ok && states;
    }
    if (!ok) return false;
    Op *op = ir_build(r->diag, st->s->func, st->s->func->body, def->name, in, nin, attrs, st->out, st->nout,
                      states, json_loc(&r->json, st->node, st->path));
    if (!op) return false;
    for (int i = 0; i < st->nout; i++) scope_bind(st->s, st->out[i], op->out[i]);
    return true;
}

/* ---- split, map ---- */

static bool build_split(const Stmt *st) {
    static const char *const keys[] = {"out", "split", "sizes", NULL};
    Reader *r = st->s->r;
    if (!json_check_keys(&r->json, st->node, st->path, keys)) return false;
    const cJSON *sizes = json_get(st->node, "sizes");
    Value *x = read_operand(st, json_get(st->node, "split"), sub_path(st, "split"));
    Attr list = {.name = "sizes"};
    if (!sizes) return fail(st, NULL, NULL, "a split needs \"sizes\"");
    if (!read_ints(st, sizes, sub_path(st, "sizes"), &list) || !x) return false;
    int64_t sum = 0, last = x->type.rank ? x->type.dim[x->type.rank - 1] : 0, start = 0;
    for (int i = 0; i < list.n; i++) {
        if (list.ints[i] < 1) return fail(st, sizes, "sizes", "sizes are at least 1");
        sum += list.ints[i];
    }
    if (list.n != st->nout || sum != last)
        return json_error(&r->json, sizes, sub_path(st, "sizes"),
                          "%d sizes with the sum %lld, but %d names and a last axis of %lld", list.n,
                          (long long)sum, st->nout, (long long)last);
    for (int i = 0; i < list.n; i++) {
        Attr *attrs = NULL;
        attr_set(r->arena, &attrs, (Attr){.name = "axis", .kind = AT_INT, .i = -1});
        attr_set(r->arena, &attrs, (Attr){.name = "start", .kind = AT_INT, .i = start});
        attr_set(r->arena, &attrs, (Attr){.name = "size", .kind = AT_INT, .i = list.ints[i]});
        Op *op = ir_build(r->diag, st->s->func, st->s->func->body, "slice", &x, 1, attrs, &st->out[i], 1,
                          NULL, json_loc(&r->json, st->node, st->path));
        if (!op) return false;
        scope_bind(st->s, st->out[i], op->out[0]);
        start += list.ints[i];
    }
    return true;
}

static bool build_map(const Stmt *st) {
    static const char *const keys[] = {"out", "map", NULL};
    if (!json_check_keys(&st->s->r->json, st->node, st->path, keys)) return false;
    if (st->nout != 1) return fail(st, json_get(st->node, "out"), "out", "a map gives one value");
    Value *v = read_map(st->s, json_get(st->node, "map"), sub_path(st, "map"), st->out[0]);
    if (v) scope_bind(st->s, st->out[0], v);
    return v != NULL;
}

/* The names under "out": none is a dimension's. */
static bool read_out(Stmt *st) {
    Reader *r = st->s->r;
    const cJSON *out = json_get(st->node, "out");
    if (!out) return fail(st, NULL, NULL, "a statement needs \"out\", the name of what it gives");
    st->out = read_names(r, out, sub_path(st, "out"), &st->nout);
    if (!st->out) return false;
    if (st->nout > MAX_OUT) return fail(st, out, "out", "too many names");
    for (int i = 0; i < st->nout; i++) {
        for (int k = 0; k < r->ndims; k++)
            if (strcmp(r->dims[k].name, st->out[i]) == 0)
                return json_error(&r->json, out, sub_path(st, "out"), "\"%s\" is a dimension already",
                                  st->out[i]);
    }
    return true;
}

void read_statement(Scope *s, const cJSON *node, const char *path) {
    static const struct {
        const char *key;
        bool (*build)(const Stmt *);
    } forms[] = {{"op", build_op}, {"map", build_map}, {"split", build_split}};
    Stmt st = {.s = s, .node = node, .path = path};
    if (!cJSON_IsObject(node)) {
        fail(&st, NULL, NULL, "a statement is an object");
        return;
    }
    int found = -1, count = 0;
    for (int i = 0; i < 3; i++)
        if (json_get(node, forms[i].key)) found = i, count++;
    if (count != 1) {
        fail(&st, NULL, NULL,
             "a statement has one of \"op\", \"map\", \"split\" (in `model` also \"layers\")");
        if (json_get(node, "out") && read_out(&st)) bind_failed(&st);
        return;
    }
    if (read_out(&st) && !forms[found].build(&st)) bind_failed(&st);
}
