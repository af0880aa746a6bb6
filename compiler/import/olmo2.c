/* OLMo 2: OLMo Team 2025, arXiv:2501.00656. Post-norms only. Norms of queries and keys are over all heads
 * together. */
#include "import/parts/attention.h"
#include "import/parts/frame.h"
#include "import/parts/mlp.h"

static cJSON *import(ImportCtx *x) {
    Cfg *c = &x->cfg;
    if (!c->node) return import_error(x, "there is no config.json, which an OLMo 2 model needs"), NULL;
    Frame f = frame_named();
    cfg_frame(x, &f);
    f.norm = (Norm){.eps = cfg_float(c, "rms_norm_eps", 1e-5, ">=0")};
    Attention t = {.module = "self_attn", .norm = f.norm, .qk_norm = true, .qk_whole = true};
    cfg_heads(c, f.width, &t);
    t.positions = cfg_size(c, "max_position_embeddings", 2048);
    t.rope = cfg_rope(c, t.width, 10000, 0, t.positions);
    t.bias_qkv = t.bias_o = cfg_bool(c, "attention_bias", false);
    Mlp mlp = {.module = "mlp",
               .width = cfg_size(c, "intermediate_size", REQUIRED),
               .act = cfg_act(c, "hidden_act", "silu")};
    if (import_failed(x)) return NULL;

    frame_begin(x, &f);
    cJSON *b = block_new(x->model, "layer", NULL, NULL);
    st_attention(x, b, "o", "x", &t);
    st_norm(b, "o", "o", "post_attention_layernorm", "D", &f.norm);
    st_residual(x, b, "o", 0);
    st_mlp(x, b, "f", "x", &mlp);
    st_norm(b, "f", "f", "post_feedforward_layernorm", "D", &f.norm);
    st_residual(x, b, "f", 0);
    return frame_end(x, &f, layers_same(x->a, f.layers, "layer"));
}

const Importer importer_olmo2 = {
    .name = "olmo2",
    .doc = "OLMo 2: post-norm attention and MLP, norms on queries and keys",
    .accepts = "Olmo2ForCausalLM",
    .recurrence = "KV cache",
    .cases = "hf-olmo2",
    .import = import,
};
