/* Descriptions bound to a configuration (--describe): an architecture as data. Such a description has values
 *
 *     {"config": "rope_parameters.rope_theta", "otherwise": 10000}
 *
 * in place of which the value of that key of config.json is put, or `otherwise` where the key is absent or null;
 * "names" translates words of the configuration: {"config": "layer_types", "names": {"full_attention": "block"}}.
 * A statement with "if" or "unless" stays where that value is true or false. The top-level object "config" has
 * "expect", the only values of keys that the description holds for (null: absent or null), and "ignore", the
 * keys that do not change the numbers. Keys that neither this file nor config.c knows are errors, as with every
 * importer. */
#include <string.h>

#include "base/file.h"
#include "desc/name.h"
#include "import/import.h"

typedef struct Binding {
    ImportCtx *x;
    Json json;   /* the description */
    Cfg **parts; /* objects of the configuration that were looked into, the top first */
    int nparts, parts_cap;
} Binding;

static bool bind_error(Binding *b, const cJSON *node, const char *path, const char *fmt, const char *what) {
    const char *msg = arena_printf(b->x->a, fmt, what);
    return json_error(&b->json, node, path, "%s", msg);
}

/* The object of the configuration at `path` ("" or "a.b"); its node is NULL where there is none. */
static Cfg *find_part(Binding *b, const char *path) {
    for (int i = 0; i < b->nparts; i++)
        if (!strcmp(b->parts[i]->path, path)) return b->parts[i];
    const char *dot = strrchr(path, '.');
    Arena *a = b->x->a;
    Cfg *outer = find_part(b, dot ? arena_strndup(a, path, (size_t)(dot - path)) : "");
    Cfg *part = ARENA_ARRAY(a, Cfg, 1);
    *part = cfg_sub(outer, dot ? dot + 1 : path);
    ARENA_PUSH(a, b->parts, b->nparts, b->parts_cap, part);
    return part;
}

/* The value of a key ("a.b.c"), which counts as read. NULL: absent or null. */
static const cJSON *look_up(Binding *b, const char *key) {
    key = arena_strdup(b->x->a, key); /* the configuration remembers it; the description goes */
    const char *dot = strrchr(key, '.');
    Cfg *part = find_part(b, dot ? arena_strndup(b->x->a, key, (size_t)(dot - key)) : "");
    return cfg_any(part, dot ? dot + 1 : key);
}

/* ---- values ---- */

/* The words of `value`, a string or a list of strings, in the terms of the description. */
static cJSON *translate(Binding *b, const cJSON *names, const cJSON *value, const char *key) {
    if (cJSON_IsArray(value)) {
        cJSON *list = cJSON_CreateArray();
        for (const cJSON *e = value->child; e; e = e->next)
            cJSON_AddItemToArray(list, translate(b, names, e, key));
        return list;
    }
    const cJSON *to = cJSON_IsString(value) ? json_get(names, value->valuestring) : NULL;
    if (to) return cJSON_Duplicate(to, true);
    Text known = text_new(b->x->a);
    for (const cJSON *e = names->child; e; e = e->next)
        text_add(&known, "%s\"%s\"", e->prev->next ? ", " : "", e->string);
    json_error(&b->x->json, value, key, "is %s; %s knows: %s", json_what(b->x->a, value), b->json.file,
               known.s);
    return cJSON_CreateNull();
}

/* What stands in the configuration for the binding `node`; NULL: a message is filed. */
static cJSON *bound_value(Binding *b, const cJSON *node, const char *path) {
    static const char *const keys[] = {"config", "otherwise", "names", NULL};
    const cJSON *key = json_get(node, "config"), *names = json_get(node, "names");
    const cJSON *otherwise = json_get(node, "otherwise");
    if (!json_check_keys(&b->json, node, path, keys)) return NULL;
    if (!cJSON_IsString(key) || !*key->valuestring)
        return bind_error(b, node, path, "\"config\" must name a key of %s", "config.json"), NULL;
    if (names && !cJSON_IsObject(names))
        return bind_error(b, names, path, "must be an object of words and what stands for them%s", ""), NULL;
    const cJSON *value = look_up(b, key->valuestring);
    if (value) return names ? translate(b, names, value, key->valuestring) : cJSON_Duplicate(value, true);
    if (otherwise) return cJSON_Duplicate(otherwise, true);
    json_error(&b->x->json, b->x->cfg.node, key->valuestring,
               "the key is missing, and %s, %s, has no \"otherwise\" for it", b->json.file, path);
    return NULL;
}

static bool is_binding(const cJSON *node) {
    return cJSON_IsObject(node) && json_get(node, "config");
}

/* Whether a statement stays. */
static bool is_wanted(Binding *b, cJSON *statement, const char *path) {
    static const char *const words[] = {"if", "unless"};
    bool wanted = true;
    for (int i = 0; i < 2; i++) {
        cJSON *condition = cJSON_DetachItemFromObjectCaseSensitive(statement, words[i]);
        if (!condition) continue;
        const char *where = arena_printf(b->x->a, "%s.%s", path, words[i]);
        cJSON *value = is_binding(condition) ? bound_value(b, condition, where) : NULL;
        if (!is_binding(condition))
            bind_error(b, condition, where, "must be {\"config\": KEY}%s", "");
        else if (value && !cJSON_IsBool(value))
            bind_error(b, condition, where, "the key must be true or false, it is %s",
                       json_what(b->x->a, value));
        wanted = wanted && cJSON_IsTrue(value) == (i == 0);
        cJSON_Delete(value);
        cJSON_Delete(condition);
    }
    return wanted;
}

