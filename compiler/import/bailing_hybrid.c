/* Bailing hybrid: Ling Team 2025. Kimi Delta Attention layers whose decays have a lower bound, and multi-head
 * latent attention layers with an output gate per head. The mixture of experts is that of DeepSeek-V3. */
#include "import/parts/hybrid.h"

static Layers read_layers(Cfg *c, int64_t n) {
    static const LayerWord words[] = {{"linear_attention", "delta"}, {"full_attention", "mla"}, {0}};
    Layers l = {0};
    int64_t group = cfg_size(c, "layer_group_size", 6);
    if (!cfg_layer_words(c, "layer_types", n, words, &l))
        for (int64_t i = 0; i < n; i++) layers_add(c->ctx->a, &l, (i + 1) % group ? "delta" : "mla");
    cfg_mlp_words(c, cfg_int(c, "first_k_dense_replace", 2), &l);
    return l;
}

static DeltaRule read_delta(Cfg *c, double eps) {
    DeltaRule t = {
        .module = "attention", .act = "silu", .kind.eps = eps, .decay_in = "f_proj", .gate_in = "g_proj"};
    t.heads = t.key_heads = cfg_size(c, "linear_num_heads", cfg_size(c, "num_attention_heads", REQUIRED));
    t.K = t.P = cfg_size(c, "linear_head_dim", cfg_size(c, "head_dim", REQUIRED));
    t.taps = cfg_size(c, "linear_conv_kernel_dim", cfg_size(c, "short_conv_kernel_size", 4));
    t.lowest = cfg_float(c, "kda_lower_bound", -5, "<0");
    t.decay = cfg_bool(c, "kda_safe_gate", true) ? DELTA_DECAY_BOUNDED : DELTA_DECAY_CHANNEL;
    t.gate_act = "sigmoid", t.norm = "o_norm", t.out = "dense";
    return t;
}

/* Several keys have two names: transformers', and the one that files hold. */
static const char *either(const Cfg *c, const char *name, const char *other) {
    return cfg_has(c, name) ? name : other;
}

static cJSON *import(ImportCtx *x) {
    Cfg *c = &x->cfg;
    if (!c->node) return import_error(x, "there is no config.json, which a Bailing model needs"), NULL;
    Frame f = frame_named();
    f.embedding = "model.word_embeddings.weight",
    f.more_layers = cfg_int(c, either(c, "num_mtp_layers", "num_nextn_predict_layers"), 1);
    cfg_frame(x, &f);
    f.norm = (Norm){.eps = cfg_float(c, "rms_norm_eps", 1e-6, ">=0")};
    Mla t = {.module = "attention", .out = "dense", .gate = "g_proj", .norm.eps = 1e-6};
    cfg_mla(c, &t);
    t.positions = cfg_size(c, "model_max_length", cfg_size(c, "max_position_embeddings", 262144));
    t.rope = cfg_rope(c, t.rope_dims, 6000000, 0, t.positions), t.rope.pairs = true;
    t.scale *= t.rope.mscale * t.rope.mscale;
    const char *act = cfg_act(c, "hidden_act", "silu");
    Mlp mlp = {.module = "mlp", .act = act, .width = cfg_size(c, "intermediate_size", REQUIRED)};
    Experts e = {.count = 512, .chosen = 8, .module = "mlp.experts", .act = act};
    e.width = cfg_size(c, "moe_intermediate_size", 768);
    cfg_experts(c, &e);
    e.router =
        (Router){.module = "mlp.gate", .scores = SCORES_SIGMOID, .group = GROUP_BEST_TWO, .floor = 1e-20};
    e.router.groups = 8, e.router.kept = 4, e.router.correction = "mlp.gate.expert_bias";
    cfg_expert_groups(c, either(c, "n_group", "num_expert_group"), "topk_group", &e);
    e.router.normalize = cfg_bool(c, either(c, "norm_topk_prob", "moe_renormalize"), true);
    e.router.scale = cfg_float(c, "routed_scaling_factor", 2.5, ">0");
    e.shared = (Mlp){.module = "mlp.shared_experts", .act = act};
    e.shared.width = e.width * cfg_int(c, either(c, "n_shared_experts", "num_shared_experts"), 1);
    DeltaRule delta = read_delta(c, f.norm.eps);
    Layers layers = read_layers(c, f.layers);
    cfg_skip(c, "mtp_loss_scaling_factor"); /* training */
    if (import_failed(x)) return NULL;

    Hybrid h = {.mixer_norm = "input_layernorm", .ff_norm = "post_attention_layernorm"};
    h.delta = &delta, h.mla = &t, h.mlp = &mlp, h.experts = &e;
    return hybrid_model(x, &f, &h, &layers);
}

const Importer importer_bailing_hybrid = {
    .name = "bailing-hybrid",
    .doc = "Bailing hybrid: Kimi Delta Attention with bounded decays, gated multi-head latent attention, "
           "mixture of experts",
    .accepts = "BailingHybridForCausalLM bailing_hybrid",
    .recurrence = "matrix state, decay per channel, delta rule; KV cache",
    .cases = "hf-bailing-hybrid",
    .import = import,
};
