/* RecurrentGemma: De et al. 2024, arXiv:2402.19427 (Griffin), as transformers runs it. Blocks of a gated
 * linear recurrence (RG-LRU) and blocks of attention over a window, each followed by a gated MLP. */
#include <string.h>

#include "import/parts/attention.h"
#include "import/parts/frame.h"
#include "import/parts/mlp.h"
#include "import/parts/rg_lru.h"

typedef struct Gemma {
    Norm norm;
    Mlp mlp;
    Attention attention;
    RgLru recurrence;
} Gemma;

static void st_channels(ImportCtx *x, cJSON *b, const Gemma *t) {
    st_norm(b, "u", "x", "channel_pre_norm", "D", &t->norm);
    st_mlp(x, b, "f", "u", &t->mlp);
    st_residual(x, b, "f", 0);
}

static void write_recurrent(ImportCtx *x, const Gemma *t) {
    cJSON *b = block_new(x->model, "recurrent", NULL, NULL);
    st_norm(b, "u", "x", "temporal_pre_norm", "D", &t->norm);
    st_rg_lru(x, b, "o", "u", &t->recurrence);
    st_residual(x, b, "o", 0);
    st_channels(x, b, t);
}

static void write_attention(ImportCtx *x, const Gemma *t) {
    cJSON *b = block_new(x->model, "attention", NULL, NULL);
    st_norm(b, "u", "x", "temporal_pre_norm", "D", &t->norm);
    st_attention(x, b, "o", "u", &t->attention);
    st_residual(x, b, "o", 0);
    st_channels(x, b, t);
}

/* block_types repeats over the layers. */
static Layers read_pattern(Cfg *c, int64_t layers) {
    static const char *const usual[] = {"recurrent", "recurrent", "attention"};
    const cJSON *types = cfg_list(c, "block_types");
    int n = types ? cJSON_GetArraySize(types) : 3;
    Layers l = {0};
    if (n == 0) return cfg_error(c, "block_types", "is empty"), l;
    for (int64_t i = 0; i < layers; i++) {
        const cJSON *item = types ? cJSON_GetArrayItem(types, (int)(i % n)) : NULL;
        const char *name = !types ? usual[i % n] : cJSON_IsString(item) ? item->valuestring : "";
        if (strcmp(name, "recurrent") != 0 && strcmp(name, "attention") != 0)
            return cfg_error(c, "block_types", "must hold \"recurrent\" and \"attention\" only"), l;
        layers_add(c->ctx->a, &l, *name == 'r' ? "recurrent" : "attention");
    }
    return l;
}

/* What only one kind of layer reads; without such a layer it may say anything. */
static const char *const RECURRENCE_KEYS = "lru_width conv1d_width";
static const char *const ATTENTION_KEYS = "num_key_value_heads head_dim attention_bias attention_window_size "
                                          "rope_theta partial_rotary_factor rope_scaling rope_parameters";

static void read_recurrence(Cfg *c, int64_t D, int64_t H, const char *act, RgLru *t) {
    *t = (RgLru){.R = cfg_size(c, "lru_width", D),
                 .W = cfg_size(c, "conv1d_width", 4),
                 .blocks = H,
                 .act = act,
                 .module = "temporal_block",
                 .names = &RG_LRU_NAMES_HF};
    if (t->R % H)
        cfg_error(c, "lru_width",
                  "is not a multiple of num_attention_heads, the number of its gates' blocks");
}

static void read_attention(Cfg *c, int64_t D, Attention *t) {
    cfg_heads(c, D, t);
    t->bias_qkv = cfg_bool(c, "attention_bias", false), t->bias_o = true;
    t->module = "temporal_block";
    t->window = cfg_size(c, "attention_window_size", 2048);
    t->rope = cfg_rope(c, t->width, 10000, 0.5, 8192);
}

static cJSON *import(ImportCtx *x) {
    Cfg *c = &x->cfg;
    if (!c->node) return import_error(x, "there is no config.json, which RecurrentGemma needs"), NULL;
    Frame f = frame_named();
    f.layers = 26, f.width = 2560, f.vocab = 256000, f.tied = true, f.final_norm = "model.final_norm";
    cfg_frame(x, &f);
    f.norm = (Norm){.kind = NORM_RMS_PLUS, .eps = cfg_float(c, "rms_norm_eps", 1e-6, ">=0")};
    f.logit_cap = cfg_float(c, "logits_soft_cap", 30, ">0 <=1e30");
    f.embedding_scale = frame_sqrt_bf16(f.width);
    int64_t D = f.width, H = cfg_size(c, "num_attention_heads", 10);
    Gemma t = {.norm = f.norm,
               .mlp = {.module = "mlp_block",
                       .bias = true,
                       .width = cfg_size(c, "intermediate_size", 7680) / 2,
                       .act = cfg_act(c, "hidden_activation", "gelu_pytorch_tanh")},
               .attention = {.heads = H}};
    cfg_only_bool(c, "embeddings_scale_by_sqrt_dim", true, true);
    const cJSON *copy = cfg_list(c, "_block_types");
    if (copy && !cJSON_Compare(copy, cfg_list(c, "block_types"), true))
        cfg_error(c, "_block_types", "is not the same as block_types, whose copy it should be");
    Layers layers = read_pattern(c, f.layers);
    bool recurrent = layers_have(&layers, "recurrent"), attention = layers_have(&layers, "attention");
    if (recurrent)
        read_recurrence(c, D, H, t.mlp.act, &t.recurrence);
    else
        cfg_skip_all(c, RECURRENCE_KEYS);
    if (attention)
        read_attention(c, D, &t.attention);
    else
        cfg_skip_all(c, ATTENTION_KEYS);
    if (import_failed(x)) return NULL;

    frame_begin(x, &f);
    if (recurrent) write_recurrent(x, &t);
    if (attention) write_attention(x, &t);
    return frame_end(x, &f, &layers);
}

const Importer importer_recurrent_gemma = {
    .name = "recurrent_gemma",
    .doc = "RecurrentGemma (Griffin): gated linear recurrence (RG-LRU), local attention",
    .accepts = "RecurrentGemmaForCausalLM",
    .recurrence = "diagonal; sliding-window KV cache",
    .cases = "hf-recurrent-gemma hf-recurrent-gemma-window",
    .import = import,
};
