/* Phi-3: Abdin et al. 2024, arXiv:2404.14219. Llama's block with fused projections. */
#include "import/parts/decoder.h"
#include "import/parts/frame.h"

static cJSON *import(ImportCtx *x) {
    Cfg *c = &x->cfg;
    if (!c->node) return import_error(x, "there is no config.json, which a Phi-3 model needs"), NULL;
    Frame f = frame_named();
    cfg_frame(x, &f);
    f.norm = (Norm){.eps = cfg_float(c, "rms_norm_eps", 1e-5, ">=0")};
    Attention t = {.module = "self_attn", .rows = QKV_IN_ORDER};
    cfg_heads(c, f.width, &t);
    t.positions = cfg_size(c, "max_position_embeddings", 4096);
    RopeKeys keys = {
        .width = t.width, .positions = t.positions, .original = 4096, .theta = 10000, .partial = 1};
    t.rope = cfg_rope_keys(c, &keys);
    t.window = cfg_window(c, 0);
    Mlp mlp = {.module = "mlp",
               .gate_up = "gate_up_proj",
               .width = cfg_size(c, "intermediate_size", REQUIRED),
               .act = cfg_act(c, "hidden_act", "silu")};
    cfg_only_bool(c, "attention_bias", false, false);
    cfg_only_int(c, "full_attn_mod", 1, 1), cfg_only_int(c, "interpolate_factor", 1, 1);
    if (import_failed(x)) return NULL;

    frame_begin(x, &f);
    decoder_block(x, "layer", &(Decoder){.norm = f.norm, .attention = t, .mlp = &mlp});
    return frame_end(x, &f, layers_same(x->a, f.layers, "layer"));
}

const Importer importer_phi3 = {
    .name = "phi3",
    .doc = "Phi-3, Phi-4 (text): fused projections, LongRoPE",
    .accepts = "Phi3ForCausalLM",
    .recurrence = "KV cache",
    .cases = "hf-phi3 hf-phi3-longrope",
    .import = import,
};
