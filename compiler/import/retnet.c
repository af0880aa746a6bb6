/* RetNet: Sun et al. 2023, arXiv:2307.08621, in the authors' checkpoints (microsoft/torchscale:
 * torchscale/architecture/retnet.py, component/multiscale_retention.py). The original divides each row by the root
 * of the sum of its decays, and by the sum of the absolute values of its scores. The norm of each head cancels
 * both, except for its eps. The first division is done here, the second is not. */
#include <math.h>
#include <string.h>

#include "import/parts/frame.h"
#include "import/parts/heads.h"
#include "import/parts/rope.h"

typedef struct Retnet {
    int64_t heads, K, P, F;
    Norm norm;
    bool before;  /* norms stand before the parts */
    double alpha; /* a factor on the stream, where something is added to it; 0: none */
    const char *act;
    const char *prefix;
} Retnet;

/* 10000^(-i / (K/2 - 1)): both ends included, not the usual 10000^(-2i/K) */
static Rope turn_of(ImportCtx *x, int64_t K) {
    Text t = text_new(x->a);
    int64_t n = K / 2;
    for (int64_t i = 0; i < n; i++)
        text_add(&t, "%s%.17g", i ? ", " : "[", n > 1 ? pow(10000, -(double)i / (double)(n - 1)) : 1);
    text_add(&t, "]");
    return (Rope){.theta = 10000, .scale = 1, .pairs = true, .freqs = t.s};
}

/* y / sqrt(sum_(j <= t) decay^j) */
static void st_row_scale(ImportCtx *x, cJSON *b, const double *decay, int64_t n) {
    Text rest = text_new(x->a);
    for (int64_t i = 0; i < n; i++) text_add(&rest, "%s%.17g", i ? ", " : "", -expm1(decay[i]));
    st(b, "{'out':'rest','op':'constant','values':[%s],'shape':['DH',1]}", rest.s);
    st(b, "{'out':'y','map':'y * sqrt(rest / (1 - exp(d * (pos + 1))))'}");
}

static void st_retention(ImportCtx *x, cJSON *b, const Retnet *t) {
    HeadRows q = {.module = "retention", .tensor = "q_proj", .heads = "DH", .width = "DK"}, k = q, v = q;
    k.tensor = "k_proj", v.tensor = "v_proj", v.width = "DP";
    st_head_rows(x, b, "q", "u", &q);
    st_head_rows(x, b, "k", "u", &k);
    st_head_rows(x, b, "v", "u", &v);
    st(b, "{'out':'k','map':'k / sqrt(DK)'}");
    Rope turn = turn_of(x, t->K);
    st_positions(b, t->K, &turn);
    st_rope(b, "q", &turn);
    st_rope(b, "k", &turn);
    double *decay = ARENA_ARRAY(x->a, double, t->heads);
    for (int64_t i = 0; i < t->heads; i++) decay[i] = log1p(-exp2(-5 - (double)i));
    st_fixed_decays(x, b, "d", "DH", decay, t->heads);
    st(b, "{'out':'y','op':'scan.matrix','q':'q','k':'k','v':'v','decay':'d','state':'S'}");
    st_row_scale(x, b, decay, t->heads);
    st_linear(b, "g", "u", "retention.g_proj", "DH*DP", "D", false);
    HeadsOut o = {
        .module = "retention", .heads = "DH", .width = "DP", .norm = "", .gate = "g", .act = "silu"};
    o.kind = (Norm){.eps = t->norm.eps, .bare = true}, o.tensor = "out_proj";
    st_heads_out(x, b, "o", "y", &o);
}

static void st_add(ImportCtx *x, cJSON *b, const Retnet *t, const char *value, const char *norm) {
    if (t->alpha != 0) st(b, "{'out':'x','map':'%s * x'}", json_number(x->a, t->alpha));
    st_residual(x, b, value, 0);
    if (!t->before) st_norm(b, "x", "x", norm, "D", &t->norm);
}

static void write_block(ImportCtx *x, const Retnet *t) {
    cJSON *b = block_new(x->model, "retention", NULL, NULL);
    if (t->before)
        st_norm(b, "u", "x", "retention_layer_norm", "D", &t->norm);
    else
        st(b, "{'out':'u','map':'x'}");
    st_retention(x, b, t);
    st_add(x, b, t, "o", "retention_layer_norm");
    if (t->before)
        st_norm(b, "u", "x", "final_layer_norm", "D", &t->norm);
    else
        st(b, "{'out':'u','map':'x'}");
    st_linear(b, "f", "u", "ffn.fc1", "F", "D", false);
    st_linear(b, "g", "u", "ffn.gate", "F", "D", false);
    st(b, "{'out':'f','map':'%s(f) * g'}", t->act);
    st_linear(b, "f", "f", "ffn.fc2", "D", "F", false);
    st_add(x, b, t, "f", "final_layer_norm");
}

