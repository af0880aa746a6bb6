/* Mixtral: Jiang et al. 2024, arXiv:2401.04088. Llama's attention; in place of the MLP a softmax over the
 * experts, of which the best few are computed, their weights made to sum to 1. */
#include "import/parts/attention.h"
#include "import/parts/frame.h"

static void write_experts(cJSON *b, const char *act) {
    st_linear(b, "p", "u", "block_sparse_moe.gate", "E", "D", false);
    st(b, "{'out':'p','op':'softmax','x':'p'}");
    st(b, "{'out':['p','expert'],'op':'topk','x':'p','k':'C','normalize':true}");
    st(b, "{'out':'gate','op':'linear.experts','x':'u','index':'expert',"
          "'w':'@block_sparse_moe.experts.{0..E}.w1.weight[E, F, D]'}");
    st(b, "{'out':'up','op':'linear.experts','x':'u','index':'expert',"
          "'w':'@block_sparse_moe.experts.{0..E}.w3.weight[E, F, D]'}");
    st(b, "{'out':'f','map':'%s(gate) * up'}", act);
    st(b, "{'out':'f','op':'linear.experts','x':'f','index':'expert',"
          "'w':'@block_sparse_moe.experts.{0..E}.w2.weight[E, D, F]'}");
    st(b, "{'out':'f','op':'combine','x':'f','w':'p'}");
}

static cJSON *import(ImportCtx *x) {
    Cfg *c = &x->cfg;
    if (!c->node) return import_error(x, "there is no config.json, which a Mixtral model needs"), NULL;
    Frame f = frame_named();
    cfg_frame(x, &f);
    f.norm = (Norm){.eps = cfg_float(c, "rms_norm_eps", 1e-5, ">=0")};
    int64_t positions = cfg_size(c, "max_position_embeddings", 131072);
    Attention t = {.module = "self_attn", .positions = positions};
    cfg_heads(c, f.width, &t);
    t.rope = cfg_rope(c, t.width, 1e6, 1, positions);
    t.window = cfg_window(c, 0);
    int64_t F = cfg_size(c, "intermediate_size", REQUIRED), E = cfg_size(c, "num_local_experts", 8),
            C = cfg_size(c, "num_experts_per_tok", 2);
    const char *act = cfg_act(c, "hidden_act", "silu");
    if (C > E) cfg_error(c, "num_experts_per_tok", "there are only %lld experts", (long long)E);
    if (import_failed(x)) return NULL;

    cJSON *m = frame_begin(x, &f);
    model_dim(m, "F", F), model_dim(m, "E", E), model_dim(m, "C", C);
    model_comment(m, "E experts, C of them chosen for each token");
    cJSON *b = block_new(m, "layer", NULL, NULL);
    st_norm(b, "u", "x", "input_layernorm", "D", &f.norm);
    st_attention(x, b, "o", "u", &t);
    st_residual(x, b, "o", 0);
    st_norm(b, "u", "x", "post_attention_layernorm", "D", &f.norm);
    write_experts(b, act);
    st_residual(x, b, "f", 0);
    return frame_end(x, &f, &(Layers){.block = (const char *[]){"layer"}, .n = 1});
}

const Importer importer_mixtral = {
    .name = "mixtral",
    .doc = "Mixtral: attention and a mixture of experts",
    .accepts = "MixtralForCausalLM",
    .recurrence = "attention",
    .cases = "hf-mixtral",
    .import = import,
};
