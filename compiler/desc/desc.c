/* A whole description: the keys at its top level, the order in which they are read, and how blocks become
 * functions. dims -> input -> blocks (only their heads) -> model; a block is read with the first layer that uses
 * it. */
#include "desc/desc.h"

#include <stdlib.h>
#include <string.h>

#include "desc/name.h"
#include "desc/scope.h"

enum { MAX_IDS = 256 };

/* ---- the head of the file ---- */

static void set_attr(Reader *r, Attr t) {
    attr_set(r->arena, &r->module->attrs, t);
}

static bool top_error(Reader *r, const char *key, const char *msg) {
    return json_error(&r->json, json_get(r->json.root, key), key, "%s", msg);
}

static bool read_dims(Reader *r) {
    const cJSON *dims = json_get(r->json.root, "dims");
    bool ok = true;
    if (!dims) return true;
    if (!cJSON_IsObject(dims)) return top_error(r, "dims", "must be an object of sizes");
    for (const cJSON *c = dims->child; c; c = c->next) {
        const char *path = arena_printf(r->arena, "dims.%s", c->string);
        if (strcmp(c->string, "comment") == 0) continue;
        Dim dim = {.name = arena_strdup(r->arena, c->string), .value = 1};
        if (!json_is_name(c->string)) ok = json_error(&r->json, c, path, "is no name (letters, digits, _)");
        /* A wrong size counts as 1 for those below, so that its uses stay silent. */
        ok &= read_size(r, c, path, 1, MAX_DIM_SIZE, &dim.value);
        ARENA_PUSH(r->arena, r->dims, r->ndims, r->dims_cap, dim);
    }
    return ok;
}

/* {"tokens": V} or {"features": W}: the parameter of main. */
static bool read_input(Reader *r, Scope *main_scope) {
    const cJSON *in = json_get(r->json.root, "input");
    const cJSON *tokens = json_get(in, "tokens"), *features = json_get(in, "features");
    static const char *const keys[] = {"tokens", "features", NULL};
    if (!cJSON_IsObject(in) || !tokens == !features)
        return json_error(&r->json, in ? in : r->json.root, "input",
                          "must be {\"tokens\": VOCABULARY} or {\"features\": WIDTH}");
    int64_t n;
    if (!json_check_keys(&r->json, in, "input", keys) ||
        !read_size(r, tokens ? tokens : features, tokens ? "input.tokens" : "input.features", 1, MAX_DIM_SIZE,
                   &n))
        return false;
    set_attr(r, (Attr){.name = "kind", .kind = AT_STR, .s = tokens ? "lm" : "features"});
    set_attr(r, (Attr){.name = tokens ? "vocab" : "width", .kind = AT_INT, .i = n});
    Type t = tokens ? type_tensor(DT_I32, true, 0, NULL) : type_tensor(DT_F32, true, 1, &n);
    const char *name = tokens ? "tokens" : "input";
    scope_bind(main_scope, name, ir_param_add(main_scope->func, name, t));
    return true;
}

static void read_ids(Reader *r, const char *key, int64_t vocab) {
    const cJSON *n = json_get(r->json.root, key);
    if (!n) return;
    if (!cJSON_IsArray(n)) {
        int64_t id;
        if (json_int(&r->json, n, key, 0, vocab - 1, &id))
            set_attr(r, (Attr){.name = key, .kind = AT_INT, .i = id});
        return;
    }
    int count = cJSON_GetArraySize(n), i = 0;
    if (count == 0 || count > MAX_IDS) {
        top_error(r, key, "must be an id or a list of ids");
        return;
    }
    int64_t *ids = ARENA_ARRAY(r->arena, int64_t, count);
    for (const cJSON *c = n->child; c; c = c->next, i++)
        if (!json_int(&r->json, c, arena_printf(r->arena, "%s[%d]", key, i), 0, vocab - 1, &ids[i])) return;
    set_attr(r, (Attr){.name = key, .kind = AT_INTS, .n = count, .ints = ids});
}

