/* Zaya: Zyphra 2025, with compressed convolutional attention: Figliolia et al. 2025, arXiv:2510.04476. Queries and
 * keys pass two short convolutions, the second one per head, with a skip connection around both. Half of the
 * values come from the previous token. Top-1 routing with a skip choice; a router passes a state to the router of
 * the next layer. Residual connections scale and shift both the stream and what is added. */
#include <math.h>

#include "import/parts/attention.h"
#include "import/parts/experts.h"
#include "import/parts/frame.h"

typedef struct Zaya {
    Norm norm;
    Attention attention;
    int64_t taps[2];
    Experts experts;
    int64_t router; /* its width */
} Zaya;

static const char *times(Arena *a, const char *name, int64_t n) {
    Text t = text_new(a);
    for (int64_t i = 0; i < n; i++) text_add(&t, "%s'%s'", i ? "," : "", name);
    return t.s;
}

/* "c" [(H+G)*K] from "q" and "k": both convolutions. The first one's bias stands in the places before the sequence, too,
 * so it is added behind the shifts. */
static void st_convolve(ImportCtx *x, cJSON *b, const Zaya *z) {
    Text taps = text_new(x->a);
    int64_t n = z->taps[1];
    st(b, "{'out':'c','op':'concat','in':['q','k'],'axis':0}");
    st(b, "{'out':'c','op':'conv.short','x':'c','w':'@self_attn.qkv_proj.conv_qk_depthwise.weight[H*K + G*K, "
          "T0]',"
          "'state':'conv'}");
    for (int64_t i = n - 1; i >= 0; i--) {
        long long at = (long long)i;
        st(b, "{'out':'c%lld','map':'c + @self_attn.qkv_proj.conv_qk_depthwise.bias[H*K + G*K]'}", at);
        st(b, "{'out':'c%lld','op':'reshape','x':'c%lld','shape':['H + G','K']}", at, at);
        if (i) st(b, "{'out':'c','op':'shift','x':'c','state':'old%lld'}", at);
    }
    for (int64_t i = 0; i < n; i++) text_add(&taps, "%s'c%lld'", i ? "," : "", (long long)i);
    st(b, "{'out':'c','op':'concat','in':[%s],'axis':1}", taps.s);
    st(b, "{'out':'c','op':'reshape','x':'c','shape':['(H + G)*T1*K']}");
    st(b, "{'out':'w','op':'reshape','x':'@self_attn.qkv_proj.conv_qk_grouped.weight[H*K + G*K, K, T1]',"
          "'shape':['H + G','K','K','T1']}");
    st(b, "{'out':'w','op':'transpose','x':'w','perm':[0,3,2,1]}");
    st(b, "{'out':'w','op':'reshape','x':'w','shape':['H + G','T1*K','K']}");
    st(b, "{'out':'bias','op':'reshape','x':'@self_attn.qkv_proj.conv_qk_grouped.bias[H*K + G*K]',"
          "'shape':['H + G','K']}");
    st(b, "{'out':'c','op':'linear.blocks','x':'c','w':'w','b':'bias'}");
}

/* "q_res" [H, K]: the mean of each query and the key of its group; "k_res" [G, K]: the mean of that over the group. */
static void st_beside(ImportCtx *x, cJSON *b, int64_t group) {
    st(b, "{'out':'k','op':'reshape','x':'k','shape':['G','K']}");
    st(b, "{'out':'k_res','op':'concat','in':[%s],'axis':1}", times(x->a, "k", group));
    st(b, "{'out':'q','op':'reshape','x':'q','shape':['G','H/G*K']}");
    st(b, "{'out':'q_res','map':'0.5 * (q + k_res)'}");
    Text parts = text_new(x->a), sum = text_new(x->a);
    for (int64_t i = 0; i < group; i++) {
        text_add(&parts, "%s'p%lld'", i ? "," : "", (long long)i);
        text_add(&sum, "%sp%lld", i ? " + " : "", (long long)i);
    }
    st(b, "{'out':[%s],'split':'q_res','sizes':[%s]}", parts.s, times(x->a, "K", group));
    st(b, "{'out':'k_res','map':'(%s) / %lld'}", sum.s, (long long)group);
    st(b, "{'out':'q_res','op':'reshape','x':'q_res','shape':['H','K']}");
}

/* "v" [G, K]: half from this token, half from the one before; before the first one stands a token of zeros. */
static void st_values(cJSON *b, bool bias) {
    st_linear(b, "v", "u", "self_attn.qkv_proj.v_proj_current", "G*K/2", "D", bias);
    st_linear(b, "late", "u", "self_attn.qkv_proj.v_proj_delayed", "G*K/2", "D", false);
    st(b, "{'out':'late','op':'shift','x':'late','state':'late'}");
    if (bias) st(b, "{'out':'late','map':'late + @self_attn.qkv_proj.v_proj_delayed.bias[G*K/2]'}");
    st(b, "{'out':'v','op':'concat','in':['v','late'],'axis':0}");
    st(b, "{'out':'v','op':'reshape','x':'v','shape':['G','K']}");
}

