/* Gemma: Gemma Team 2024, arXiv:2403.08295 and 2408.00118; 2025, arXiv:2503.19786. RMS norms scale by 1 + w. Gemma
 * 2 adds post-norms and sliding-window layers. Gemma 3 adds norms on queries and keys and another rotary base in
 * sliding-window layers. */
#include <math.h>
#include <string.h>

#include "import/parts/attention.h"
#include "import/parts/frame.h"
#include "import/parts/mlp.h"

typedef struct Gemma {
    int generation;
    Norm norm;
    Mlp mlp;
    Attention attention;
} Gemma;

static void write_block(ImportCtx *x, const char *name, const Gemma *t, const Attention *attention) {
    cJSON *b = block_new(x->model, name, NULL, NULL);
    bool more = t->generation > 1;
    st_norm(b, "u", "x", "input_layernorm", "D", &t->norm);
    st_attention(x, b, "o", "u", attention);
    if (more) st_norm(b, "o", "o", "post_attention_layernorm", "D", &t->norm);
    st_residual(x, b, "o", 0);
    st_norm(b, "u", "x", more ? "pre_feedforward_layernorm" : "post_attention_layernorm", "D", &t->norm);
    st_mlp(x, b, "f", "u", &t->mlp);
    if (more) st_norm(b, "f", "f", "post_feedforward_layernorm", "D", &t->norm);
    st_residual(x, b, "f", 0);
}

/* By default one layer in `period` sees everything. */
static Layers read_layers(Cfg *c, int64_t n, int64_t period) {
    static const LayerWord words[] = {{"sliding_attention", "sliding"}, {"full_attention", "full"}, {0}};
    Layers l = {0};
    if (period < 2 || !cfg_layer_words(c, "layer_types", n, words, &l))
        for (int64_t i = l.n; i < n; i++)
            layers_add(c->ctx->a, &l, period > 1 && (i + 1) % period ? "sliding" : "full");
    return l;
}

/* The first generation has one more name for it, and takes "gelu" for the approximation that it was trained with. */
static const char *read_act(Cfg *c, int generation) {
    const char *act = cfg_act(c, generation > 1 ? "hidden_activation" : "hidden_act", "gelu_pytorch_tanh");
    cfg_skip(c, generation > 1 ? "hidden_act" : "hidden_activation");
    return generation == 1 && !strcmp(act, "gelu") ? "gelu_tanh" : act;
}

static double read_cap(Cfg *c, const char *key, double otherwise) {
    const cJSON *n = json_get(c->node, key); /* here null and an absent key differ: null is no cap */
    return cfg_float(c, key, n ? 0 : otherwise, ">=0 <=1e30");
}

/* The third generation has the key, and no model reads it. */
static double read_attention_cap(ImportCtx *x, int generation) {
    static const char *const key = "attn_logit_softcapping";
    double cap = read_cap(&x->cfg, key, generation == 2 ? 50 : 0);
    if (generation == 2 || cap == 0) return cap;
    diag_warning(x->d, json_loc(&x->json, json_get(x->cfg.node, key), key),
                 "scores are not capped: transformers does not read this key in Gemma 3");
    return 0;
}

static cJSON *import(ImportCtx *x) {
    Cfg *c = &x->cfg;
    if (!c->node) return import_error(x, "there is no config.json, which a Gemma model needs"), NULL;
    int generation = strcasestr(x->arch, "gemma3") ? 3 : strcasestr(x->arch, "gemma2") ? 2 : 1;
    Gemma t = {.generation = generation};
    Frame f = frame_named();
    f.tied = true;
    cfg_frame(x, &f);
    f.embedding_scale = sqrt((double)f.width); /* rounded only where all arithmetic is */
    t.norm = f.norm = (Norm){.kind = NORM_RMS_PLUS, .eps = cfg_float(c, "rms_norm_eps", 1e-6, ">=0")};
    t.mlp = (Mlp){
        .module = "mlp", .width = cfg_size(c, "intermediate_size", REQUIRED), .act = read_act(c, generation)};
    int64_t positions = cfg_size(c, "max_position_embeddings", generation == 3 ? 131072 : 8192);
    Attention *at = &t.attention;
    *at = (Attention){
        .module = "self_attn", .positions = positions, .norm = f.norm, .qk_norm = generation == 3};
    at->kv_heads = generation == 1 ? 16 : 4, at->width = 256;
    cfg_heads(c, f.width, at);
    at->bias_qkv = at->bias_o = cfg_bool(c, "attention_bias", false);
    if (generation > 1) {
        at->scale = 1 / sqrt(cfg_float(c, "query_pre_attn_scalar", 256, ">0"));
        at->softcap = read_attention_cap(x, generation);
        f.logit_cap = read_cap(c, "final_logit_softcapping", generation == 2 ? 30 : 0);
    }
    cfg_only_bool(c, "use_bidirectional_attention", false, false);
    RopeKeys keys = {.width = at->width, .positions = positions, .theta = generation == 3 ? 1e6 : 1e4};
    if (generation == 3) keys.kind = "full_attention";
    at->rope = cfg_rope_keys(c, &keys);
    Attention sliding = *at;
    Layers layers =
        read_layers(c, f.layers, generation == 3 ? cfg_size(c, "sliding_window_pattern", 6) : generation);
    cfg_skip(c, "_sliding_window_pattern"); /* a copy, which goes with layer_types */
    if (generation == 3) {
        keys.kind = "sliding_attention", keys.theta = 1e4;
        keys.only_other = true, keys.other_theta = "rope_local_base_freq";
        sliding.rope = cfg_rope_keys(c, &keys);
    }
    if (layers_have(&layers, "sliding")) {
        sliding.window = cfg_size(c, "sliding_window", 4096);
        cfg_only_int(c, "sliding_window_size", sliding.window, sliding.window);
    }
    cfg_skip(c, "sliding_window"), cfg_skip(c, "sliding_window_size");
    if (import_failed(x)) return NULL;

    frame_begin(x, &f);
    if (layers_have(&layers, "full")) write_block(x, "full", &t, at);
    if (layers_have(&layers, "sliding")) write_block(x, "sliding", &t, &sliding);
    return frame_end(x, &f, &layers);
}

const Importer importer_gemma = {
    .name = "gemma",
    .doc = "Gemma 1, 2 and 3 (text): pre- and post-norms, logit soft-capping, sliding-window layers",
    .accepts = "GemmaForCausalLM Gemma2ForCausalLM gemma2 Gemma3ForCausalLM gemma3_text",
    .recurrence = "KV cache",
    .cases = "hf-gemma2 hf-gemma3-text",
    .import = import,
};
