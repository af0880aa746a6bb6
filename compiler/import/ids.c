/* The ids that begin and end a sequence: bos_token_id and eos_token_id of config.json, or of
 * generation_config.json, which transformers asks first. */
#include <math.h>

#include "import/import.h"

/* Whether n is an id of the vocabulary; otherwise a warning names it. Ids beyond stand in configurations that
 * were cut down, and nothing can produce them. */
static bool is_id(const Json *json, const cJSON *n, const char *key, int64_t vocab) {
    if (cJSON_IsNumber(n) && n->valuedouble >= 0 && n->valuedouble < (double)vocab &&
        n->valuedouble == floor(n->valuedouble))
        return true;
    Arena *a = json->arena;
    const char *what = cJSON_IsNumber(n) ? json_number(a, n->valuedouble) : json_what(a, n);
    diag_warning(json->diag, json_loc(json, n, key),
                 "%s is no id of the vocabulary (0 to %lld); it is left out", what, (long long)vocab - 1);
    return false;
}

/* Those of n that are ids, each once. */
static cJSON *read_list(const Json *json, const cJSON *n, const char *key, int64_t vocab) {
    cJSON *list = cJSON_CreateArray();
    for (const cJSON *c = cJSON_IsArray(n) ? n->child : n; c; c = cJSON_IsArray(n) ? c->next : NULL) {
        bool known = false;
        if (!is_id(json, c, key, vocab)) continue;
        for (const cJSON *k = list->child; k; k = k->next) known |= k->valuedouble == c->valuedouble;
        if (!known) cJSON_AddItemToArray(list, cJSON_CreateNumber(c->valuedouble));
    }
    return list;
}

/* A null says "none", like an absent key. */
static const cJSON *look(const Json *json, const char *key) {
    const cJSON *n = json_get(json->root, key);
    return cJSON_IsNull(n) ? NULL : n;
}

static cJSON *read_ids(ImportCtx *x, const char *key, int64_t vocab) {
    const cJSON *config = look(&x->json, key), *generation = look(&x->generation, key);
    if (!generation) return config ? read_list(&x->json, config, key, vocab) : cJSON_CreateArray();
    cJSON *ids = read_list(&x->generation, generation, key, vocab);
    if (config && !cJSON_Compare(config, generation, true))
        diag_note(x->d, json_loc(&x->generation, generation, key),
                  "goes before that of config.json, which is another");
    return ids;
}

void model_ids(ImportCtx *x, cJSON *m) {
    int64_t vocab = model_size(m, "V");
    cfg_skip(&x->cfg, "bos_token_id"), cfg_skip(&x->cfg, "eos_token_id");
    cJSON *bos = read_ids(x, "bos_token_id", vocab), *eos = read_ids(x, "eos_token_id", vocab);
    if (cJSON_GetArraySize(bos) > 1)
        diag_warning(x->d, (Loc){.file = x->path, .path = "bos_token_id"},
                     "a sequence begins with one token: the first of the list is used");
    if (bos->child) model_set(m, "bos", "%lld", (long long)bos->child->valuedouble);
    int n = cJSON_GetArraySize(eos);
    if (n == 1) model_set(m, "eos", "%lld", (long long)eos->child->valuedouble);
    if (n > 1) {
        model_set(m, "eos", "null");
        cJSON_ReplaceItemInObjectCaseSensitive(m, "eos", cJSON_Duplicate(eos, true));
    }
    cJSON_Delete(bos);
    cJSON_Delete(eos);
}
