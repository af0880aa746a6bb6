/* LFM3: Liquid AI 2026. The layers of LFM2 with pre- and post-norms. Some attention layers have a sliding window,
 * and heads have output gates. */
#include "import/parts/hybrid.h"

static Layers read_layers(Cfg *c, int64_t n) {
    static const LayerWord words[] = {
        {"conv", "conv"}, {"full_attention", "attention"}, {"sliding_attention", "sliding"}, {0}};
    Layers l = {0};
    bool said = cfg_layer_words(c, "layer_types", n, words, &l);
    for (int64_t i = 0; i < n && !said && !import_failed(c->ctx); i++)
        layers_add(c->ctx->a, &l, i % 4 == 2 ? "attention" : i % 4 == 0 && i > 0 ? "sliding" : "conv");
    return l;
}

/* The gate's projection has a name in files and another one in transformers' memory. */
static const char *gate_name(ImportCtx *x, const Layers *l) {
    for (int i = 0; i < l->n; i++)
        if (has_tensor(x, arena_printf(x->a, "model.layers.%d.self_attn.g_proj.weight", i))) return "g_proj";
    return "gate_proj";
}

static cJSON *import(ImportCtx *x) {
    Cfg *c = &x->cfg;
    if (!c->node) return import_error(x, "there is no config.json, which an LFM3 model needs"), NULL;
    Frame f = frame_named();
    f.vocab = 128000, f.width = 2048, f.layers = 24, f.tied = true, f.final_norm = "model.embedding_norm";
    cfg_frame(x, &f);
    double eps = cfg_float(c, "rms_norm_eps", 1e-5, ">=0");
    f.norm = (Norm){.eps = cfg_float(c, "norm_eps", eps, ">=0")};
    Layers layers = read_layers(c, f.layers);
    Attention t = {.heads = 16, .kv_heads = 4, .width = 128, .module = "self_attn", .qk_norm = true};
    t.norm = f.norm;
    cfg_heads(c, f.width, &t);
    t.positions = cfg_size(c, "max_position_embeddings", 128000);
    t.bias_qkv = t.bias_o = cfg_bool(c, "attention_bias", false);
    if (cfg_bool(c, "use_attention_gate", true)) t.head_gate = gate_name(x, &layers);
    RopeKeys keys = {.width = t.width, .positions = t.positions, .kind = "full_attention", .theta = 1e6};
    if (!cfg_has(c, "rope_parameters")) keys.type = "proportional", keys.partial = 0.5;
    Attention sliding = t;
    if (layers_have(&layers, "attention")) t.rope = cfg_rope_keys(c, &keys);
    keys.kind = "sliding_attention", keys.theta = 1e4, keys.type = NULL, keys.partial = 0;
    if (layers_have(&layers, "sliding")) sliding.rope = cfg_rope_keys(c, &keys);
    sliding.window = cfg_window(c, 256);
    cfg_skip(c, "rope_parameters");
    ShortConv conv = {.module = "conv", .taps = cfg_size(c, "conv_L_cache", 7)};
    conv.bias = cfg_bool(c, "conv_bias", false);
    Mlp mlp = {.module = "feed_forward", .gate = "w1", .up = "w3", .down = "w2", .act = "silu"};
    mlp.width = cfg_size(c, "intermediate_size", 7680);
    bool posts = cfg_bool(c, "use_sandwich_norm", true);
    if (import_failed(x)) return NULL;

    Hybrid h = {.conv = &conv, .attention = &t, .sliding = &sliding, .mlp = &mlp};
    h.mixer_norm = "operator_norm", h.ff_norm = "ffn_norm";
    if (posts) h.mixer_post = "post_operator_norm", h.ff_post = "post_ffn_norm";
    return hybrid_model(x, &f, &h, &layers);
}

const Importer importer_lfm3 = {
    .name = "lfm3",
    .doc = "LFM3: gated short convolutions, full and sliding-window attention",
    .accepts = "Lfm3ForCausalLM",
    .recurrence = "short convolution; KV cache",
    .cases = "hf-lfm3",
    .import = import,
};
