/* Building blocks of importers: writing a description piece by piece, looking at tensors. */
#include <ctype.h>
#include <fnmatch.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "desc/name.h"
#include "import/import.h"

/* ---- templates ---- */

/* JSON text with ' for ", as an object. A template that does not parse is our own mistake. */
static cJSON *quoted_json(char *text) {
    for (char *p = text; *p; p++)
        if (*p == '\'') *p = '"';
    cJSON *n = cJSON_Parse(text);
    if (!n) BTC_BUG("importer template: %s", text);
    return n;
}

static cJSON *template_json(const char *fmt, va_list ap) {
    Arena *tmp = arena_new();
    cJSON *n = quoted_json(arena_vprintf(tmp, fmt, ap));
    arena_free(tmp);
    return n;
}

void st(cJSON *ops, const char *json, ...) {
    va_list ap;
    va_start(ap, json);
    cJSON_AddItemToArray(ops, template_json(json, ap));
    va_end(ap);
}

void st_part(cJSON *ops, const char *module, const char *tag, const char *json, ...) {
    Arena *tmp = arena_new();
    Text t = text_new(tmp);
    va_list ap;
    va_start(ap, json);
    for (const char *p = arena_vprintf(tmp, json, ap); *p; p++)
        if (*p == '~')
            text_add(&t, "%s%s", module ? module : "", module ? "." : "");
        else if (*p == '$')
            text_add(&t, "%s", tag ? tag : "");
        else
            text_add_n(&t, p, 1);
    va_end(ap);
    cJSON_AddItemToArray(ops, quoted_json(arena_strdup(tmp, t.s)));
    arena_free(tmp);
}

void model_set(cJSON *m, const char *key, const char *json, ...) {
    va_list ap;
    va_start(ap, json);
    cJSON *n = template_json(json, ap);
    va_end(ap);
    if (json_get(m, key))
        cJSON_ReplaceItemInObjectCaseSensitive(m, key, n);
    else
        cJSON_AddItemToObject(m, key, n);
}

static cJSON *member(cJSON *m, const char *key) {
    return cJSON_GetObjectItemCaseSensitive(m, key);
}

/* Keys that are filled in later keep their place near the top. */
static const char *const LATER[] = {"context", "bos", "eos"};

cJSON *model_new(ImportCtx *x, const char *input) {
    cJSON *m = cJSON_CreateObject();
    model_set(m, "$schema", "'btc-model.schema.json'");
    model_set(m, "btc", "1");
    model_set(m, "name", "'%s'", name_from_path(x->a, x->path));
    cJSON_AddArrayToObject(m, "comment");
    cJSON_AddObjectToObject(m, "dims");
    cJSON_AddNullToObject(m, "weights"); /* keeps the place */
    model_set(m, "input", strcmp(input, "tokens") == 0 ? "{'tokens': 'V'}" : "{'features': 'D'}");
    for (int i = 0; i < 3; i++) cJSON_AddNullToObject(m, LATER[i]);
    cJSON_AddObjectToObject(m, "blocks");
    cJSON_AddArrayToObject(m, "model");
    model_set(m, "output", strcmp(input, "tokens") == 0 ? "'logits'" : "'y'");
    return x->model = m;
}

void model_dim(cJSON *m, const char *name, int64_t size) {
    int64_t before = model_size(m, name);
    if (before && before != size)
        BTC_BUG("dimension %s: %lld and %lld", name, (long long)before, (long long)size);
    if (!before) cJSON_AddNumberToObject(member(m, "dims"), name, (double)size);
}

void model_comment(cJSON *m, const char *text) {
    cJSON_AddItemToArray(member(m, "comment"), cJSON_CreateString(text));
}

cJSON *model_ops(cJSON *m) {
    return member(m, "model");
}

int64_t model_size(const cJSON *m, const char *dim) {
    const cJSON *n = json_get(json_get(m, "dims"), dim);
    return n ? (int64_t)n->valuedouble : 0;
}

void model_ignore(cJSON *m, const char *tensor) {
    if (!member(m, "ignore")) cJSON_AddArrayToObject(m, "ignore");
    cJSON_AddItemToArray(member(m, "ignore"), cJSON_CreateString(tensor));
}

