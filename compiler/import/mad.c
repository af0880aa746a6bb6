/* The models of MAD: Poli et al. 2024, arXiv:2403.17844 (athms/mad-lab). Layers of many kinds, each behind a norm and
 * beside the residual stream; every layer has a configuration of its own. */
#include <math.h>
#include <string.h>

#include "import/parts/attention.h"
#include "import/parts/frame.h"
#include "import/parts/heads.h"
#include "import/parts/mamba.h"
#include "import/parts/mlp.h"

/* A layer that stands for all with the same configuration. */
typedef struct Layer {
    ImportCtx *x;
    Cfg c;
    const char *tag;    /* ends names of dims and blocks */
    const char *prefix; /* of its tensors in the file */
    cJSON *b;           /* its block; NULL: the configuration is only read */
} Layer;

static void dim(const Layer *l, const char *name, int64_t size) {
    model_dim(l->x->model, arena_printf(l->x->a, "%s%s", name, l->tag), size);
}

static int64_t rows(const Layer *l, const char *tensor) {
    return tensor_dim(l->x, arena_printf(l->x->a, "%s%s", l->prefix, tensor), 0);
}

/* ---- kinds of layers: "o" from "u" ---- */

static void mamba(Layer *l, int64_t D) {
    static const char *const start[] = {"dt_init", "dt_init_floor", "dt_max", "dt_min", "dt_scale", NULL};
    Mamba t = {.act = "silu", .module = "1", .tag = l->tag};
    cfg_mamba(&l->c, &MAMBA_KEYS_AUTHORS, D, &t);
    for (int i = 0; start[i]; i++) cfg_skip(&l->c, start[i]);
    if (l->b) st_mamba(l->x, l->b, "o", "u", &t);
}

/* window_size says how many tokens before it a query sees, or -1: all. The number behind it is for what is not causal. */
static int64_t read_window(Cfg *c) {
    const cJSON *list = cfg_list(c, "window_size");
    double before = list ? cfg_item(c, "window_size", list, 0) : -1;
    if (before != -1 && !(before >= 0 && before < INT32_MAX && before == floor(before)))
        return cfg_error(c, "window_size", "must begin with a whole number, or -1");
    return before < 0 ? 0 : (int64_t)before + 1;
}

static void attention(Layer *l, int64_t D) {
    enum { ANY = 8192 }; /* nothing limits the sequence */
    Attention t = {.module = "1", .tag = l->tag, .rows = QKV_IN_ORDER, .qkv = "Wqkv", .o = "out_proj"};
    t.bias_qkv = t.bias_o = true, t.positions = ANY;
    cfg_equal_heads(&l->c, "n_heads", 16, D, &t);
    t.window = read_window(&l->c);
    int64_t turning = cfg_int(&l->c, "rotary_emb_dim", 0);
    t.rope = (Rope){.none = !turning, .theta = 10000, .scale = 1, .dims = turning == t.width ? 0 : turning};
    if (turning % 2 || turning > t.width)
        cfg_error(&l->c, "rotary_emb_dim", "must be even and at most the width of a head, %lld",
                  (long long)t.width);
    cfg_only_bool(&l->c, "causal", true, true);
    cfg_skip(&l->c, "use_flash_attn");
    if (l->b) st_attention(l->x, l->b, "o", "u", &t);
}

/* Keys and values as wide as the model, times a factor; decays for each channel of a key, of low rank. */
static void gated_linear_attention(Layer *l, int64_t D) {
    Cfg *c = &l->c;
    Arena *a = l->x->a;
    int64_t H = cfg_size(c, "num_heads", 4), rank = cfg_size(c, "gate_low_rank_dim", 16);
    int64_t K = cfg_times(c, "expand_k", 1, D) / H, P = cfg_times(c, "expand_v", 1, D) / H;
    double pace = cfg_float(c, "gate_logit_normalizer", 16, ">0");
    HeadsOut o = {.module = "1", .norm = "g_norm", .tensor = "o_proj", .gate = "g"};
    o.act = cfg_act(c, "gate_fn", "swish"), o.kind.eps = cfg_float(c, "layernorm_eps", 1e-5, ">=0");
    cfg_skip(c, "fuse_norm"), cfg_skip(c, "mode"); /* how it is computed */
    if (!l->b) return;
    dim(l, "LH", H), dim(l, "LK", K), dim(l, "LP", P), dim(l, "LR", rank);
    const char *const rows[][2] = {{"q", "LK"}, {"k", "LK"}, {"v", "LP"}};
    o.heads = arena_printf(a, "LH%s", l->tag), o.width = arena_printf(a, "LP%s", l->tag);
    for (int i = 0; i < 3; i++) {
        HeadRows r = {.module = "1", .heads = o.heads, .tensor = arena_printf(a, "%s_proj", rows[i][0])};
        r.width = arena_printf(a, "%s%s", rows[i][1], l->tag);
        st_head_rows(l->x, l->b, rows[i][0], "u", &r);
    }
#define ST(...) st_part(l->b, "1", l->tag, __VA_ARGS__)
    ST("{'out':'q','map':'q / sqrt(LK$)'}");
    ST("{'out':'d','op':'linear','x':'u','w':'@~gk_proj.0.weight[LR$, D]'}");
    ST("{'out':'d','op':'linear','x':'d','w':'@~gk_proj.1.weight[LH$*LK$, "
       "LR$]','b':'@~gk_proj.1.bias[LH$*LK$]'}");
    ST("{'out':'d','map':'-softplus(-d) / %s','comment':'the logarithm of the decay'}", json_number(a, pace));
    ST("{'out':'d','op':'reshape','x':'d','shape':['LH$','LK$']}");
    ST("{'out':'y','op':'scan.matrix','q':'q','k':'k','v':'v','decay':'d','state':'S'}");
    ST("{'out':'g','op':'linear','x':'u','w':'@~g_proj.weight[LH$*LP$, D]'}");
#undef ST
    st_heads_out(l->x, l->b, "o", "y", &o);
}

