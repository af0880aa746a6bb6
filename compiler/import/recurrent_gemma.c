/* RecurrentGemma: De et al. 2024, arXiv:2402.19427 (Griffin), as transformers runs it. Blocks of a gated
 * linear recurrence (RG-LRU) and blocks of attention over a window, each followed by a gated MLP. */
#include <math.h>
#include <string.h>

#include "import/import.h"

typedef struct Gemma {
    double eps;
    const char *act;
    Attention attention;
} Gemma;

/* x / rms(x) * (1 + w) */
static void st_norm(cJSON *b, const char *tensor, double eps) {
    st(b, "{'out':'w','map':'1 + @%s.weight[D]'}", tensor);
    st(b, "{'out':'u','op':'norm.rms','x':'x','w':'w','eps':%.17g}", eps);
}

static void st_mlp(cJSON *b, const Gemma *t) {
    st_norm(b, "channel_pre_norm", t->eps);
    st_gated_mlp(b, "f", "mlp_block", t->act, true);
    st(b, "{'out':'x','map':'x + f'}");
}

/* Gates of the recurrence: a product with diagonal blocks [H, in, out], as many as heads. */
static void st_gate(cJSON *b, const char *out, const char *name) {
    st(b,
       "{'out':'%s','op':'linear.blocks','x':'z','w':'@temporal_block.rg_lru.%s_gate_weight[H, R/H, R/H]',"
       "'b':'@temporal_block.rg_lru.%s_gate_bias[H, R/H]'}",
       out, name, name);
    st(b, "{'out':'%s','map':'sigmoid(%s)'}", out, out);
}

/* h = a h + sqrt(1 - a^2) (i z), a = exp(-8 r softplus(L)); the first token of a sequence is not scaled. */
static void write_recurrent(cJSON *m, const Gemma *t) {
    cJSON *b = block_new(m, "recurrent", NULL, NULL);
    st_norm(b, "temporal_pre_norm", t->eps);
    st_linear(b, "y", "u", "temporal_block.linear_y", "R", "D", true);
    st(b, "{'out':'y','map':'%s(y)'}", t->act);
    st_linear(b, "z", "u", "temporal_block.linear_x", "R", "D", true);
    st(b, "{'out':'z','op':'conv.short','x':'z','w':'@temporal_block.conv_1d.weight[R, W]',"
          "'b':'@temporal_block.conv_1d.bias[R]','state':'conv'}");
    st_gate(b, "i", "input");
    st_gate(b, "r", "recurrent");
    st(b, "{'out':'log_a','map':'-8 * r * softplus(@temporal_block.rg_lru.recurrent_param[R])'}");
    st(b, "{'out':'pos','op':'position'}");
    st(b, "{'out':'a','map':'where(pos, exp(log_a), 0)'}");
    st(b, "{'out':'mult','map':'where(pos, sqrt(1 - exp(2 * log_a)), 1)'}");
    st(b, "{'out':'v','map':'mult * (i * z)'}");
    st(b, "{'out':'h','op':'scan.diag','a':'a','b':'v','state':'h'}");
    st(b, "{'out':'h','map':'h * y'}");
    st_linear(b, "o", "h", "temporal_block.linear_out", "D", "R", true);
    st(b, "{'out':'x','map':'x + o'}");
    st_mlp(b, t);
}

static void write_attention(ImportCtx *x, cJSON *m, const Gemma *t) {
    cJSON *b = block_new(m, "attention", NULL, NULL);
    st_norm(b, "temporal_pre_norm", t->eps);
    st_attention(x, b, &t->attention);
    st_mlp(b, t);
}

/* block_types repeats over the layers. Returns the pattern cut to them; which kinds occur in *kinds (bits).
 */
static const char *read_pattern(Cfg *c, int64_t layers, int *kinds) {
    static const char *const usual[] = {"recurrent", "recurrent", "attention"};
    const cJSON *types = cfg_list(c, "block_types");
    int n = types ? cJSON_GetArraySize(types) : 3;
    if (n == 0) return cfg_error(c, "block_types", "is empty"), "[]";
    Text t = text_new(c->ctx->a);
    for (int i = 0; i < n && i < layers; i++) {
        const cJSON *item = types ? cJSON_GetArrayItem(types, i) : NULL;
        const char *name = !types ? usual[i] : cJSON_IsString(item) ? item->valuestring : "";
        if (strcmp(name, "recurrent") != 0 && strcmp(name, "attention") != 0)
            cfg_error(c, "block_types", "must hold \"recurrent\" and \"attention\" only");
        *kinds |= *name == 'r' ? 1 : 2;
        text_add(&t, "%s'%s'", i ? "," : "[", *name == 'r' ? "recurrent" : "attention");
    }
    return arena_printf(c->ctx->a, "%s]", t.s);
}

/* The original multiplies embeddings by a number that it has rounded to bf16, in every precision. */
static double embedding_scale(int64_t width) {
    uint8_t bits[2];
    dtype_store(DT_BF16, bits, 0, sqrt((double)width));
    return dtype_load(DT_BF16, bits, 0);
}

