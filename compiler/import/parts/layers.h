/* Which block each layer of a model is. */
#ifndef BTC_IMPORT_LAYERS_H
#define BTC_IMPORT_LAYERS_H

#include "import/import.h"

typedef struct Layers {
    const char **block; /* of each layer, by name */
    int n, cap;
} Layers;

void layers_add(Arena *a, Layers *l, const char *block);           /* one more layer */
const Layers *layers_same(Arena *a, int64_t n, const char *block); /* n of them */
bool layers_have(const Layers *l, const char *block);
/* The blocks as a list for st_layers: as short as repetition allows. */
const char *layers_pattern(Arena *a, const Layers *l);

/* A word for a kind of layer in the configuration, and the block that such a layer is. */
typedef struct LayerWord {
    const char *word, *block;
} LayerWord;
/* A list of n such words. words: ends with {NULL}. False: the key is absent (or wrong, and an error is filed). */
bool cfg_layer_words(Cfg *c, const char *key, int64_t n, const LayerWord *words, Layers *l);
/* mlp_layer_types adds to the names in l, one for each layer, nothing ("dense") or "_experts" ("sparse"); absent: the first
 * `dense` layers have no experts. */
void cfg_mlp_words(Cfg *c, int64_t dense, Layers *l);
/* A string of which each letter is such a word. */
bool cfg_layer_letters(Cfg *c, const char *key, const LayerWord *letters, Layers *l);

#endif
