/* MiniMax-01: MiniMax 2025, arXiv:2501.08313. Layers of lightning attention (Qin et al. 2024, arXiv:2401.04658)
 * and of softmax attention, all with a mixture of experts. Lightning attention is linear attention with fixed
 * decays per head, slower in later layers. The residual connection starts from the normalised input: x = alpha *
 * norm(x) + beta * part(norm(x)). */
#include <math.h>
#include <string.h>

#include "import/parts/decoder.h"
#include "import/parts/frame.h"
#include "import/parts/heads.h"

typedef struct MiniMax {
    Norm norm;
    Attention attention;
    Experts experts;
    double alpha[3], beta[3]; /* of linear attention, attention, experts */
} MiniMax;

/* o = lightning(u); "d" comes from outside */
static void st_lightning(ImportCtx *x, cJSON *b, const MiniMax *t) {
    st_linear(b, "qkv", "u", "self_attn.qkv_proj", "H*3*K", "D", false);
    st_act(b, "qkv", "qkv", t->experts.act);
    st(b, "{'out':'qkv','op':'reshape','x':'qkv','shape':['H','3*K']}");
    st(b, "{'out':['q','k','v'],'split':'qkv','sizes':['K','K','K']}");
    st(b, "{'out':'y','op':'scan.matrix','q':'q','k':'k','v':'v','decay':'d','state':'S'}");
    st_linear(b, "g", "u", "self_attn.output_gate", "H*K", "D", false);
    HeadsOut o = {
        .module = "self_attn", .heads = "H", .width = "K", .norm = "norm", .kind.eps = 1e-6, .whole = true};
    o.gate = "g", o.act = "sigmoid", o.tensor = "out_proj";
    st_heads_out(x, b, "o", "y", &o);
}

static void st_mixed(ImportCtx *x, cJSON *b, const MiniMax *t, int which, const char *value) {
    st(b, "{'out':'x','map':'%s * u + %s * %s'}", json_number(x->a, t->alpha[which]),
       json_number(x->a, t->beta[which]), value);
}

static void write_block(ImportCtx *x, const MiniMax *t, bool linear) {
    cJSON *b = linear ? block_new(x->model, "linear", "['x','d']", "['x']")
                      : block_new(x->model, "attention", NULL, NULL);
    st_norm(b, "u", "x", "input_layernorm", "D", &t->norm);
    if (linear)
        st_lightning(x, b, t);
    else
        st_attention(x, b, "o", "u", &t->attention);
    st_mixed(x, b, t, !linear, "o");
    st_norm(b, "u", "x", "post_attention_layernorm", "D", &t->norm);
    st_experts(x, b, "f", "u", &t->experts);
    st_mixed(x, b, t, 2, "f");
}

static void read_factors(Cfg *c, MiniMax *t) {
    static const char *const names[] = {"linear_attn", "full_attn", "mlp"};
    for (int i = 0; i < 3; i++) {
        t->alpha[i] = cfg_float(c, arena_printf(c->ctx->a, "%s_alpha_factor", names[i]), 1, NULL);
        t->beta[i] = cfg_float(c, arena_printf(c->ctx->a, "%s_beta_factor", names[i]), 1, NULL);
    }
}

static cJSON *import(ImportCtx *x) {
    static const LayerWord words[] = {{"linear_attention", "linear"}, {"full_attention", "attention"}, {0}};
    Cfg *c = &x->cfg;
    if (!c->node) return import_error(x, "there is no config.json, which a MiniMax model needs"), NULL;
    Frame f = frame_named();
    cfg_frame(x, &f);
    MiniMax t = {.norm = {.eps = cfg_float(c, "rms_norm_eps", 1e-5, ">=0")}};
    f.norm = t.norm;
    t.attention = (Attention){.module = "self_attn", .window = cfg_window(c, 0), .kv_heads = 8};
    cfg_heads(c, f.width, &t.attention);
    t.attention.positions = cfg_size(c, "max_position_embeddings", 131072);
    t.attention.rope = cfg_rope(c, t.attention.width, 1e6, 0, t.attention.positions);
    t.experts = (Experts){.count = 8,
                          .chosen = 2,
                          .module = "block_sparse_moe.experts",
                          .gate = "w1",
                          .up = "w3",
                          .down = "w2"};
    t.experts.width = cfg_size(c, "intermediate_size", REQUIRED),
    t.experts.act = cfg_act(c, "hidden_act", "silu");
    t.experts.router = (Router){.module = "block_sparse_moe.gate", .normalize = true};
    cfg_experts(c, &t.experts);
    read_factors(c, &t);
    cfg_skip(c, "block_size"); /* how many tokens the original takes at a time */
    Layers layers = {0};
    if (!cfg_layer_words(c, "layer_types", f.layers, words, &layers))
        for (int64_t i = 0; i < f.layers; i++) layers_add(x->a, &layers, i % 2 ? "linear" : "attention");
    if (import_failed(x)) return NULL;

    cJSON *m = frame_begin(x, &f);
    int64_t H = t.attention.heads;
    double *pace = ARENA_ARRAY(x->a, double, H);
    model_dim(m, "H", H), model_dim(m, "K", t.attention.width);
    if (layers_have(&layers, "linear")) write_block(x, &t, true);
    if (layers_have(&layers, "attention")) write_block(x, &t, false);
    frame_embed(x, &f);
    for (int64_t i = 0; i < f.layers; i++) {
        double slower = 1 - (double)i / ((double)f.layers - 1 + 1e-5) + 1e-5;
        for (int64_t h = 0; h < H; h++) pace[h] = -exp2(-8 * (double)(h + 1) / (double)H) * slower;
        if (!strcmp(layers.block[i], "linear")) st_fixed_decays(x, model_ops(m), "d", "H", pace, H);
        st_layers(m, 1, arena_printf(x->a, "['%s']", layers.block[i]), f.prefix);
    }
    static const char *const tables[] = {"slope_rate", "query_decay", "key_decay", "diagonal_decay"};
    for (int i = 0; i < 4; i++) /* they follow from the configuration */
        model_ignore(m, arena_printf(x->a, "model.layers.*.self_attn.%s", tables[i]));
    frame_head(x, &f);
    return m;
}

const Importer importer_minimax = {
    .name = "minimax",
    .doc = "MiniMax-01: lightning attention and softmax attention layers, mixture of experts",
    .accepts = "MiniMaxForCausalLM",
    .recurrence = "matrix state, fixed decay per head; KV cache",
    .cases = "hf-minimax",
    .import = import,
};
