/* DeepSeek-V2 and V3: DeepSeek-AI 2024, arXiv:2405.04434 and 2412.19437. Multi-head latent attention. The first
 * layers have a dense MLP, the others a mixture of experts with shared experts. */
#include <string.h>

#include "import/parts/decoder.h"
#include "import/parts/frame.h"
#include "import/parts/mla.h"

/* V2: a softmax, and groups by their best expert; the weights are scaled. transformers does not read norm_topk_prob. */
static void read_router_v2(ImportCtx *x, Cfg *c, Experts *e) {
    const char *method = cfg_str(c, "topk_method", "greedy");
    e->router.scores = SCORES_SOFTMAX, e->router.group = GROUP_BEST;
    if (!strcmp(method, "group_limited_greedy"))
        cfg_expert_groups(c, "n_group", "topk_group", e);
    else if (!strcmp(method, "greedy"))
        cfg_skip(c, "n_group"), cfg_skip(c, "topk_group");
    else
        cfg_error(c, "topk_method", "must be \"greedy\" or \"group_limited_greedy\", got \"%s\"", method);
    if (cfg_bool(c, "norm_topk_prob", false))
        diag_warning(
            x->d, json_loc(&x->json, json_get(c->node, "norm_topk_prob"), "norm_topk_prob"),
            "weights are scaled and not normalised, as transformers does; the authors' code normalises them");
    if (strcmp(cfg_str(c, "scoring_func", "softmax"), "softmax") != 0)
        cfg_error(c, "scoring_func", "must be \"softmax\"");
}

/* V3: sigmoids; a correction takes part in the choice alone; groups by their two best experts. */
static void read_router_v3(Cfg *c, Experts *e) {
    e->router.scores = SCORES_SIGMOID, e->router.group = GROUP_BEST_TWO;
    e->router.correction = "mlp.gate.e_score_correction_bias";
    e->router.groups = 8, e->router.kept = 4;
    cfg_expert_groups(c, "n_group", "topk_group", e);
    e->router.normalize = cfg_bool(c, "norm_topk_prob", true), e->router.floor = 1e-20;
    if (strcmp(cfg_str(c, "topk_method", "noaux_tc"), "noaux_tc") != 0)
        cfg_error(c, "topk_method", "must be \"noaux_tc\"");
    if (strcmp(cfg_str(c, "scoring_func", "sigmoid"), "sigmoid") != 0)
        cfg_error(c, "scoring_func", "must be \"sigmoid\"");
}

static void write_block(ImportCtx *x, const char *name, const Norm *norm, const Mla *attention,
                        const Mlp *mlp, const Experts *experts) {
    cJSON *b = block_new(x->model, name, NULL, NULL);
    st_norm(b, "u", "x", "input_layernorm", "D", norm);
    st_mla(x, b, "o", "u", attention);
    st_residual(x, b, "o", 0);
    st_feed_forward(x, b, "post_attention_layernorm", norm, mlp, experts, 0);
}

static cJSON *import(ImportCtx *x) {
    Cfg *c = &x->cfg;
    if (!c->node) return import_error(x, "there is no config.json, which a DeepSeek model needs"), NULL;
    bool v3 = strcasestr(x->arch, "v3") != NULL;
    Frame f = frame_named();
    f.more_layers = cfg_int(c, "num_nextn_predict_layers", 0);
    cfg_frame(x, &f);
    f.norm = (Norm){.eps = cfg_float(c, "rms_norm_eps", 1e-6, ">=0")};
    Mla t = {.module = "self_attn",
             .kv_latent = 512,
             .q_latent = 1536,
             .nope_dims = 128,
             .rope_dims = 64,
             .value = 128};
    t.norm.eps = 1e-6; /* whatever rms_norm_eps says */
    cfg_mla(c, &t);
    t.positions = cfg_size(c, "max_position_embeddings", v3 ? 4096 : 2048);
    t.rope = cfg_rope(c, t.rope_dims, 10000, 0, t.positions);
    t.rope.pairs = !v3 || cfg_bool(c, "rope_interleave", true);
    t.scale *= t.rope.mscale * t.rope.mscale;
    const char *act = cfg_act(c, "hidden_act", "silu");
    Mlp mlp = {.module = "mlp", .width = cfg_size(c, "intermediate_size", REQUIRED), .act = act};
    mlp.bias = !v3 && cfg_bool(c, "mlp_bias", false);
    Experts e = {.count = v3 ? 256 : 64,
                 .chosen = v3 ? 8 : 0,
                 .width = cfg_size(c, "moe_intermediate_size", REQUIRED),
                 .module = "mlp.experts",
                 .act = act};
    cfg_experts(c, &e);
    e.router.module = "mlp.gate";
    e.router.scale = cfg_float(c, "routed_scaling_factor", v3 ? 2.5 : 1, ">0");
    if (v3)
        read_router_v3(c, &e);
    else
        read_router_v2(x, c, &e);
    e.shared = mlp, e.shared.module = "mlp.shared_experts";
    e.shared.width = e.width * cfg_int(c, "n_shared_experts", v3 ? 1 : 2);
    int64_t dense = cfg_int(c, "first_k_dense_replace", v3 ? 3 : 0);
    cfg_only_int(c, "moe_layer_freq", 1, 1);
    static const char *const training[] = {"aux_loss_alpha", "seq_aux", "ep_size"};
    for (int i = 0; i < 3; i++) cfg_skip(c, training[i]);
    if (import_failed(x)) return NULL;

    Layers layers = {0};
    for (int64_t i = 0; i < f.layers; i++) layers_add(x->a, &layers, i < dense ? "dense" : "experts");
    experts_look(x, arena_printf(x->a, "model.layers.%lld.", (long long)dense), &e);
    frame_begin(x, &f);
    if (layers_have(&layers, "dense")) write_block(x, "dense", &f.norm, &t, &mlp, NULL);
    if (layers_have(&layers, "experts")) write_block(x, "experts", &f.norm, &t, NULL, &e);
    return frame_end(x, &f, &layers);
}

const Importer importer_deepseek = {
    .name = "deepseek",
    .doc = "DeepSeek-V2 and V3: multi-head latent attention, mixture of experts with group-limited routing",
    .accepts = "DeepseekV2ForCausalLM deepseek_v2 DeepseekV3ForCausalLM deepseek_v3",
    .recurrence = "latent KV cache",
    .cases = "hf-deepseek-v2 hf-deepseek-v2-lite hf-deepseek-v3 hf-deepseek-v3-yarn",
    .import = import,
};
