/* Linear attention: Katharopoulos et al. 2020, arXiv:2006.16236, with a choice of feature maps, as
 * flash-linear-attention computes it. The state does not decay. Where results are normalised, the sum of the keys
 * is one more column of values. */
#include <string.h>

#include "import/parts/feature_map.h"
#include "import/parts/linear_heads.h"

typedef struct Maps {
    FeatureMap map;
    bool tied, norm_q, norm_k, norm;
} Maps;

/* The module of the map of q or k: of tied ones a file holds one set of tensors. */
static const char *map_module(const ImportCtx *x, const Fla *f, const Maps *t, char which) {
    char other = which == 'q' ? 'k' : 'q';
    const char *leaf = t->map == MAP_PRODUCT ? "layer1" : "layer";
    bool there = fla_has(x, f, arena_printf(x->a, "attn.feature_map_%c.%s.weight", which, leaf));
    return arena_printf(x->a, "attn.feature_map_%c", t->tied && !there ? other : which);
}

static void st_map(ImportCtx *x, cJSON *b, const Fla *f, const LinearHeads *h, const Maps *t,
                   const char *value) {
    bool q = *value == 'q';
    st_feature_map(x, b, t->map, value, q ? "DH" : "DG", h->K, map_module(x, f, t, *value));
    if (!(q ? t->norm_q : t->norm_k)) return;
    st(b, "{'out':'sum','op':'reduce','x':'%s','kind':'sum'}", value);
    st(b, "{'out':'%s','map':'%s / (sum + 1e-4)'}", value, value);
}

static cJSON *import(ImportCtx *x) {
    Cfg *c = &x->cfg;
    Fla f;
    if (!cfg_fla(x, &f, 4)) return NULL;
    Maps t = {.map = cfg_feature_map(c, "feature_map", "elementwise_product"),
              .tied = cfg_bool(c, "tie_feature_map_qk", false),
              .norm_q = cfg_bool(c, "norm_q", false),
              .norm_k = cfg_bool(c, "norm_k", false),
              .norm = cfg_bool(c, "norm_feature_map", false)};
    LinearHeads h = {0};
    cfg_linear_heads(x, &f, 1, 1, &h);
    h.act = NULL, h.gate = false, h.norm = "norm";
    if (import_failed(x)) return NULL;

    cJSON *b = fla_begin(x, &f);
    st_linear_heads(x, b, &h);
    st_map(x, b, &f, &h, &t, "q");
    st_map(x, b, &f, &h, &t, "k");
    st(b, "{'out':'q','map':'q / sqrt(%lld)'}", (long long)feature_width(t.map, h.K));
    if (t.norm) st_with_ones(b, "v", "DG");
    st(b, "{'out':'y','op':'scan.matrix','q':'q','k':'k','v':'v','reads':%lld,'state':'S'}",
       (long long)(h.heads / h.kv_heads));
    if (t.norm) {
        st(b, "{'out':['y','n'],'split':'y','sizes':['DP',1]}");
        st(b, "{'out':'y','map':'y / (n + 1e-10)'}");
    }
    st_linear_out(x, b, &f, &h);
    return fla_end(x, &f, b);
}

const Importer importer_linear_attention_fla = {
    .name = "linear-attention-fla",
    .doc = "linear attention with feature maps, of flash-linear-attention",
    .accepts = "LinearAttentionForCausalLM linear_attn",
    .recurrence = "matrix state without decay",
    .cases = "linear-attention-fla",
    .import = import,
};
