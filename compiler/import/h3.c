/* H3: Fu et al. 2023, arXiv:2212.14052 (HazyResearch/H3). A mixer multiplies values by shifted keys, passes the
 * product through a diagonal state space model, and multiplies the result by queries. Some layers are attention
 * instead. */
#include "import/parts/attention.h"
#include "import/parts/frame.h"
#include "import/parts/mlp.h"
#include "import/parts/ssm.h"

static const SsmNames NAMES = {.re = "inv_A_real",
                               .im = "A_imag",
                               .dt = "log_dt",
                               .B = "B",
                               .C = "C",
                               .re_map = "-exp(#)",
                               .im_map = "#",
                               .dt_map = "exp(#)"};

/* o = mixer(u). The shift is a filter as long as its state: what b puts in, c reads later. */
static void st_mixer(ImportCtx *x, cJSON *b, const Ssm *t, const char *first) {
    static const char *const parts[] = {"q", "k", "v"};
    model_dim(x->model, "SW", tensor_dim(x, arena_printf(x->a, "%smixer.ssm_k_kernel.kernel.B", first), 1));
    for (int i = 0; i < 3; i++)
        st_linear(b, parts[i], "u", arena_printf(x->a, "mixer.%s_proj", parts[i]), "D", "D", true);
    st(b, "{'out':'taps','op':'correlate','b':'@mixer.ssm_k_kernel.kernel.B[D, "
          "SW]','c':'@mixer.ssm_k_kernel.kernel.C[D, SW]'}");
    st(b, "{'out':'shifted','op':'conv.short','x':'k','w':'taps','state':'keys'}");
    st(b, "{'out':'kv','map':'(shifted + @mixer.ssm_k_D[D] * k) * v'}");
    st(b, "{'out':'skip','map':'@mixer.D[D]'}");
    st_modes(x, b, t, 0, 1, false, "");
    st_ssm(x, b, "y", "kv", t, 1, "skip", "", "s");
    st(b, "{'out':'y','map':'y * q'}");
    st_linear(b, "o", "y", "mixer.output_linear", "D", "D", true);
}

static void st_block(ImportCtx *x, const Frame *f, const char *name, const Mlp *mlp, const Ssm *ssm,
                     const char *first, const Attention *attention) {
    cJSON *b = block_new(x->model, name, NULL, NULL);
    st_norm(b, "u", "x", "norm1", "D", &f->norm);
    if (attention)
        st_attention(x, b, "o", "u", attention);
    else
        st_mixer(x, b, ssm, first);
    st_residual(x, b, "o", 0);
    st_norm(b, "u", "x", "norm2", "D", &f->norm);
    st_mlp(x, b, "m", "u", mlp);
    st_residual(x, b, "m", 0);
}

static cJSON *import(ImportCtx *x) {
    enum { ANY = 8192 }; /* nothing limits the sequence */
    Cfg *c = &x->cfg, ssm = cfg_sub(c, "ssm_cfg"), attn = cfg_sub(c, "attn_cfg");
    Frame f = {.prefix = "backbone.layers.{i}.",
               .embedding = "backbone.embeddings.word_embeddings.weight",
               .head = "lm_head.weight",
               .final_norm = "backbone.ln_f",
               .tied = true};
    f.width = cfg_size(c, "d_model", tensor_dim(x, f.embedding, 1));
    f.layers = cfg_layers(c, "n_layer", count_layers(x, "backbone.layers."), "backbone.layers.");
    f.vocab = table_rows(x, f.embedding, f.head);
    f.norm = (Norm){.kind = NORM_LAYER, .eps = cfg_float(c, "layer_norm_epsilon", 1e-5, ">=0")};
    Mlp mlp = {
        .module = "mlp", .up = "fc1", .down = "fc2", .act = "gelu_tanh", .ungated = true, .bias = true};
    mlp.width = cfg_size(c, "d_inner", tensor_dim(x, "backbone.layers.0.mlp.fc1.weight", 0));
    cfg_only_int(c, "max_position_embeddings", 0, 0);
    cfg_only_int(&ssm, "head_dim", 1, 1);
    const char *mode = cfg_str(&ssm, "mode", "diag"),
               *begins[] = {"d_state", "measure", "dt_min", "dt_max", "lr"};
    if (*mode != 'd') cfg_error(&ssm, "mode", "only diag is supported");
    for (int i = 0; i < 5; i++) cfg_skip(&ssm, begins[i]);
    const char *rule = cfg_str(&ssm, "disc", "bilinear");
    const cJSON *listed = cfg_list(c, "attn_layer_idx");
    Layers layers = {0};
    const char *first = NULL;
    int attention_layers = 0;
    for (int64_t i = 0; i < f.layers; i++) {
        const char *layer = arena_printf(x->a, "backbone.layers.%lld.", (long long)i);
        bool attends = has_tensor(x, arena_printf(x->a, "%smixer.Wqkv.weight", layer));
        attention_layers += attends;
        if (!attends && !first) first = layer;
        layers_add(x->a, &layers, attends ? "attention" : "h3");
    }
    if (listed && cJSON_GetArraySize(listed) != attention_layers && !import_failed(x))
        cfg_error(c, "attn_layer_idx", "names %d layers, the checkpoint has %d with attention",
                  cJSON_GetArraySize(listed), attention_layers);
    Attention attention = {.module = "mixer",
                           .rows = QKV_IN_ORDER,
                           .qkv = "Wqkv",
                           .o = "out_proj",
                           .bias_qkv = true,
                           .bias_o = true,
                           .positions = ANY,
                           .rope = {.none = true}};
    if (attention_layers) {
        cfg_equal_heads(&attn, "num_heads", REQUIRED, f.width, &attention);
        int64_t rotary = cfg_int(&attn, "rotary_emb_dim", 0);
        if (rotary)
            attention.rope =
                (Rope){.theta = 10000, .scale = 1, .dims = rotary == attention.width ? 0 : rotary};
        cfg_only_bool(&attn, "causal", true, true);
        cfg_skip(&attn, "use_flash_attn");
        cfg_done(&attn);
    }
    Ssm t = {.names = &NAMES, .module = "mixer.kernel.kernel", .hold = *rule == 'z'};
    if (first) ssm_sizes(x, first, &t);
    cfg_done(&ssm);
    if (import_failed(x)) return NULL;
    frame_begin(x, &f);
    if (first) st_block(x, &f, "h3", &mlp, &t, first, NULL);
    if (attention_layers) st_block(x, &f, "attention", &mlp, NULL, NULL, &attention);
    return frame_end(x, &f, &layers);
}

static bool recognise(const ImportCtx *x) {
    for (int i = 0; i < 3; i++)
        if (has_tensor(x, arena_printf(x->a, "backbone.layers.%d.mixer.ssm_k_kernel.kernel.B", i)))
            return true;
    return false;
}

const Importer importer_h3 = {
    .name = "h3",
    .doc = "H3: SSMLMHeadModel of HazyResearch/H3",
    .accepts = "ssmlmheadmodel",
    .recurrence = "shift, complex diagonal; KV cache",
    .cases = "h3",
    .recognise = recognise,
    .import = import,
};
