/* The delta rules of flash-linear-attention: DeltaNet, Gated DeltaNet, Gated DeltaProduct and Comba. */
#include <math.h>
#include <string.h>

#include "import/parts/delta_rule.h"
#include "import/parts/fla.h"

static void read_deltanet(Cfg *c, const Fla *f, DeltaRule *t) {
    int64_t D = f->frame.width, keys = cfg_times(c, "expand_k", 1, D),
            values = cfg_times(c, "expand_v", 1, D);
    t->heads = t->key_heads = cfg_size(c, "num_heads", 16);
    if (keys % t->heads || values % t->heads)
        cfg_error(c, "num_heads", "%lld heads do not share keys of %lld and values of %lld evenly",
                  (long long)t->heads, (long long)keys, (long long)values);
    t->K = keys / t->heads, t->P = values / t->heads;
    static const char *const acts[][2] = {
        {"silu", "silu"}, {"relu", "relu"}, {"elu", "elu1"}, {"identity", ""}};
    const char *act = cfg_str(c, "qk_activation", "silu"), *norm = cfg_str(c, "qk_norm", "l2");
    t->act = NULL;
    for (int i = 0; i < 4; i++)
        if (!strcmp(act, acts[i][0])) t->act = acts[i][1];
    if (!t->act) cfg_error(c, "qk_activation", "unknown activation \"%s\"", act);
    t->act_last = t->act && strcmp(t->act, "silu") != 0;
    if (t->act && !*t->act) t->act = NULL;
    t->sums = !strcmp(norm, "sum");
    if (!t->sums && strcmp(norm, "l2") != 0)
        cfg_error(c, "qk_norm", "must be \"l2\" or \"sum\", is \"%s\"", norm);
    t->no_beta = !cfg_bool(c, "use_beta", true);
    if (t->no_beta && cfg_bool(c, "allow_neg_eigval", false))
        cfg_error(c, "allow_neg_eigval", "without use_beta is not supported");
    if (cfg_bool(c, "use_gate", false)) t->gate_in = "g_proj";
    cfg_only_bool(c, "use_output_norm", true, true);
}

static void read_heads(Cfg *c, DeltaRule *t, bool values) {
    t->key_heads = cfg_size(c, "num_heads", 6);
    t->heads = values ? cfg_size(c, "num_v_heads", t->key_heads) : t->key_heads;
    if (t->heads % t->key_heads) cfg_error(c, "num_v_heads", "num_heads do not share them evenly");
    t->K = cfg_size(c, "head_dim", 256), t->P = cfg_times(c, "expand_v", 2, t->K);
    t->decay = DELTA_DECAY_HEAD, t->decay_in = "a_proj";
}

static void read_gated_deltanet(Cfg *c, DeltaRule *t) {
    read_heads(c, t, true);
    if (cfg_bool(c, "use_gate", true)) t->gate_in = "g_proj";
    t->gate_act = cfg_act(c, "output_gate_activation", "swish");
}

static void read_deltaproduct(Cfg *c, DeltaRule *t) {
    read_heads(c, t, false);
    t->steps = cfg_size(c, "num_householder", 1);
    if (t->steps > 16) cfg_error(c, "num_householder", "must be at most 16");
    if (cfg_bool(c, "use_output_gate", true)) t->gate_in = "g_proj";
    if (!cfg_bool(c, "use_forget_gate", false)) t->decay = DELTA_KEEPS;
}

/* The library's block passes on neither that q is corrected nor how strong p is: every model has both. */
static void read_comba(Cfg *c, DeltaRule *t) {
    read_heads(c, t, true);
    t->corrected = true, t->gate_act = "sigmoid";
    if (cfg_bool(c, "use_output_gate", true)) t->gate_in = "g_proj";
    cfg_skip(c, "use_output_correction"), cfg_skip(c, "use_inner_decay"), cfg_skip(c, "correction_factor");
}

static cJSON *import(ImportCtx *x) {
    Cfg *c = &x->cfg;
    Fla f;
    if (!cfg_fla(x, &f, 4)) return NULL;
    DeltaRule t = {.module = "attn", .act = "silu", .gate_act = "silu", .norm = "o_norm", .out = "o_proj"};
    t.kind = (Norm){.eps = f.norm.eps};
    t.taps = cfg_size(c, "conv_size", 4);
    if (!cfg_bool(c, "use_short_conv", true)) t.taps = 0;
    if (strcasestr(x->arch, "comba"))
        read_comba(c, &t);
    else if (strcasestr(x->arch, "product"))
        read_deltaproduct(c, &t);
    else if (strcasestr(x->arch, "gated"))
        read_gated_deltanet(c, &t);
    else
        read_deltanet(c, &f, &t);
    if (!t.corrected && cfg_bool(c, "allow_neg_eigval", false)) t.beta = 2;
    if (import_failed(x)) return NULL;
    cJSON *b = fla_begin(x, &f);
    st_delta_rule(x, b, "o", "u", &t);
    return fla_end(x, &f, b);
}

const Importer importer_deltanet = {
    .name = "deltanet",
    .doc = "DeltaNet, Gated DeltaNet, Gated DeltaProduct and Comba of flash-linear-attention",
    .accepts =
        "DeltaNetForCausalLM delta_net GatedDeltaNetForCausalLM gated_deltanet GatedDeltaProductForCausalLM "
        "gated_deltaproduct CombaForCausalLM comba",
    .recurrence = "matrix state, one decay per head, delta rule",
    .cases = "deltanet gated-deltanet gated-deltaproduct comba",
    .import = import,
};