/* What only mixtures of experts read, what says how to run, and positions that this model has not. */
static void skip_keys(Cfg *c) {
    static const char *const names[] = {"recurrent_chunk_size",
                                        "chunkwise_recurrent",
                                        "xpos_rel_pos",
                                        "xpos_scale_base",
                                        "drop_path_rate",
                                        "ddp_rank",
                                        "fsdp",
                                        "checkpoint_activations",
                                        "moe_top1_expert",
                                        "moe_expert_count",
                                        "moe_gating_use_fp32",
                                        "moe_eval_capacity_token_fraction",
                                        "moe_second_expert_policy",
                                        "moe_normalize_gate_prob_before_dropping",
                                        "use_xmoe",
                                        "rel_pos_buckets",
                                        "max_rel_pos"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) cfg_skip(c, names[i]);
    cfg_only_int(c, "moe_freq", 0, 0);
    cfg_only_bool(c, "multiway", false, false), cfg_only_bool(c, "no_output_layer", false, false);
}

static Retnet read_config(ImportCtx *x, Frame *f) {
    Cfg *c = &x->cfg;
    Retnet t = {.prefix = has_tensor(x, "decoder.embed_tokens.weight") ? "decoder." : ""};
    *f = frame_named();
    f->prefix = arena_printf(x->a, "%slayers.{i}.", t.prefix);
    f->embedding = arena_printf(x->a, "%sembed_tokens.weight", t.prefix);
    f->head = arena_printf(x->a, "%soutput_projection.weight", t.prefix);
    f->vocab = table_rows(x, f->embedding, f->head);
    f->width = cfg_size(c, "decoder_embed_dim", 768);
    f->layers = cfg_layers(c, "decoder_layers", 12, arena_printf(x->a, "%slayers.", t.prefix));
    f->tied_key = "share_decoder_input_output_embed", f->tied = cfg_bool(c, f->tied_key, false);
    if (!cfg_bool(c, "no_scale_embedding", true)) f->embedding_scale = sqrt((double)f->width);
    t.norm = f->norm = (Norm){.eps = cfg_float(c, "layernorm_eps", 1e-6, ">=0")};
    t.heads = cfg_size(c, "decoder_retention_heads", 3);
    int64_t values = cfg_size(c, "decoder_value_embed_dim", 1280);
    if (f->width % t.heads || values % t.heads || f->width / t.heads % 2)
        cfg_error(c, "decoder_retention_heads",
                  "%lld heads do not share keys of %lld, in pairs, and values of %lld evenly",
                  (long long)t.heads, (long long)f->width, (long long)values);
    t.K = f->width / t.heads, t.P = values / t.heads, t.F = cfg_size(c, "decoder_ffn_embed_dim", 1280);
    bool deep = cfg_bool(c, "deepnorm", false);
    t.before = cfg_bool(c, "decoder_normalize_before", true) && !deep;
    t.alpha = deep ? pow(2 * (double)f->layers, 0.25) : 0;
    f->final_norm = t.before ? arena_printf(x->a, "%slayer_norm", t.prefix) : NULL;
    t.act = cfg_act(c, "activation_fn", "gelu");
    skip_keys(c);
    return t;
}

static cJSON *import(ImportCtx *x) {
    Frame f;
    if (has_tensor(x, "model.embeddings.weight")) return importer_retnet_fla.import(x);
    if (!x->cfg.node) return import_error(x, "there is no config.json with RetNetConfig's arguments"), NULL;
    Retnet t = read_config(x, &f);
    bool norm = cfg_bool(&x->cfg, "layernorm_embedding", false);
    if (import_failed(x)) return NULL;
    cJSON *m = frame_begin(x, &f);
    model_dim(m, "DH", t.heads), model_dim(m, "DK", t.K), model_dim(m, "DP", t.P), model_dim(m, "F", t.F);
    write_block(x, &t);
    frame_embed(x, &f);
    if (norm)
        st_norm(model_ops(m), "x", "x", arena_printf(x->a, "%slayernorm_embedding", t.prefix), "D", &t.norm);
    frame_layers(x, &f, layers_same(x->a, f.layers, "retention"));
    frame_head(x, &f);
    model_ignore(m, "*retnet_rel_pos.angle"),
        model_ignore(m, "*retnet_rel_pos.decay"); /* they follow from the sizes */
    return m;
}

static bool recognise(const ImportCtx *x) {
    return has_tensor(x, "layers.0.retention.q_proj.weight") ||
           has_tensor(x, "decoder.layers.0.retention.q_proj.weight");
}

const Importer importer_retnet = {
    .name = "retnet",
    .doc = "RetNet, its authors' checkpoints (torchscale)",
    .accepts = "RetNetDecoder",
    .recurrence = "matrix state, fixed decay per head",
    .cases = "retnet retnet-scaled",
    .recognise = recognise,
    .import = import,
};
