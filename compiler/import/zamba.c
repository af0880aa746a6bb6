/* Zamba and Zamba2: Glorioso et al. 2024, arXiv:2405.16712 and arXiv:2411.15242. Layers of Mamba (with heads, in
 * Zamba) or Mamba-2. Some layers add the output of a shared block of attention and MLP, which also reads the
 * embedding. Zamba2 has several shared blocks, which alternate, and each use has its own LoRA adapters. */
#include <math.h>
#include <string.h>

#include "import/parts/hybrid.h"

typedef struct Zamba {
    bool second;
    Norm norm;
    Attention attention;
    Mlp mlp;
    Mamba mamba;
    Mamba2 mamba2;
    bool adapters;      /* on attention; those on the MLP are always there */
    const char *shared; /* the module */
} Zamba;

static void st_mixer(ImportCtx *x, cJSON *b, const Zamba *z, const char *module) {
    Mamba one = z->mamba;
    Mamba2 two = z->mamba2;
    one.module = two.module = module;
    if (z->second)
        st_mamba2(x, b, "o", "u", &two);
    else
        st_mamba(x, b, "o", "u", &one);
    st_residual(x, b, "o", 0);
}

/* Hybrid layer number `use`, whose shared block lies in layer `at`. */
static void write_hybrid(ImportCtx *x, const Zamba *z, const char *name, int at, int use) {
    cJSON *b = block_new(x->model, name, "['x','e']", "['x']");
    const char *shared = arena_printf(x->a, "/model.layers.%d.%s", at, z->shared);
    Attention t = z->attention;
    Mlp mlp = z->mlp;
    t.module = arena_printf(x->a, "%s.self_attn", shared),
    mlp.module = arena_printf(x->a, "%s.feed_forward", shared);
    for (int i = 0; i < 3 && z->adapters; i++)
        t.low_rank[i] = arena_printf(x->a, "%s.linear_%c_adapter_list.%d", t.module, "qkv"[i], use);
    if (z->second) mlp.low_rank = arena_printf(x->a, "%s.gate_up_proj_adapter_list.%d", mlp.module, use);
    st(b, "{'out':'u','op':'concat','in':['x','e'],'axis':0}");
    st_norm(b, "u", "u", arena_printf(x->a, "%s.input_layernorm", shared), "2*D", &z->norm);
    st_attention(x, b, "o", "u", &t);
    st_norm(b, "u", "o", arena_printf(x->a, "%s.pre_ff_layernorm", shared), "D", &z->norm);
    st_mlp(x, b, "f", "u", &mlp);
    st_linear(b, "f", "f", "linear", "D", "D", false);
    st(b, "{'out':'u','map':'x + f'}");
    st_norm(b, "u", "u", "mamba_decoder.input_layernorm", "D", &z->norm);
    st_mixer(x, b, z, "mamba_decoder.mamba");
}

/* layers_block_type; in Zamba, by default, the third layer is hybrid and then every period-th. */
static Layers read_layers(Cfg *c, int64_t n, bool second) {
    static const LayerWord words[] = {
        {"mamba", "mamba"}, {"linear_attention", "mamba"}, {"hybrid", "hybrid"}, {0}};
    Layers l = {0};
    int64_t period = second ? 0 : cfg_size(c, "attn_layer_period", 6),
            at = second ? 0 : cfg_int(c, "attn_layer_offset", 4);
    bool said = cfg_layer_words(c, "layers_block_type", n, words, &l);
    if (!said && second && !import_failed(c->ctx)) cfg_error(c, "layers_block_type", "the key is missing");
    for (int64_t i = 0; i < n && !said && !import_failed(c->ctx); i++)
        layers_add(c->ctx->a, &l, i == 2 || (i > 2 && (i - 3) % period == at) ? "hybrid" : "mamba");
    return l;
}

static void read_mixers(ImportCtx *x, int64_t D, Zamba *z) {
    Cfg *c = &x->cfg;
    if (z->second) {
        z->mamba2 = (Mamba2){.act = "silu", .eps = 1e-5};
        cfg_mamba2(c, &MAMBA2_KEYS_ZAMBA, D, &(Mamba2){.H = 8, .N = 64, .G = 1}, &z->mamba2);
        z->mamba2.conv_bias = true; /* whatever use_conv_bias says */
        mamba2_check(x, &z->mamba2);
        z->attention.rope = cfg_rope(c, z->attention.width, 10000, 0, z->attention.positions);
        z->attention.rope.none = !cfg_bool(c, "use_mem_rope", false);
        z->adapters = cfg_bool(c, "use_shared_attention_adapter", false);
        z->attention.rank = z->mlp.rank = cfg_size(c, "adapter_rank", 128);
        z->mlp.gate_up = "gate_up_proj", z->mlp.bias = z->mamba2.bias;
        cfg_only_bool(c, "use_long_context", false, false);
        cfg_only_int(c, "lora_rank", z->mlp.rank, z->mlp.rank);
        cfg_only_int(c, "ffn_hidden_size", z->mlp.width, z->mlp.width);
        cfg_only_bool(c, "use_shared_mlp_adapter", true, true);
        cfg_skip_all(c, "kv_channels num_query_groups hybrid_layer_ids chunk_size"); /* from other keys */
    } else {
        z->mamba = (Mamba){.act = cfg_act(c, "hidden_mamba_act", "silu")};
        cfg_mamba(c, &MAMBA_KEYS_HYBRID, D, &z->mamba);
        z->mamba.heads = cfg_size(c, "n_mamba_heads", 2);
        if (z->mamba.E % z->mamba.heads)
            cfg_error(c, "n_mamba_heads", "does not divide the inner width, %lld", (long long)z->mamba.E);
        z->attention.rope.none = true;
    }
}

