/* LFM2: Liquid AI 2025. Layers of gated short convolutions, and attention layers with norms on queries and keys.
 * Every layer has an MLP. In LFM2-MoE all but the first few have a mixture of experts. */
#include <string.h>

#include "import/parts/hybrid.h"

/* The MLP's width: 2/3 of what the configuration says, times a factor, up to a multiple, unless it says not to. */
static int64_t read_width(Cfg *c) {
    int64_t width = cfg_size(c, "intermediate_size", 12288);
    width = cfg_size(c, "block_ff_dim", width);
    double times = cfg_float(c, "block_ffn_dim_multiplier", 1, ">0");
    int64_t multiple = cfg_size(c, "block_multiple_of", 256);
    if (!cfg_bool(c, "block_auto_adjust_ff_dim", true)) return width;
    width = (int64_t)(times * (double)(2 * width / 3));
    return (width + multiple - 1) / multiple * multiple;
}

/* LFM2 lists the layers of attention by number; absent: all are. */
static bool attends(Cfg *c, const cJSON *list, int64_t i) {
    bool listed = !list;
    for (int k = 0; k < cJSON_GetArraySize(list); k++)
        listed |= cfg_item(c, "full_attn_idxs", list, k) == (double)i;
    return listed;
}

static Layers read_layers(Cfg *c, int64_t n, int64_t dense) {
    static const LayerWord words[] = {{"conv", "conv"}, {"full_attention", "attention"}, {0}};
    const cJSON *list = cfg_list(c, "full_attn_idxs");
    Layers said = {0}, l = {0};
    bool has = cfg_layer_words(c, "layer_types", n, words, &said);
    for (int64_t i = 0; i < n && (!has || said.n == n); i++) {
        const char *kind = has ? said.block[i] : attends(c, list, i) ? "attention" : "conv";
        layers_add(c->ctx->a, &l, i < dense ? kind : arena_printf(c->ctx->a, "%s_experts", kind));
    }
    return l;
}

static void read_experts(ImportCtx *x, int64_t dense, Experts *e) {
    Cfg *c = &x->cfg;
    *e = (Experts){.count = 32, .chosen = 4, .module = "feed_forward.experts", .act = "silu"};
    e->gate = "w1", e->up = "w3", e->down = "w2", e->width = cfg_size(c, "moe_intermediate_size", 1792);
    e->router = (Router){.scores = SCORES_SIGMOID, .module = "feed_forward.gate", .floor = 1e-6};
    e->router.normalize = cfg_bool(c, "norm_topk_prob", true);
    e->router.scale = cfg_float(c, "routed_scaling_factor", 1, NULL);
    if (cfg_bool(c, "use_expert_bias", true)) e->router.correction = "feed_forward.expert_bias";
    cfg_experts(c, e);
    experts_look(x, arena_printf(x->a, "model.layers.%lld.", (long long)dense), e);
}

/* Older files repeat sizes, and say what is always so. */
static void read_older_keys(Cfg *c, int64_t width, int64_t heads, double eps) {
    static const char *const same[] = {"block_dim", "conv_dim", "conv_dim_out"};
    for (int i = 0; i < 3; i++) cfg_only_int(c, same[i], width, width);
    cfg_only_int(c, "num_heads", heads, heads);
    cfg_only_float(c, "block_norm_eps", eps, eps);
    cfg_only_bool(c, "block_use_swiglu", true, true), cfg_only_bool(c, "use_pos_enc", true, true);
    cfg_skip_all(c, "block_mlp_init_scale block_out_init_scale block_use_xavier_init conv_use_xavier_init");
}

static cJSON *import(ImportCtx *x) {
    Cfg *c = &x->cfg;
    bool moe = strcasestr(x->arch, "moe") != NULL;
    if (!c->node) return import_error(x, "there is no config.json, which an LFM2 model needs"), NULL;
    Frame f = frame_named();
    f.vocab = 65536, f.width = moe ? 2048 : 2560, f.layers = 32, f.tied = true;
    f.final_norm = "model.embedding_norm";
    if (cfg_has(c, "tie_embedding")) f.tied_key = "tie_embedding", cfg_skip(c, "tie_word_embeddings");
    cfg_frame(x, &f);
    f.norm = (Norm){.eps = cfg_float(c, "norm_eps", 1e-5, ">=0")};
    Attention t = {.heads = 32,
                   .kv_heads = 8,
                   .module = "self_attn",
                   .o = "out_proj",
                   .qk_norm = true,
                   .norm = f.norm,
                   .q_norm = "q_layernorm",
                   .k_norm = "k_layernorm"};
    cfg_heads(c, f.width, &t);
    t.positions = cfg_size(c, "max_position_embeddings", 128000);
    t.rope = cfg_rope_keys(
        c, &(RopeKeys){.width = t.width, .positions = t.positions, .theta = 1e6, .other_theta = "theta"});
    ShortConv conv = {.module = "conv", .taps = cfg_size(c, "conv_L_cache", 3)};
    conv.bias = cfg_bool(c, "conv_bias", false);
    Mlp mlp = {.module = "feed_forward", .gate = "w1", .up = "w3", .down = "w2", .act = "silu"};
    mlp.width = moe ? cfg_size(c, "intermediate_size", 7168) : read_width(c);
    int64_t dense = moe ? cfg_int(c, "num_dense_layers", 2) : f.layers;
    Experts e = {0};
    if (dense < f.layers) read_experts(x, dense, &e);
    Layers layers = read_layers(c, f.layers, dense);
    read_older_keys(c, f.width, t.heads, f.norm.eps);
    if (import_failed(x)) return NULL;

    Hybrid h = {.mixer_norm = "operator_norm", .ff_norm = "ffn_norm", .conv = &conv};
    h.attention = &t, h.mlp = &mlp, h.experts = &e;
    return hybrid_model(x, &f, &h, &layers);
}

const Importer importer_lfm2 = {
    .name = "lfm2",
    .doc = "LFM2, LFM2-MoE: gated short convolutions and attention",
    .accepts = "Lfm2ForCausalLM Lfm2MoeForCausalLM lfm2_moe",
    .recurrence = "short convolution; KV cache",
    .cases = "hf-lfm2 hf-lfm2-moe",
    .import = import,
};
