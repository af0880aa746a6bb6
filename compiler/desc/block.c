/* Blocks and layers: a block of the description becomes a function when the first layer calls it; every layer
 * is a call. */
#include <string.h>

#include "desc/scope.h"

void read_block_heads(Reader *r) {
    static const char *const keys[] = {"in", "out", "ops", NULL};
    static const char *const x[] = {"x"};
    const cJSON *blocks = json_get(r->json.root, "blocks");
    if (!blocks) return;
    if (!cJSON_IsObject(blocks)) {
        json_error(&r->json, blocks, "blocks", "must be an object of blocks");
        return;
    }
    for (const cJSON *c = blocks->child; c; c = c->next) {
        if (strcmp(c->string, "comment") == 0) continue;
        BlockDesc b = {.name = arena_strdup(r->arena, c->string), .node = c, .nin = 1, .nout = 1};
        b.path = arena_printf(r->arena, "blocks.%s", b.name);
        b.in = arena_copy(r->arena, x, sizeof x);
        const cJSON *in = json_get(c, "in"), *out = json_get(c, "out");
        bool ok = true;
        if (!json_is_name(b.name) || strcmp(b.name, "main") == 0)
            ok = json_error(&r->json, c, b.path, "is no name for a block");
        if (!cJSON_IsObject(c) || !cJSON_IsArray(json_get(c, "ops")))
            ok = json_error(&r->json, c, b.path, "must be an object with a list \"ops\"");
        else
            ok &= json_check_keys(&r->json, c, b.path, keys);
        if (in) ok &= (b.in = read_names(r, in, arena_printf(r->arena, "%s.in", b.path), &b.nin)) != NULL;
        b.out = b.in, b.nout = b.nin;
        if (out)
            ok &= (b.out = read_names(r, out, arena_printf(r->arena, "%s.out", b.path), &b.nout)) != NULL;
        if (!b.in) b.nin = 0;
        if (!b.out) b.nout = 0;
        b.failed = !ok;
        ARENA_PUSH(r->arena, r->blocks, r->nblocks, r->blocks_cap, b);
    }
}

static BlockDesc *find_block(Reader *r, const cJSON *node, const char *path) {
    const char **names = ARENA_ARRAY(r->arena, const char *, r->nblocks + 1);
    for (int i = 0; i < r->nblocks; i++) {
        names[i] = r->blocks[i].name;
        if (cJSON_IsString(node) && strcmp(names[i], node->valuestring) == 0) return &r->blocks[i];
    }
    if (!cJSON_IsString(node)) return json_error(&r->json, node, path, "must be the name of a block"), NULL;
    json_error(&r->json, node, path, "unknown block \"%s\"%s", node->valuestring,
               diag_did_you_mean(r->arena, node->valuestring, names, r->nblocks));
    return NULL;
}

/* The function of a block, at its first call: parameter types from the arguments, weight shapes from the
 * prefix. */
static void read_block(Reader *r, BlockDesc *b, Value *const *args, const char *prefix) {
    int errors = r->diag->errors;
    b->func = ir_func_new(r->module, b->name, LEVEL_MODEL);
    b->func->loc = json_loc(&r->json, b->node, b->path);
    const cJSON *ops = json_get(b->node, "ops");
    Scope s = {.r = r, .func = b->func, .prefix = prefix, .statements = ops};
    for (int i = 0; i < b->nin; i++) scope_bind(&s, b->in[i], ir_param_add(b->func, b->in[i], args[i]->type));
    int i = 0;
    for (const cJSON *c = ops->child; c; c = c->next)
        read_statement(&s, c, arena_printf(r->arena, "%s.ops[%d]", b->path, i++));
    for (i = 0; i < b->nout; i++) {
        Value *v;
        if (!scope_find(&s, b->out[i], &v))
            json_error(&r->json, b->node, arena_printf(r->arena, "%s.out", b->path), "unknown value \"%s\"%s",
                       b->out[i], scope_did_you_mean(&s, b->out[i], false));
        if (v) ir_result_add(b->func, b->out[i], v);
    }
    b->failed = r->diag->errors > errors;
}

