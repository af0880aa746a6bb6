/* Griffin and Hawk: De et al. 2024, arXiv:2402.19427, in checkpoints of the authors' package, recurrentgemma
 * (PyTorch). A config.json with the fields of its GriffinConfig is read where there is one. Published files have
 * none: the sizes of their tensors identify the preset. recurrent_gemma.c reads the checkpoints of transformers. */
#include <string.h>

#include "import/parts/attention.h"
#include "import/parts/frame.h"
#include "import/parts/rg_lru.h"

/* What tensors do not tell. */
static const struct Preset {
    int64_t width, lru_width, heads, layers, window;
    bool scaled;
    double cap;
} PRESETS[] = {
    {2560, 2560, 10, 26, 2048, true, 30}, /* RecurrentGemma 2B */
    {4096, 4096, 16, 38, 2048, true, 30}, /* RecurrentGemma 9B */
    {4096, 5632, 32, 32, 1024, false, 0}, /* the paper's Griffin and Hawk, 7B */
};

typedef struct Sizes {
    int64_t D, F, R, W, H;
    Layers layers;
} Sizes;

static const char *tensor_of(ImportCtx *x, const Layers *l, const char *block, const char *name) {
    int i = 0;
    while (i < l->n - 1 && strcmp(l->block[i], block) != 0) i++;
    return arena_printf(x->a, "blocks.%d.%s", i, name);
}

/* All that the tensors tell. */
static void look(ImportCtx *x, Sizes *s) {
    int64_t n = count_layers(x, "blocks.");
    for (int64_t i = 0; i < n; i++) {
        bool recurrent =
            has_tensor(x, arena_printf(x->a, "blocks.%lld.recurrent_block.linear_x.weight", (long long)i));
        layers_add(x->a, &s->layers, recurrent ? "recurrent" : "attention");
    }
    s->D = tensor_dim(x, "embedder.input_embedding", 1);
    s->F = tensor_dim(x, "blocks.0.mlp_block.ffw_down.weight", 1);
    if (layers_have(&s->layers, "recurrent")) {
        const char *taps = tensor_of(x, &s->layers, "recurrent", "recurrent_block.conv_1d.w");
        s->W = tensor_dim(x, taps, 0), s->R = tensor_dim(x, taps, 1);
        s->H = tensor_dim(x, tensor_of(x, &s->layers, "recurrent", "recurrent_block.rg_lru.input_gate.w"), 0);
    } else {
        s->R = s->D;
        s->H =
            s->D / tensor_dim(x, tensor_of(x, &s->layers, "attention", "attention_block.proj_k.weight"), 0);
    }
}

/* block_types, which has to agree with the tensors. */
static void check_types(Cfg *c, const Layers *l) {
    const cJSON *types = cfg_list(c, "block_types");
    if (types && cJSON_GetArraySize(types) != l->n)
        cfg_error(c, "block_types", "has %d entries, but the checkpoint holds %d blocks",
                  cJSON_GetArraySize(types), l->n);
    for (int i = 0; types && i < cJSON_GetArraySize(types) && i < l->n; i++) {
        const cJSON *type = cJSON_GetArrayItem(types, i);
        if (!cJSON_IsString(type) || strcasecmp(type->valuestring, l->block[i]) != 0)
            cfg_error(c, "block_types", "entry %d is not what the checkpoint holds, \"%s\"", i, l->block[i]);
    }
}

/* Sizes that the configuration repeats; what it adds: window, scale, cap. */
static bool read_config(ImportCtx *x, const Sizes *s, struct Preset *p) {
    Cfg *c = &x->cfg;
    const struct Preset *found = NULL;
    for (size_t i = 0; i < sizeof PRESETS / sizeof *PRESETS; i++)
        if (PRESETS[i].width == s->D && PRESETS[i].lru_width == s->R && PRESETS[i].heads == s->H &&
            PRESETS[i].layers == s->layers.n)
            found = &PRESETS[i];
    static const char *const needed[] = {"attention_window_size", "embeddings_scale_by_sqrt_dim",
                                         "logits_soft_cap"};
    for (int i = 0; i < 3 && !found; i++)
        if (!cfg_has(c, needed[i]))
            return import_error(x,
                                "no published model of this kind has width %lld, %lld heads and %d blocks: "
                                "put a config.json beside the weights that says \"%s\"",
                                (long long)s->D, (long long)s->H, s->layers.n, needed[i]);
    if (found) *p = *found;
    p->window = cfg_size(c, needed[0], p->window);
    p->scaled = cfg_bool(c, needed[1], p->scaled);
    p->cap = cfg_float(c, needed[2], p->cap, ">=0 <=1e30");
    cfg_only_int(c, "width", s->D, s->D), cfg_only_int(c, "mlp_expanded_width", s->F, s->F);
    cfg_only_int(c, "lru_width", s->R, s->R), cfg_only_int(c, "num_heads", s->H, s->H);
    cfg_skip(c, "scan_type");
    check_types(c, &s->layers);
    return true;
}

