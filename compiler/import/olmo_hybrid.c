/* OLMo-hybrid: Ai2 2025. Gated DeltaNet layers with pre-norms, and attention layers with post-norms. */
#include "import/parts/decoder.h"
#include "import/parts/delta_rule.h"
#include "import/parts/frame.h"

static DeltaRule read_delta(Cfg *c, int64_t hidden, int64_t heads) {
    static const char *const start[] = {"linear_a_log_max", "linear_a_log_min", "linear_dt_init_floor",
                                        "linear_dt_max", "linear_dt_min"};
    DeltaRule t = {.module = "linear_attn", .act = "silu", .decay = DELTA_DECAY_HEAD, .decay_in = "a_proj"};
    t.key_heads = cfg_size(c, "linear_num_key_heads", heads);
    t.heads = cfg_size(c, "linear_num_value_heads", heads);
    t.K =
        cfg_size(c, "linear_key_head_dim", 3 * hidden / 4 / t.key_heads); /* absent: 3/4 of the width, and */
    t.P = cfg_size(c, "linear_value_head_dim", 2 * t.K);                  /* twice that */
    t.taps = cfg_size(c, "linear_conv_kernel_dim", 4);
    if (cfg_bool(c, "linear_allow_neg_eigval", true)) t.beta = 2;
    cfg_only_bool(c, "linear_use_gate", true, true);
    t.gate_in = "g_proj", t.gate_act = "silu", t.norm = "o_norm", t.out = "o_proj", t.kind.eps = 1e-5;
    if (t.heads % t.key_heads)
        cfg_error(c, "linear_num_value_heads", "linear_num_key_heads do not share them evenly");
    for (int i = 0; i < 5; i++) cfg_skip(c, start[i]); /* what training began with */
    return t;
}

static void write_blocks(ImportCtx *x, const Norm *norm, const DeltaRule *delta, const Attention *t,
                         const Mlp *mlp) {
    cJSON *b = block_new(x->model, "delta", NULL, NULL);
    st_norm(b, "u", "x", "attention_layer_norm", "D", norm);
    st_delta_rule(x, b, "o", "u", delta);
    st_residual(x, b, "o", 0);
    st_feed_forward(x, b, "feedforward_layer_norm", norm, mlp, NULL, 0);
    b = block_new(x->model, "attention", NULL, NULL);
    st_attention(x, b, "o", "x", t);
    st_norm(b, "o", "o", "feedforward_layer_norm", "D", norm);
    st_residual(x, b, "o", 0);
    st_mlp(x, b, "f", "x", mlp);
    st_norm(b, "f", "f", "post_feedforward_layernorm", "D", norm);
    st_residual(x, b, "f", 0);
}

/* A null for rope_theta, wherever it stands, is not an absent key: nothing turns. */
static bool has_no_positions(Cfg *c) {
    const cJSON *theta = json_get(json_get(c->node, "rope_parameters"), "rope_theta");
    if (!theta) theta = json_get(c->node, "rope_theta");
    if (!theta || !cJSON_IsNull(theta)) return false;
    cfg_skip(c, "rope_parameters"), cfg_skip(c, "rope_theta");
    return true;
}

static cJSON *import(ImportCtx *x) {
    static const LayerWord words[] = {{"linear_attention", "delta"}, {"full_attention", "attention"}, {0}};
    Cfg *c = &x->cfg;
    if (!c->node) return import_error(x, "there is no config.json, which an OLMo-hybrid model needs"), NULL;
    Frame f = frame_named();
    cfg_frame(x, &f);
    f.norm = (Norm){.eps = cfg_float(c, "rms_norm_eps", 1e-6, ">=0")};
    Attention t = {.module = "self_attn", .norm = f.norm, .qk_norm = true, .qk_whole = true};
    cfg_heads(c, f.width, &t);
    t.positions = cfg_size(c, "max_position_embeddings", 65536);
    t.rope.none = has_no_positions(c);
    if (!t.rope.none) t.rope = cfg_rope(c, t.width, 10000, 0, t.positions);
    t.bias_qkv = t.bias_o = cfg_bool(c, "attention_bias", false);
    Mlp mlp = {.module = "mlp",
               .act = cfg_act(c, "hidden_act", "silu"),
               .width = cfg_size(c, "intermediate_size", REQUIRED)};
    DeltaRule delta = read_delta(c, f.width, t.heads);
    Layers layers = {0};
    if (!cfg_layer_words(c, "layer_types", f.layers, words, &layers) && !import_failed(x))
        for (int64_t i = 0; i < f.layers; i++) layers_add(x->a, &layers, (i + 1) % 4 ? "delta" : "attention");
    if (import_failed(x)) return NULL;

    frame_begin(x, &f);
    write_blocks(x, &f.norm, &delta, &t, &mlp);
    return frame_end(x, &f, &layers);
}

const Importer importer_olmo_hybrid = {
    .name = "olmo-hybrid",
    .doc = "OLMo-hybrid: Gated DeltaNet and attention layers",
    .accepts = "OlmoHybridForCausalLM olmo_hybrid",
    .recurrence = "matrix state, one decay per head, delta rule; KV cache",
    .cases = "hf-olmo-hybrid",
    .import = import,
};