void model_unused(ImportCtx *x, cJSON *m, const char *pattern, const char *why) {
    const char *first = NULL;
    int n = 0;
    for (int i = 0; i < x->w->n; i++)
        if (fnmatch(pattern, x->w->tensors[i].name, 0) == 0 && !n++) first = x->w->tensors[i].name;
    if (!n) return;
    model_ignore(m, pattern);
    diag_warning(x->d, (Loc){.file = x->path, .path = first}, "%s not used: %s",
                 n == 1 ? "is" : arena_printf(x->a, "and %d more are", n - 1), why);
}

cJSON *block_new(cJSON *m, const char *name, const char *in, const char *out) {
    cJSON *b = cJSON_AddObjectToObject(member(m, "blocks"), name);
    if (in) model_set(b, "in", "%s", in);
    if (out) model_set(b, "out", "%s", out);
    return cJSON_AddArrayToObject(b, "ops");
}

void st_linear(cJSON *ops, const char *out, const char *x, const char *tensor, const char *o, const char *i,
               bool bias) {
    if (bias)
        st(ops, "{'out':'%s','op':'linear','x':'%s','w':'@%s.weight[%s, %s]','b':'@%s.bias[%s]'}", out, x,
           tensor, o, i, tensor, o);
    else
        st(ops, "{'out':'%s','op':'linear','x':'%s','w':'@%s.weight[%s, %s]'}", out, x, tensor, o, i);
}

void st_linear_transposed(cJSON *ops, const char *out, const char *x, const char *tensor, const char *o,
                          const char *i, bool bias) {
    st(ops, "{'out':'w','op':'transpose','x':'@%s.weight[%s, %s]','perm':[1,0]}", tensor, i, o);
    if (bias)
        st(ops, "{'out':'%s','op':'linear','x':'%s','w':'w','b':'@%s.bias[%s]'}", out, x, tensor, o);
    else
        st(ops, "{'out':'%s','op':'linear','x':'%s','w':'w'}", out, x);
}

void st_layers(cJSON *m, int64_t n, const char *pattern, const char *prefix) {
    st(model_ops(m), "{'layers':%lld,'pattern':%s,'prefix':'%s'}", (long long)n, pattern, prefix);
}

/* ---- tensors ---- */

bool has_tensor(const ImportCtx *x, const char *name) {
    return weights_find(x->w, name) != NULL;
}

bool import_error(ImportCtx *x, const char *fmt, ...) {
    va_list ap;
    va_start(ap, fmt);
    const char *msg = arena_vprintf(x->a, fmt, ap);
    va_end(ap);
    return diag_error(x->d, (Loc){.file = x->path}, "%s", msg);
}

int64_t tensor_dim(ImportCtx *x, const char *name, int axis) {
    const RawTensor *t = weights_find(x->w, name);
    if (!t) return import_error(x, "the checkpoint has no tensor \"%s\"", name), 1;
    int at = axis < 0 ? axis + t->rank : axis;
    if (at < 0 || at >= t->rank || t->dim[at] < 1)
        return import_error(x, "the tensor \"%s\" is %s, expected more dimensions", name,
                            raw_tensor_type(x->a, t)),
               1;
    return t->dim[at];
}

bool import_failed(const ImportCtx *x) {
    return x->d->errors > x->errors;
}

int64_t count_layers(const ImportCtx *x, const char *prefix) {
    size_t n = strlen(prefix);
    int64_t most = 0;
    for (int i = 0; i < x->w->n; i++) {
        const char *name = x->w->tensors[i].name;
        if (strncmp(name, prefix, n) != 0 || !isdigit((unsigned char)name[n])) continue;
        int64_t k = strtoll(name + n, NULL, 10) + 1;
        if (k > most) most = k;
    }
    return most;
}

/* Empty parts of the frame are left out. */
void model_finish(cJSON *m, const char *weights) {
    static const char *const lists[] = {"blocks", "comment"};
    model_set(m, "weights", "null");
    cJSON_ReplaceItemInObjectCaseSensitive(m, "weights", cJSON_CreateString(weights));
    for (int i = 0; i < 2; i++) {
        const cJSON *n = member(m, lists[i]);
        bool is_empty = (cJSON_IsArray(n) || cJSON_IsObject(n)) && !n->child;
        if (is_empty) cJSON_DeleteItemFromObjectCaseSensitive(m, lists[i]);
    }
    for (int i = 0; i < 3; i++)
        if (cJSON_IsNull(member(m, LATER[i]))) cJSON_DeleteItemFromObjectCaseSensitive(m, LATER[i]);
}
