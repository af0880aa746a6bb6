/* gpt-oss: OpenAI 2025, arXiv:2508.10925. Attention with sinks; every other layer has a sliding window. Mixture of
 * experts with a clamped SwiGLU. */
#include "import/parts/decoder.h"
#include "import/parts/frame.h"

static cJSON *import(ImportCtx *x) {
    static const LayerWord words[] = {{"sliding_attention", "sliding"}, {"full_attention", "full"}, {0}};
    Cfg *c = &x->cfg;
    if (!c->node) return import_error(x, "there is no config.json, which a gpt-oss model needs"), NULL;
    Frame f = frame_named();
    cfg_frame(x, &f);
    f.norm = (Norm){.eps = cfg_float(c, "rms_norm_eps", 1e-5, ">=0")};
    Attention t = {.module = "self_attn", .sinks = "sinks", .heads = 64};
    t.kv_heads = 8, t.width = 64;
    cfg_heads(c, f.width, &t);
    t.bias_qkv = t.bias_o = cfg_bool(c, "attention_bias", true);
    t.positions = cfg_size(c, "max_position_embeddings", 131072);
    t.rope = cfg_rope(c, t.width, 150000, 0, t.positions);
    if (!cfg_has(c, "rope_parameters") && !cfg_has(c, "rope_scaling"))
        cfg_error(c, "rope_scaling", "the key is missing, as is rope_parameters");
    Experts e = {.count = 128,
                 .chosen = 4,
                 .module = "mlp.experts",
                 .stacked = true,
                 .gate_up = "mlp.experts.gate_up_proj",
                 .down = "mlp.experts.down_proj",
                 .by_turns = true,
                 .transposed = true,
                 .bias = true,
                 .router = {.module = "mlp.router", .bias = true, .scores = SCORES_CHOSEN}};
    const RawTensor *first = weights_find(x->w, "model.layers.0.mlp.experts.gate_up_proj");
    if (first && first->blocks) e.transposed = false; /* blocks lie along the inputs */
    cfg_experts(c, &e);
    e.width = cfg_size(c, "intermediate_size", REQUIRED);
    e.limit = cfg_float(c, "swiglu_limit", 7, ">0"), e.slope = cfg_float(c, "swiglu_alpha", 1.702, ">0");
    cfg_skip(c, "hidden_act");             /* the gate is that of swiglu_alpha, whatever it says */
    cfg_skip(c, "experts_per_token");      /* a copy of num_experts_per_tok */
    cfg_skip(c, "initial_context_length"); /* a copy of original_max_position_embeddings */
    int64_t window = cfg_size(c, "sliding_window", 128);
    Layers layers = {0};
    if (!cfg_layer_words(c, "layer_types", f.layers, words, &layers))
        for (int64_t i = 0; i < f.layers; i++) layers_add(x->a, &layers, i % 2 ? "full" : "sliding");
    if (import_failed(x)) return NULL;

    frame_begin(x, &f);
    Decoder block = {.norm = f.norm, .attention = t, .experts = &e};
    if (layers_have(&layers, "full")) decoder_block(x, "full", &block);
    block.attention.window = window;
    if (layers_have(&layers, "sliding")) decoder_block(x, "sliding", &block);
    return frame_end(x, &f, &layers);
}

const Importer importer_gpt_oss = {
    .name = "gpt_oss",
    .doc = "gpt-oss: attention sinks, sliding-window layers, mixture of experts with clamped SwiGLU",
    .accepts = "GptOssForCausalLM",
    .recurrence = "KV cache",
    .cases = "hf-gpt-oss",
    .import = import,
};