/* What only one kind of layer reads; without such a layer it may say anything. */
static const char *const RECURRENCE_KEYS[] = {"lru_width", "conv1d_width", NULL};
static const char *const ATTENTION_KEYS[] = {
    "num_key_value_heads",   "head_dim",        "attention_bias",
    "attention_window_size", "rope_theta",      "partial_rotary_factor",
    "rope_scaling",          "rope_parameters", NULL};

static void skip_keys(Cfg *c, const char *const *keys) {
    for (; *keys; keys++) cfg_skip(c, *keys);
}

static void read_recurrence(Cfg *c, int64_t D, int64_t H, int64_t *R, int64_t *W) {
    *R = cfg_size(c, "lru_width", D), *W = cfg_size(c, "conv1d_width", 4);
    if (*R % H)
        cfg_error(c, "lru_width",
                  "is not a multiple of num_attention_heads, the number of its gates' blocks");
}

static void read_attention(Cfg *c, int64_t D, int64_t H, int64_t *G, int64_t *K, Attention *t) {
    *G = cfg_kv_heads(c, H), *K = cfg_size(c, "head_dim", D / H ? D / H : 1);
    *t = (Attention){.bias_qkv = cfg_bool(c, "attention_bias", false),
                     .bias_o = true,
                     .module = "temporal_block",
                     .window = cfg_size(c, "attention_window_size", 2048),
                     .rope = cfg_rope(c, *K, 10000, 0.5, 8192)};
}

static cJSON *import(ImportCtx *x) {
    Cfg *c = &x->cfg;
    if (!c->node) return import_error(x, "there is no config.json, which RecurrentGemma needs"), NULL;
    int64_t layers = cfg_layers(c, "num_hidden_layers", 26, "model.layers."),
            D = cfg_size(c, "hidden_size", 2560), H = cfg_size(c, "num_attention_heads", 10);
    int64_t V = cfg_size(c, "vocab_size", 256000), F = cfg_size(c, "intermediate_size", 7680) / 2;
    double cap = cfg_float(c, "logits_soft_cap", 30, ">0 <=1e30");
    bool tied = cfg_bool(c, "tie_word_embeddings", true);
    Gemma t = {.eps = cfg_float(c, "rms_norm_eps", 1e-6, ">=0"),
               .act = cfg_act(c, "hidden_activation", "gelu_pytorch_tanh")};
    cfg_only_bool(c, "embeddings_scale_by_sqrt_dim", true, true);
    const cJSON *copy = cfg_list(c, "_block_types");
    if (copy && !cJSON_Compare(copy, cfg_list(c, "block_types"), true))
        cfg_error(c, "_block_types", "is not the same as block_types, whose copy it should be");
    int kinds = 0;
    const char *pattern = read_pattern(c, layers, &kinds);
    bool recurrent = kinds & 1, attention = kinds & 2;
    int64_t R = 0, W = 0, G = 0, K = 0;
    if (recurrent)
        read_recurrence(c, D, H, &R, &W);
    else
        skip_keys(c, RECURRENCE_KEYS);
    if (attention)
        read_attention(c, D, H, &G, &K, &t.attention);
    else
        skip_keys(c, ATTENTION_KEYS);
    if (import_failed(x)) return NULL;

    cJSON *m = model_new(x, "tokens");
    model_dim(m, "V", V), model_dim(m, "D", D), model_dim(m, "H", H), model_dim(m, "F", F);
    if (recurrent) model_dim(m, "R", R), model_dim(m, "W", W), write_recurrent(m, &t);
    if (attention) model_dim(m, "G", G), model_dim(m, "K", K), write_attention(x, m, &t);
    cJSON *ops = model_ops(m);
    Tied tables =
        tied_tables(x, m, tied, "tie_word_embeddings", "model.embed_tokens.weight", "lm_head.weight");
    st(ops, "{'out':'x','op':'embed','ids':'tokens','table':'@%s[V, D]'}", tables.table);
    st(ops, "{'out':'x','map':'x * %s','comment':'square root of D, rounded to bf16'}",
       json_number(x->a, embedding_scale(D)));
    st_layers(m, layers, pattern, "model.layers.{i}.");
    st_norm(ops, "model.final_norm", t.eps);
    st(ops, "{'out':'logits','op':'linear','x':'u','w':'@%s[V, D]'}", tables.head);
    st(ops, "{'out':'logits','map':'%s * tanh(logits / %s)'}", json_number(x->a, cap),
       json_number(x->a, cap));
    model_unused(x, m, "*.rotary_emb.inv_freq", "rotary frequencies follow from the configuration");
    model_ids(x, m);
    return m;
}

const Importer importer_recurrent_gemma = {
    .name = "recurrent_gemma",
    .doc = "RecurrentGemma (Griffin): gated linear recurrence and windowed attention",
    .accepts = "RecurrentGemmaForCausalLM",
    .import = import,
};
