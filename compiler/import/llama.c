/* The Llama family: Touvron et al. 2023, arXiv:2302.13971, and its relatives, which differ in biases, norms
 * on queries and keys, and windows. */
#include <string.h>

#include "import/parts/decoder.h"
#include "import/parts/frame.h"

typedef struct Family {
    const char *word; /* in the architecture's name */
    bool bias_qkv;    /* whatever the configuration says */
    bool attention_bias, mlp_bias, qk_norm;
    int64_t kv_heads, width; /* of heads, where the configuration does not say; 0: it follows */
    int64_t window;          /* where the configuration does not say: 0 where there never is one */
    bool window_asked;       /* a window only if use_sliding_window; layer_types says in which layers */
} Family;

static const Family FAMILIES[] = {
    {.word = "qwen3",
     .attention_bias = true,
     .qk_norm = true,
     .kv_heads = 32,
     .width = 128,
     .window = 4096,
     .window_asked = true},
    {.word = "qwen2", .bias_qkv = true, .kv_heads = 32, .window = 4096, .window_asked = true},
    {.word = "mistral", .kv_heads = 8, .window = 4096},
    {.word = "llama", .attention_bias = true, .mlp_bias = true},
};

static const Family *find_family(const char *arch) {
    for (size_t i = 0; i < 3; i++)
        if (strcasestr(arch, FAMILIES[i].word)) return &FAMILIES[i];
    return &FAMILIES[3];
}

/* Which layers slide: the list layer_types, else all from `first` on. listed: the original reads that list;
 * otherwise it may only say what holds anyway. */
static Layers read_layers(Cfg *c, int64_t n, int64_t first, bool listed) {
    static const LayerWord words[] = {
        {"sliding_attention", "sliding"}, {"full_attention", "full"}, {"attention", "full"}, {0}};
    Layers said = {0}, expected = {0};
    bool has = cfg_layer_words(c, "layer_types", n, words, &said);
    for (int64_t i = 0; i < n; i++) {
        layers_add(c->ctx->a, &expected, i >= first ? "sliding" : "full");
        if (has && !listed && strcmp(said.block[i], expected.block[i]) != 0)
            return cfg_error(c, "layer_types",
                             "all layers of this architecture have %s, whatever this list says",
                             i >= first ? "the window" : "no window"),
                   said;
    }
    return has ? said : expected;
}

static cJSON *import(ImportCtx *x) {
    Cfg *c = &x->cfg;
    const Family *fam = find_family(x->arch);
    if (!c->node) return import_error(x, "there is no config.json, which a %s model needs", fam->word), NULL;
    Frame f = frame_named();
    cfg_frame(x, &f);
    f.norm = (Norm){.eps = cfg_float(c, "rms_norm_eps", 1e-6, ">=0")};
    Attention at = {.module = "self_attn", .norm = f.norm, .qk_norm = fam->qk_norm};
    at.kv_heads = fam->kv_heads, at.width = fam->width;
    cfg_heads(c, f.width, &at);
    int64_t positions = cfg_size(c, "max_position_embeddings", 2048);
    Mlp mlp = {.module = "mlp",
               .width = cfg_size(c, "intermediate_size", REQUIRED),
               .act = cfg_act(c, "hidden_act", "silu"),
               .bias = fam->mlp_bias && cfg_bool(c, "mlp_bias", false)};
    cfg_only_bool(c, "rope_interleaved", false, false);
    cfg_only_bool(c, "use_mrope", false, false);
    at.positions = positions;
    at.bias_o = fam->attention_bias && cfg_bool(c, "attention_bias", false);
    at.bias_qkv = at.bias_o || fam->bias_qkv;
    at.rope = cfg_rope(c, at.width, 10000, 0, positions);

    /* Here null and an absent key differ: null is no window. */
    bool said = json_get(c->node, "sliding_window") != NULL;
    bool slides = fam->window && (!fam->window_asked || cfg_bool(c, "use_sliding_window", false));
    int64_t window = slides ? cfg_window(c, said ? 0 : fam->window) : 0, first = 0;
    if (fam->window_asked && slides) first = cfg_int(c, "max_window_layers", 28);
    if (fam->window_asked && !slides) cfg_skip(c, "sliding_window"), cfg_skip(c, "max_window_layers");
    Layers layers = read_layers(c, f.layers, window ? first : f.layers, fam->window_asked);
    bool sliding = layers_have(&layers, "sliding");
    if (sliding && !window)
        cfg_error(c, "sliding_window", "layer_types has sliding layers, but there is no window");
    if (import_failed(x)) return NULL;

    frame_begin(x, &f);
    Decoder block = {.norm = f.norm, .attention = at, .mlp = &mlp};
    if (layers_have(&layers, "full")) decoder_block(x, "full", &block);
    block.attention.window = window;
    if (sliding) decoder_block(x, "sliding", &block);
    return frame_end(x, &f, &layers);
}

const Importer importer_llama = {
    .name = "llama",
    .doc = "Llama, Mistral, Qwen2, Qwen3: attention with rotary embedding, gated MLP",
    .accepts =
        "LlamaForCausalLM llama MistralForCausalLM mistral Qwen2ForCausalLM qwen2 Qwen3ForCausalLM qwen3",
    .recurrence = "KV cache",
    .cases = "hf-llama hf-llama3-rope hf-mistral-swa hf-qwen2 hf-qwen3",
    .import = import,
};
