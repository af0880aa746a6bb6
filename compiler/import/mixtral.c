/* Mixtral: Jiang et al. 2024, arXiv:2401.04088. Mistral's attention; in place of the MLP a softmax over the
 * experts, of which the best few are computed, their weights made to sum to 1. */
#include "import/parts/decoder.h"
#include "import/parts/frame.h"

static cJSON *import(ImportCtx *x) {
    Cfg *c = &x->cfg;
    if (!c->node) return import_error(x, "there is no config.json, which a Mixtral model needs"), NULL;
    Frame f = frame_named();
    cfg_frame(x, &f);
    f.norm = (Norm){.eps = cfg_float(c, "rms_norm_eps", 1e-5, ">=0")};
    int64_t positions = cfg_size(c, "max_position_embeddings", 131072);
    Attention t = {.module = "self_attn", .positions = positions, .kv_heads = 8};
    cfg_heads(c, f.width, &t);
    t.rope = cfg_rope(c, t.width, 1e6, 0, positions);
    t.window = cfg_window(c, 0);
    Experts e = {.count = 8,
                 .chosen = 2,
                 .width = cfg_size(c, "intermediate_size", REQUIRED),
                 .act = cfg_act(c, "hidden_act", "silu"),
                 .module = "block_sparse_moe.experts",
                 .gate = "w1",
                 .up = "w3",
                 .down = "w2",
                 .router = {.module = "block_sparse_moe.gate", .normalize = true}};
    cfg_experts(c, &e);
    if (import_failed(x)) return NULL;

    frame_begin(x, &f);
    decoder_block(x, "layer", &(Decoder){.norm = f.norm, .attention = t, .experts = &e});
    return frame_end(x, &f, layers_same(x->a, f.layers, "layer"));
}

const Importer importer_mixtral = {
    .name = "mixtral",
    .doc = "Mixtral: attention and a mixture of experts",
    .accepts = "MixtralForCausalLM",
    .recurrence = "KV cache",
    .cases = "hf-mixtral",
    .import = import,
};