/* Another version may be anything: nothing else of it is looked at. */
static bool check_version(const Json *j) {
    const cJSON *n = json_get(j->root, "btc");
    int64_t v = 1;
    return !n ||
           (json_int(j, n, "btc", 1, 1000, &v) &&
            (v == 1 || json_error(j, n, "btc", "this btc reads version 1 of the format, the file has %lld",
                                  (long long)v)));
}

static void read_facts(Reader *r) {
    const cJSON *root = r->json.root, *n;
    if (!json_get(root, "btc"))
        json_error(&r->json, root, "", "the key \"btc\" (version of the format: 1) is missing");
    if ((n = json_get(root, "context")) && read_size(r, n, "context", 1, MAX_DIM_SIZE, &r->context))
        set_attr(r, (Attr){.name = "context", .kind = AT_INT, .i = r->context});
    if ((n = json_get(root, "text"))) {
        if (!cJSON_IsString(n) || strcmp(n->valuestring, "bytes") != 0)
            top_error(r, "text", "must be \"bytes\"");
        else
            set_attr(r, (Attr){.name = "text", .kind = AT_STR, .s = "bytes"});
    }
    const Attr *vocab = attr_find(r->module->attrs, "vocab");
    read_ids(r, "bos", vocab ? vocab->i : 0);
    const Attr *bos = attr_find(r->module->attrs, "bos");
    if (bos && bos->kind == AT_INTS && bos->n == 1)
        set_attr(r, (Attr){.name = "bos", .kind = AT_INT, .i = bos->ints[0]});
    else if (bos && bos->kind == AT_INTS)
        top_error(r, "bos", "must be one id: a sequence begins with one token");
    read_ids(r, "eos", vocab ? vocab->i : 0);
}

static void read_ignore(Reader *r) {
    const cJSON *list = json_get(r->json.root, "ignore");
    if (!list) return;
    Text t = text_new(r->arena);
    bool ok = cJSON_IsArray(list);
    for (const cJSON *c = ok ? list->child : NULL; c; c = c->next) {
        ok = ok && cJSON_IsString(c) && *c->valuestring && !strpbrk(c->valuestring, " \n\t");
        if (ok) text_add(&t, "%s%s", t.n ? " " : "", c->valuestring);
    }
    if (!ok)
        top_error(r, "ignore", "must be a list of patterns of tensor names, such as [\"*.inv_freq\"]");
    else if (t.n)
        set_attr(r, (Attr){.name = "ignore", .kind = AT_STR, .s = t.s});
}

static const char *like_a_format(Arena *a, const char *word) {
    const char **words = NULL;
    int n = 0, cap = 0;
    for (const NumberFormat *const *f = FORMATS; *f; f++)
        if (format_is(*f, FORMATS_ASKED)) ARENA_PUSH(a, words, n, cap, (*f)->name);
    return diag_did_you_mean(a, word, words, n);
}

/* "pattern format", a line each; compiler/pack/storage.c applies them. */
static void read_quant(Reader *r) {
    const cJSON *map = json_get(r->json.root, "quant");
    if (!map) return;
    if (!cJSON_IsObject(map)) {
        top_error(r, "quant",
                  "must be patterns of tensor names with their storage, such as {\"*.out_proj\": \"q8\"}");
        return;
    }
    Text t = text_new(r->arena);
    for (const cJSON *c = map->child; c; c = c->next) {
        const char *path = arena_printf(r->arena, "quant.%s", c->string);
        if (!strcmp(c->string, "comment")) continue;
        bool known = cJSON_IsString(c) && format_ask(c->valuestring, FORMATS_ASKED);
        if (!*c->string || strpbrk(c->string, " \n\t"))
            json_error(&r->json, c, "quant", "\"%s\" is no pattern of tensor names", c->string);
        else if (!known)
            json_error(&r->json, c, path, "must be %s%s", format_names(r->arena, FORMATS_ASKED, ", ", " or "),
                       cJSON_IsString(c) ? like_a_format(r->arena, c->valuestring) : "");
        else
            text_add(&t, "%s %s\n", c->string, c->valuestring);
    }
    if (t.n) set_attr(r, (Attr){.name = "quant", .kind = AT_STR, .s = t.s});
}

/* ---- the model ---- */