static void mlp(Layer *l, bool gated) {
    Mlp t = {.module = "1", .dim = arena_printf(l->x->a, "F%s", l->tag), .plain = !gated};
    t.act = gated ? "silu" : "gelu_tanh";
    t.gate = "w1", t.up = gated ? "w2" : "fc", t.down = gated ? "w3" : "proj";
    t.width = cfg_size(&l->c, "dim_inner", rows(l, gated ? "1.w1.weight" : "1.fc.weight"));
    t.bias = cfg_bool(&l->c, "bias", false);
    if (l->b) st_mlp(l->x, l->b, "o", "u", &t);
}

static void plain_mlp(Layer *l, int64_t D) {
    (void)D;
    mlp(l, false);
}

static void gated_mlp(Layer *l, int64_t D) {
    (void)D;
    mlp(l, true);
}

/* All experts are computed: scores that are not among the best become 0, and the softmax gives them a part as well. What
 * comes down is [D, E], made of what is within all experts. */
static void moe_mlp(Layer *l, int64_t D) {
    (void)D;
    int64_t E = cfg_size(&l->c, "num_experts", REQUIRED), best = cfg_size(&l->c, "active_experts", REQUIRED);
    int64_t F = cfg_size(&l->c, "dim_inner", rows(l, "1.up1.weight") / (E ? E : 1));
    cfg_only_bool(&l->c, "bias", false, false);
    if (best > E) cfg_error(&l->c, "active_experts", "there are only %lld experts", (long long)E);
    if (!l->b) return;
    dim(l, "E", E), dim(l, "F", F);
    model_ignore(l->x->model, "*.gates"); /* made, but never read */
#define ST(...) st_part(l->b, "1", l->tag, __VA_ARGS__)
    ST("{'out':'z','op':'linear','x':'u','w':'@~router.weight[E$, D]','b':'@~router.bias[E$]'}");
    ST("{'out':['best','which'],'op':'topk','x':'z','k':%lld}", (long long)best);
    ST("{'out':'least','op':'slice','x':'best','axis':0,'start':%lld,'size':1}", (long long)best - 1);
    ST("{'out':'z','map':'where(z >= least, z, 0)'}");
    ST("{'out':'p','op':'softmax','x':'z'}");
    ST("{'out':'f','op':'linear','x':'u','w':'@~up1.weight[E$*F$, D]'}");
    ST("{'out':'g','op':'linear','x':'u','w':'@~up2.weight[E$*F$, D]'}");
    ST("{'out':'f','map':'f * gelu_tanh(g)'}");
    ST("{'out':'w','op':'reshape','x':'@~down1.weight[D*E$, E$*F$]','shape':['D','E$','E$*F$']}");
    ST("{'out':'w','op':'transpose','x':'w','perm':[1,0,2]}");
    ST("{'out':'w','op':'reshape','x':'w','shape':['E$*D','E$*F$']}");
    ST("{'out':'f','op':'linear','x':'f','w':'w'}");
    ST("{'out':'f','op':'reshape','x':'f','shape':['E$','D']}");
    ST("{'out':'o','op':'combine','x':'f','w':'p'}");
#undef ST
}

static const struct {
    const char *word;
    void (*write)(Layer *l, int64_t D);
} KINDS[] = {{"attention", attention},
             {"mh-attention", attention},
             {"sliding-attention", attention},
             {"mh-sliding-attention", attention},
             {"gated-linear-attention", gated_linear_attention},
             {"mh-gated-linear-attention", gated_linear_attention},
             {"mamba", mamba},
             {"mlp", plain_mlp},
             {"swiglu", gated_mlp},
             {"moe-mlp", moe_mlp}};