/* The matrix of gate and up is stored [2, in, out]. */
static void st_channels(ImportCtx *x, cJSON *b, const Norm *norm) {
    st_norm(b, "u", "x", "channel_pre_norm", "D", norm);
    st(b, "{'out':'w','op':'transpose','x':'@mlp_block.ffw_up.w[2, D, F]','perm':[0,2,1]}");
    st(b, "{'out':'w','op':'reshape','x':'w','shape':['2*F','D']}");
    st(b, "{'out':'b','op':'reshape','x':'@mlp_block.ffw_up.b[2, 1, 1, F]','shape':['2*F']}");
    st(b, "{'out':'gate_up','op':'linear','x':'u','w':'w','b':'b'}");
    st(b, "{'out':['gate','up'],'split':'gate_up','sizes':['F','F']}");
    st(b, "{'out':'f','map':'gelu_tanh(gate) * up'}");
    st_linear(b, "f", "f", "mlp_block.ffw_down", "D", "F", true);
    st_residual(x, b, "f", 0);
}

/* A query sees itself and `window` tokens before it. */
static void write_attention(ImportCtx *x, const Sizes *s, const Norm *norm, int64_t window) {
    cJSON *b = block_new(x->model, "attention", NULL, NULL);
    int64_t K = s->D / s->H;
    Attention t = {.heads = s->H, .kv_heads = 1, .width = K, .module = "attention_block", .bias_o = true};
    t.q = "proj_q", t.k = "proj_k", t.v = "proj_v", t.o = "proj_final";
    t.window = window + 1;
    t.rope = (Rope){.theta = 10000, .scale = 1, .dims = K / 2};
    st_norm(b, "u", "x", "temporal_pre_norm", "D", norm);
    st_attention(x, b, "o", "u", &t);
    st_residual(x, b, "o", 0);
    st_channels(x, b, norm);
}

static void write_recurrent(ImportCtx *x, const Sizes *s, const Norm *norm) {
    cJSON *b = block_new(x->model, "recurrent", NULL, NULL);
    RgLru t = {.R = s->R, .W = s->W, .blocks = s->H, .act = "gelu_tanh", .module = "recurrent_block"};
    t.names = &RG_LRU_NAMES_AUTHORS;
    st_norm(b, "u", "x", "temporal_pre_norm", "D", norm);
    st_rg_lru(x, b, "o", "u", &t);
    st_residual(x, b, "o", 0);
    st_channels(x, b, norm);
}

static cJSON *import(ImportCtx *x) {
    Sizes s = {0};
    struct Preset p = PRESETS[0];
    Frame f = {.prefix = "blocks.{i}.", .embedding = "embedder.input_embedding", .head = "lm_head.weight"};
    f.final_norm = "final_norm", f.tied = true;
    f.norm = (Norm){.kind = NORM_RMS_PLUS, .eps = 1e-6, .w = "scale"};
    look(x, &s);
    f.vocab = table_rows(x, f.embedding, f.head);
    if (import_failed(x) || !read_config(x, &s, &p) || import_failed(x)) return NULL;
    if (s.R % s.H || (layers_have(&s.layers, "attention") && (s.D % s.H || s.D / s.H % 4)))
        return import_error(x,
                            "%lld heads do not divide the widths %lld and %lld evenly, or leave no even "
                            "half of a head to rotate",
                            (long long)s.H, (long long)s.D, (long long)s.R),
               NULL;
    f.layers = s.layers.n, f.width = s.D, f.logit_cap = p.cap;
    if (p.scaled) f.embedding_scale = frame_sqrt_bf16(s.D);

    model_dim(frame_begin(x, &f), "F", s.F);
    if (layers_have(&s.layers, "recurrent")) write_recurrent(x, &s, &f.norm);
    if (layers_have(&s.layers, "attention")) write_attention(x, &s, &f.norm, p.window);
    return frame_end(x, &f, &s.layers);
}

static bool recognise(const ImportCtx *x) {
    return has_tensor(x, "embedder.input_embedding") && has_tensor(x, "blocks.0.mlp_block.ffw_up.w");
}

const Importer importer_griffin = {
    .name = "griffin",
    .doc = "Griffin and Hawk, DeepMind's own checkpoints: gated linear recurrence (RG-LRU), local attention",
    .accepts = "hawk",
    .recurrence = "diagonal; sliding-window KV cache",
    .cases = "griffin hawk",
    .recognise = recognise,
    .import = import,
};
