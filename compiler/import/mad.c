/* The models of MAD: Poli et al. 2024, arXiv:2403.17844 (athms/mad-lab). Layers of many kinds, each with a
 * pre-norm and a residual connection. Each layer has its own configuration. */
#include <math.h>
#include <string.h>

#include "import/parts/attention.h"
#include "import/parts/frame.h"
#include "import/parts/heads.h"
#include "import/parts/hyena_filter.h"
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
    int64_t rotary = cfg_int(&l->c, "rotary_emb_dim", 0);
    t.rope = (Rope){.none = !rotary, .theta = 10000, .scale = 1, .dims = rotary == t.width ? 0 : rotary};
    if (rotary % 2 || rotary > t.width)
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
    Mlp t = {.module = "1", .dim = arena_printf(l->x->a, "F%s", l->tag), .ungated = !gated};
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

typedef struct Hyena {
    int64_t E, heads, copies,
        taps; /* width within; channels of a group; how often the projections stand in the file's place */
    bool skip;
    HyenaFilter filter;
} Hyena;

static void read_hyena(Layer *l, int64_t D, int64_t factor, Hyena *t) {
    static const char *const begin[] = {"w", "lr", "wd", "lr_pos_emb", "modulation_lr", "train_freq"};
    Cfg *c = &l->c, conv = cfg_sub(c, "long_conv_cfg"), filter = cfg_sub(&conv, "filter_cfg");
    HyenaFilter *h = &t->filter;
    t->E = D * cfg_size(c, "inner_factor", factor), t->copies = cfg_size(c, "proj_groups", 4);
    t->heads = cfg_size(c, "num_heads", 1), t->taps = cfg_size(c, "short_filter_order", 3);
    cfg_only_int(c, "order", 2, 2), cfg_only_int(c, "num_blocks", 1, 1);
    cfg_only_bool(c, "outer_mixing", false, false), cfg_only_bool(c, "post_order_ffn", false, false);
    cfg_skip(c, "activation"), cfg_skip(c, "nested"); /* never applied */
    if (t->E % t->heads || 3 * t->E % t->copies)
        cfg_error(c, "num_heads", "%lld channels do not fall evenly into heads and groups", (long long)t->E);
    h->L = cfg_size(c, "max_length", REQUIRED);
    t->skip = cfg_bool(&conv, "bias", true);
    cfg_only_int(&conv, "num_heads", t->heads, t->heads);
    if (strcmp(cfg_str(&conv, "filter_cls", "rtf"), "implicit"))
        cfg_error(&conv, "filter_cls", "only implicit is supported");
    h->width = cfg_size(&filter, "order", 16), h->emb = cfg_size(&filter, "emb_dim", 3);
    h->inner = cfg_int(&filter, "depth_implicit", 2);
    cfg_hyena_fading(&filter, h);
    cfg_only_bool(&filter, "nested", false, false), cfg_only_bool(&filter, "normalized", false, false);
    for (size_t i = 0; i < sizeof begin / sizeof *begin; i++) cfg_skip(&filter, begin[i]);
    if (h->emb < 3 || h->emb % 2 == 0) cfg_error(&filter, "emb_dim", "must be odd and at least 3");
    if (h->L < 2 || h->inner > 16)
        cfg_error(c, "max_length", "a filter needs two taps, and 16 layers at most");
    cfg_done(&filter), cfg_done(&conv);
}

/* x0, x1 and v: projections, repeated as a whole, behind a short convolution; and the filter h. */
static void st_hyena_streams(Layer *l, Hyena *t) {
    Arena *a = l->x->a;
    dim(l, "HE", t->E), dim(l, "HC", t->E / t->heads), dim(l, "HP", 3 * t->E / t->copies),
        dim(l, "HW", t->taps);
    dim(l, "HL", t->filter.L), dim(l, "HZ", t->filter.emb), dim(l, "HF", t->filter.width);
    Text list = text_new(a);
    for (int64_t i = 0; i < t->copies; i++) text_add(&list, "%s'p'", i ? "," : "");
#define ST(...) st_part(l->b, "1", l->tag, __VA_ARGS__)
    ST("{'out':'p','op':'linear','x':'u','w':'@~in_proj.weight[HP$, D]','b':'@~in_proj.bias[HP$]'}");
    if (t->copies > 1) ST("{'out':'p','op':'concat','in':[%s]}", list.s);
    ST("{'out':'p','op':'conv.short','x':'p','w':'@~short_filter.weight[3*HE$, "
       "HW$]','b':'@~short_filter.bias[3*HE$]','state':"
       "'conv'}");
    ST("{'out':['x0','x1','v'],'split':'p','sizes':['HE$','HE$','HE$']}");
    HyenaFilter *h = &t->filter;
    h->first = l->prefix, h->module = "1.long_conv.filter", h->channels = arena_printf(a, "HC%s", l->tag);
    h->taps = arena_printf(a, "HL%s", l->tag), h->Z = arena_printf(a, "HZ%s", l->tag),
    h->F = arena_printf(a, "HF%s", l->tag);
    st_hyena_filter(l->x, l->b, h);
    if (t->skip)
        ST("{'out':'skip','map':'@~long_conv.bias[HC$]'}");
    else
        model_ignore(l->x->model, "*.long_conv.bias");
}

