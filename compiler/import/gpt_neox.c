/* GPT-NeoX: Black et al. 2022, arXiv:2204.06745. Attention and MLP in parallel or in sequence, partial rotary
 * embedding. */
#include "import/parts/attention.h"
#include "import/parts/frame.h"
#include "import/parts/mlp.h"

static cJSON *import(ImportCtx *x) {
    Cfg *c = &x->cfg;
    if (!c->node) return import_error(x, "there is no config.json, which a GPT-NeoX model needs"), NULL;
    Frame f = {.prefix = "gpt_neox.layers.{i}.",
               .embedding = "gpt_neox.embed_in.weight",
               .head = has_tensor(x, "lm_head.weight") ? "lm_head.weight" : "embed_out.weight",
               .final_norm = "gpt_neox.final_layer_norm",
               .tied_key = "tie_word_embeddings",
               .layers = 44,
               .width = 6144,
               .vocab = 50432};
    cfg_frame(x, &f);
    f.norm = (Norm){.kind = NORM_LAYER, .eps = cfg_float(c, "layer_norm_eps", 1e-5, ">=0")};
    Attention t = {0};
    cfg_equal_heads(c, "num_attention_heads", 64, f.width, &t);
    t.module = "attention", t.rows = QKV_BY_HEAD, t.o = "dense";
    t.bias_qkv = t.bias_o = cfg_bool(c, "attention_bias", true);
    t.positions = cfg_size(c, "max_position_embeddings", 2048);
    t.rope = cfg_rope_keys(c, &(RopeKeys){.width = t.width,
                                          .positions = t.positions,
                                          .theta = 10000,
                                          .partial = 0.25,
                                          .other_theta = "rotary_emb_base",
                                          .other_partial = "rotary_pct"});
    Mlp mlp = {
        .module = "mlp", .ungated = true, .bias = true, .up = "dense_h_to_4h", .down = "dense_4h_to_h"};
    mlp.width = cfg_size(c, "intermediate_size", 24576);
    mlp.act = cfg_act(c, "hidden_act", "gelu");
    bool parallel = cfg_bool(c, "use_parallel_residual", true);
    if (import_failed(x)) return NULL;

    frame_begin(x, &f);
    cJSON *b = block_new(x->model, "layer", NULL, NULL);
    st_norm(b, "u", "x", "input_layernorm", "D", &f.norm);
    if (parallel) st_norm(b, "n", "x", "post_attention_layernorm", "D", &f.norm);
    st_attention(x, b, "o", "u", &t);
    st_residual(x, b, "o", 0);
    if (!parallel) st_norm(b, "n", "x", "post_attention_layernorm", "D", &f.norm);
    st_mlp(x, b, "f", "n", &mlp);
    st_residual(x, b, "f", 0);
    model_unused(x, x->model, "*.attention.bias", "the mask is causal");
    model_unused(x, x->model, "*.attention.masked_bias", "the mask is causal");
    return frame_end(x, &f, layers_same(x->a, f.layers, "layer"));
}

const Importer importer_gpt_neox = {
    .name = "gpt_neox",
    .doc = "GPT-NeoX, Pythia: parallel attention and MLP, partial rotary embedding",
    .accepts = "GPTNeoXForCausalLM",
    .recurrence = "KV cache",
    .cases = "hf-gptneox hf-gptneox-sequential",
    .import = import,
};
