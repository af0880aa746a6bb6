/* Linear attention: Katharopoulos et al. 2020, arXiv:2006.16236, as fast-transformers (idiap) computes it: a
 * single attention layer, or a stack of its post-norm encoder layers. The feature map is elu + 1. The normaliser,
 * the sum of the keys, is computed as one more column of values. */
#include <string.h>

#include "import/parts/feature_map.h"
#include "import/parts/heads.h"

typedef struct Linear {
    int64_t D, heads;
    double eps;
    FeatureMap map;
} Linear;

/* y = attention(x); module: of the projections, or NULL */
static void st_linear_attention(ImportCtx *x, cJSON *b, const Linear *t, const char *out, const char *in,
                                const char *module) {
    static const char *const names[][2] = {{"q", "query"}, {"k", "key"}, {"v", "value"}};
    for (int i = 0; i < 3; i++) {
        const char *value = names[i][0];
        st_linear(b, value, in, head_tensor(x, module, arena_printf(x->a, "%s_projection", names[i][1])), "D",
                  "D", true);
        st(b, "{'out':'%s','op':'reshape','x':'%s','shape':['DH','DK']}", value, value);
        if (i < 2) st_feature_map(x, b, t->map, value, "DH", t->D / t->heads, NULL);
    }
    st_with_ones(b, "v", "DH");
    st(b, "{'out':'o','op':'scan.matrix','q':'q','k':'k','v':'v','state':'S'}");
    st(b, "{'out':['o','n'],'split':'o','sizes':['DK',1]}");
    st(b, "{'out':'o','map':'o / (n + %.17g)'}", t->eps);
    st(b, "{'out':'o','op':'reshape','x':'o','shape':['D']}");
    st_linear(b, out, "o", head_tensor(x, module, "out_projection"), "D", "D", true);
}

static void write_layer(ImportCtx *x, const Linear *t, const char *act) {
    cJSON *b = block_new(x->model, "layer", NULL, NULL);
    Norm norm = {.kind = NORM_LAYER, .eps = 1e-5};
    st_linear_attention(x, b, t, "o", "x", "attention");
    st(b, "{'out':'x','map':'x + o'}");
    st_norm(b, "x", "x", "norm1", "D", &norm);
    st_linear(b, "f", "x", "linear1", "F", "D", true);
    st(b, "{'out':'f','map':'%s(f)'}", act);
    st_linear(b, "f", "f", "linear2", "D", "F", true);
    st(b, "{'out':'x','map':'x + f'}");
    st_norm(b, "x", "x", "norm2", "D", &norm);
}

static cJSON *import(ImportCtx *x) {
    Cfg *c = &x->cfg;
    if (!c->node)
        return import_error(x, "there is no config.json, which says how many heads there are"), NULL;
    int64_t layers = count_layers(x, "layers.");
    const char *query = layers ? "layers.0.attention.query_projection.weight" : "query_projection.weight";
    Linear t = {.D = tensor_dim(x, query, 1), .heads = cfg_size(c, "n_heads", REQUIRED)};
    cfg_only_int(c, "d_model", t.D, t.D);
    t.eps = cfg_float(c, "eps", 1e-6, ">=0");
    const char *kind = cfg_str(c, "attention_type", "causal-linear"),
               *map = cfg_str(c, "feature_map", "elu+1"), *act = cfg_act(c, "activation", "relu");
    if (strcmp(kind, "causal-linear") != 0)
        cfg_error(c, "attention_type", "only causal-linear is supported, is %s", kind);
    t.map = !strcmp(map, "elu+1") ? MAP_ELU : cfg_feature_map(c, "feature_map", "elu");
    if (t.D % t.heads)
        cfg_error(c, "n_heads", "%lld heads do not share %lld evenly", (long long)t.heads, (long long)t.D);
    if (import_failed(x)) return NULL;

    cJSON *m = model_new(x, "features"), *ops = model_ops(m);
    model_dim(m, "D", t.D), model_dim(m, "DH", t.heads), model_dim(m, "DK", t.D / t.heads);
    if (!layers) {
        st_linear_attention(x, ops, &t, "y", "input", NULL);
        return m;
    }
    model_dim(m, "F", tensor_dim(x, "layers.0.linear1.weight", 0));
    write_layer(x, &t, act);
    st(ops, "{'out':'x','map':'input'}");
    st_layers(m, layers, "['layer']", "layers.{i}.");
    Norm norm = {.kind = NORM_LAYER, .eps = 1e-5};
    if (has_tensor(x, "norm.weight")) st_norm(ops, "x", "x", "norm", "D", &norm);
    st(ops, "{'out':'y','map':'x'}");
    return m;
}

static bool recognise(const ImportCtx *x) {
    return has_tensor(x, "query_projection.weight") ||
           has_tensor(x, "layers.0.attention.query_projection.weight");
}

const Importer importer_linear_attention = {
    .name = "linear-attention",
    .doc = "linear attention (elu + 1) of fast-transformers: a layer or a stack of encoder layers",
    .accepts = "causal-linear",
    .recurrence = "matrix state without decay",
    .cases = "linear-attention",
    .recognise = recognise,
    .import = import,
};
