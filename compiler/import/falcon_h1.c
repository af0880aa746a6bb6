/* Falcon-H1: Zuo et al. 2025, arXiv:2507.22448. Every layer runs attention and Mamba-2 in parallel, followed by an
 * MLP. The configuration has multipliers for nearly every activation. */
#include "import/parts/hybrid.h"

static double factor(Cfg *c, const char *key) {
    return cfg_float(c, key, 1, NULL);
}

static Mamba2 read_mamba(ImportCtx *x, int64_t D, const char *act, double eps) {
    Cfg *c = &x->cfg;
    Mamba2 t = {.module = "mamba", .act = act, .eps = eps};
    int64_t given = cfg_has(c, "mamba_d_ssm")          ? cfg_size(c, "mamba_d_ssm", 1024)
                    : json_get(c->node, "mamba_d_ssm") ? 0
                                                       : 1024; /* null: by mamba_expand */
    cfg_mamba2(c, &MAMBA2_KEYS_HYBRID, D, &(Mamba2){.E = given, .H = 128, .N = 256, .G = 1}, &t);
    t.out_bias = cfg_bool(c, "projectors_bias", false);
    bool before = cfg_bool(c, "mamba_norm_before_gate", true);
    t.gate = !cfg_bool(c, "mamba_rms_norm", false) ? MAMBA2_GATE_ONLY
             : before                              ? MAMBA2_NORM_GATE
                                                   : MAMBA2_GATE_NORM;
    t.scales = cfg_floats(c, "ssm_multipliers", 5, 1);
    mamba2_check(x, &t);
    return t;
}

static cJSON *import(ImportCtx *x) {
    Cfg *c = &x->cfg;
    if (!c->node) return import_error(x, "there is no config.json, which a Falcon-H1 model needs"), NULL;
    Frame f = frame_named();
    f.vocab = 128000, f.width = 4096, f.layers = 32, f.final_norm = "model.final_layernorm";
    cfg_frame(x, &f);
    f.norm = (Norm){.eps = cfg_float(c, "rms_norm_eps", 1e-5, ">=0")};
    f.embedding_scale = factor(c, "embedding_multiplier"), f.logit_scale = factor(c, "lm_head_multiplier");
    const char *act = cfg_act(c, "hidden_act", "silu");
    Attention t = {
        .heads = 32, .kv_heads = 8, .module = "self_attn", .key_scale = factor(c, "key_multiplier")};
    cfg_heads(c, f.width, &t);
    t.positions = cfg_size(c, "max_position_embeddings", 8192);
    t.rope = cfg_rope(c, t.width, 10000, 0, t.positions);
    t.bias_qkv = t.bias_o = cfg_bool(c, "attention_bias", false);
    Mamba2 mamba = read_mamba(x, f.width, act, f.norm.eps);
    cfg_only_bool(c, "mamba_use_mlp", true, true);
    cfg_skip_all(c,
                 "mlp_expansion_factor time_step_rank attn_layer_indices"); /* left over: nobody reads them */
    const double *mlp_factors = cfg_floats(c, "mlp_multipliers", 2, 1);
    Mlp mlp = {.width = cfg_size(c, "intermediate_size", 14336), .module = "feed_forward", .act = act};
    mlp.bias = cfg_bool(c, "mlp_bias", false);
    mlp.gate_scale = mlp_factors[0], mlp.out_scale = mlp_factors[1];
    double attend_in = factor(c, "attention_in_multiplier"),
           attend_out = factor(c, "attention_out_multiplier"), ssm_in = factor(c, "ssm_in_multiplier"),
           ssm_out = factor(c, "ssm_out_multiplier");
    if (import_failed(x)) return NULL;

    cJSON *b = block_new(frame_begin(x, &f), "layer", NULL, NULL);
    st_norm(b, "u", "x", "input_layernorm", "D", &f.norm);
    st(b, "{'out':'ua','map':'%s * u'}", json_number(x->a, attend_in));
    st(b, "{'out':'um','map':'%s * u'}", json_number(x->a, ssm_in));
    st_attention(x, b, "o", "ua", &t);
    st_mamba2(x, b, "m", "um", &mamba);
    st(b, "{'out':'o','map':'%s * o + %s * m'}", json_number(x->a, attend_out), json_number(x->a, ssm_out));
    st_residual(x, b, "o", 0);
    st_norm(b, "u", "x", "pre_ff_layernorm", "D", &f.norm);
    st_mlp(x, b, "f", "u", &mlp);
    st_residual(x, b, "f", 0);
    return frame_end(x, &f, layers_same(x->a, f.layers, "layer"));
}

const Importer importer_falcon_h1 = {
    .name = "falcon-h1",
    .doc = "Falcon-H1: parallel attention and Mamba-2 heads, with multipliers",
    .accepts = "FalconH1ForCausalLM",
    .recurrence = "matrix state, one decay per head; KV cache",
    .cases = "hf-falcon-h1 hf-falcon-h1-nonorm",
    .import = import,
};
