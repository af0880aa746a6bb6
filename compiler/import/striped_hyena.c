/* StripedHyena (togethercomputer/stripedhyena) and Evo (Nguyen et al. 2024): gated convolutions whose filters are sums of
 * modes, given by poles and residues (Massaroli et al. 2023, arXiv:2310.18780), between layers of attention. */
#include <math.h>
#include <string.h>

#include "import/parts/attention.h"
#include "import/parts/frame.h"
#include "import/parts/mlp.h"

typedef struct Striped {
    Frame frame;
    Mlp mlp;
    Attention attention;
    int64_t heads, modes, taps;
    bool by_head;  /* the three streams lie together head by head */
    bool tap_bias; /* of the short convolution */
} Striped;

/* The filter h_l = Re sum residue pole^l, as modes that are read before they take in a token. */
static void st_modal(cJSON *b) {
    static const char *const tensors[][2] = {{"pole", "poles"}, {"gain", "residues"}};
    for (int i = 0; i < 2; i++)
        for (int k = 0; k < 2; k++) {
            const char *out = tensors[i][0], *part = k ? "im" : "re";
            st(b, "{'out':'%s_%s','op':'slice','x':'@filter.%s[D, FN, 2]','start':%d,'size':1}", out, part,
               tensors[i][1], k);
            st(b, "{'out':'%s_%s','op':'reshape','x':'%s_%s','shape':['D','FN']}", out, part, out, part);
        }
    st(b, "{'out':'gre','map':'gain_re * pole_re - gain_im * pole_im'}");
    st(b, "{'out':'gim','map':'gain_re * pole_im + gain_im * pole_re'}");
    st(b, "{'out':'are','map':'pole_re - 1'}");
    st(b, "{'out':'now','op':'reduce','x':'gain_re','kind':'sum'}");
    st(b, "{'out':'now','op':'reshape','x':'now','shape':['D']}");
    st(b, "{'out':'now','map':'now + @filter.D[D]'}");
    st(b, "{'out':'y','op':'scan.modal','x':'m','re':'are','im':'pole_im','gre':'gre','gim':'gim','d':'now','"
          "state':['sre',"
          "'sim']}");
}

/* o = gated convolution(u) */
static void st_convolution(ImportCtx *x, cJSON *b, const Striped *t) {
    static const char *const streams[] = {"x2", "x1", "v"};
    model_dim(x->model, "FN", t->modes), model_dim(x->model, "FW", t->taps),
        model_dim(x->model, "FH", t->heads);
    st_linear(b, "z", "u", "projections", "3*D", "D", true);
    st(b, "{'out':'z','op':'conv.short','x':'z','w':'@filter.short_filter_weight[3*D, FW]'%s,'state':'conv'}",
       t->tap_bias ? ",'b':'@filter.short_filter_bias[3*D]'" : "");
    if (t->by_head) {
        st(b, "{'out':'z','op':'reshape','x':'z','shape':['FH',3,'D/FH']}");
        for (int i = 0; i < 3; i++) {
            st(b, "{'out':'%s','op':'slice','x':'z','axis':1,'start':%d,'size':1}", streams[i], i);
            st(b, "{'out':'%s','op':'reshape','x':'%s','shape':['D']}", streams[i], streams[i]);
        }
    } else {
        st(b, "{'out':['x2','x1','v'],'split':'z','sizes':['D','D','D']}");
    }
    st(b, "{'out':'m','map':'x1 * v'}");
    st_modal(b);
    st(b, "{'out':'y','map':'y * x2'}");
    st_linear(b, "o", "y", "out_filter_dense", "D", "D", true);
}

static void st_block(ImportCtx *x, const Striped *t, const char *name, bool attends) {
    cJSON *b = block_new(x->model, name, NULL, NULL);
    st_norm(b, "u", "x", "pre_norm", "D", &t->frame.norm);
    if (attends)
        st_attention(x, b, "o", "u", &t->attention);
    else
        st_convolution(x, b, t);
    st_residual(x, b, "o", 0);
    st_norm(b, "u", "x", "post_norm", "D", &t->frame.norm);
    st_mlp(x, b, "f", "u", &t->mlp);
    st_residual(x, b, "f", 0);
}

/* Positions may be divided: as if all waves were longer. */
static Rope read_rope(ImportCtx *x, int64_t width) {
    Cfg *c = &x->cfg;
    Rope r = {.theta = cfg_float(c, "rotary_emb_base", 10000, ">0"), .scale = 1};
    double factor = cfg_float(c, "rotary_emb_scaling_factor", 1, ">0");
    if (!cfg_bool(c, "use_interpolated_rotary_pos_emb", false) || factor == 1) return r;
    Text list = text_new(x->a);
    for (int64_t i = 0; i < width / 2; i++)
        text_add(&list, "%s%.17g", i ? "," : "[", pow(r.theta, -2.0 * (double)i / (double)width) / factor);
    text_add(&list, "]");
    r.freqs = list.s;
    return r;
}

