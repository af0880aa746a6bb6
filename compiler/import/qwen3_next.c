/* Qwen3-Next and Qwen3.5: Qwen Team 2025. Gated DeltaNet layers and attention layers with output gates. Each layer
 * has an MLP, or a mixture of experts with a gated shared expert. */
#include <string.h>

#include "import/parts/hybrid.h"

/* layer_types, or attention in every full_attention_interval-th layer; experts but where mlp_only_layers says. */
static Layers read_layers(Cfg *c, int64_t n, bool experts, bool next) {
    static const LayerWord words[] = {{"linear_attention", "delta"}, {"full_attention", "attention"}, {0}};
    Layers kinds = {0}, l = {0};
    int64_t every = cfg_size(c, "full_attention_interval", 4);
    if (!cfg_layer_words(c, "layer_types", n, words, &kinds))
        for (int64_t i = 0; i < n; i++)
            layers_add(c->ctx->a, &kinds, (i + 1) % every ? "delta" : "attention");
    const cJSON *dense = next ? cfg_list(c, "mlp_only_layers") : NULL;
    int64_t step = next ? cfg_size(c, "decoder_sparse_step", 1) : 1;
    for (int64_t i = 0; i < kinds.n; i++) {
        bool is = experts && (i + 1) % step == 0;
        for (int k = 0; k < cJSON_GetArraySize(dense); k++)
            is &= cfg_item(c, "mlp_only_layers", dense, k) != (double)i;
        layers_add(c->ctx->a, &l,
                   is ? arena_printf(c->ctx->a, "%s_experts", kinds.block[i]) : kinds.block[i]);
    }
    return l;
}

static DeltaRule read_delta(Cfg *c, bool next, double eps) {
    DeltaRule t = {.module = "linear_attn",
                   .rows = next ? DELTA_BY_HEAD : DELTA_IN_ORDER,
                   .act = cfg_act(c, "hidden_act", "silu")};
    t.key_heads = cfg_size(c, "linear_num_key_heads", 16),
    t.heads = cfg_size(c, "linear_num_value_heads", 32);
    t.K = cfg_size(c, "linear_key_head_dim", 128), t.P = cfg_size(c, "linear_value_head_dim", 128);
    t.taps = cfg_size(c, "linear_conv_kernel_dim", 4), t.decay = DELTA_DECAY_HEAD, t.gate_act = "silu";
    t.norm = "norm", t.out = "out_proj", t.kind.eps = eps;
    if (t.heads % t.key_heads)
        cfg_error(c, "linear_num_value_heads", "linear_num_key_heads do not share them evenly");
    return t;
}

static Experts read_experts(Cfg *c, bool next) {
    const char *act = cfg_act(c, "hidden_act", "silu");
    Experts e = {.count = next ? 512 : 256, .chosen = next ? 10 : 8, .module = "mlp.experts", .act = act};
    e.width = cfg_size(c, "moe_intermediate_size", 512);
    e.router = (Router){.module = "mlp.gate", .normalize = next ? cfg_bool(c, "norm_topk_prob", true) : true};
    e.shared = (Mlp){.module = "mlp.shared_expert", .act = act};
    e.shared.width = cfg_size(c, "shared_expert_intermediate_size", 512),
    e.shared_gate = "mlp.shared_expert_gate";
    cfg_experts(c, &e);
    return e;
}

static cJSON *import(ImportCtx *x) {
    bool next = strcasestr(x->arch, "next"), moe = next || strcasestr(x->arch, "moe");
    if (!x->cfg.node) return import_error(x, "there is no config.json, which a Qwen3-Next model needs"), NULL;
    if (cfg_has(&x->cfg, "text_config"))
        x->cfg = cfg_sub(&x->cfg, "text_config"); /* the rest is about images */
    Cfg *c = &x->cfg;
    Frame f = frame_named();
    if (has_tensor(x, "model.language_model.embed_tokens.weight"))
        f.prefix = "model.language_model.layers.{i}.",
        f.embedding = "model.language_model.embed_tokens.weight", f.final_norm = "model.language_model.norm";
    cfg_frame(x, &f);
    f.norm = (Norm){.kind = NORM_RMS_PLUS, .eps = cfg_float(c, "rms_norm_eps", 1e-6, ">=0")};
    Attention t = {.kv_heads = moe ? 2 : 4,
                   .width = 256,
                   .module = "self_attn",
                   .gate = true,
                   .qk_norm = true,
                   .norm = f.norm};
    cfg_heads(c, f.width, &t);
    t.positions = cfg_size(c, "max_position_embeddings", 32768);
    t.rope = cfg_rope(c, t.width, 10000, 0.25, t.positions);
    t.bias_qkv = t.bias_o = cfg_bool(c, "attention_bias", false);
    DeltaRule delta = read_delta(c, next, f.norm.eps);
    Mlp mlp = {.module = "mlp", .act = delta.act};
    bool dense = !moe || (next && cJSON_GetArraySize(json_get(c->node, "mlp_only_layers")) > 0);
    if (next || dense) mlp.width = cfg_size(c, "intermediate_size", dense ? REQUIRED : 5632);
    Experts e = {0};
    if (moe) e = read_experts(c, next);
    Layers layers = read_layers(c, f.layers, moe, next);
    if (import_failed(x)) return NULL;

    for (int i = 0; moe && i < layers.n; i++)
        if (strstr(layers.block[i], "_experts"))
            experts_look(
                x, arena_printf(x->a, "%.*s%d.", (int)(strstr(f.prefix, "{i}") - f.prefix), f.prefix, i), &e);
    Hybrid h = {.mixer_norm = "input_layernorm",
                .ff_norm = "post_attention_layernorm",
                .delta = &delta,
                .attention = &t,
                .mlp = &mlp,
                .experts = &e};
    cJSON *m = hybrid_model(x, &f, &h, &layers);
    model_unused(x, m, "mtp.*", "these layers guess further tokens while training");
    model_unused(x, m, "model.visual.*", "this part of the model is for images");
    return m;
}

const Importer importer_qwen3_next = {
    .name = "qwen3-next",
    .doc = "Qwen3-Next, Qwen3.5: Gated DeltaNet and gated attention layers, MLP or mixture of experts",
    .accepts = "Qwen3NextForCausalLM qwen3_next Qwen3_5ForCausalLM qwen3_5_text Qwen3_5MoeForCausalLM "
               "qwen3_5_moe_text "
               "Qwen3_5ForConditionalGeneration qwen3_5 Qwen3_5MoeForConditionalGeneration qwen3_5_moe",
    .recurrence = "matrix state, one decay per head, delta rule; KV cache",
    .cases = "hf-qwen3-next hf-qwen3.5 hf-qwen3.5-moe",
    .import = import,
};