/* Puts values in place of all bindings below `node`. */
static void fill_in(Binding *b, cJSON *node, const char *path) {
    int index = 0;
    for (cJSON *e = node->child, *next; e; e = next, index++) {
        next = e->next;
        const char *at = e->string ? arena_printf(b->x->a, "%s%s%s", path, *path ? "." : "", e->string)
                                   : arena_printf(b->x->a, "%s[%d]", path, index);
        if (is_binding(e)) {
            cJSON *value = bound_value(b, e, at);
            if (value && e->string)
                cJSON_ReplaceItemInObjectCaseSensitive(node, e->string, value);
            else if (value)
                cJSON_ReplaceItemViaPointer(node, e, value);
        } else if (cJSON_IsObject(e) && !e->string && !is_wanted(b, e, at)) {
            cJSON_Delete(cJSON_DetachItemViaPointer(node, e));
        } else if (cJSON_IsObject(e) || cJSON_IsArray(e)) {
            fill_in(b, e, at);
        }
    }
}

/* ---- the object "config" ---- */

static bool meets(const cJSON *value, const cJSON *expected) {
    if (cJSON_IsNull(expected)) return !value;
    return value && cJSON_Compare(value, expected, true);
}

static void check_expectations(Binding *b, const cJSON *expect) {
    for (const cJSON *e = expect->child; e; e = e->next) {
        const cJSON *value = look_up(b, e->string);
        bool ok = !cJSON_IsArray(e) && meets(value, e);
        for (const cJSON *one = cJSON_IsArray(e) ? e->child : NULL; one; one = one->next)
            ok |= meets(value, one);
        if (ok) continue;
        char *wanted = cJSON_PrintUnformatted(e);
        json_error(&b->x->json, value ? value : b->x->cfg.node, e->string, "%s holds for %s%s only, %s",
                   b->json.file, cJSON_IsArray(e) ? "one of " : "", wanted,
                   value ? arena_printf(b->x->a, "this is %s", json_what(b->x->a, value))
                         : "the key is absent");
        cJSON_free(wanted);
    }
}

static void read_section(Binding *b, const cJSON *section) {
    static const char *const keys[] = {"expect", "ignore", NULL};
    const cJSON *expect = json_get(section, "expect"), *ignore = json_get(section, "ignore");
    if (!cJSON_IsObject(section)) {
        bind_error(b, section, "config", "must be an object with \"expect\" and \"ignore\"%s", "");
        return;
    }
    if (!json_check_keys(&b->json, section, "config", keys)) return;
    if (expect && !cJSON_IsObject(expect))
        bind_error(b, expect, "config.expect", "must be an object of keys and their values%s", "");
    else if (expect)
        check_expectations(b, expect);
    if (ignore && !cJSON_IsArray(ignore))
        bind_error(b, ignore, "config.ignore", "must be a list of keys%s", "");
    for (const cJSON *e = ignore ? ignore->child : NULL; e; e = e->next)
        if (cJSON_IsString(e))
            look_up(b, e->valuestring);
        else
            bind_error(b, e, "config.ignore", "must hold names of keys, got %s", json_what(b->x->a, e));
}

/* ---- the frame ---- */

/* Adds the ids that begin and end a sequence where the description leaves them to the checkpoint. */
static void read_ids(Binding *b, cJSON *m) {
    static const char *const keys[] = {"bos", "eos"};
    const cJSON *tokens = json_get(json_get(m, "input"), "tokens");
    const char *dim = cJSON_IsString(tokens) ? tokens->valuestring : "";
    int64_t vocab = cJSON_IsNumber(tokens) ? (int64_t)tokens->valuedouble : model_size(m, dim);
    cJSON *ids = cJSON_CreateObject();
    cJSON_AddObjectToObject(ids, "dims");
    if (vocab > 0) {
        model_dim(ids, "V", vocab);
        model_ids(b->x, ids);
    }
    cfg_skip(&b->x->cfg, "bos_token_id"), cfg_skip(&b->x->cfg, "eos_token_id");
    for (int i = 0; i < 2; i++) {
        cJSON *found = cJSON_DetachItemFromObjectCaseSensitive(ids, keys[i]);
        if (found && !json_get(m, keys[i]))
            cJSON_AddItemToObject(m, keys[i], found);
        else
            cJSON_Delete(found);
    }
    cJSON_Delete(ids);
}

static bool read_file(Binding *b, const char *file) {
    size_t size;
    const char *text = file_read_text(b->x->d, b->x->a, file, &size);
    if (!text || !json_parse(b->x->d, b->x->a, file, text, size, 0, &b->json)) return false;
    return cJSON_IsObject(b->json.root) || json_error(&b->json, b->json.root, "", "must be an object");
}

cJSON *import_bound(ImportCtx *x, const char *file) {
    Binding b = {.x = x};
    cJSON *m = NULL;
    if (!x->cfg.node)
        return import_error(x, "there is no config.json, from which --describe=%s could take values", file),
               NULL;
    ARENA_PUSH(x->a, b.parts, b.nparts, b.parts_cap, &x->cfg);
    if (read_file(&b, file)) {
        cJSON *section = cJSON_DetachItemFromObjectCaseSensitive(b.json.root, "config");
        if (section) read_section(&b, section);
        cJSON_Delete(section);
        fill_in(&b, b.json.root, "");
        m = cJSON_Duplicate(b.json.root, true);
        if (!json_get(m, "name")) model_set(m, "name", "'%s'", name_from_path(x->a, x->path));
        read_ids(&b, m);
        for (int i = 1; i < b.nparts; i++) cfg_done(b.parts[i]);
    }
    json_free(&b.json);
    return m;
}
