/* RetNet: Sun et al. 2023, arXiv:2307.08621, as flash-linear-attention computes it. Rotary embedding of queries
 * and keys; head i has the fixed decay 1 - 2^(-5-i). */
#include <math.h>

#include "import/parts/linear_heads.h"

static cJSON *import(ImportCtx *x) {
    Fla f;
    LinearHeads t = {0};
    if (!cfg_fla(x, &f, 2)) return NULL;
    cfg_linear_heads(x, &f, 1, 2, &t);
    t.taps = 0; /* the library stores use_short_conv and does not pass it on */
    if (cfg_has(&x->cfg, "feature_map")) t.act = cfg_act(&x->cfg, "feature_map", "relu");
    if (t.K % 2) cfg_error(&x->cfg, "num_heads", "heads of %lld keys cannot turn", (long long)t.K);
    if (import_failed(x)) return NULL;

    cJSON *b = fla_begin(x, &f);
    Rope turn = {.theta = 10000, .scale = 1};
    double *decay = ARENA_ARRAY(x->a, double, t.heads);
    for (int64_t i = 0; i < t.heads; i++) decay[i] = log1p(-exp2(-5 - (double)i));
    st_linear_heads(x, b, &t);
    st(b, "{'out':'q','map':'q / sqrt(DK)'}");
    st_positions(b, t.K, &turn);
    st_rope(b, "q", &turn);
    st_rope(b, "k", &turn);
    st_repeat_rows(x, b, "k", "k", "DG", t.heads / t.kv_heads, "DK");
    st_repeat_rows(x, b, "v", "v", "DG", t.heads / t.kv_heads, "DP");
    st_fixed_decays(x, b, "d", "DH", decay, t.heads);
    st(b, "{'out':'y','op':'scan.matrix','q':'q','k':'k','v':'v','decay':'d','state':'S'}");
    st_linear_out(x, b, &f, &t);
    return fla_end(x, &f, b);
}

const Importer importer_retnet_fla = {
    .name = "retnet-fla",
    .doc = "RetNet of flash-linear-attention",
    .accepts = "RetNetForCausalLM",
    .recurrence = "matrix state, fixed decay per head",
    .cases = "retnet-fla",
    .import = import,
};
