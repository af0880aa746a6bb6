#include "import/parts/layers.h"

#include <string.h>

void layers_add(Arena *a, Layers *l, const char *block) {
    ARENA_PUSH(a, l->block, l->n, l->cap, block);
}

const Layers *layers_same(Arena *a, int64_t n, const char *block) {
    Layers *l = ARENA_NEW(a, Layers);
    for (int64_t i = 0; i < n; i++) layers_add(a, l, block);
    return l;
}

bool layers_have(const Layers *l, const char *block) {
    for (int i = 0; i < l->n; i++)
        if (!strcmp(l->block[i], block)) return true;
    return false;
}

static bool repeats(const Layers *l, int period) {
    for (int i = period; i < l->n; i++)
        if (strcmp(l->block[i], l->block[i - period]) != 0) return false;
    return true;
}

const char *layers_pattern(Arena *a, const Layers *l) {
    int period = 1;
    while (period < l->n && !repeats(l, period)) period++;
    Text t = text_new(a);
    for (int i = 0; i < period && i < l->n; i++) text_add(&t, "%s'%s'", i ? "," : "", l->block[i]);
    return arena_printf(a, "[%s]", t.s);
}

static const char *find_block(const LayerWord *words, const char *word) {
    for (; words->word; words++)
        if (!strcmp(words->word, word)) return words->block;
    return NULL;
}

bool cfg_layer_words(Cfg *c, const char *key, int64_t n, const LayerWord *words, Layers *l) {
    const cJSON *list = cfg_list(c, key);
    if (!list) return false;
    if (cJSON_GetArraySize(list) != n)
        return cfg_error(c, key, "must have one entry per layer, %lld, has %d", (long long)n,
                         cJSON_GetArraySize(list));
    for (const cJSON *e = list->child; e; e = e->next) {
        const char *word = cJSON_IsString(e) ? e->valuestring : "", *block = find_block(words, word);
        if (!block) return cfg_error(c, key, "unknown kind of layer \"%s\"", word);
        layers_add(c->ctx->a, l, block);
    }
    return true;
}

void cfg_mlp_words(Cfg *c, int64_t dense, Layers *l) {
    static const LayerWord words[] = {{"dense", ""}, {"sparse", "_experts"}, {0}};
    Layers said = {0};
    bool has = cfg_layer_words(c, "mlp_layer_types", l->n, words, &said);
    for (int i = 0; i < l->n && !import_failed(c->ctx); i++)
        l->block[i] = arena_printf(c->ctx->a, "%s%s", l->block[i],
                                   has         ? said.block[i]
                                   : i < dense ? ""
                                               : "_experts");
}

bool cfg_layer_letters(Cfg *c, const char *key, const LayerWord *letters, Layers *l) {
    const char *pattern = cfg_str(c, key, "");
    for (const char *p = pattern; *p; p++) {
        const char *block = find_block(letters, arena_strndup(c->ctx->a, p, 1));
        if (!block) return cfg_error(c, key, "unknown kind of layer \"%c\"", *p);
        layers_add(c->ctx->a, l, block);
    }
    return *pattern != 0;
}