/* "o" from "u". Queries and keys have norm 1 (in the original sqrt(K) each, and scores are divided by that once). */
static void st_attend(ImportCtx *x, cJSON *b, const Zaya *z) {
    const Attention *t = &z->attention;
    model_dim(x->model, "H", t->heads), model_dim(x->model, "G", t->kv_heads),
        model_dim(x->model, "K", t->width);
    model_dim(x->model, "T0", z->taps[0]), model_dim(x->model, "T1", z->taps[1]);
    st_linear(b, "q", "u", "self_attn.qkv_proj.q_proj", "H*K", "D", t->bias_qkv);
    st_linear(b, "k", "u", "self_attn.qkv_proj.k_proj", "G*K", "D", t->bias_qkv);
    st_convolve(x, b, z);
    st_beside(x, b, t->heads / t->kv_heads);
    st(b, "{'out':['q','k'],'split':'c','sizes':['H*K','G*K']}");
    st(b, "{'out':'q','op':'reshape','x':'q','shape':['H','K']}");
    st(b, "{'out':'k','op':'reshape','x':'k','shape':['G','K']}");
    st(b, "{'out':'q','map':'q + q_res'}");
    st(b, "{'out':'k','map':'k + k_res'}");
    st(b, "{'out':'q','op':'norm.l2','x':'q','mode':'floor','eps':%.17g}", ldexp(1, -23));
    st(b, "{'out':'k','op':'norm.l2','x':'k','mode':'floor','eps':%.17g}", ldexp(1, -23));
    st(b, "{'out':'temp','op':'reshape','x':'@self_attn.qk_norm.temp[G]','shape':['G',1]}");
    st(b, "{'out':'k','map':'k * temp'}");
    st_values(b, t->bias_qkv);
    st_positions(b, t->width, &t->rope);
    st_rope(b, "q", &t->rope), st_rope(b, "k", &t->rope);
    if (!t->window) model_context(x, t->positions, t->rope.limit);
    st(b, "{'out':'y','op':'attend','q':'q','k':'k','v':'v','scale':%s%s,'state':['keys','values']}",
       json_number(x->a, sqrt((double)t->width)),
       t->window ? arena_printf(x->a, ",'window':%lld", (long long)t->window) : "");
    st(b, "{'out':'y','op':'reshape','x':'y','shape':['H*K']}");
    st_linear(b, "o", "y", "self_attn.o_proj", "D", "H*K", t->bias_o);
}

/* x = (value + shift) * scale + (x + shift) * scale */
static void st_add(cJSON *b, const char *value, const char *module) {
    st(b,
       "{'out':'x','map':'(%s + @%s.hidden_states_bias[D]) * @%s.hidden_states_scale[D]"
       " + (x + @%s.residual_bias[D]) * @%s.residual_scale[D]'}",
       value, module, module, module, module);
}

/* "pe" and "by" [E]: the probabilities of experts, 0 where the class behind them wins, which is none; and what they are
 * chosen by. That class counts 1 less, whatever the file says. */
static void st_route(ImportCtx *x, cJSON *b, const Zaya *z, bool first) {
    model_dim(x->model, "E", z->experts.count), model_dim(x->model, "RH", z->router);
    st_linear(b, "s", "u", "mlp.gate.down_proj", "RH", "D", true);
    st(b, first ? "{'out':'r','map':'s'}" : "{'out':'r','map':'s + r * @mlp.gate.router_states_scale[RH]'}");
    st_norm(b, "s", "r", "mlp.gate.router_mlp.norm", "RH", &z->norm);
    st_linear(b, "s", "s", "mlp.gate.router_mlp.fc1", "RH", "RH", true);
    st(b, "{'out':'s','map':'gelu(s)'}");
    st_linear(b, "s", "s", "mlp.gate.router_mlp.fc2", "RH", "RH", true);
    st(b, "{'out':'s','map':'gelu(s)'}");
    st_linear(b, "s", "s", "mlp.gate.router_mlp.out_proj", "E + 1", "RH", false);
    st(b, "{'out':'s','op':'softmax','x':'s'}");
    st(b,
       "{'out':'bias','op':'slice','x':'@mlp.gate.balancing_biases[E + 1]','axis':0,'start':0,'size':'E'}");
    st(b, "{'out':'bias','op':'concat','in':['bias',[-1]],'axis':0}");
    st(b, "{'out':'by','map':'s + bias'}");
    st(b, "{'out':'best','op':'largest','x':'by','k':1}");
    st(b, "{'out':['pe','none'],'split':'s','sizes':['E',1]}");
    st(b, "{'out':['by','none'],'split':'by','sizes':['E',1]}");
    st(b, "{'out':['best','none'],'split':'best','sizes':['E',1]}");
    st(b, "{'out':'pe','map':'pe * (1 - none)'}");
}

