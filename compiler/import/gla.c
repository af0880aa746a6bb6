/* Gated linear attention: Yang et al. 2023, arXiv:2312.06635, as flash-linear-attention computes it. Each key head
 * has a matrix state. Its decays are per channel and come from a low-rank projection of the token. Query heads
 * share key heads. */
#include "import/parts/linear_heads.h"

static cJSON *import(ImportCtx *x) {
    Cfg *c = &x->cfg;
    Fla f;
    LinearHeads t = {0};
    if (!cfg_fla(x, &f, 4)) return NULL;
    cfg_linear_heads(x, &f, 0.5, 1, &t);
    if (cfg_has(c, "feature_map")) t.act = cfg_act(c, "feature_map", "relu");
    double lowest = cfg_float(c, "clamp_min", 0, "<=0");
    cfg_skip_all(c, "use_gk use_gv"); /* the library stores both and asks neither */
    if (import_failed(x)) return NULL;

    cJSON *b = fla_begin(x, &f);
    st_linear_heads(x, b, &t);
    st(b, "{'out':'q','map':'q / sqrt(DK)'}");
    st(b, "{'out':'d','op':'linear','x':'u','w':'@attn.gk_proj.0.weight'}");
    st(b, "{'out':'d','op':'linear','x':'d','w':'@attn.gk_proj.1.weight','b':'@attn.gk_proj.1.bias[DG*DK]'}");
    st(b, "{'out':'d','map':'-softplus(-d) / 16','comment':'the logarithm of the decay'}");
    if (cfg_has(c, "clamp_min")) st(b, "{'out':'d','map':'maximum(d, %s)'}", json_number(x->a, lowest));
    st(b, "{'out':'d','op':'reshape','x':'d','shape':['DG','DK']}");
    st(b, "{'out':'y','op':'scan.matrix','q':'q','k':'k','v':'v','decay':'d','reads':%lld,'state':'S'}",
       (long long)(t.heads / t.kv_heads));
    st_linear_out(x, b, &f, &t);
    return fla_end(x, &f, b);
}

const Importer importer_gla = {
    .name = "gla",
    .doc = "GLA (gated linear attention) of flash-linear-attention",
    .accepts = "GLAForCausalLM",
    .recurrence = "matrix state, decay per channel",
    .cases = "gla",
    .import = import,
};
