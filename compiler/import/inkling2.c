/* Inkling-2, its language model: Thinking Machines 2026. Attention adds a bias to the scores of recent tokens:
 * each query mixes learned profiles over the distance. Each token has its own sinks. Keys, values and everything
 * that is added to the residual stream pass short convolutions. Layers are grouped in blocks. A block sums the
 * outputs of its layers, and the input of each layer is a softmax-weighted mean of the normalised blocks so far. */
#include <math.h>
#include <string.h>

#include "import/parts/attention.h"
#include "import/parts/experts.h"
#include "import/parts/frame.h"

typedef struct Inkling {
    Norm norm;
    Attention full, sliding; /* heads and widths */
    int64_t window, extent, rel, taps, per_block;
    double qk_limit, rel_limit, alpha, floor;
    Experts experts;
} Inkling;

/* A layer in the making. */
typedef struct Layer {
    ImportCtx *x;
    const Inkling *z;
    cJSON *b;
    int i, blocks; /* number; blocks of the stream that are complete before it */
    bool full;
} Layer;

#define ST(...) st_part(l->b, "attn", l->full ? "" : "S", __VA_ARGS__)

/* "m0", "m1", .. [D]: means of the complete blocks "n0".. and of the block at hand, x: all normed, weighted by the
 * softmax of their products with each of the queries in a tensor [D], or [queries, D]. */
static void st_sources(ImportCtx *x, cJSON *b, int blocks, int queries, const char *tensor) {
    Text scores = text_new(x->a), weights = text_new(x->a), ones = text_new(x->a), sum = text_new(x->a);
    st(b, "{'out':'n%d','op':'norm.rms','x':'x','eps':1e-6}", blocks);
    for (int k = 0; k <= blocks; k++) {
        text_add(&scores, "%s's%d'", k ? "," : "", k), text_add(&weights, "%s'w%d'", k ? "," : "", k);
        text_add(&ones, "%s1", k ? "," : ""), text_add(&sum, "%sw%d * n%d", k ? " + " : "", k, k);
    }
    for (int q = 0; q < queries; q++) {
        if (queries > 1)
            st(b,
               "{'out':'q','op':'slice','x':'@/model.llm.attn_res.%s[%d, D]','axis':0,'start':%d,'size':1}",
               tensor, queries, q);
        else
            st(b, "{'out':'q','op':'reshape','x':'@/model.llm.attn_res.%s[D]','shape':[1,'D']}", tensor);
        st(b, "{'out':'q','map':'q * D^-0.5'}");
        for (int k = 0; k <= blocks; k++) st(b, "{'out':'s%d','op':'linear','x':'n%d','w':'q'}", k, k);
        st(b, "{'out':'s','op':'concat','in':[%s],'axis':0}", scores.s);
        st(b, "{'out':'s','op':'softmax','x':'s'}");
        st(b, "{'out':[%s],'split':'s','sizes':[%s]}", weights.s, ones.s);
        st(b, "{'out':'m%d','map':'%s'}", q, sum.s);
    }
}

/* value = (conv(value) + value) / sqrt(taps + 1) */
static void st_smooth(Layer *l, const char *value, const char *module, const char *width) {
    const char *dot = strrchr(module, '.');
    st(l->b, "{'out':'c','op':'conv.short','x':'%s','w':'@%s.weight[%s, T]','state':'%s'}", value, module,
       width, dot ? dot + 1 : module);
    st(l->b, "{'out':'%s','map':'(c + %s) * (T + 1)^-0.5'}", value, value);
}

/* The same with taps to which the token adds some for each head; tap 0 is for the token itself. */
static void st_smooth_by_token(Layer *l, const char *value, const char *module, const char *by) {
    Text taps = text_new(l->x->a), ones = text_new(l->x->a), sum = text_new(l->x->a);
    ST("{'out':'taps','op':'linear','x':'%s','w':'@~%s.weight_proj[G$*T, D]'}", by, module);
    ST("{'out':'taps','op':'reshape','x':'taps','shape':['G$','T']}");
    for (int k = 0; k < l->z->taps; k++) {
        text_add(&taps, "%s't%d'", k ? "," : "", k), text_add(&ones, "%s1", k ? "," : "");
        text_add(&sum, " + (t%d + fixed%d) * old%d", k, k, k);
    }
    ST("{'out':[%s],'split':'taps','sizes':[%s]}", taps.s, ones.s);
    for (int k = 0; k < l->z->taps; k++) {
        if (k) ST("{'out':'past','op':'shift','x':'%s','state':'%s%d'}", k > 1 ? "past" : value, module, k);
        ST("{'out':'old%d','op':'reshape','x':'%s','shape':['G$','K$']}", k, k ? "past" : value);
        ST("{'out':'fixed%d','op':'slice','x':'@~%s.static_w[T, G$*K$]','axis':0,'start':%d,'size':1}", k,
           module, k);
        ST("{'out':'fixed%d','op':'reshape','x':'fixed%d','shape':['G$','K$']}", k, k);
    }
    ST("{'out':'%s','map':'(old0%s) * (2*T + 1)^-0.5'}", value, sum.s);
}

