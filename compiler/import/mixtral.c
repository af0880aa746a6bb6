/* Mixtral: Jiang et al. 2024, arXiv:2401.04088. Llama's attention; in place of the MLP a softmax over the
 * experts, of which the best few are computed, their weights made to sum to 1. */
#include "import/import.h"

static void write_block(ImportCtx *x, cJSON *m, const Attention *t, const char *act) {
    cJSON *b = block_new(m, "layer", NULL, NULL);
    st(b, "{'out':'u','op':'norm.rms','x':'x','w':'@input_layernorm.weight[D]','eps':%.17g}", t->eps);
    st_attention(x, b, t);
    st(b, "{'out':'u','op':'norm.rms','x':'x','w':'@post_attention_layernorm.weight[D]','eps':%.17g}",
       t->eps);
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
    st(b, "{'out':'x','map':'x + f'}");
}

static cJSON *import(ImportCtx *x) {
    Cfg *c = &x->cfg;
    if (!c->node) return import_error(x, "there is no config.json, which a Mixtral model needs"), NULL;
    int64_t layers = cfg_layers(c, "num_hidden_layers", REQUIRED, "model.layers."),
            D = cfg_size(c, "hidden_size", REQUIRED), H = cfg_size(c, "num_attention_heads", REQUIRED);
    int64_t G = cfg_kv_heads(c, H), K = cfg_size(c, "head_dim", D / H ? D / H : 1);
    int64_t V = cfg_size(c, "vocab_size", REQUIRED), F = cfg_size(c, "intermediate_size", REQUIRED);
    int64_t E = cfg_size(c, "num_local_experts", 8), C = cfg_size(c, "num_experts_per_tok", 2);
    int64_t positions = cfg_size(c, "max_position_embeddings", 131072);
    const char *act = cfg_act(c, "hidden_act", "silu");
    bool tied = cfg_bool(c, "tie_word_embeddings", false);
    Attention t = {.module = "self_attn",
                   .eps = cfg_float(c, "rms_norm_eps", 1e-5, ">=0"),
                   .rope = cfg_rope(c, K, 1e6, 1, positions),
                   .window = cfg_window(c, 0)};
    if (C > E) cfg_error(c, "num_experts_per_tok", "there are only %lld experts", (long long)E);
    if (import_failed(x)) return NULL;

    cJSON *m = model_new(x, "tokens");
    model_dim(m, "V", V), model_dim(m, "D", D), model_dim(m, "H", H), model_dim(m, "G", G),
        model_dim(m, "K", K);
    model_dim(m, "F", F), model_dim(m, "E", E), model_dim(m, "C", C);
    model_comment(m, "E experts, C of them chosen for each token");
    if (!t.window) model_context(x, m, positions, t.rope.limit);
    write_block(x, m, &t, act);
    cJSON *ops = model_ops(m);
    Tied tables =
        tied_tables(x, m, tied, "tie_word_embeddings", "model.embed_tokens.weight", "lm_head.weight");
    st(ops, "{'out':'x','op':'embed','ids':'tokens','table':'@%s[V, D]'}", tables.table);
    st_layers(m, layers, "['layer']", "model.layers.{i}.");
    st(ops, "{'out':'x','op':'norm.rms','x':'x','w':'@model.norm.weight[D]','eps':%.17g}", t.eps);
    st(ops, "{'out':'logits','op':'linear','x':'x','w':'@%s[V, D]'}", tables.head);
    model_unused(x, m, "*.rotary_emb.inv_freq", "rotary frequencies follow from the configuration");
    model_ids(x, m);
    return m;
}

const Importer importer_mixtral = {
    .name = "mixtral",
    .doc = "Mixtral: attention and a mixture of experts",
    .accepts = "MixtralForCausalLM",
    .import = import,
};
