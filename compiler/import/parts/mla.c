/* DeepSeek-AI 2024, arXiv:2405.04434, section 2.1. The up-projections of keys and values are absorbed into the
 * query and the output: scores are q' c with q' = W_k^T q, and the output is W_v applied to the weighted sum of c.
 * The cache holds one vector per token, whatever the number of heads. */
#include "import/parts/mla.h"

#include <math.h>

#include "import/parts/attention.h"

static int64_t size(Cfg *c, const char *key, int64_t otherwise) {
    return cfg_size(c, key, otherwise ? otherwise : REQUIRED);
}

void cfg_mla(Cfg *c, Mla *t) {
    t->heads = size(c, "num_attention_heads", t->heads);
    cfg_only_int(c, "num_key_value_heads", t->heads, t->heads);
    t->kv_latent = size(c, "kv_lora_rank", t->kv_latent);
    /* here null and an absent key differ: null says that there is no such vector */
    t->q_latent = cfg_int(c, "q_lora_rank", json_get(c->node, "q_lora_rank") ? 0 : t->q_latent);
    t->nope_dims = size(c, "qk_nope_head_dim", t->nope_dims);
    t->rope_dims = size(c, "qk_rope_head_dim", t->rope_dims);
    t->value = size(c, "v_head_dim", t->value);
    t->bias = cfg_bool(c, "attention_bias", t->bias);
    t->scale = 1 / sqrt((double)(t->nope_dims + t->rope_dims));
    cfg_only_int(c, "qk_head_dim", t->nope_dims + t->rope_dims, t->nope_dims + t->rope_dims);
    cfg_skip(c, "head_dim"); /* the originals set it to qk_rope_head_dim, whatever it says */
}

static void st_query(ImportCtx *x, cJSON *ops, const char *in, const Mla *t) {
    const char *m = t->module;
    if (t->q_latent) {
        model_dim(x->model, "LQ", t->q_latent);
        st_linear(ops, "q", in, arena_printf(x->a, "%s.q_a_proj", m), "LQ", "D", t->bias);
        st_norm(ops, "q", "q", arena_printf(x->a, "%s.q_a_layernorm", m), "LQ", &t->norm);
        st_linear(ops, "q", "q", arena_printf(x->a, "%s.q_b_proj", m), "LH*(LN + LR)", "LQ", false);
    } else {
        st_linear(ops, "q", in, arena_printf(x->a, "%s.q_proj", m), "LH*(LN + LR)", "D", false);
    }
    st(ops, "{'out':'q','op':'reshape','x':'q','shape':['LH','LN + LR']}");
    st(ops, "{'out':['qn','qr'],'split':'q','sizes':['LN','LR']}");
    if (!t->rope.none) st_rope(ops, "qr", &t->rope);
    st(ops, "{'out':'qn','op':'reshape','x':'qn','shape':['LH*LN']}");
    st(ops, "{'out':'wk','op':'slice','x':'kvb','axis':1,'start':0,'size':'LN'}");
    st(ops, "{'out':'qc','op':'linear.blocks','x':'qn','w':'wk'}");
    st(ops, "{'out':'qc','op':'reshape','x':'qc','shape':['LH','LK']}");
    st(ops, "{'out':'q','op':'concat','in':['qc','qr'],'axis':-1}");
}

void st_mla(ImportCtx *x, cJSON *ops, const char *out, const char *in, const Mla *t) {
    const char *m = t->module;
    cJSON *d = x->model;
    model_dim(d, "LH", t->heads), model_dim(d, "LK", t->kv_latent), model_dim(d, "LN", t->nope_dims);
    model_dim(d, "LR", t->rope_dims), model_dim(d, "LV", t->value);
    model_context(x, t->positions, t->rope.limit);
    if (!t->rope.none) st_positions(ops, t->rope_dims, &t->rope);
    st(ops,
       "{'out':'kvb','op':'reshape','x':'@%s.kv_b_proj.weight[LH*(LN + LV), LK]','shape':['LH','LN + "
       "LV','LK']}",
       m);
    st_query(x, ops, in, t);
    st_linear(ops, "ckv", in, arena_printf(x->a, "%s.kv_a_proj_with_mqa", m), "LK + LR", "D", t->bias);
    st(ops, "{'out':['c','kr'],'split':'ckv','sizes':['LK','LR']}");
    st_norm(ops, "c", "c", arena_printf(x->a, "%s.kv_a_layernorm", m), "LK", &t->norm);
    st(ops, "{'out':'c','op':'reshape','x':'c','shape':[1,'LK']}");
    st(ops, "{'out':'kr','op':'reshape','x':'kr','shape':[1,'LR']}");
    if (!t->rope.none) st_rope(ops, "kr", &t->rope);
    st(ops, "{'out':'k','op':'concat','in':['c','kr'],'axis':-1}");
    st(ops, "{'out':'y','op':'attend','q':'q','k':'k','v':'c','scale':%s,'state':['keys','latents']}",
       json_number(x->a, t->scale));
    st(ops, "{'out':'y','op':'reshape','x':'y','shape':['LH*LK']}");
    st(ops, "{'out':'wv','op':'slice','x':'kvb','axis':1,'start':'LN','size':'LV'}");
    st(ops, "{'out':'wv','op':'transpose','x':'wv','perm':[0,2,1]}");
    st(ops, "{'out':'y','op':'linear.blocks','x':'y','w':'wv'}");
    if (t->gate) {
        st_linear(ops, "g", in, arena_printf(x->a, "%s.%s", m, t->gate), "LH", "D", false);
        st(ops, "{'out':'g','op':'reshape','x':'g','shape':['LH',1]}");
        st(ops, "{'out':'y','op':'reshape','x':'y','shape':['LH','LV']}");
        st(ops, "{'out':'y','map':'y * sigmoid(g)'}");
        st(ops, "{'out':'y','op':'reshape','x':'y','shape':['LH*LV']}");
    }
    st_linear(ops, out, "y", arena_printf(x->a, "%s.%s", m, t->out ? t->out : "o_proj"), "D", "LH*LV",
              t->bias);
}
