/* Jamba: Lieber et al. 2024, arXiv:2403.19887. Mamba layers with inner norms, and attention layers without
 * positions. Some layers have a mixture of experts in place of the MLP. */
#include "import/parts/hybrid.h"

/* Every period-th layer from `offset` on. */
static bool is_due(Cfg *c, const char *period, const char *offset, int64_t every, int64_t first, int64_t i) {
    int64_t n = cfg_size(c, period, every), at = cfg_int(c, offset, first);
    if (at >= n && i == 0) cfg_error(c, offset, "must be below %s, %lld", period, (long long)n);
    return i % n == at;
}

static cJSON *import(ImportCtx *x) {
    Cfg *c = &x->cfg;
    if (!c->node) return import_error(x, "there is no config.json, which a Jamba model needs"), NULL;
    Frame f = frame_named();
    f.vocab = 65536, f.width = 4096, f.layers = 32, f.final_norm = "model.final_layernorm";
    cfg_frame(x, &f);
    f.norm = (Norm){.eps = cfg_float(c, "rms_norm_eps", 1e-6, ">=0")};
    const char *act = cfg_act(c, "hidden_act", "silu");
    Attention t = {.heads = 32, .kv_heads = 8, .module = "self_attn", .rope = {.none = true}};
    cfg_heads(c, f.width, &t);
    t.positions = cfg_size(c, "max_position_embeddings", 262144);
    t.window = cfg_window(c, 0);
    Mamba mamba = {.module = "mamba", .act = act, .norms = MAMBA_NORMS_WEIGHTED, .eps = f.norm.eps};
    cfg_mamba(c, &MAMBA_KEYS_HYBRID, f.width, &mamba);
    cfg_only_bool(c, "mamba_inner_layernorms", true, true);
    cfg_skip_all(c, "n_ctx calc_logits_for_entire_prompt"); /* older names and how to run */
    Mlp mlp = {.width = cfg_size(c, "intermediate_size", 14336), .module = "feed_forward", .act = act};
    Experts e = {.count = 16, .chosen = 2, .width = mlp.width, .module = "feed_forward.experts", .act = act};
    e.router.module = "feed_forward.router";
    bool some = cfg_size(c, "num_experts", 16) > 1;
    some ? cfg_experts(c, &e) : cfg_skip(c, "num_experts_per_tok");
    Layers layers = {0};
    for (int64_t i = 0; i < f.layers; i++) {
        bool attends = is_due(c, "attn_layer_period", "attn_layer_offset", 8, 4, i),
             routes = is_due(c, "expert_layer_period", "expert_layer_offset", 2, 1, i) && some;
        layers_add(x->a, &layers,
                   arena_printf(x->a, "%s%s", attends ? "attention" : "mamba", routes ? "_experts" : ""));
        if (routes) experts_look(x, arena_printf(x->a, "model.layers.%lld.", (long long)i), &e);
    }
    if (import_failed(x)) return NULL;

    Hybrid h = {.mixer_norm = "input_layernorm",
                .ff_norm = "pre_ff_layernorm",
                .mamba = &mamba,
                .attention = &t,
                .mlp = &mlp,
                .experts = &e};
    return hybrid_model(x, &f, &h, &layers);
}

const Importer importer_jamba = {
    .name = "jamba",
    .doc = "Jamba: Mamba and attention layers, MLP or mixture of experts",
    .accepts = "JambaForCausalLM",
    .recurrence = "diagonal per channel and state; KV cache",
    .cases = "hf-jamba",
    .import = import,
};
