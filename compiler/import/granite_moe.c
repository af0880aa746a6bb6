/* Granite-MoE: IBM Granite Team 2024, Granite 3.0 Language Models. Llama's attention, with multipliers on
 * embeddings, attention scores, residuals and logits. One tensor holds all experts. The router's softmax is over
 * the chosen experts. */
#include <string.h>

#include "import/parts/decoder.h"
#include "import/parts/frame.h"

static cJSON *import(ImportCtx *x) {
    Cfg *c = &x->cfg;
    if (!c->node) return import_error(x, "there is no config.json, which a Granite-MoE model needs"), NULL;
    Frame f = frame_named();
    cfg_frame(x, &f);
    f.norm = (Norm){.eps = cfg_float(c, "rms_norm_eps", 1e-6, ">=0")};
    f.embedding_scale = cfg_float(c, "embedding_multiplier", 1, NULL);
    f.logit_scale = 1 / cfg_float(c, "logits_scaling", 1, ">0");
    double residual = cfg_float(c, "residual_multiplier", 1, NULL);
    Attention t = {.module = "self_attn", .scale = cfg_float(c, "attention_multiplier", 1, ">0")};
    cfg_heads(c, f.width, &t);
    t.positions = cfg_size(c, "max_position_embeddings", 2048);
    t.rope = cfg_rope(c, t.width, 10000, 0, t.positions);
    t.bias_qkv = t.bias_o = cfg_bool(c, "attention_bias", false);
    const char *act = cfg_act(c, "hidden_act", "silu");
    Experts e = {.count = 8,
                 .chosen = 2,
                 .width = cfg_size(c, "intermediate_size", REQUIRED),
                 .act = act,
                 .stacked = true,
                 .gate_up = "block_sparse_moe.input_linear.weight",
                 .down = "block_sparse_moe.output_linear.weight",
                 .router = {.module = "block_sparse_moe.router.layer", .scores = SCORES_CHOSEN}};
    cfg_experts(c, &e);
    if (strcasestr(x->arch, "shared")) {
        e.shared =
            (Mlp){.module = "shared_mlp", .gate_up = "input_linear", .down = "output_linear", .act = act};
        e.shared.width = cfg_int(c, "shared_intermediate_size", 0);
    }
    if (import_failed(x)) return NULL;

    frame_begin(x, &f);
    decoder_block(x, "layer",
                  &(Decoder){.norm = f.norm, .attention = t, .experts = &e, .residual = residual});
    return frame_end(x, &f, layers_same(x->a, f.layers, "layer"));
}

const Importer importer_granite_moe = {
    .name = "granite-moe",
    .doc = "Granite-MoE: attention and a mixture of experts, with multipliers",
    .accepts = "GraniteMoeForCausalLM GraniteMoeSharedForCausalLM",
    .recurrence = "KV cache",
    .cases = "hf-granite-moe",
    .import = import,
};
