/* Vaswani et al. 2017, arXiv:1706.03762; Ainslie et al. 2023, arXiv:2305.13245 (grouped heads); Henry et al. 2020,
 * arXiv:2010.04245 (norms of queries and keys). */
#include "import/parts/attention.h"

enum { MAX_CONTEXT = 8192 };

/* ---- reading ---- */

void cfg_heads(Cfg *c, int64_t hidden, Attention *t) {
    bool said = c->node && json_get(c->node, "num_key_value_heads");
    t->heads = cfg_size(c, "num_attention_heads", t->heads ? t->heads : REQUIRED);
    bool usual = t->kv_heads && !said && t->heads % t->kv_heads == 0;
    t->kv_heads = cfg_kv_heads(c, t->heads, usual ? t->kv_heads : t->heads);
    if (!t->width) t->width = hidden / t->heads ? hidden / t->heads : 1;
    t->width = cfg_size(c, "head_dim", t->width);
}

void cfg_equal_heads(Cfg *c, const char *key, int64_t otherwise, int64_t hidden, Attention *t) {
    t->heads = t->kv_heads = cfg_size(c, key, otherwise);
    t->width = hidden / t->heads ? hidden / t->heads : 1;
    if (hidden % t->heads && !import_failed(c->ctx))
        cfg_error(c, key, "%lld heads do not share the model's width, %lld, evenly", (long long)t->heads,
                  (long long)hidden);
}

int64_t cfg_window(Cfg *c, int64_t otherwise) {
    int64_t window = cfg_int(c, "sliding_window", otherwise);
    if (cfg_has(c, "sliding_window") && window == 0)
        cfg_error(c, "sliding_window", "must be at least 1; null says that there is no window");
    return window;
}

int64_t cfg_kv_heads(Cfg *c, int64_t heads, int64_t otherwise) {
    int64_t n = cfg_size(c, "num_key_value_heads", otherwise);
    if (heads % n == 0 || import_failed(c->ctx)) return n;
    cfg_error(c, "num_key_value_heads",
              "%lld heads of keys are not shared evenly by num_attention_heads, %lld", (long long)n,
              (long long)heads);
    return n;
}

/* ---- statements ---- */

static const char *tensor(ImportCtx *x, const Attention *t, const char *name, const char *otherwise) {
    if (!name) name = otherwise;
    return t->module ? arena_printf(x->a, "%s.%s", t->module, name) : name;
}

/* A size in terms of the dims, whose names end with the tag: "H$*K$". */
static const char *sized(ImportCtx *x, const Attention *t, const char *size) {
    Text s = text_new(x->a);
    for (const char *p = size; *p; p++)
        if (*p == '$')
            text_add(&s, "%s", t->tag ? t->tag : "");
        else
            text_add_n(&s, p, 1);
    return s.s;
}

static void st_product(ImportCtx *x, cJSON *ops, const Attention *t, const char *out, const char *in,
                       const char *name, const char *o, const char *i, bool bias) {
    o = sized(x, t, o), i = sized(x, t, i);
    if (t->transposed)
        st_linear_transposed(ops, out, in, name, o, i, bias);
    else
        st_linear(ops, out, in, name, o, i, bias);
}

/* Adds what a product of low rank makes of `in`. */
static void st_low_rank(ImportCtx *x, cJSON *ops, const char *value, const char *in, const Attention *t,
                        const char *module, const char *width) {
    if (!module) return;
    model_dim(x->model, "AR", t->rank);
    st_linear(ops, "a", in, arena_printf(x->a, "%s.0", module), "AR", t->from ? t->from : "D", false);
    st_linear(ops, "a", "a", arena_printf(x->a, "%s.1", module), sized(x, t, width), "AR", false);
    st(ops, "{'out':'%s','map':'%s + a'}", value, value);
}

/* q [H*K] (or [H*2*K] with the gates), k and v [G*K], or all of them as heads: whether they are. */
static bool st_projections(ImportCtx *x, cJSON *ops, const char *in, const Attention *t) {
    const char *from = t->from ? t->from : "D";
    switch (t->rows) {
    case QKV_APART:
        st_product(x, ops, t, "q", in, tensor(x, t, t->q, "q_proj"), t->gate ? "H$*2*K$" : "H$*K$", from,
                   t->bias_qkv);
        st_product(x, ops, t, "k", in, tensor(x, t, t->k, "k_proj"), "G$*K$", from, t->bias_qkv);
        st_product(x, ops, t, "v", in, tensor(x, t, t->v, "v_proj"), "G$*K$", from, t->bias_qkv);
        return false;
    case QKV_IN_ORDER:
        st_product(x, ops, t, "qkv", in, tensor(x, t, t->qkv, "qkv_proj"), "H$*K$ + 2*G$*K$", from,
                   t->bias_qkv);
        st_part(ops, NULL, t->tag, "{'out':['q','k','v'],'split':'qkv','sizes':['H$*K$','G$*K$','G$*K$']}");
        return false;
    case QKV_BY_HEAD:
        st_product(x, ops, t, "qkv", in, tensor(x, t, t->qkv, "query_key_value"), "H$*3*K$", from,
                   t->bias_qkv);
        st_part(ops, NULL, t->tag, "{'out':'qkv','op':'reshape','x':'qkv','shape':['H$','3*K$']}");
        st_part(ops, NULL, t->tag, "{'out':['q','k','v'],'split':'qkv','sizes':['K$','K$','K$']}");
        return true;
    }
    return false;
}