/* Heads that are longer than the limit get that length. */
static void st_clip(Layer *l, const char *value, const char *scale, double limit) {
    if (scale) ST("{'out':'%s','map':'%s * @~%s}", value, value, scale);
    ST("{'out':'length','map':'square(%s)'}", value);
    ST("{'out':'length','op':'reduce','x':'length','kind':'sum'}");
    ST("{'out':'length','map':'min(%s / (sqrt(length) + 1e-6), 1)'}", json_number(l->x->a, limit));
    ST("{'out':'%s','map':'%s * length'}", value, value);
}

/* "recent" [H, X]: what distances add to the scores, oldest first: products with the profiles, in the reverse of their
 * order. */
static void st_profiles(Layer *l) {
    ST("{'out':'r','op':'linear','x':'u','w':'@~wr_du.weight[H$*R, D]'}");
    ST("{'out':'r','op':'reshape','x':'r','shape':['H$','R']}");
    st_clip(l, "r", "rel_l2_clip.scale[H$, R]'", l->z->rel_limit);
    if (l->full) ST("{'out':'r','map':'r * far'}");
    long long extent = (long long)(l->full ? l->z->extent : l->z->window);
    ST("{'out':'i','op':'linspace','n':'X$','from':0,'to':%lld}", extent - 1);
    ST("{'out':'j','op':'reshape','x':'i','shape':['X$',1]}");
    ST("{'out':'turned','map':'i + j == X$ - 1'}");
    ST("{'out':'profiles','op':'linear','x':'turned','w':'@~rel_logits_proj.proj[R, X$]'}");
    ST("{'out':'recent','op':'linear','x':'r','w':'profiles'}");
}

/* "o" from "u" and, in full layers, from "uk" and "uv", too. */
static void st_attend(Layer *l) {
    const Inkling *z = l->z;
    const Attention *t = l->full ? &z->full : &z->sliding;
    const char *uk = l->full ? "uk" : "u", *uv = l->full ? "uv" : "u";
    if (l->full) { /* far positions sharpen the scores */
        ST("{'out':'pos','op':'position'}");
        ST("{'out':'far','map':'1 + %s * log(max((pos + 1) / %s, 1))'}", json_number(l->x->a, z->alpha),
           json_number(l->x->a, z->floor));
        model_context(l->x, t->positions, 0);
    }
    ST("{'out':'q','op':'linear','x':'u','w':'@~wq_du.weight[H$*K$, D]'}");
    ST("{'out':'k','op':'linear','x':'%s','w':'@~wk_dv.weight[G$*K$, D]'}", uk);
    ST("{'out':'v','op':'linear','x':'%s','w':'@~wv_dv.weight[G$*K$, D]'}", uv);
    ST("{'out':'gate','op':'linear','x':'u','w':'@~gate_attn.weight[H$*K$, D]'}");
    ST("{'out':'sinks','op':'linear','x':'u','w':'@~attn_sink_proj.weight[H$, D]'}");
    if (l->full) {
        st_smooth_by_token(l, "k", "k_sconv", uk), st_smooth_by_token(l, "v", "v_sconv", uv);
    } else {
        st_smooth(l, "k", "attn.k_sconv", "GS*KS"), st_smooth(l, "v", "attn.v_sconv", "GS*KS");
        ST("{'out':'k','op':'reshape','x':'k','shape':['G$','K$']}");
        ST("{'out':'v','op':'reshape','x':'v','shape':['G$','K$']}");
    }
    ST("{'out':'q','op':'reshape','x':'q','shape':['H$','K$']}");
    st_clip(l, "q", "q_l2_clip.scale[H$, K$]'", z->qk_limit);
    if (l->full) ST("{'out':'q','map':'q * far'}");
    st_clip(l, "k", NULL, z->qk_limit);
    ST("{'out':'v','op':'norm.rms','x':'v','eps':%.17g}", z->norm.eps);
    st_profiles(l);
    ST("{'out':'y','op':'attend','q':'q','k':'k','v':'v','sinks':'sinks','recent':'recent'%s,"
       "'state':['keys','values']}",
       l->full ? "" : arena_printf(l->x->a, ",'window':%lld", (long long)z->window));
    ST("{'out':'y','op':'reshape','x':'y','shape':['H$*K$']}");
    ST("{'out':'y','map':'y * sigmoid(gate)'}");
    ST("{'out':'o','op':'linear','x':'y','w':'@~wo_ud.weight[D, H$*K$]'}");
}