static void read_model(Reader *r, Scope *s) {
    const cJSON *model = json_get(r->json.root, "model");
    if (!cJSON_IsArray(model)) {
        json_error(&r->json, model ? model : r->json.root, "model", "must be the list of statements");
        return;
    }
    int i = 0;
    s->statements = model;
    for (const cJSON *c = model->child; c; c = c->next, i++) {
        const char *path = arena_printf(r->arena, "model[%d]", i);
        if (cJSON_IsObject(c) && json_get(c, "layers"))
            read_layers(s, c, path);
        else
            read_statement(s, c, path);
    }
    for (i = 0; i < r->nblocks; i++)
        if (!r->blocks[i].func && !r->blocks[i].failed && r->diag->errors == 0)
            diag_warning(r->diag, json_loc(&r->json, r->blocks[i].node, r->blocks[i].path),
                         "no layer uses this block");
}

static Value *read_result_name(Scope *s, const cJSON *n, const cJSON *place, const char *path) {
    Reader *r = s->r;
    Value *v = NULL;
    if (!n || !cJSON_IsString(n))
        json_error(&r->json, n ? n : place, path, "must be the name of a value of `model`");
    else if (!scope_find(s, n->valuestring, &v))
        json_error(&r->json, n, path, "unknown value \"%s\"%s", n->valuestring,
                   scope_did_you_mean(s, n->valuestring, false));
    return v;
}

static void read_output(Reader *r, Scope *s) {
    const cJSON *root = r->json.root, *out = json_get(root, "output"), *expose = json_get(root, "expose");
    bool lm = attr_find(r->module->attrs, "vocab") != NULL;
    Value *v = read_result_name(s, out, root, "output");
    if (v && (v->type.kind != TY_TENSOR || v->type.dt != DT_F32 || !v->type.seq || v->type.rank != 1))
        json_error(&r->json, out, "output", "must be one row of numbers per token, is %s",
                   type_text(r->arena, v->type));
    else if (v)
        ir_result_add(s->func, lm ? "logits" : "output", v);
    if (expose && !cJSON_IsObject(expose))
        top_error(r, "expose", "must be an object, such as {\"filter\": \"h\"}");
    for (const cJSON *c = cJSON_IsObject(expose) ? expose->child : NULL; c; c = c->next) {
        const char *path = arena_printf(r->arena, "expose.%s", c->string);
        if (strcmp(c->string, "comment") == 0) continue;
        if ((v = read_result_name(s, c, expose, path)))
            set_attr(r, (Attr){.name = path, .kind = AT_STR, .s = v->name});
    }
}

static bool is_matrix_state(const Module *m, const char *name) {
    for (const Func *f = m->first; f; f = f->next)
        for (int k = 0; k < f->nstates; k++)
            if (f->states[k].type.rank >= 2 && !strcmp(f->states[k].name, name)) return true;
    return false;
}

/* States that are shown with their last two axes exchanged. */
static void read_transposed(Reader *r) {
    const cJSON *list = json_get(r->json.root, "transposed");
    int n;
    const char **names = list ? read_names(r, list, "transposed", &n) : NULL;
    Text t = text_new(r->arena);
    for (int i = 0; names && i < n; i++) {
        if (!is_matrix_state(r->module, names[i]))
            json_error(&r->json, list, "transposed", "no op keeps a matrix as its state \"%s\"", names[i]);
        text_add(&t, "%s%s", i ? " " : "", names[i]);
    }
    if (t.n) set_attr(r, (Attr){.name = "transposed", .kind = AT_STR, .s = t.s});
}

/* "dir/My-model.v2.json" -> "My_model_v2" */
static const char *name_from_file(Arena *a, const char *file) {
    const char *base = strrchr(file, '/') ? strrchr(file, '/') + 1 : file;
    const char *dot = strrchr(base, '.');
    const char *name =
        arena_printf(a, "%.*s", (int)(dot && dot > base ? dot - base : (ptrdiff_t)strlen(base)), base);
    return name_from(a, name, strlen(name));
}