/* In transformers a model whose head is not tied does not share its blocks either: each layer has one of its own, */
static bool has_own_block(const ImportCtx *x, const Zamba *z, int layer) {
    return has_tensor(x, arena_printf(x->a, "model.layers.%d.%s.self_attn.q_proj.weight", layer, z->shared));
}

/* in which the adapters of other uses are left over. */
static void ignore_adapters(ImportCtx *x, const Zamba *z, int layer, int use, int uses) {
    for (int i = 0; i < uses && z->second; i++)
        if (i != use)
            model_unused(x, x->model,
                         arena_printf(x->a, "model.layers.%d.%s.*_adapter_list.%d.*", layer, z->shared, i),
                         "adapters of another layer");
}

static cJSON *import(ImportCtx *x) {
    Cfg *c = &x->cfg;
    bool second = strcasestr(x->arch, "zamba2") != NULL;
    if (!c->node) return import_error(x, "there is no config.json, which a Zamba model needs"), NULL;
    Frame f = frame_named();
    f.vocab = 32000, f.width = second ? 2560 : 3712, f.layers = second ? 54 : 76;
    f.tied = true, f.final_norm = "model.final_layernorm";
    cfg_frame(x, &f);
    f.norm = (Norm){.eps = cfg_float(c, "rms_norm_eps", 1e-5, ">=0")};
    Zamba z = {.second = second, .norm = f.norm, .shared = second ? "shared_transformer" : "shared_transf"};
    Attention *t = &z.attention;
    *t = (Attention){.heads = second ? 32 : 16, .kv_heads = second ? 0 : 16, .from = "2*D"};
    cfg_heads(c, 2 * f.width, t);
    t->width = cfg_size(c, "attention_head_dim", t->width), t->scale = 1 / sqrt((double)t->width / 2);
    cfg_only_int(c, "attention_hidden_size", 2 * f.width, 2 * f.width);
    t->positions = cfg_size(c, "max_position_embeddings", 4096);
    z.mlp.width = cfg_size(c, "intermediate_size", second ? 4 * f.width : 14848);
    z.mlp.act = cfg_act(c, "hidden_act", "gelu");
    read_mixers(x, f.width, &z);
    int blocks = second ? (int)cfg_size(c, "num_mem_blocks", 1) : 1, uses = 0, at[MAX_LAYERS];
    Layers layers = read_layers(c, f.layers, second);
    if (import_failed(x)) return NULL;

    frame_begin(x, &f);
    cJSON *b = layers_have(&layers, "mamba") ? block_new(x->model, "mamba", NULL, NULL) : NULL;
    if (b) st_norm(b, "u", "x", "input_layernorm", "D", &f.norm), st_mixer(x, b, &z, "mamba");
    for (int i = 0; i < layers.n; i++) {
        if (strcmp(layers.block[i], "hybrid") != 0) continue;
        bool apart = !f.tied && has_own_block(x, &z, i);
        int home = uses < blocks || apart ? i : at[uses % blocks];
        at[uses] = home;
        if (second || apart) layers.block[i] = arena_printf(x->a, "hybrid%d", uses);
        if (second || apart || !uses) write_hybrid(x, &z, layers.block[i], home, uses);
        if (apart)
            ignore_adapters(x, &z, i, uses, layers.n);
        else if (home != i)
            tied_copies(x, arena_printf(x->a, "model.layers.%d.%s.", home, z.shared),
                        arena_printf(x->a, "model.layers.%d.%s.", i, z.shared));
        uses++;
    }
    frame_embed(x, &f);
    st(model_ops(x->model), "{'out':'e','map':'x'}");
    frame_layers(x, &f, &layers);
    frame_head(x, &f);
    return x->model;
}

const Importer importer_zamba = {
    .name = "zamba",
    .doc = "Zamba, Zamba2: Mamba or Mamba-2 layers, shared attention blocks",
    .accepts = "ZambaForCausalLM Zamba2ForCausalLM",
    .recurrence = "diagonal per channel and state, or matrix state, one decay per head; KV cache",
    .cases = "hf-zamba hf-zamba2",
    .import = import,
};