/* Layer i: complete blocks come in as n0, n1, ..; the first layer of a block completes the one before it. */
static void write_layer(ImportCtx *x, const Inkling *z, const char *name, int i, bool full) {
    Text in = text_new(x->a);
    Layer l = {.x = x, .z = z, .i = i, .full = full, .blocks = (int)((i + z->per_block - 1) / z->per_block)};
    bool first = i % z->per_block == 0;
    for (int k = 0; k < l.blocks; k++) text_add(&in, ",'n%d'", k);
    l.b = block_new(x->model, name, arena_printf(x->a, "['x'%s]", in.s),
                    first ? arena_printf(x->a, "['x'%s,'n%d']", in.s, l.blocks) : "['x']");
    if (i > 0) {
        st_sources(x, l.b, l.blocks, full ? 3 : 1, arena_printf(x->a, "attn_queries.%d", i - 1));
    } else {
        st(l.b, "{'out':'n0','op':'norm.rms','x':'x','eps':1e-6}");
        for (int k = 0; k < (full ? 3 : 1); k++) st(l.b, "{'out':'m%d','map':'x'}", k);
    }
    if (full) {
        static const char *const norms[][2] = {
            {"u", "q_input_norm"}, {"uk", "k_input_norm"}, {"uv", "v_input_norm"}};
        for (int k = 0; k < 3; k++)
            st_norm(l.b, norms[k][0], arena_printf(x->a, "m%d", k), norms[k][1], "D", &z->norm);
    } else {
        st_norm(l.b, "u", "m0", "attn_norm", "D", &z->norm);
    }
    st_attend(&l);
    st_smooth(&l, "o", "attn_sconv", "D");
    st(l.b, first ? "{'out':'x','map':'o'}" : "{'out':'x','map':'x + o'}");
    st_sources(x, l.b, l.blocks + first, 1, arena_printf(x->a, "mlp_queries.%d", i));
    st_norm(l.b, "u", "m0", "mlp_norm", "D", &z->norm);
    st_experts(x, l.b, "f", "u", &z->experts);
    st_smooth(&l, "f", "mlp_sconv", "D");
    st_residual(x, l.b, "f", 0);
}

static Attention read_heads(Cfg *c, const char *heads, const char *kv_heads, const char *width) {
    Attention t = {.heads = cfg_size(c, heads, 48), .kv_heads = cfg_size(c, kv_heads, 8)};
    t.width = cfg_size(c, width, 128);
    if (t.heads % t.kv_heads && !import_failed(c->ctx))
        cfg_error(c, kv_heads, "%lld heads of keys are not shared evenly by %lld heads of queries",
                  (long long)t.kv_heads, (long long)t.heads);
    return t;
}

static void write_dims(ImportCtx *x, const Attention *t, const char *tag, int64_t extent) {
    model_dim(x->model, arena_printf(x->a, "H%s", tag), t->heads);
    model_dim(x->model, arena_printf(x->a, "G%s", tag), t->kv_heads);
    model_dim(x->model, arena_printf(x->a, "K%s", tag), t->width);
    model_dim(x->model, arena_printf(x->a, "X%s", tag), extent);
}

static void read_experts(Cfg *c, Experts *e) {
    *e = (Experts){.count = 384, .chosen = 8, .stacked = true, .act = "silu"};
    e->gate_up = "mlp.experts.w13_weight", e->by_turns = true, e->down = "mlp.experts.w2_weight";
    e->width = cfg_size(c, "moe_intermediate_size", 2304);
    e->gate_cap = cfg_float(c, "mlp_gate_softcap", 4, ">0 <=1e30");
    e->up_cap = cfg_float(c, "mlp_up_softcap", 25, ">0 <=1e30");
    e->router = (Router){.scores = SCORES_SIGMOID, .module = "mlp.gate", .correction = "mlp.gate.bias"};
    e->router.normalize = true, e->router.floor = 1e-20;
    e->router.scale = cfg_float(c, "route_scale", 8, NULL);
    if (strcmp(cfg_str(c, "scoring_func", "sigmoid"), "sigmoid") != 0)
        cfg_error(c, "scoring_func", "only \"sigmoid\" is supported");
    cfg_experts(c, e);
    cfg_skip(c, "hidden_act"); /* the gate is what the caps make of it */
}

