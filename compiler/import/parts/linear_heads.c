#include "import/parts/linear_heads.h"

void cfg_linear_heads(ImportCtx *x, const Fla *f, double expand_k, double expand_v, LinearHeads *t) {
    Cfg *c = &x->cfg;
    int64_t D = f->frame.width;
    t->heads = cfg_size(c, "num_heads", 4);
    t->kv_heads = cfg_shared_heads(c, "num_kv_heads", t->heads);
    int64_t keys = cfg_times(c, "expand_k", expand_k, D), values = cfg_times(c, "expand_v", expand_v, D);
    if (keys % t->heads || values % t->heads)
        cfg_error(c, "num_heads", "%lld heads do not share keys of %lld and values of %lld evenly",
                  (long long)t->heads, (long long)keys, (long long)values);
    t->K = keys / t->heads, t->P = values / t->heads;
    t->taps = cfg_size(c, "conv_size", 4);
    if (!cfg_bool(c, "use_short_conv", false)) t->taps = 0;
    t->gate = cfg_bool(c, "use_output_gate", true);
    t->norm = fla_has(x, f, "attn.g_norm_swish_gate.weight") ? "g_norm_swish_gate" : "g_norm";
}

void st_linear_heads(ImportCtx *x, cJSON *b, const LinearHeads *t) {
    cJSON *m = x->model;
    model_dim(m, "DH", t->heads), model_dim(m, "DG", t->kv_heads), model_dim(m, "DK", t->K),
        model_dim(m, "DP", t->P);
    static const char *const rows[][4] = {
        {"q", "q_proj", "DH", "DK"}, {"k", "k_proj", "DG", "DK"}, {"v", "v_proj", "DG", "DP"}};
    for (int i = 0; i < 3; i++) {
        HeadRows r = {.module = "attn",
                      .tensor = rows[i][1],
                      .heads = rows[i][2],
                      .width = rows[i][3],
                      .taps = t->taps};
        if (t->taps) r.conv = arena_printf(x->a, "%s_conv1d", rows[i][0]), r.act = "silu";
        st_head_rows(x, b, rows[i][0], "u", &r);
        if (t->act && i < 2) st_act(b, rows[i][0], rows[i][0], t->act);
    }
}

void st_linear_out(ImportCtx *x, cJSON *b, const Fla *f, const LinearHeads *t) {
    HeadsOut o = {.module = "attn",
                  .heads = "DH",
                  .width = "DP",
                  .norm = t->norm,
                  .kind = f->inner,
                  .tensor = "o_proj"};
    if (t->gate) {
        st_linear(b, "g", "u", "attn.g_proj", "DH*DP", "D", false);
        o.gate = "g", o.act = "silu";
    }
    st_heads_out(x, b, "o", "y", &o);
}
