/* Nemotron-H: NVIDIA 2025, arXiv:2504.03624. A layer is a pre-norm and one part: Mamba-2, attention without
 * positions, an MLP with squared ReLU, or a mixture of such experts, which may work in a narrower latent space. */
#include "import/parts/backbone.h"
#include "import/parts/decoder.h"
#include "import/parts/mamba2.h"

/* By words, or by letters. */
static Layers read_layers(Cfg *c) {
    static const LayerWord words[] = {{"mamba", "mamba2"},
                                      {"linear_attention", "mamba2"},
                                      {"attention", "attention"},
                                      {"full_attention", "attention"},
                                      {"mlp", "mlp"},
                                      {"moe", "experts"},
                                      {"M", "mamba2"},
                                      {"*", "attention"},
                                      {"-", "mlp"},
                                      {"E", "experts"},
                                      {0}};
    const char *key = cfg_has(c, "layers_block_type") ? "layers_block_type" : "layer_types";
    Layers l = {0};
    bool said = cfg_has(c, key) && cfg_layer_words(c, key, cJSON_GetArraySize(cfg_list(c, key)), words, &l);
    said ? cfg_skip(c, "hybrid_override_pattern")
         : (void)cfg_layer_letters(c, "hybrid_override_pattern", words, &l);
    if (!l.n && !import_failed(c->ctx))
        cfg_error(c, "hybrid_override_pattern", "says of no layer what it is");
    return l;
}

static Experts read_experts(Cfg *c, const Mlp *mlp) {
    Experts e = {.count = 8, .chosen = 2, .module = "mixer.experts", .act = mlp->act, .ungated = true};
    e.width = cfg_size(c, "moe_intermediate_size", 7688);
    e.shared = *mlp, e.shared.module = "mixer.shared_experts";
    e.shared.width = cfg_size(c, "moe_shared_expert_intermediate_size", 7688);
    e.latent = cfg_int(c, "moe_latent_size", 0), e.latent_bias = mlp->bias;
    e.into = "mixer.fc1_latent_proj", e.back = "mixer.fc2_latent_proj";
    e.router = (Router){.scores = SCORES_SIGMOID, .module = "mixer.gate", .group = GROUP_BEST_TWO};
    e.router.correction = "mixer.gate.e_score_correction_bias";
    e.router.normalize = cfg_bool(c, "norm_topk_prob", true), e.router.floor = 1e-20;
    e.router.scale = cfg_float(c, "routed_scaling_factor", 1, NULL);
    cfg_experts(c, &e);
    cfg_expert_groups(c, "n_group", "topk_group", &e);
    return e;
}

/* What only one kind of layer reads, or none: attention has no biases and no positions, whatever keys say. */
static const char *const IDLE =
    "expand time_step_rank rms_norm_eps n_shared_experts moe_intermediate_size n_routed_experts "
    "num_experts_per_tok "
    "n_group topk_group routed_scaling_factor norm_topk_prob moe_latent_size "
    "moe_shared_expert_intermediate_size "
    "attention_bias mamba_proj_bias norm_eps rope_theta partial_rotary_factor "
    "moe_shared_expert_overlap num_nextn_predict_layers mtp_layers_block_type mtp_hybrid_override_pattern";

static cJSON *import(ImportCtx *x) {
    Cfg *c = &x->cfg;
    if (!c->node) return import_error(x, "there is no config.json, which a Nemotron-H model needs"), NULL;
    Layers layers = read_layers(c);
    if (import_failed(x)) return NULL;
    Frame f = frame_backbone(x);
    f.vocab = 131072, f.width = 4096, f.layers = layers.n;
    cfg_frame(x, &f);
    if (f.layers != layers.n)
        cfg_error(c, "num_hidden_layers", "is not %d, as many as layers are named", layers.n);
    f.norm = (Norm){.eps = cfg_float(c, "layer_norm_epsilon", 1e-5, ">=0")};
    Attention t = {.heads = 32, .kv_heads = 8, .module = "mixer", .rope = {.none = true}};
    t.width = cfg_size(c, "attention_head_dim", 128);
    cfg_heads(c, f.width, &t);
    cfg_only_int(c, "num_query_groups", t.kv_heads, t.kv_heads);
    t.positions = cfg_size(c, "max_position_embeddings", 4096), t.window = cfg_window(c, 0);
    Mamba2 mamba = {.module = "mixer", .act = cfg_act(c, "mamba_hidden_act", "silu"), .eps = f.norm.eps};
    cfg_mamba2(c, &MAMBA2_KEYS_NEMOTRON, f.width, &(Mamba2){.H = 128, .P = 64, .N = 128, .G = 8}, &mamba);
    mamba2_check(x, &mamba);
    Mlp mlp = {.module = "mixer", .ungated = true, .act = cfg_act(c, "mlp_hidden_act", "relu2")};
    mlp.width = cfg_size(c, "intermediate_size", 21504), mlp.bias = cfg_bool(c, "mlp_bias", false);
    Experts e = {0};
    if (layers_have(&layers, "experts")) e = read_experts(c, &mlp);
    cfg_skip_all(c, IDLE);
    if (import_failed(x)) return NULL;

    frame_begin(x, &f);
    static const char *const kinds[] = {"mamba2", "attention", "mlp", "experts"};
    for (int i = 0; i < 4; i++) {
        if (!layers_have(&layers, kinds[i])) continue;
        cJSON *b = block_new(x->model, kinds[i], NULL, NULL);
        if (i < 2) st_norm(b, "u", "x", "norm", "D", &f.norm);
        if (i == 0) st_mamba2(x, b, "o", "u", &mamba);
        if (i == 1) st_attention(x, b, "o", "u", &t);
        if (i < 2) st_residual(x, b, "o", 0);
        if (i >= 2) st_feed_forward(x, b, "norm", &f.norm, &mlp, i == 3 ? &e : NULL, 0);
    }
    model_unused(x, x->model, "mtp.*", "layers that predict further tokens take no part");
    return frame_end(x, &f, &layers);
}

const Importer importer_nemotron_h = {
    .name = "nemotron-h",
    .doc = "Nemotron-H: Mamba-2, attention, MLP and mixture-of-experts layers",
    .accepts = "NemotronHForCausalLM nemotron_h",
    .recurrence = "matrix state, one decay per head; KV cache",
    .cases = "hf-nemotron-h",
    .import = import,
};