/* ---- the model ---- */

static int find_kind(Cfg *c, const cJSON *word) {
    enum { N = sizeof KINDS / sizeof *KINDS };
    const char *all[N], *w = cJSON_IsString(word) ? word->valuestring : "";
    for (int i = 0; i < N; i++) {
        all[i] = KINDS[i].word;
        if (!strcmp(w, all[i])) return i;
    }
    cfg_error(c, "layers", "unknown kind \"%s\"%s", w, diag_did_you_mean(c->ctx->a, w, all, N));
    return -1;
}

/* The first layer that is the same as layer i. */
static int same_as(const cJSON *kinds, const cJSON *cfgs, int i) {
    int k = 0;
    while (!cJSON_Compare(cJSON_GetArrayItem(kinds, k), cJSON_GetArrayItem(kinds, i), true) ||
           !cJSON_Compare(cJSON_GetArrayItem(cfgs, k), cJSON_GetArrayItem(cfgs, i), true))
        k++;
    return k;
}

/* Reads layer i, or writes its block. */
static void layer(ImportCtx *x, const Frame *f, const cJSON *kinds, const cJSON *cfgs, int i, bool writes) {
    int kind = find_kind(&x->cfg, cJSON_GetArrayItem(kinds, i));
    if (kind < 0) return;
    Layer l = {.x = x, .tag = arena_printf(x->a, "%d", i), .prefix = arena_printf(x->a, "model.%d.", i)};
    l.c =
        (Cfg){.ctx = x, .node = cJSON_GetArrayItem(cfgs, i), .path = arena_printf(x->a, "layer_cfgs[%d]", i)};
    cfg_only_int(&l.c, "dim", f->width, f->width);
    cfg_skip(&l.c, "max_length"), cfg_skip(&l.c, "drop_rate");
    if (writes) {
        l.b = block_new(x->model, arena_printf(x->a, "layer%d", i), NULL, NULL);
        st_norm(l.b, "u", "x", "0", "D", &f->norm);
    }
    KINDS[kind].write(&l, f->width);
    if (writes)
        st_residual(x, l.b, "o", 0);
    else
        cfg_done(&l.c);
}

static cJSON *import(ImportCtx *x) {
    Cfg *c = &x->cfg;
    if (!c->node) return import_error(x, "there is no config.json, which a model of MAD needs"), NULL;
    const char *norm = cfg_str(c, "norm", "layernorm"), *model = cfg_str(c, "model", "LanguageModel");
    Frame f = {.prefix = "model.{i}.", .embedding = "token_embeds.weight", .head = "unembed.1.weight"};
    f.final_norm = "unembed.0", f.head_bias = "unembed.1.bias";
    f.norm = (Norm){.kind = strcmp(norm, "rmsnorm") ? NORM_LAYER : NORM_RMS, .eps = 1e-5};
    f.width = cfg_size(c, "dim", REQUIRED), f.vocab = cfg_size(c, "vocab_size", REQUIRED);
    const cJSON *kinds = cfg_list(c, "layers"), *cfgs = cfg_list(c, "layer_cfgs");
    f.layers = cJSON_GetArraySize(kinds);
    cfg_skip(c, "max_length");
    if (strcmp(model, "LanguageModel")) cfg_error(c, "model", "only \"LanguageModel\" is supported");
    if (strcmp(norm, "rmsnorm") && strcmp(norm, "layernorm"))
        cfg_error(c, "norm", "unknown kind \"%s\"; there are rmsnorm and layernorm", norm);
    if (f.layers < 1 || cJSON_GetArraySize(cfgs) != f.layers)
        cfg_error(c, "layer_cfgs", "must be a list with one entry for each of \"layers\"");
    Layers layers = {0};
    for (int i = 0; i < f.layers && !import_failed(x); i++) {
        int first = same_as(kinds, cfgs, i);
        layers_add(x->a, &layers, arena_printf(x->a, "layer%d", first));
        if (first == i) layer(x, &f, kinds, cfgs, i, false);
    }
    if (import_failed(x)) return NULL;

    frame_begin(x, &f);
    for (int i = 0; i < f.layers; i++)
        if (same_as(kinds, cfgs, i) == i) layer(x, &f, kinds, cfgs, i, true);
    return frame_end(x, &f, &layers);
}

static bool recognise(const ImportCtx *x) {
    return has_tensor(x, "token_embeds.weight") && has_tensor(x, "unembed.1.weight") &&
           json_get(x->cfg.node, "layer_cfgs");
}

const Importer importer_mad = {
    .name = "mad",
    .doc = "models of MAD: layers of several kinds, each with a configuration of its own",
    .accepts = "mad",
    .recurrence = "what its layers carry",
    .cases = "mad-attention-gla mad-mamba-moe",
    .recognise = recognise,
    .import = import,
};
