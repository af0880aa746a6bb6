/* OLMoE: Muennighoff et al. 2024, arXiv:2409.02060. Norms of queries and keys are over all heads together.
 * Queries, keys and values may be clipped. Every layer has a mixture of experts. */
#include "import/parts/decoder.h"
#include "import/parts/frame.h"

static cJSON *import(ImportCtx *x) {
    Cfg *c = &x->cfg;
    if (!c->node) return import_error(x, "there is no config.json, which an OLMoE model needs"), NULL;
    Frame f = frame_named();
    cfg_frame(x, &f);
    f.norm = (Norm){.eps = cfg_float(c, "rms_norm_eps", 1e-5, ">=0")};
    Attention t = {.module = "self_attn", .norm = f.norm, .qk_norm = true, .qk_whole = true};
    cfg_heads(c, f.width, &t);
    t.positions = cfg_size(c, "max_position_embeddings", 4096);
    t.rope = cfg_rope(c, t.width, 10000, 0, t.positions);
    t.bias_qkv = t.bias_o = cfg_bool(c, "attention_bias", false);
    t.clip = cfg_float(c, "clip_qkv", 0, cfg_has(c, "clip_qkv") ? ">0" : NULL);
    Experts e = {.module = "mlp.experts",
                 .count = 64,
                 .chosen = 8,
                 .width = cfg_size(c, "intermediate_size", REQUIRED),
                 .act = cfg_act(c, "hidden_act", "silu"),
                 .router = {.module = "mlp.gate", .normalize = cfg_bool(c, "norm_topk_prob", false)}};
    cfg_experts(c, &e);
    experts_look(x, "model.layers.0.", &e);
    if (import_failed(x)) return NULL;

    frame_begin(x, &f);
    decoder_block(x, "layer", &(Decoder){.norm = f.norm, .attention = t, .experts = &e});
    return frame_end(x, &f, layers_same(x->a, f.layers, "layer"));
}

const Importer importer_olmoe = {
    .name = "olmoe",
    .doc = "OLMoE: attention and a mixture of experts",
    .accepts = "OlmoeForCausalLM",
    .recurrence = "KV cache",
    .cases = "hf-olmoe",
    .import = import,
};
