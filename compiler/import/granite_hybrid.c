/* Granite 4: IBM 2025. Mamba-2 layers and attention layers, which may have no positions. Each layer has an MLP, or
 * a mixture of experts with a shared expert. Multipliers as in Granite-MoE. */
#include <string.h>

#include "import/parts/hybrid.h"

static Layers read_layers(Cfg *c, int64_t n, const char *mamba, const char *attention) {
    const LayerWord words[] = {{"mamba", mamba},
                               {"linear_attention", mamba},
                               {"attention", attention},
                               {"full_attention", attention},
                               {0}};
    Layers l = {0};
    const char *key = cfg_has(c, "layer_types") ? "layer_types" : "layers_block_type";
    if (!cfg_layer_words(c, key, n, words, &l)) l = *layers_same(c->ctx->a, n, mamba);
    return l;
}

static cJSON *import(ImportCtx *x) {
    Cfg *c = &x->cfg;
    if (!c->node) return import_error(x, "there is no config.json, which a Granite model needs"), NULL;
    Frame f = frame_named();
    f.vocab = 32000, f.width = 4096, f.layers = 32;
    cfg_frame(x, &f);
    f.norm = (Norm){.eps = cfg_float(c, "rms_norm_eps", 1e-6, ">=0")};
    f.embedding_scale = cfg_float(c, "embedding_multiplier", 1, NULL);
    f.logit_scale = 1 / cfg_float(c, "logits_scaling", 1, ">0");
    const char *act = cfg_act(c, "hidden_act", "silu"),
               *positions = cfg_str(c, "position_embedding_type", "");
    Attention t = {
        .heads = 32, .module = "self_attn", .scale = cfg_float(c, "attention_multiplier", 1, ">0")};
    cfg_heads(c, f.width, &t);
    t.positions = cfg_size(c, "max_position_embeddings", 2048);
    t.rope = cfg_rope(c, t.width, 10000, 0, t.positions);
    t.rope.none = strcmp(positions, "rope") != 0;
    if (t.rope.none && *positions && strcmp(positions, "nope") != 0)
        cfg_error(c, "position_embedding_type", "unknown kind \"%s\"", positions);
    t.bias_qkv = t.bias_o = cfg_bool(c, "attention_bias", false);
    Mamba2 mamba = {.module = "mamba", .act = act, .eps = f.norm.eps};
    cfg_mamba2(c, &MAMBA2_KEYS_HYBRID, f.width, &(Mamba2){.H = 128, .N = 256, .G = 1}, &mamba);
    mamba2_check(x, &mamba);
    Mlp shared = {.width = cfg_size(c, "shared_intermediate_size", 1024), .act = act};
    shared.module = "shared_mlp", shared.gate_up = "input_linear", shared.down = "output_linear";
    Experts e = {.count = 8, .chosen = 2, .act = act, .stacked = true, .shared = shared};
    e.gate_up = "block_sparse_moe.input_linear.weight", e.down = "block_sparse_moe.output_linear.weight";
    e.router = (Router){.module = "block_sparse_moe.router.layer", .scores = SCORES_CHOSEN};
    if (strcmp(cfg_str(c, "normalization_function", "rmsnorm"), "rmsnorm") != 0)
        cfg_error(c, "normalization_function", "must be \"rmsnorm\"");
    cfg_skip(c, "init_method");
    bool routes = !cfg_has(c, "num_local_experts") || cfg_int(c, "num_local_experts", 8) > 0;
    routes ? cfg_experts(c, &e) : cfg_skip(c, "num_experts_per_tok");
    if (routes) e.width = cfg_size(c, "intermediate_size", 11008);
    cfg_skip(c, "intermediate_size");
    Layers layers = read_layers(c, f.layers, routes ? "mamba2_experts" : "mamba2",
                                routes ? "attention_experts" : "attention");
    if (import_failed(x)) return NULL;

    Hybrid h = {.mixer_norm = "input_layernorm",
                .ff_norm = "post_attention_layernorm",
                .mamba2 = &mamba,
                .attention = &t,
                .mlp = &shared,
                .experts = &e,
                .residual = cfg_float(c, "residual_multiplier", 1, NULL)};
    return hybrid_model(x, &f, &h, &layers);
}

const Importer importer_granite_hybrid = {
    .name = "granite-hybrid",
    .doc = "Granite 4: Mamba-2 and attention layers, MLP or mixture of experts, with multipliers",
    .accepts = "GraniteMoeHybridForCausalLM",
    .recurrence = "matrix state, one decay per head; KV cache",
    .cases = "hf-granitemoe-hybrid hf-granitemoe-hybrid-dense",
    .import = import,
};
