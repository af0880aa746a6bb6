/* Qwen2-MoE and Qwen3-MoE: Qwen Team 2025, arXiv:2505.09388. The attention of Qwen2 or Qwen3. Layers have an MLP
 * or a mixture of experts. Qwen2-MoE has a gated shared expert. */
#include <string.h>

#include "import/parts/decoder.h"
#include "import/parts/frame.h"

/* Layer i has experts, counting from 1, where decoder_sparse_step divides it, but for the listed ones. */
static bool has_experts(Cfg *c, const cJSON *dense, int64_t step, int64_t i) {
    for (int k = 0, n = cJSON_GetArraySize(dense); k < n; k++)
        if (cfg_item(c, "mlp_only_layers", dense, k) == (double)i) return false;
    return (i + 1) % step == 0;
}

/* Qwen2-MoE says which layers slide; in Qwen3-MoE all do, or none. */
static Layers read_windows(Cfg *c, int64_t n, bool qwen3, int64_t *window) {
    static const LayerWord words[] = {{"sliding_attention", "sliding"}, {"full_attention", "full"}, {0}};
    bool slides = cfg_bool(c, "use_sliding_window", false);
    Layers l = {0};
    *window = slides ? cfg_window(c, 4096) : 0;
    cfg_skip(c, "sliding_window"), cfg_skip(c, "max_window_layers");
    bool said = !qwen3 && cfg_layer_words(c, "layer_types", n, words, &l);
    if (!said) l = *layers_same(c->ctx->a, n, *window ? "sliding" : "full");
    if (!said && !qwen3 && *window)
        cfg_error(c, "use_sliding_window", "needs \"layer_types\", which says in which layers the window is");
    if (!*window && layers_have(&l, "sliding"))
        cfg_error(c, "layer_types", "has sliding layers, but use_sliding_window is not true");
    return l;
}

static cJSON *import(ImportCtx *x) {
    Cfg *c = &x->cfg;
    bool qwen3 = strcasestr(x->arch, "qwen3");
    if (!c->node) return import_error(x, "there is no config.json, which a Qwen-MoE model needs"), NULL;
    Frame f = frame_named();
    cfg_frame(x, &f);
    f.norm = (Norm){.eps = cfg_float(c, "rms_norm_eps", 1e-6, ">=0")};
    Attention t = {.module = "self_attn", .norm = f.norm, .qk_norm = qwen3, .kv_heads = qwen3 ? 4 : 16};
    cfg_heads(c, f.width, &t);
    t.positions = cfg_size(c, "max_position_embeddings", 32768);
    t.rope = cfg_rope(c, t.width, 10000, 0, t.positions);
    t.bias_o = qwen3 && cfg_bool(c, "attention_bias", false);
    t.bias_qkv = qwen3 ? t.bias_o : cfg_bool(c, "qkv_bias", true);
    const char *act = cfg_act(c, "hidden_act", "silu");
    Mlp mlp = {.module = "mlp", .act = act, .width = cfg_size(c, "intermediate_size", REQUIRED)};
    Experts e = {.count = qwen3 ? 128 : 60,
                 .chosen = qwen3 ? 8 : 4,
                 .module = "mlp.experts",
                 .act = act,
                 .router = {.module = "mlp.gate"}};
    e.width = cfg_size(c, "moe_intermediate_size", REQUIRED);
    e.router.normalize = cfg_bool(c, "norm_topk_prob", false);
    cfg_experts(c, &e);
    if (!qwen3) {
        e.shared = (Mlp){.module = "mlp.shared_expert", .act = act};
        e.shared.width = cfg_size(c, "shared_expert_intermediate_size", REQUIRED);
        e.shared_gate = "mlp.shared_expert_gate";
    }
    int64_t step = cfg_size(c, "decoder_sparse_step", 1), window;
    const cJSON *dense = cfg_list(c, "mlp_only_layers");
    Layers windows = read_windows(c, f.layers, qwen3, &window), layers = {0};
    for (int64_t i = 0; i < f.layers && !import_failed(x); i++) {
        bool sparse = has_experts(c, dense, step, i);
        layers_add(x->a, &layers,
                   sparse ? arena_printf(x->a, "%s_experts", windows.block[i]) : windows.block[i]);
        if (sparse) experts_look(x, arena_printf(x->a, "model.layers.%lld.", (long long)i), &e);
    }
    if (import_failed(x)) return NULL;

    frame_begin(x, &f);
    for (int i = 0; i < 4; i++) {
        static const char *const names[] = {"full", "full_experts", "sliding", "sliding_experts"};
        t.window = i < 2 ? 0 : window;
        Decoder block = {.norm = f.norm, .attention = t, .mlp = &mlp, .experts = i % 2 ? &e : NULL};
        if (layers_have(&layers, names[i])) decoder_block(x, names[i], &block);
    }
    return frame_end(x, &f, &layers);
}

const Importer importer_qwen_moe = {
    .name = "qwen-moe",
    .doc = "Qwen2-MoE, Qwen3-MoE: attention, MLP or mixture of experts",
    .accepts = "Qwen2MoeForCausalLM qwen2_moe Qwen3MoeForCausalLM qwen3_moe",
    .recurrence = "KV cache",
    .cases = "hf-qwen2-moe hf-qwen3-moe",
    .import = import,
};
