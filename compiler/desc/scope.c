/* Names of values while a function is being read. */
#include "scope.h"

#include <string.h>

/* ---- names ---- */

void scope_bind(Scope *s, const char *name, Value *v) {
    for (int i = 0; i < s->nnames; i++)
        if (strcmp(s->names[i].name, name) == 0) {
            s->names[i].value = v;
            return;
        }
    ARENA_PUSH(s->r->arena, s->names, s->nnames, s->names_cap, ((Name){name, v}));
}

bool scope_find(const Scope *s, const char *name, Value **out) {
    for (int i = 0; i < s->nnames; i++)
        if (strcmp(s->names[i].name, name) == 0) return *out = s->names[i].value, true;
    return *out = NULL, false;
}

static bool names(const cJSON *n, const char *name) {
    bool list = cJSON_IsArray(n);
    for (const cJSON *c = list ? n->child : n; c; c = list ? c->next : NULL)
        if (cJSON_IsString(c) && !strcmp(c->valuestring, name)) return true;
    return false;
}

const char *scope_did_you_mean(const Scope *s, const char *name, bool dims) {
    const Reader *r = s->r;
    for (const cJSON *c = s->statements ? s->statements->child : NULL; c; c = c->next)
        if (names(json_get(c, "out"), name) || names(json_get(c, "state"), name))
            return " here: it is computed further down; what it was for the token before comes through "
                   "shift, conv.* "
                   "or scan.* only (a matrix times the state before it, as in GRU and LSTM, is no op)";
    const char **all = ARENA_ARRAY(r->arena, const char *, s->nnames + r->ndims + 1);
    int n = 0;
    for (int i = 0; i < s->nnames; i++) all[n++] = s->names[i].name;
    for (int i = 0; dims && i < r->ndims; i++) all[n++] = r->dims[i].name;
    return diag_did_you_mean(r->arena, name, all, n);
}

static const char *read_name(Reader *r, const cJSON *node, const char *path) {
    if (!cJSON_IsString(node) || !json_is_name(node->valuestring))
        return json_error(&r->json, node, path, "must be a name (letters, digits, _), got %s",
                          json_what(r->arena, node)),
               NULL;
    return arena_strdup(r->arena, node->valuestring);
}

const char **read_names(Reader *r, const cJSON *node, const char *path, int *n) {
    bool list = cJSON_IsArray(node);
    *n = list ? cJSON_GetArraySize(node) : 1;
    if (*n == 0) return json_error(&r->json, node, path, "must name something"), NULL;
    const char **names = ARENA_ARRAY(r->arena, const char *, *n);
    int i = 0;
    for (const cJSON *c = list ? node->child : node; c; c = list ? c->next : NULL) {
        names[i] = read_name(r, c, list ? arena_printf(r->arena, "%s[%d]", path, i) : path);
        if (!names[i]) return NULL;
        for (int k = 0; k < i; k++)
            if (strcmp(names[k], names[i]) == 0)
                return json_error(&r->json, c, path, "\"%s\" is named twice", names[i]), NULL;
        i++;
    }
    return names;
}
