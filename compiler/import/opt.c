/* OPT: Zhang et al. 2022, arXiv:2205.01068. Learned positions, which begin with row 2 of their table; pre- or
 * post-norms; embeddings that may be narrower than the model. */
#include "import/parts/attention.h"
#include "import/parts/frame.h"
#include "import/parts/mlp.h"

static void write_block(ImportCtx *x, const Norm *norm, const Attention *attention, const Mlp *mlp,
                        bool before) {
    cJSON *b = block_new(x->model, "layer", NULL, NULL);
    if (before) st_norm(b, "u", "x", "self_attn_layer_norm", "D", norm);
    st_attention(x, b, "o", before ? "u" : "x", attention);
    st_residual(x, b, "o", 0);
    st_norm(b, before ? "u" : "x", "x", before ? "final_layer_norm" : "self_attn_layer_norm", "D", norm);
    st_mlp(x, b, "f", before ? "u" : "x", mlp);
    st_residual(x, b, "f", 0);
    if (!before) st_norm(b, "x", "x", "final_layer_norm", "D", norm);
}

/* Published files have "model.decoder." or "decoder." before the names. */
static const char *named(ImportCtx *x, const char *name) {
    return arena_printf(x->a, "%sdecoder.%s", has_tensor(x, "decoder.embed_tokens.weight") ? "" : "model.",
                        name);
}

static cJSON *import(ImportCtx *x) {
    Cfg *c = &x->cfg;
    if (!c->node) return import_error(x, "there is no config.json, which an OPT model needs"), NULL;
    Frame f = {.prefix = named(x, "layers.{i}."),
               .embedding = named(x, "embed_tokens.weight"),
               .positions = named(x, "embed_positions.weight"),
               .head = "lm_head.weight",
               .tied_key = "tie_word_embeddings",
               .tied = true,
               .first_position = 2,
               .layers = 12,
               .width = 768,
               .vocab = 50272};
    cfg_frame(x, &f);
    f.norm = (Norm){.kind = NORM_LAYER, .eps = 1e-5};
    f.norm.bare = !cfg_bool(c, "layer_norm_elementwise_affine", true);
    f.position_rows = cfg_size(c, "max_position_embeddings", 2048);
    bool before = cfg_bool(c, "do_layer_norm_before", true), bias = cfg_bool(c, "enable_bias", true);
    bool removed = cfg_bool(c, "_remove_final_layer_norm", false);
    if (before && !removed) f.final_norm = named(x, "final_layer_norm");
    f.embedding_width = cfg_size(c, "word_embed_proj_dim", f.width);
    f.project_in = named(x, "project_in"), f.project_out = named(x, "project_out");
    Attention t = {0};
    cfg_equal_heads(c, "num_attention_heads", 12, f.width, &t);
    t.module = "self_attn", t.o = "out_proj", t.positions = f.position_rows;
    t.bias_qkv = t.bias_o = bias, t.rope.none = true;
    Mlp mlp = {
        .ungated = true, .bias = bias, .up = "fc1", .down = "fc2", .width = cfg_size(c, "ffn_dim", 3072)};
    mlp.act = cfg_act(c, "activation_function", "relu");
    cfg_skip(c, "init_std");
    if (import_failed(x)) return NULL;

    frame_begin(x, &f);
    write_block(x, &f.norm, &t, &mlp, before);
    return frame_end(x, &f, layers_same(x->a, f.layers, "layer"));
}

const Importer importer_opt = {
    .name = "opt",
    .doc = "OPT: learned positions, layer norm before or after each part",
    .accepts = "OPTForCausalLM",
    .recurrence = "KV cache",
    .cases = "hf-opt",
    .import = import,
};