static void st_clip(ImportCtx *x, cJSON *ops, const char *value, double limit) {
    const char *c = json_number(x->a, limit);
    st(ops, "{'out':'%s','map':'clamp(%s, -%s, %s)'}", value, value, c, c);
}

void st_attention(ImportCtx *x, cJSON *ops, const char *out, const char *in, const Attention *t) {
    static const char *const heads[][3] = {{"q", "H$", "H$*K$"}, {"k", "G$", "G$*K$"}, {"v", "G$", "G$*K$"}};
    model_dim(x->model, sized(x, t, "H$"), t->heads), model_dim(x->model, sized(x, t, "G$"), t->kv_heads);
    model_dim(x->model, sized(x, t, "K$"), t->width);
    bool all = !t->window || (t->positions && t->window >= t->positions); /* a wider window is none */
    int64_t limit = t->rope.none ? 0 : t->rope.limit;
    if (all || limit) model_context(x, t->positions, limit);
    bool shaped = st_projections(x, ops, in, t);
    for (int i = 0; i < 3; i++) st_low_rank(x, ops, heads[i][0], in, t, t->low_rank[i], heads[i][2]);
    for (int i = 0; i < 3; i++) {
        const char *name = heads[i][0],
                   *norm = i ? tensor(x, t, t->k_norm, "k_norm") : tensor(x, t, t->q_norm, "q_norm");
        if (t->qk_norm && t->qk_whole && i < 2)
            st_norm(ops, name, name, norm, sized(x, t, heads[i][2]), &t->norm);
        if (t->gate && i == 0) {
            st_part(ops, NULL, t->tag, "{'out':'q','op':'reshape','x':'q','shape':['H$','2*K$']}");
            st_part(ops, NULL, t->tag, "{'out':['q','g'],'split':'q','sizes':['K$','K$']}");
        } else if (!shaped) {
            st_part(ops, NULL, t->tag, "{'out':'%s','op':'reshape','x':'%s','shape':['%s','K$']}", name, name,
                    heads[i][1]);
        }
        if (t->qk_norm && !t->qk_whole && i < 2) st_norm(ops, name, name, norm, sized(x, t, "K$"), &t->norm);
        if (t->clip > 0) st_clip(x, ops, name, t->clip);
        if (i == 1 && t->key_scale != 0)
            st(ops, "{'out':'k','map':'%s * k'}", json_number(x->a, t->key_scale));
    }
    if (!t->rope.none) {
        st_positions(ops, t->width, &t->rope);
        st_rope(ops, "q", &t->rope);
        st_rope(ops, "k", &t->rope);
    }
    st(ops, "{'out':'y','op':'attend','q':'q','k':'k','v':'v'%s%s%s%s,'state':['keys','values']}",
       t->sinks ? arena_printf(x->a, ",'sinks':'@%s[%s]'", tensor(x, t, t->sinks, NULL), sized(x, t, "H$"))
                : "",
       t->scale != 0 ? arena_printf(x->a, ",'scale':%s", json_number(x->a, t->scale)) : "",
       t->softcap != 0 ? arena_printf(x->a, ",'softcap':%s", json_number(x->a, t->softcap)) : "",
       all ? "" : arena_printf(x->a, ",'window':%lld", (long long)t->window));
    if (t->gate) st(ops, "{'out':'y','map':'y * sigmoid(g)'}");
    if (t->head_gate) {
        st_linear(ops, "g", in, tensor(x, t, t->head_gate, NULL), sized(x, t, "H$"), t->from ? t->from : "D",
                  false);
        st_part(ops, NULL, t->tag, "{'out':'g','op':'reshape','x':'g','shape':['H$',1]}");
        st(ops, "{'out':'y','map':'y * sigmoid(g)'}");
    }
    st_part(ops, NULL, t->tag, "{'out':'y','op':'reshape','x':'y','shape':['H$*K$']}");
    st_product(x, ops, t, out, "y", tensor(x, t, t->o, "o_proj"), "D", "H$*K$", t->bias_o);
}

void model_context(ImportCtx *x, int64_t max_positions, int64_t limit) {
    int64_t context = max_positions < MAX_CONTEXT ? max_positions : MAX_CONTEXT;
    if (limit > 0 && limit < context) context = limit;
    const cJSON *before = json_get(x->model, "context");
    if (cJSON_IsNumber(before) && before->valuedouble <= (double)context) return;
    model_set(x->model, "context", "%lld", (long long)context);
    if (context == limit && limit < max_positions)
        model_comment(x->model,
                      arena_printf(x->a,
                                   "the rotary factors for short sequences hold up to %lld tokens; those for "
                                   "longer ones are left out",
                                   (long long)limit));
    else if (context < max_positions)
        model_comment(x->model,
                      arena_printf(x->a, "context: the model allows %lld; every token of it costs memory",
                                   (long long)max_positions));
}
