/* Bamba: IBM, Princeton, CMU and UIUC 2024. Mamba-2 layers and attention layers with partial rotary embedding.
 * Every layer has an MLP. */
#include "import/parts/hybrid.h"

/* attn_layer_indices lists the layers of attention. */
static Layers read_layers(Cfg *c, int64_t n) {
    const cJSON *list = cfg_list(c, "attn_layer_indices");
    Layers l = {0};
    for (int64_t i = 0; i < n; i++) {
        bool listed = false;
        for (const cJSON *e = list ? list->child : NULL; e; e = e->next)
            listed |= e->valuedouble == (double)i;
        layers_add(c->ctx->a, &l, listed ? "attention" : "mamba2");
    }
    for (int k = 0; k < cJSON_GetArraySize(list); k++) {
        double i = cfg_item(c, "attn_layer_indices", list, k);
        if (i < 0 || i >= (double)n) cfg_error(c, "attn_layer_indices", "%g is no layer", i);
    }
    return l;
}

static cJSON *import(ImportCtx *x) {
    Cfg *c = &x->cfg;
    if (!c->node) return import_error(x, "there is no config.json, which a Bamba model needs"), NULL;
    Frame f = frame_named();
    f.vocab = 128000, f.width = 4096, f.layers = 32, f.final_norm = "model.final_layernorm";
    cfg_frame(x, &f);
    f.norm = (Norm){.eps = cfg_float(c, "rms_norm_eps", 1e-5, ">=0")};
    const char *act = cfg_act(c, "hidden_act", "silu");
    Attention t = {.heads = 32, .kv_heads = 8, .module = "self_attn"};
    cfg_heads(c, f.width, &t);
    t.positions = cfg_size(c, "max_position_embeddings", 262144);
    t.rope = cfg_rope(c, t.width, 10000, 0.5, t.positions);
    int64_t rotary = t.rope.dims ? t.rope.dims : t.width;
    cfg_only_int(c, "attn_rotary_emb", rotary, rotary); /* says the same once more */
    t.bias_qkv = t.bias_o = cfg_bool(c, "attention_bias", false);
    Mamba2 mamba = {.module = "mamba", .act = act, .eps = f.norm.eps};
    cfg_mamba2(c, &MAMBA2_KEYS_HYBRID, f.width, &(Mamba2){.H = 128, .N = 256, .G = 1}, &mamba);
    mamba2_check(x, &mamba);
    Mlp mlp = {.width = cfg_size(c, "intermediate_size", 14336), .module = "feed_forward", .act = act};
    mlp.bias = cfg_bool(c, "mlp_bias", false);
    cfg_skip(c, "z_loss_coefficient");
    Layers layers = read_layers(c, f.layers);
    if (import_failed(x)) return NULL;

    Hybrid h = {.mixer_norm = "input_layernorm",
                .ff_norm = "pre_ff_layernorm",
                .mamba2 = &mamba,
                .attention = &t,
                .mlp = &mlp};
    return hybrid_model(x, &f, &h, &layers);
}

const Importer importer_bamba = {
    .name = "bamba",
    .doc = "Bamba: Mamba-2 and attention layers",
    .accepts = "BambaForCausalLM",
    .recurrence = "matrix state, one decay per head; KV cache",
    .cases = "hf-bamba",
    .import = import,
};