static const char *const TOP_KEYS[] = {"$schema", "btc",    "name",   "dims",  "weights",    "input",
                                       "context", "text",   "bos",    "eos",   "blocks",     "model",
                                       "output",  "expose", "ignore", "quant", "transposed", NULL};

static const char *read_model_name(Reader *r, const cJSON *node) {
    const char *name = cJSON_IsString(node) ? node->valuestring : NULL,
               *problem = name ? name_problem(name) : "a name";
    if (!problem) return arena_strdup(r->arena, name);
    return json_error(&r->json, node, "name", "must be %s, got %s", problem, json_what(r->arena, node)), NULL;
}

static void read_module(Reader *r) {
    const cJSON *name = json_get(r->json.root, "name");
    const char *id = name_from_file(r->arena, r->json.file);
    if (name && !(id = read_model_name(r, name))) id = "model";
    r->module = ir_module_new(r->arena, id);
    Func *f = ir_func_new(r->module, "main", LEVEL_MODEL);
    f->loc = json_loc(&r->json, r->json.root, "");
    Scope s = {.r = r, .func = f, .prefix = ""};
    /* After these mistakes all that follows would be wrong as well. */
    if (!check_version(&r->json)) return;
    if (json_get(r->json.root, "config")) {
        top_error(r, "config",
                  "this description takes its values from a checkpoint: btc CHECKPOINT/ --describe=THIS");
        return;
    }
    if (!json_check_keys(&r->json, r->json.root, "", TOP_KEYS)) return;
    if (!read_dims(r) || !read_input(r, &s)) return;
    read_facts(r);
    read_ignore(r);
    read_quant(r);
    read_block_heads(r);
    read_model(r, &s);
    read_output(r, &s);
    read_transposed(r);
}

static bool parse(Diag *d, Arena *a, const char *file, const char *text, size_t size, Json *out) {
    file = arena_strdup(a, file); /* places in the module outlive the caller's string */
    if (!json_parse(d, a, file, text, size, 0, out)) return false;
    if (!cJSON_IsObject(out->root)) return json_error(out, out->root, "", "a description is an object");
    return true;
}

Module *desc_load(Diag *d, Arena *a, const char *file, const char *text, size_t size,
                  const WeightSet *weights) {
    int errors = d->errors;
    Reader r = {.diag = d, .arena = a, .weights = weights};
    if (parse(d, a, file, text, size, &r.json)) read_module(&r);
    json_free(&r.json);
    return d->errors == errors ? r.module : NULL;
}

/* ---- weight files ---- */

static bool open_one(const Json *j, const cJSON *n, const char *path, WeightSet *out, bool first) {
    if (!n || !cJSON_IsString(n) || !*n->valuestring)
        return json_error(j, n, path, "must be the path of a weights file (or a list of them)");
    const char *slash = strrchr(j->file, '/'), *name = n->valuestring;
    if (slash && *name != '/')
        name = arena_printf(j->arena, "%.*s/%s", (int)(slash - j->file), j->file, name);
    name = arena_strdup(j->arena, name);
    return first ? weights_open(j->diag, j->arena, name, out) : weights_add(j->diag, out, name);
}

bool desc_open_weights(Diag *d, Arena *a, const char *file, const char *text, size_t size, WeightSet *out) {
    *out =
        (WeightSet){.arena = a, .name = arena_strdup(a, file)}; /* of the file, where it names no weights */
    Json j;
    bool ok = parse(d, a, file, text, size, &j);
    const cJSON *w = ok ? json_get(j.root, "weights") : NULL;
    bool foreign = ok && !json_get(j.root, "btc") &&
                   (json_get(j.root, "architectures") || json_get(j.root, "model_type"));
    if (foreign)
        ok = json_error(&j, j.root, "",
                        "is the configuration of a checkpoint, not a description: give its folder");
    ok = ok && check_version(&j);
    bool list = cJSON_IsArray(w), first = true;
    if (ok && list && !w->child) ok = json_error(&j, w, "weights", "names no file");
    for (const cJSON *c = list ? w->child : w; ok && c; c = list ? c->next : NULL, first = false)
        ok = open_one(&j, c, "weights", out, first);
    json_free(&j);
    return ok;
}
