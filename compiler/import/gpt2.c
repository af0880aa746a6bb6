/* GPT-2: Radford et al. 2019. Learned positions, layer norms, matrices stored [in, out]. */
#include <math.h>

#include "import/parts/attention.h"
#include "import/parts/frame.h"
#include "import/parts/mlp.h"

static void write_block(ImportCtx *x, const char *name, const Norm *norm, const Attention *attention,
                        const Mlp *mlp) {
    cJSON *b = block_new(x->model, name, NULL, NULL);
    st_norm(b, "u", "x", "ln_1", "D", norm);
    st_attention(x, b, "o", "u", attention);
    st_residual(x, b, "o", 0);
    st_norm(b, "u", "x", "ln_2", "D", norm);
    st_mlp(x, b, "f", "u", mlp);
    st_residual(x, b, "f", 0);
}

/* Published files hold the model with and without the name of its class before its tensors. */
static const char *named(ImportCtx *x, const char *name) {
    return has_tensor(x, "wte.weight") ? name : arena_printf(x->a, "transformer.%s", name);
}

static cJSON *import(ImportCtx *x) {
    Cfg *c = &x->cfg;
    if (!c->node) return import_error(x, "there is no config.json, which a GPT-2 model needs"), NULL;
    Frame f = {.prefix = named(x, "h.{i}."),
               .embedding = named(x, "wte.weight"),
               .positions = named(x, "wpe.weight"),
               .final_norm = named(x, "ln_f"),
               .head = "lm_head.weight",
               .tied_key = "tie_word_embeddings"};
    f.layers = cfg_layers(c, "n_layer", 12, named(x, "h."));
    f.width = cfg_size(c, "n_embd", 768), f.vocab = cfg_size(c, "vocab_size", 50257);
    f.position_rows = cfg_size(c, "n_positions", 1024);
    cfg_only_int(c, "n_ctx", f.position_rows, f.position_rows); /* an older name */
    f.tied = cfg_bool(c, f.tied_key, true);
    f.norm = (Norm){.kind = NORM_LAYER, .eps = cfg_float(c, "layer_norm_epsilon", 1e-5, ">=0")};
    Attention t = {0};
    cfg_equal_heads(c, "n_head", 12, f.width, &t);
    t.module = "attn", t.rows = QKV_IN_ORDER, t.qkv = "c_attn", t.o = "c_proj";
    t.bias_qkv = t.bias_o = t.transposed = t.rope.none = true, t.positions = f.position_rows;
    t.scale = cfg_bool(c, "scale_attn_weights", true) ? 1 / sqrt((double)t.width) : 1;
    bool by_layer = cfg_bool(c, "scale_attn_by_inverse_layer_idx", false);
    Mlp mlp = {
        .module = "mlp", .ungated = true, .bias = true, .transposed = true, .up = "c_fc", .down = "c_proj"};
    mlp.width = cfg_size(c, "n_inner", 4 * f.width);
    mlp.act = cfg_act(c, "activation_function", "gelu_new");
    cfg_skip(c, "reorder_and_upcast_attn"); /* the same numbers in another order */
    cfg_only_bool(c, "add_cross_attention", false, false);
    static const char *const classifiers[] = {"summary_type", "summary_use_proj", "summary_activation",
                                              "summary_proj_to_labels"};
    for (int i = 0; i < 4; i++) cfg_skip(c, classifiers[i]);
    if (import_failed(x)) return NULL;

    frame_begin(x, &f);
    Layers layers = {0};
    double scale = t.scale;
    for (int64_t i = 0; i < f.layers; i++) {
        const char *block = by_layer ? arena_printf(x->a, "layer%lld", (long long)i) : "layer";
        t.scale = by_layer ? scale / (double)(i + 1) : scale;
        if (!layers_have(&layers, block)) write_block(x, block, &f.norm, &t, &mlp);
        layers_add(x->a, &layers, block);
    }
    model_unused(x, x->model, "*.attn.bias", "the mask is causal");
    model_unused(x, x->model, "*.attn.masked_bias", "the mask is causal");
    return frame_end(x, &f, &layers);
}

const Importer importer_gpt2 = {
    .name = "gpt2",
    .doc = "GPT-2: learned positions, layer norm",
    .accepts = "GPT2LMHeadModel",
    .recurrence = "KV cache",
    .cases = "hf-gpt2",
    .import = import,
};
