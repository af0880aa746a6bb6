/* The Llama family: Touvron et al. 2023, arXiv:2302.13971, and its relatives, which differ in biases, norms
 * on queries and keys, and windows. */
#include <string.h>

#include "import/import.h"

typedef struct Family {
    const char *word; /* in the architecture's name */
    bool bias_qkv;    /* whatever the configuration says */
    bool attention_bias, mlp_bias, qk_norm;
    int64_t window;    /* where the configuration does not say: 0 where there never is one */
    bool window_asked; /* a window only if use_sliding_window; layer_types says in which layers */
} Family;

static const Family FAMILIES[] = {
    {.word = "qwen3", .attention_bias = true, .qk_norm = true, .window = 4096, .window_asked = true},
    {.word = "qwen2", .bias_qkv = true, .window = 4096, .window_asked = true},
    {.word = "mistral", .window = 4096},
    {.word = "llama", .attention_bias = true, .mlp_bias = true},
};

static const Family *find_family(const char *arch) {
    for (size_t i = 0; i < 3; i++)
        if (strcasestr(arch, FAMILIES[i].word)) return &FAMILIES[i];
    return &FAMILIES[3];
}

static bool is_sliding(Cfg *c, const cJSON *type) {
    const char *name = cJSON_IsString(type) ? type->valuestring : "";
    if (strcmp(name, "sliding_attention") == 0) return true;
    if (strcmp(name, "full_attention") != 0 && strcmp(name, "attention") != 0)
        cfg_error(c, "layer_types", "unknown kind of layer \"%s\"", name);
    return false;
}

/* Which layers slide: the list layer_types, else all from `first` on. listed: the original reads that list;
 * otherwise it may only say what holds anyway. Returns how many; names into *pattern. */
static int64_t read_pattern(Cfg *c, int64_t layers, int64_t first, bool listed, const char **pattern) {
    const cJSON *types = cfg_list(c, "layer_types");
    Text t = text_new(c->ctx->a);
    int64_t sliding = 0;
    if (types && cJSON_GetArraySize(types) != layers) {
        cfg_error(c, "layer_types", "must have one entry per layer");
        types = NULL;
    }
    for (int64_t i = 0; i < layers; i++) {
        bool expected = i >= first, is = types ? is_sliding(c, cJSON_GetArrayItem(types, (int)i)) : expected;
        if (is != expected && !listed && !import_failed(c->ctx))
            cfg_error(c, "layer_types", "all layers of this architecture have %s, whatever this list says",
                      expected ? "the window" : "no window");
        sliding += is;
        text_add(&t, "%s'%s'", i ? "," : "", is ? "sliding" : "full");
    }
    *pattern = arena_printf(c->ctx->a, "[%s]", t.s);
    return sliding;
}

static void write_block(ImportCtx *x, cJSON *m, const char *name, Attention *t, int64_t window,
                        const char *act, bool mlp_bias) {
    cJSON *b = block_new(m, name, NULL, NULL);
    t->window = window;
    st(b, "{'out':'u','op':'norm.rms','x':'x','w':'@input_layernorm.weight[D]','eps':%.17g}", t->eps);
    st_attention(x, b, t);
    st(b, "{'out':'u','op':'norm.rms','x':'x','w':'@post_attention_layernorm.weight[D]','eps':%.17g}",
       t->eps);
    st_gated_mlp(b, "f", "mlp", act, mlp_bias);
    st(b, "{'out':'x','map':'x + f'}");
}

static cJSON *import(ImportCtx *x) {
    Cfg *c = &x->cfg;
    const Family *fam = find_family(x->arch);
    if (!c->node) return import_error(x, "there is no config.json, which a %s model needs", fam->word), NULL;
    int64_t layers = cfg_layers(c, "num_hidden_layers", REQUIRED, "model.layers."),
            D = cfg_size(c, "hidden_size", REQUIRED), H = cfg_size(c, "num_attention_heads", REQUIRED);
    int64_t G = cfg_kv_heads(c, H), K = cfg_size(c, "head_dim", D / H ? D / H : 1);
    int64_t V = cfg_size(c, "vocab_size", REQUIRED), F = cfg_size(c, "intermediate_size", REQUIRED);
    int64_t positions = cfg_size(c, "max_position_embeddings", 2048);
    const char *act = cfg_act(c, "hidden_act", "silu");
    cfg_only_bool(c, "rope_interleaved", false, false);
    cfg_only_bool(c, "use_mrope", false, false);
    bool tied = cfg_bool(c, "tie_word_embeddings", false);
    bool bias = fam->attention_bias && cfg_bool(c, "attention_bias", false);
    bool mlp_bias = fam->mlp_bias && cfg_bool(c, "mlp_bias", false);
    Attention t = {.bias_qkv = bias || fam->bias_qkv,
                   .bias_o = bias,
                   .qk_norm = fam->qk_norm,
                   .module = "self_attn",
                   .eps = cfg_float(c, "rms_norm_eps", 1e-6, ">=0"),
                   .rope = cfg_rope(c, K, 10000, 1, positions)};

    /* Here null and an absent key differ: null is no window. */
    bool said = json_get(c->node, "sliding_window") != NULL;
    bool slides = fam->window && (!fam->window_asked || cfg_bool(c, "use_sliding_window", false));
    int64_t window = slides ? cfg_window(c, said ? 0 : fam->window) : 0, first = 0;
    if (fam->window_asked && slides) first = cfg_int(c, "max_window_layers", 28);
    if (fam->window_asked && !slides) cfg_skip(c, "sliding_window"), cfg_skip(c, "max_window_layers");
    const char *pattern;
    int64_t sliding = read_pattern(c, layers, window ? first : layers, fam->window_asked, &pattern);
    if (sliding && !window)
        cfg_error(c, "sliding_window", "layer_types has sliding layers, but there is no window");
    if (import_failed(x)) return NULL;

    cJSON *m = model_new(x, "tokens");
    model_dim(m, "V", V), model_dim(m, "D", D), model_dim(m, "H", H), model_dim(m, "G", G);
    model_dim(m, "K", K), model_dim(m, "F", F);
    if (sliding < layers) {
        write_block(x, m, "full", &t, 0, act, mlp_bias);
        model_context(x, m, positions, t.rope.limit);
    }
    if (sliding) write_block(x, m, "sliding", &t, window, act, mlp_bias);
    if (sliding == 0) pattern = "['full']";
    if (sliding == layers) pattern = "['sliding']";
    cJSON *ops = model_ops(m);
    Tied tables =
        tied_tables(x, m, tied, "tie_word_embeddings", "model.embed_tokens.weight", "lm_head.weight");
    st(ops, "{'out':'x','op':'embed','ids':'tokens','table':'@%s[V, D]'}", tables.table);
    st_layers(m, layers, pattern, "model.layers.{i}.");
    st(ops, "{'out':'x','op':'norm.rms','x':'x','w':'@model.norm.weight[D]','eps':%.17g}", t.eps);
    st(ops, "{'out':'logits','op':'linear','x':'x','w':'@%s[V, D]'}", tables.head);
    model_unused(x, m, "*.rotary_emb.inv_freq", "rotary frequencies follow from the configuration");
    model_ids(x, m);
    return m;
}

const Importer importer_llama = {
    .name = "llama",
    .doc = "Llama, Mistral, Qwen2, Qwen3: attention with rotary positions and a gated MLP",
    .accepts =
        "LlamaForCausalLM llama MistralForCausalLM mistral Qwen2ForCausalLM qwen2 Qwen3ForCausalLM qwen3",
    .import = import,
};
