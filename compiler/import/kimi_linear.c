/* Kimi Linear: Kimi Team 2025, arXiv:2510.26692. Kimi Delta Attention layers, a delta rule with decays per
 * channel, and multi-head latent attention layers without rotary embedding. The mixture of experts is that of
 * DeepSeek-V3. */
#include <string.h>

#include "import/parts/hybrid.h"

/* The layers that the list names, which counts from 1. */
static void mark_layers(Cfg *c, const char *key, int64_t n, int8_t *is) {
    const cJSON *list = cfg_list(c, key);
    for (int k = 0; k < cJSON_GetArraySize(list); k++) {
        double i = cfg_item(c, key, list, k);
        if (i < 1 || i > (double)n || i != (double)(int64_t)i)
            cfg_error(c, key, "%g is no layer; they count from 1 to %lld", i, (long long)n);
        else
            is[(int64_t)i - 1]++;
    }
}

/* layer_types, two lists of numbers, or one full layer in four; what says it twice says the same. */
static Layers read_layers(ImportCtx *x, Cfg *linear, int64_t n) {
    static const LayerWord words[] = {{"linear_attention", "delta"}, {"full_attention", "mla"}, {0}};
    Cfg *c = &x->cfg;
    int8_t *delta = ARENA_ARRAY(x->a, int8_t, n), *full = ARENA_ARRAY(x->a, int8_t, n);
    Layers l = {0};
    bool said = cfg_layer_words(c, "layer_types", n, words, &l),
         listed = cfg_has(linear, "kda_layers") && cfg_has(linear, "full_attn_layers");
    mark_layers(linear, "kda_layers", n, delta), mark_layers(linear, "full_attn_layers", n, full);
    for (int64_t i = 0; i < n && !import_failed(x); i++) {
        if (listed && delta[i] + full[i] != 1)
            cfg_error(linear, "kda_layers", "layer %lld must stand in one of kda_layers and full_attn_layers",
                      (long long)i + 1);
        const char *kind = listed ? delta[i] ? "delta" : "mla" : i && i % 4 == 0 ? "mla" : "delta";
        if (!said) layers_add(x->a, &l, kind);
        if (listed && strcmp(l.block[i], kind) != 0)
            cfg_error(c, "layer_types", "layer %lld is another kind than in linear_attn_config",
                      (long long)i + 1);
    }
    cfg_mlp_words(c, cfg_int(c, "first_k_dense_replace", 1), &l);
    return l;
}

/* Sizes stand in linear_attn_config, or, as transformers writes them, at the top. */
static int64_t read_size(Cfg *c, Cfg *linear, const char *top, const char *key, int64_t otherwise) {
    int64_t size = cfg_size(linear, key, cfg_size(c, top, otherwise));
    cfg_only_int(c, top, size, size);
    return size;
}

static DeltaRule read_delta(Cfg *c, Cfg *linear, double eps) {
    DeltaRule t = {.module = "self_attn", .act = "silu", .decay = DELTA_DECAY_CHANNEL, .kind.eps = eps};
    t.heads = t.key_heads = read_size(c, linear, "linear_num_heads", "num_heads", 32);
    t.K = t.P = read_size(c, linear, "linear_head_dim", "head_dim", 128);
    t.taps = read_size(c, linear, "linear_conv_kernel_dim", "short_conv_kernel_size", 4);
    t.decay_in = "f_a_proj", t.decay_out = "f_b_proj", t.gate_in = "g_a_proj", t.gate_out = "g_b_proj";
    t.gate_act = "sigmoid", t.norm = "o_norm", t.out = "o_proj";
    return t;
}

static cJSON *import(ImportCtx *x) {
    Cfg *c = &x->cfg;
    if (!c->node) return import_error(x, "there is no config.json, which a Kimi-Linear model needs"), NULL;
    Frame f = frame_named();
    f.more_layers = cfg_int(c, "num_nextn_predict_layers", 0);
    cfg_frame(x, &f);
    f.norm = (Norm){.eps = cfg_float(c, "rms_norm_eps", 1e-5, ">=0")};
    Mla t = {.module = "self_attn", .norm.eps = 1e-6, .rope.none = true};
    cfg_mla(c, &t);
    cfg_only_bool(c, "mla_use_nope", true, true);
    t.positions = cfg_size(c, "model_max_length", cfg_size(c, "max_position_embeddings", 1048576));
    cfg_skip(c, "rope_theta"), cfg_skip(c, "rope_scaling"),
        cfg_skip(c, "rope_parameters"); /* nothing turns */
    const char *act = cfg_act(c, "hidden_act", "silu");
    Mlp mlp = {.module = "mlp", .act = act, .width = cfg_size(c, "intermediate_size", REQUIRED)};
    Experts e = {.count = 256,
                 .chosen = 8,
                 .module = "block_sparse_moe.experts",
                 .gate = "w1",
                 .up = "w3",
                 .down = "w2",
                 .act = act};
    e.width = cfg_size(c, "moe_intermediate_size", REQUIRED);
    cfg_experts(c, &e);
    e.router = (Router){.module = "block_sparse_moe.gate", .scores = SCORES_SIGMOID, .group = GROUP_BEST_TWO};
    e.router.groups = e.router.kept = 1,
    e.router.correction = "block_sparse_moe.gate.e_score_correction_bias";
    cfg_expert_groups(c, "num_expert_group", "topk_group", &e);
    cfg_only_bool(c, "use_grouped_topk", true, true);
    if (strcmp(cfg_str(c, "moe_router_activation_func", "sigmoid"), "sigmoid") != 0)
        cfg_error(c, "moe_router_activation_func", "must be \"sigmoid\"");
    e.router.normalize = cfg_bool(c, "moe_renormalize", true), e.router.floor = 1e-20;
    e.router.scale = cfg_float(c, "routed_scaling_factor", 2.446, ">0");
    e.shared = (Mlp){.module = "block_sparse_moe.shared_experts", .act = act};
    e.shared.width = e.width * cfg_int(c, "num_shared_experts", 1);
    cfg_only_int(c, "moe_layer_freq", 1, 1);
    Cfg linear = cfg_sub(c, "linear_attn_config");
    DeltaRule delta = read_delta(c, &linear, f.norm.eps);
    Layers layers = read_layers(x, &linear, f.layers);
    cfg_done(&linear);
    if (import_failed(x)) return NULL;

    Hybrid h = {.mixer_norm = "input_layernorm", .ff_norm = "post_attention_layernorm"};
    h.delta = &delta, h.mla = &t, h.mlp = &mlp, h.experts = &e;
    return hybrid_model(x, &f, &h, &layers);
}

const Importer importer_kimi_linear = {
    .name = "kimi-linear",
    .doc = "Kimi Linear: Kimi Delta Attention, multi-head latent attention, mixture of experts",
    .accepts = "KimiLinearForCausalLM kimi_linear",
    .recurrence = "matrix state, decay per channel, delta rule; latent KV cache",
    .cases = "hf-kimi-linear",
    .import = import,
};
