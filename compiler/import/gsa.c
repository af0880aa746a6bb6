/* Gated slot attention: Zhang et al. 2024, arXiv:2409.07146, as flash-linear-attention computes it. Each head has
 * a few memory slots for keys and for values, which decay per slot. It reads the values by a softmax over the
 * slots. The state of keys decays along the axis that is read out, not along the axis that is summed over, so each
 * head needs a scan.expand of its own. */
#include <string.h>

#include "import/parts/feature_map.h"
#include "import/parts/linear_heads.h"

/* "p" [DH, DM]: how much each slot is like the query */
static void st_slots(ImportCtx *x, cJSON *b, const LinearHeads *t) {
    Text all = text_new(x->a);
    st(b, "{'out':'one','op':'linspace','n':'DM*DK','from':-1,'to':-1}");
    st(b, "{'out':'one','op':'reshape','x':'one','shape':['DM','DK']}");
    st(b, "{'out':'pace','map':'-f'}");
    for (int64_t h = 0; h < t->heads; h++) {
        const char *const rows[][3] = {
            {"s", "u0", "DM"}, {"pace", "dt0", "DM"}, {"k", "b0", "DK"}, {"q", "c0", "DK"}};
        for (int i = 0; i < 4; i++) {
            long long row = i < 3 ? h / (t->heads / t->kv_heads) : h;
            st(b, "{'out':'%s','op':'slice','x':'%s','axis':0,'start':%lld,'size':1}", rows[i][1], rows[i][0],
               row);
            st(b, "{'out':'%s','op':'reshape','x':'%s','shape':['%s']}", rows[i][1], rows[i][1], rows[i][2]);
        }
        st(b,
           "{'out':'p%lld','op':'scan.expand','u':'u0','dt':'dt0','A':'one','B':'b0','C':'c0','state':'K%lld'"
           "}",
           (long long)h, (long long)h);
        text_add(&all, "%s'p%lld'", h ? "," : "", (long long)h);
    }
    st(b, "{'out':'p','op':'concat','in':[%s],'axis':-1}", all.s);
    st(b, "{'out':'p','op':'reshape','x':'p','shape':['DH','DM']}");
    st(b, "{'out':'p','op':'softmax','x':'p'}");
}

static FeatureMap read_map(Cfg *c, const char **act) {
    const char *map = cfg_str(c, "feature_map", "swish");
    *act = !strcmp(map, "swish") ? "silu" : !strcmp(map, "relu") ? "relu" : NULL;
    if (!*act && strcmp(map, "t2r") != 0)
        cfg_error(c, "feature_map", "must be swish, relu or t2r, is %s", map);
    return *act ? MAP_IDENTITY : MAP_T2R;
}

static cJSON *import(ImportCtx *x) {
    Cfg *c = &x->cfg;
    Fla f;
    LinearHeads t = {0};
    if (!cfg_fla(x, &f, 4)) return NULL;
    cfg_skip_all(c, "use_output_gate use_norm"); /* the library stores both and asks neither */
    cfg_linear_heads(x, &f, 1, 1, &t);
    FeatureMap map = read_map(c, &t.act);
    int64_t slots = cfg_size(c, "num_slots", t.K);
    double divisor = cfg_float(c, "gate_logit_normalizer", 8, ">0");
    if (import_failed(x)) return NULL;

    cJSON *b = fla_begin(x, &f);
    model_dim(x->model, "DM", slots);
    st_linear_heads(x, b, &t);
    st_feature_map(x, b, map, "q", "DH", t.K, "attn.feature_map");
    st_feature_map(x, b, map, "k", "DG", t.K, "attn.feature_map");
    st(b, "{'out':'v','map':'silu(v)'}");
    st_linear(b, "f", "u", "attn.f_proj", "DG*DM", "D", false);
    st(b, "{'out':'f','map':'-softplus(-f) / %s'}", json_number(x->a, divisor));
    st(b, "{'out':'f','op':'reshape','x':'f','shape':['DG','DM']}");
    st(b, "{'out':'s','map':'1 - exp(f)'}");
    st_slots(x, b, &t);
    st(b, "{'out':'y','op':'scan.matrix','q':'p','k':'s','v':'v','decay':'f','reads':%lld,'state':'V'}",
       (long long)(t.heads / t.kv_heads));
    st(b, "{'out':'y','map':'silu(y)'}");
    HeadsOut o = {
        .module = "attn", .heads = "DH", .width = "DP", .norm = "g_norm", .whole = true, .tensor = "o_proj"};
    o.kind = (Norm){.eps = 1e-5, .bare = f.inner.bare}; /* the configuration's is not passed on */
    st_heads_out(x, b, "o", "y", &o);
    return fla_end(x, &f, b);
}

const Importer importer_gsa = {
    .name = "gsa",
    .doc = "GSA (gated slot attention) of flash-linear-attention",
    .accepts = "GSAForCausalLM",
    .recurrence = "two matrix states, decay per slot",
    .cases = "gsa",
    .import = import,
};