static void read(ImportCtx *x, Striped *t) {
    static const char *const running[] = {"inference_mode",
                                          "prefill_style",
                                          "log_intermediate_values",
                                          "max_batch_size",
                                          "pipe_parallel_size",
                                          "num_filters",
                                          "hyena_layer_idxs",
                                          "column_split",
                                          "make_vocab_size_divisible_by",
                                          "use_flash_attn",
                                          "use_flash_depthwise",
                                          "use_flashfft",
                                          "use_laughing_hyena",
                                          "hyena_filter_order",
                                          "split_k0",
                                          "eos_id",
                                          "stop_at_eos"};
    Cfg *c = &x->cfg;
    const char *p = has_tensor(x, "backbone.embedding_layer.weight") ? "backbone." : "", *first = "";
    Frame *f = &t->frame;
    *f = (Frame){.prefix = arena_printf(x->a, "%sblocks.{i}.", p), .tied_key = "tie_embeddings"};
    f->embedding = arena_printf(x->a, "%sembedding_layer.weight", p),
    f->head = arena_printf(x->a, "%sunembed.weight", p);
    f->final_norm = cfg_bool(c, "final_norm", true) ? arena_printf(x->a, "%snorm", p) : NULL;
    f->width = cfg_size(c, "hidden_size", REQUIRED);
    f->layers = cfg_layers(c, "num_layers", REQUIRED, arena_printf(x->a, "%sblocks.", p));
    f->tied = cfg_bool(c, "tie_embeddings", false);
    f->vocab = table_rows(x, f->embedding, f->head);
    f->norm = (Norm){.eps = cfg_float(c, "eps", 1e-5, ">=0"), .w = "scale"};
    f->norm.kind = cfg_bool(c, "use_flash_rmsnorm", false) ? NORM_RMS : NORM_RMS_APART;
    int64_t parts = cfg_size(c, "inner_size_multiple_of", 64) * cfg_size(c, "model_parallel_size", 1),
            inner = 2 * f->width * 4 / 3;
    t->mlp = (Mlp){
        .module = "mlp", .gate = "l1", .up = "l2", .down = "l3", .act = cfg_act(c, "mlp_activation", "gelu")};
    t->mlp.width = cfg_size(c, "inner_mlp_size", (inner + parts - 1) / parts * parts);
    Attention *a = &t->attention;
    *a = (Attention){.module = "inner_mha_cls", .rows = QKV_IN_ORDER, .qkv = "Wqkv", .o = "out_proj"};
    cfg_equal_heads(c, "num_attention_heads", REQUIRED, f->width, a);
    t->heads = a->heads;
    int64_t shared = cfg_size(c, "proj_groups", 1);
    if (a->heads % shared) cfg_error(c, "proj_groups", "must divide the %lld heads", (long long)a->heads);
    a->kv_heads = a->heads / shared;
    a->bias_qkv = cfg_bool(c, "qkv_proj_bias", true), a->bias_o = cfg_bool(c, "mha_out_proj_bias", true);
    a->positions = cfg_size(c, "max_seqlen", 8192);
    if (!import_failed(x)) a->rope = read_rope(x, a->width);
    t->by_head = cfg_bool(c, "column_split_hyena", true),
    t->tap_bias = cfg_bool(c, "short_filter_bias", true);
    cfg_only_int(c, "hyena_filter_groups", 1, 1);
    cfg_only_int(c, "long_fir_threshold", 0, 0);
    cfg_list(c, "attn_layer_idxs");
    for (size_t i = 0; i < sizeof running / sizeof *running; i++) cfg_skip(c, running[i]);
    for (int64_t i = 0; i < f->layers && !*first; i++) {
        const char *layer = arena_printf(x->a, "%sblocks.%lld.", p, (long long)i);
        if (has_tensor(x, arena_printf(x->a, "%sfilter.poles", layer))) first = layer;
    }
    t->modes = *first ? tensor_dim(x, arena_printf(x->a, "%sfilter.poles", first), 1) : 1;
    cfg_int(c, "state_size", t->modes);
    t->taps = cfg_size(c, "short_filter_length", 3);
}

static cJSON *import(ImportCtx *x) {
    Striped t = {0};
    read(x, &t);
    Layers layers = {0};
    for (int64_t i = 0; i < t.frame.layers && !import_failed(x); i++) {
        const char *p =
            arena_printf(x->a, "%.*s", (int)(strstr(t.frame.prefix, "{i}") - t.frame.prefix), t.frame.prefix);
        bool attends = has_tensor(x, arena_printf(x->a, "%s%lld.inner_mha_cls.Wqkv.weight", p, (long long)i));
        layers_add(x->a, &layers, attends ? "attention" : "convolution");
    }
    if (import_failed(x)) return NULL;
    frame_begin(x, &t.frame);
    if (layers_have(&layers, "convolution")) st_block(x, &t, "convolution", false);
    if (layers_have(&layers, "attention")) st_block(x, &t, "attention", true);
    return frame_end(x, &t.frame, &layers);
}

const Importer importer_striped_hyena = {
    .name = "stripedhyena",
    .doc = "StripedHyena and Evo: filters given by poles and residues, attention layers",
    .accepts = "StripedHyenaModelForCausalLM evo",
    .recurrence = "complex diagonal; KV cache",
    .cases = "stripedhyena stripedhyena-evo",
    .import = import,
};
