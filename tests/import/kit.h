/* Made-up checkpoints for tests of importers: a configuration, and tensors without data. */
#ifndef BTC_TESTS_IMPORT_KIT_H
#define BTC_TESTS_IMPORT_KIT_H

#include <sys/stat.h>
#include <unistd.h>

#include "../tools/check.h"
#include "desc/desc.h"
#include "import/import.h"
#include "op.h"

static Arena *a;
static char temp[] = "/tmp/btc-import-XXXXXX"; /* holds one configuration at a time */

static inline char *quoted(const char *s) {
    char *t = arena_strdup(a, s);
    for (char *p = t; *p; p++)
        if (*p == '\'') *p = '"';
    return t;
}

#define T(name_, rank_, ...)                                                                                 \
    { .name = name_, .dt = DT_F32, .rank = rank_, .dim = {__VA_ARGS__}, .file = "w" }

/* In the order of their names, as in every set. */
static RawTensor LLAMA[] __attribute__((unused)) = {
    T("model.embed_tokens.weight", 2, 8, 4),
    T("model.layers.0.input_layernorm.weight", 1, 4),
    T("model.layers.0.mlp.down_proj.weight", 2, 4, 6),
    T("model.layers.0.mlp.gate_proj.weight", 2, 6, 4),
    T("model.layers.0.mlp.up_proj.weight", 2, 6, 4),
    T("model.layers.0.post_attention_layernorm.weight", 1, 4),
    T("model.layers.0.self_attn.k_proj.weight", 2, 64, 4),
    T("model.layers.0.self_attn.o_proj.weight", 2, 4, 64),
    T("model.layers.0.self_attn.q_proj.weight", 2, 64, 4),
    T("model.layers.0.self_attn.v_proj.weight", 2, 64, 4),
    T("model.norm.weight", 1, 4),
};

static RawTensor MAMBA[] __attribute__((unused)) = {
    T("backbone.embedding.weight", 2, 8, 4),
    T("backbone.layers.0.mixer.A_log", 2, 8, 3),
    T("backbone.layers.0.mixer.D", 1, 8),
    T("backbone.layers.0.mixer.conv1d.bias", 1, 8),
    T("backbone.layers.0.mixer.conv1d.weight", 3, 8, 1, 4),
    T("backbone.layers.0.mixer.dt_proj.bias", 1, 8),
    T("backbone.layers.0.mixer.dt_proj.weight", 2, 8, 1),
    T("backbone.layers.0.mixer.in_proj.weight", 2, 16, 4),
    T("backbone.layers.0.mixer.out_proj.weight", 2, 4, 8),
    T("backbone.layers.0.mixer.x_proj.weight", 2, 7, 8),
    T("backbone.layers.0.norm.weight", 1, 4),
    T("backbone.norm_f.weight", 1, 4),
    T("lm_head.weight", 2, 8, 4),
};

static inline void put_config(const char *name, const char *text) {
    const char *file = arena_printf(a, "%s/%s", temp, name);
    unlink(file);
    FILE *f = text ? fopen(file, "w") : NULL;
    if (f) fputs(quoted(text), f), fclose(f);
}

static inline char *import_made_up(Diag *d, const char *config, RawTensor *t, size_t n, const char *arch,
                                   WeightSet *w) {
    put_config("config.json", config);
    *d = diag_new(a, NULL);
    *w = (WeightSet){.arena = a, .tensors = t, .n = (int)n, .cap = (int)n, .name = "w"};
    for (size_t i = 0; i < n; i++) t[i].used = false;
    return import_model(d, a, temp, w, &(ImportOptions){.arch = arch, .weights_as = "model.safetensors"});
}

#define IMPORT(d, config, tensors, arch, w)                                                                  \
    import_made_up(d, config, tensors, sizeof tensors / sizeof *tensors, arch, w)

#define SIZES                                                                                                \
    "'model_type':'llama','vocab_size':8,'hidden_size':4,'num_hidden_layers':1,'num_attention_heads':1,"     \
    "'head_dim':64,'intermediate_size':6,'max_position_embeddings':4096,'tie_word_embeddings':true"

#endif