static void write_block(ImportCtx *x, const char *name, const Zaya *z, bool first) {
    cJSON *b = block_new(x->model, name, first ? "['x']" : "['x','r']", "['x','r']");
    st_norm(b, "u", "x", "input_layernorm", "D", &z->norm);
    st_attend(x, b, z);
    st_add(b, "o", "post_attention_residual_scale");
    st_norm(b, "u", "x", "post_attention_layernorm", "D", &z->norm);
    st_route(x, b, z, first);
    st_experts(x, b, "f", "u", &z->experts);
    st_add(b, "f", "post_mlp_residual_scale");
}

static void read_attention(Cfg *c, int64_t hidden, Zaya *z) {
    Attention *t = &z->attention;
    *t = (Attention){.heads = 8, .kv_heads = 2, .width = 128};
    cfg_heads(c, hidden, t);
    t->positions = cfg_size(c, "max_position_embeddings", 131072);
    t->bias_qkv = t->bias_o = cfg_bool(c, "attention_bias", false);
    z->taps[0] = cfg_size(c, "cca_time0", 2), z->taps[1] = cfg_size(c, "cca_time1", 2);
    if (t->kv_heads * t->width % 2 && !import_failed(c->ctx))
        cfg_error(c, "head_dim", "half of the values' width, %lld, is no whole number",
                  (long long)(t->kv_heads * t->width));
}

static cJSON *import(ImportCtx *x) {
    static const LayerWord words[] = {{"hybrid", "full"}, {"hybrid_sliding", "sliding"}, {0}};
    Cfg *c = &x->cfg;
    if (!c->node) return import_error(x, "there is no config.json, which a Zaya model needs"), NULL;
    Frame f = frame_named();
    f.vocab = 262272, f.width = 2048, f.layers = 40, f.tied = true;
    cfg_frame(x, &f);
    Zaya z = {.norm = {.eps = cfg_float(c, "rms_norm_eps", 1e-5, ">=0")}};
    f.norm = z.norm;
    if (cfg_bool(c, "lm_head_bias", false)) f.head_bias = "lm_head.bias";
    read_attention(c, f.width, &z);
    Layers layers = {0};
    if (!cfg_layer_words(c, "layer_types", f.layers, words, &layers))
        layers = *layers_same(x->a, f.layers, "full");
    RopeKeys keys = {.width = z.attention.width, .positions = z.attention.positions, .partial = 0.5};
    keys.kind = "hybrid", keys.theta = 5e6;
    Rope full = cfg_rope_keys(c, &keys), near = full;
    int64_t window = layers_have(&layers, "sliding") ? cfg_size(c, "sliding_window", REQUIRED) : 0;
    keys.kind = "hybrid_sliding", keys.theta = 1e4;
    if (window) near = cfg_rope_keys(c, &keys);
    cfg_skip_all(c, "sliding_window rope_parameters");
    z.experts =
        (Experts){.count = 16, .chosen = 1, .module = "mlp.experts", .act = cfg_act(c, "hidden_act", "silu")};
    z.experts.width = cfg_size(c, "moe_intermediate_size", 2048);
    z.experts.router = (Router){.scores = SCORES_GIVEN, .logits = "pe", .by = "by"};
    cfg_only_int(c, "num_experts_per_tok", 1, 1), cfg_experts(c, &z.experts);
    experts_look(x, "model.layers.0.", &z.experts);
    z.router = cfg_size(c, "router_hidden_size", 256);
    if (import_failed(x)) return NULL;

    frame_begin(x, &f);
    for (int i = 0; i < layers.n; i++) {
        bool slides = layers.block[i][0] == 's';
        Layers before = {.block = layers.block, .n = i};
        if (!i) layers.block[0] = slides ? "first_sliding" : "first";
        if (layers_have(&before, layers.block[i])) continue;
        z.attention.window = slides ? window : 0, z.attention.rope = slides ? near : full;
        write_block(x, layers.block[i], &z, !i);
    }
    frame_embed(x, &f);
    st(model_ops(x->model),
       "{'out':'x','map':'(x + @model.input_hidden_states_bias[D]) * @model.input_hidden_states_scale[D]'}");
    frame_layers(x, &f, &layers);
    frame_head(x, &f);
    return x->model;
}

const Importer importer_zaya = {
    .name = "zaya",
    .doc = "Zaya: compressed convolutional attention, top-1 mixture of experts with a router state",
    .accepts = "ZayaForCausalLM",
    .recurrence = "KV cache; short convolution",
    .cases = "hf-zaya",
    .import = import,
};