static cJSON *import(ImportCtx *x) {
    static const LayerWord words[] = {{"hybrid", "full"}, {"hybrid_sliding", "sliding"}, {0}};
    Cfg *c = &x->cfg;
    if (!c->node) return import_error(x, "there is no config.json, which an Inkling model needs"), NULL;
    Frame f = frame_named();
    f.prefix = "model.llm.layers.{i}.", f.embedding = "model.llm.embed.weight",
    f.head = "model.llm.unembed.weight";
    f.final_norm = "model.llm.norm", f.tied_key = NULL;
    f.vocab = 201024, f.width = 4608, f.layers = 48;
    cfg_frame(x, &f);
    Inkling z = {.norm = {.eps = cfg_float(c, "rms_norm_eps", 1e-6, ">=0")}};
    f.norm = z.norm, f.logit_cap = cfg_float(c, "final_logit_softcapping", 30, ">0 <=1e30");
    z.full = read_heads(c, "num_attention_heads", "num_key_value_heads", "head_dim");
    z.sliding = read_heads(c, "swa_num_attention_heads", "swa_num_key_value_heads", "swa_head_dim");
    z.full.positions = cfg_size(c, "max_position_embeddings", 1048576);
    z.window = cfg_size(c, "sliding_window_size", 1024), z.extent = cfg_size(c, "rel_extent", 1024);
    z.rel = cfg_size(c, "d_rel", 16), z.taps = cfg_size(c, "conv_kernel_size", 4);
    z.per_block = cfg_size(c, "n_layers_per_attn_res_block", 6);
    z.qk_limit = cfg_float(c, "qk_l2_clip_threshold", 22.627416997969522, ">0");
    z.rel_limit = cfg_float(c, "rel_l2_clip_threshold", 8, ">0");
    z.alpha = cfg_float(c, "log_scaling_alpha", 0.1, NULL);
    z.floor = (double)cfg_size(c, "log_scaling_n_floor", 128000);
    read_experts(c, &z.experts);
    int64_t shown = cfg_size(c, "unpadded_vocab_size", 200058);
    if (shown > f.vocab) shown = f.vocab;
    Layers layers = {0};
    bool said = cfg_layer_words(c, "layer_types", f.layers, words, &layers);
    for (int64_t i = 0; i < f.layers && !said && !import_failed(x); i++)
        layers_add(x->a, &layers, (i + 1) % 6 ? "sliding" : "full");
    if (import_failed(x)) return NULL;

    cJSON *m = frame_begin(x, &f);
    model_dim(m, "R", z.rel), model_dim(m, "T", z.taps);
    if (layers_have(&layers, "full")) write_dims(x, &z.full, "", z.extent);
    if (layers_have(&layers, "sliding")) write_dims(x, &z.sliding, "S", z.window);
    for (int i = 0; i < layers.n; i++) {
        bool full = layers.block[i][0] == 'f';
        layers.block[i] = arena_printf(x->a, "%s%d", layers.block[i], i);
        write_layer(x, &z, layers.block[i], i, full);
    }
    frame_embed(x, &f);
    st_norm(model_ops(m), "x", "x", "model.llm.embed_norm", "D", &z.norm);
    frame_layers(x, &f, &layers);
    st_sources(x, model_ops(m), (int)((f.layers + z.per_block - 1) / z.per_block), 1, "output_query");
    st(model_ops(m), "{'out':'x','map':'m0'}");
    frame_head(x, &f);
    if (shown < f.vocab)
        st(model_ops(m), "{'out':'logits','op':'slice','x':'logits','start':0,'size':%lld}",
           (long long)shown);
    return m;
}

const Importer importer_inkling2 = {
    .name = "inkling2",
    .doc = "Inkling-2 (text): attention with learned relative-position bias and sinks, short convolutions, "
           "residual stream in blocks",
    .accepts = "Inkling2ForCausalLM inkling2_text",
    .recurrence = "KV cache; short convolution",
    .cases = "hf-inkling2-text",
    .import = import,
};