static const char *replace_index(Arena *a, const char *prefix, int64_t i) {
    const char *hole = strstr(prefix, "{i}");
    if (!hole) return arena_strdup(a, prefix);
    return arena_printf(a, "%.*s%lld%s", (int)(hole - prefix), prefix, (long long)i, hole + 3);
}

/* One layer. false: its results are unknown, as something was wrong. */
static bool call_block(Scope *s, BlockDesc *b, const char *prefix, Loc loc) {
    Reader *r = s->r;
    Value **args = ARENA_ARRAY(r->arena, Value *, b->nin);
    bool ok = !b->failed;
    for (int i = 0; ok && i < b->nin; i++) {
        if (!scope_find(s, b->in[i], &args[i]))
            diag_error(r->diag, loc, "block \"%s\" takes the value \"%s\", which is unknown here%s", b->name,
                       b->in[i], scope_did_you_mean(s, b->in[i], false));
        ok = args[i] != NULL;
    }
    if (ok && !b->func) read_block(r, b, args, prefix);
    ok = ok && !b->failed;
    Op *op = NULL;
    if (ok) {
        Attr *attrs = NULL;
        attr_set(r->arena, &attrs, (Attr){.name = "func", .kind = AT_STR, .s = b->name});
        attr_set(r->arena, &attrs, (Attr){.name = "index", .kind = AT_INT, .i = r->layers});
        attr_set(r->arena, &attrs, (Attr){.name = "prefix", .kind = AT_STR, .s = prefix});
        op = ir_build(r->diag, s->func, s->func->body, "call", args, b->nin, attrs, b->out, b->nout, NULL,
                      loc);
    }
    for (int i = 0; i < b->nout; i++) scope_bind(s, b->out[i], op ? op->out[i] : NULL);
    r->layers++;
    return op != NULL;
}

/* { "layers": N, "pattern": [..], "prefix": "layers.{i}.", "from": K } */
void read_layers(Scope *s, const cJSON *node, const char *path) {
    static const char *const keys[] = {"layers", "pattern", "prefix", "from", NULL};
    Reader *r = s->r;
    Arena *a = r->arena;
    const cJSON *pattern = json_get(node, "pattern"), *prefix = json_get(node, "prefix"),
                *from = json_get(node, "from");
    int64_t n, first = r->layers;
    bool ok = json_check_keys(&r->json, node, path, keys);
    ok &= read_size(r, json_get(node, "layers"), arena_printf(a, "%s.layers", path), 1, MAX_LAYERS, &n);
    if (from) ok &= read_size(r, from, arena_printf(a, "%s.from", path), 0, MAX_DIM_SIZE, &first);
    if (!prefix || !cJSON_IsString(prefix))
        ok = json_error(&r->json, prefix ? prefix : node, arena_printf(a, "%s.prefix", path),
                        "layers need a prefix for the names of their weights, such as \"layers.{i}.\"");
    bool list = cJSON_IsArray(pattern);
    int np = list ? cJSON_GetArraySize(pattern) : 1, i = 0;
    if (!pattern || np == 0 || np > MAX_LAYERS) {
        json_error(&r->json, pattern ? pattern : node, arena_printf(a, "%s.pattern", path),
                   "must be the list of the blocks' names");
        return;
    }
    BlockDesc **blocks = ARENA_ARRAY(a, BlockDesc *, np);
    for (const cJSON *c = list ? pattern->child : pattern; c; c = list ? c->next : NULL, i++)
        ok &= (blocks[i] = find_block(r, c, arena_printf(a, "%s.pattern[%d]", path, i))) != NULL;
    if (!ok) { /* what the layers would give is taken as given */
        for (int k = 0; k < np; k++)
            for (int o = 0; blocks[k] && blocks[k]->out && o < blocks[k]->nout; o++)
                scope_bind(s, blocks[k]->out[o], NULL);
        return;
    }
    Loc loc = json_loc(&r->json, node, path);
    for (int64_t k = 0; k < n; k++)
        if (!call_block(s, blocks[k % np], replace_index(a, prefix->valuestring, first + k), loc)) return;
}