static void hyena(Layer *l, int64_t D) {
    Hyena t = {0};
    read_hyena(l, D, 2, &t);
    if (t.heads != 1) cfg_error(&l->c, "num_heads", "must be 1; mh-hyena has several");
    if (!l->b || import_failed(l->x)) return;
    st_hyena_streams(l, &t);
    ST("{'out':'y','map':'v * x1'}");
    ST("{'out':'y','op':'conv.long','x':'y','h':'h'%s,'state':'past'}", t.skip ? ",'skip':'skip'" : "");
    ST("{'out':'y','map':'y * x0'}");
    ST("{'out':'o','op':'linear','x':'y','w':'@~out_proj.weight[D, HE$]','b':'@~out_proj.bias[D]'}");
}

/* All products of a group's channels of v with those of x1 go through the filter of the group; then each x1 meets the sum
 * over those of x0. */
static void mh_hyena(Layer *l, int64_t D) {
    Hyena t = {0};
    read_hyena(l, D, 1, &t);
    if (!l->b || import_failed(l->x)) return;
    int64_t n = t.heads;
    Text list[2] = {text_new(l->x->a), text_new(l->x->a)};
    for (int64_t i = 0; i < 2 * n; i++) text_add(&list[i / n], i % n ? ",'%s'" : "'%s'", i / n ? "x0" : "v");
    st_hyena_streams(l, &t);
    ST("{'out':'one','op':'linspace','n':%lld,'from':1,'to':1}", (long long)(n * n));
    ST("{'out':'one','op':'reshape','x':'one','shape':[1,%lld,1]}", (long long)(n * n));
    ST("{'out':'h','op':'reshape','x':'h','shape':['HC$',1,'HL$']}");
    ST("{'out':'h','map':'h * one'}");
    ST("{'out':'h','op':'reshape','x':'h','shape':['HC$*%lld','HL$']}", (long long)(n * n));
    if (t.skip) {
        ST("{'out':'skip','op':'reshape','x':'skip','shape':['HC$',1,1]}");
        ST("{'out':'skip','map':'skip * one'}");
        ST("{'out':'skip','op':'reshape','x':'skip','shape':['HC$*%lld']}", (long long)(n * n));
    }
    for (const char *p = "v0"; *p; p++) {
        const char *name = *p == 'v' ? "v" : "x0";
        ST("{'out':'%s','op':'reshape','x':'%s','shape':['HC$',1,%lld]}", name, name, (long long)n);
        if (n > 1) ST("{'out':'%s','op':'concat','in':[%s],'axis':1}", name, list[*p != 'v'].s);
    }
    ST("{'out':'x1','op':'reshape','x':'x1','shape':['HC$',%lld,1]}", (long long)n);
    ST("{'out':'y','map':'v * x1'}");
    ST("{'out':'y','op':'reshape','x':'y','shape':['HC$*%lld']}", (long long)(n * n));
    ST("{'out':'y','op':'conv.long','x':'y','h':'h'%s,'state':'past'}", t.skip ? ",'skip':'skip'" : "");
    ST("{'out':'y','op':'reshape','x':'y','shape':['HC$',%lld,%lld]}", (long long)n, (long long)n);
    ST("{'out':'y','map':'y * x0'}");
    ST("{'out':'y','op':'reduce','x':'y','kind':'sum'}");
    ST("{'out':'y','op':'reshape','x':'y','shape':['HE$']}");
    ST("{'out':'o','op':'linear','x':'y','w':'@~out_proj.weight[D, HE$]','b':'@~out_proj.bias[D]'}");
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
             {"hyena", hyena},
             {"mh-hyena", mh_hyena},
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
    .doc = "MAD: models whose layers are of any of its kinds, each with its own configuration",
    .accepts = "mad",
    .recurrence = "that of its layers",
    .cases = "mad-attention-gla mad-mamba-moe mad-hyena-swiglu mad-mh-hyena",
    .recognise = recognise,
    .import = import,
};
