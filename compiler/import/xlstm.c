/* xLSTM of mLSTM blocks, as xLSTM-7B: Beck et al. 2024, arXiv:2405.04517 and 2025, arXiv:2503.13427; checkpoints of
 * transformers (xLSTMForCausalLM). */
#include <math.h>
#include <string.h>

#include "import/parts/frame.h"
#include "import/parts/heads.h"
#include "import/parts/mlp.h"
#include "import/parts/mlstm.h"

typedef struct Xlstm {
    int64_t heads, K, P;
    double eps, cell_eps, cap;
    bool fused, bias; /* one projection for q, k, v, o, and one for both gates */
    Mlp mlp;
} Xlstm;

/* q, k, v, o, i, f from u */
static void st_projections(cJSON *b, const Xlstm *t) {
    static const char *const apart[][3] = {
        {"q", "q", "DH*DK"}, {"k", "k", "DH*DK"}, {"v", "v", "DH*DP"}, {"o", "ogate_preact", "DH*DP"}};
    char name[64];
    if (t->fused) {
        st_linear(b, "qkvo", "u", "mlstm_layer.qkv_opreact", "2*DH*DK + 2*DH*DP", "D", t->bias);
        st(b, "{'out':['q','k','v','o'],'split':'qkvo','sizes':['DH*DK','DH*DK','DH*DP','DH*DP']}");
        st_linear(b, "gates", "u", "mlstm_layer.ifgate_preact", "2*DH", "D", true);
        st(b, "{'out':['i','f'],'split':'gates','sizes':['DH','DH']}");
        return;
    }
    for (int i = 0; i < 4; i++) {
        snprintf(name, sizeof name, "mlstm_layer.%s", apart[i][1]);
        st_linear(b, apart[i][0], "u", name, apart[i][2], "D", t->bias);
    }
    st_linear(b, "i", "u", "mlstm_layer.igate_preact", "DH", "D", true);
    st_linear(b, "f", "u", "mlstm_layer.fgate_preact", "DH", "D", true);
}

static void write_block(ImportCtx *x, const Xlstm *t) {
    cJSON *b = block_new(x->model, "mlstm", NULL, NULL);
    Norm norm = {.eps = t->eps};
    const char *cap = json_number(x->a, t->cap);
    st_norm(b, "u", "x", "norm_mlstm", "D", &norm);
    st_projections(b, t);
    for (const char *p = "if"; t->cap != 0 && *p; p++)
        st(b, "{'out':'%c','map':'%s * tanh(%c / %s)'}", *p, cap, *p, cap);
    st(b, "{'out':'q','map':'q / sqrt(DK)'}");
    st(b, "{'out':'q','op':'reshape','x':'q','shape':['DH','DK']}");
    st(b, "{'out':'k','op':'reshape','x':'k','shape':['DH','DK']}");
    st(b, "{'out':'v','op':'reshape','x':'v','shape':['DH','DP']}");
    st_mlstm(b, "DH", "DP", t->cell_eps);
    st(b, "{'out':'y','op':'reshape','x':'y','shape':['DH*DP']}");
    st(b,
       "{'out':'y','op':'norm.layer','x':'y','w':'@mlstm_layer.multihead_norm.weight[DH*DP]','groups':'DH','"
       "eps':%.17g}",
       t->eps);
    st(b, "{'out':'y','map':'sigmoid(o) * y'}");
    st_linear(b, "o", "y", "mlstm_layer.out_proj", "D", "DH*DP", t->bias);
    st_residual(x, b, "o", 0);
    st_norm(b, "u", "x", "norm_ffn", "D", &norm);
    st_mlp(x, b, "f", "u", &t->mlp);
    st_residual(x, b, "f", 0);
}

static void read_mlp(Cfg *c, Xlstm *t, int64_t D) {
    int64_t unit = cfg_size(c, "ffn_round_up_to_multiple_of", 64);
    double wide = (double)D * cfg_float(c, "ffn_proj_factor", 2.667, ">0");
    t->mlp =
        (Mlp){.module = "ffn", .act = "silu", .gate = "proj_up_gate", .up = "proj_up", .down = "proj_down"};
    t->mlp.width = (int64_t)floor((wide + (double)unit - 1) / (double)unit) * unit, t->mlp.bias = t->bias;
    if (t->fused) t->mlp.gate_up = "proj_up_gate_z";
}

/* The first published files repeat what other keys say, and how training began. */
static void read_older_keys(Cfg *c, const Xlstm *t, double cap) {
    cfg_only_bool(c, "add_post_blocks_norm", true, true);
    cfg_only_int(c, "head_dim", t->P, t->P);
    cfg_only_float(c, "cell_norm_eps", t->eps, t->eps), cfg_only_float(c, "logits_soft_cap", cap, cap);
    int64_t unit = cfg_size(c, "mlstm_round_up_to_multiple_of", 1);
    if (t->heads * t->K % unit || t->heads * t->P % unit)
        cfg_error(c, "mlstm_round_up_to_multiple_of", "the widths of keys and values are no multiples of it");
    cfg_skip_all(c, "force_bos_token_insert forward_backend_name igate_bias_init_range init_distribution "
                    "init_distribution_embed output_init_fn tokenizer_block_size");
}

static cJSON *import(ImportCtx *x) {
    static const char *const run[] = {"mode",
                                      "chunkwise_kernel",
                                      "sequence_kernel",
                                      "step_kernel",
                                      "inference_state_dtype",
                                      "autocast_kernel_dtype",
                                      "chunk_size",
                                      "max_inference_chunksize",
                                      "return_last_states",
                                      "norm_reduction_force_float32"};
    Cfg *c = &x->cfg;
    if (!c->node) return import_error(x, "there is no config.json, which an xLSTM model needs"), NULL;
    Frame f = frame_named();
    f.prefix = "backbone.blocks.{i}.", f.embedding = "backbone.embeddings.weight",
    f.final_norm = "backbone.out_norm";
    if (!has_tensor(x, f.embedding) && has_tensor(x, "backbone.embedding.weight"))
        f.embedding = "backbone.embedding.weight";
    f.width = cfg_size(c, "embedding_dim", 4096), f.layers = cfg_size(c, "num_blocks", 32), f.vocab = 50304;
    cfg_frame(x, &f);
    cfg_only_int(c, "embedding_dim", f.width, f.width), cfg_only_int(c, "num_blocks", f.layers, f.layers);
    const char *mode = cfg_str(c, "weight_mode", "single");
    Xlstm t = {.fused = !strcmp(mode, "fused"), .bias = cfg_bool(c, "use_bias", false)};
    if (!t.fused && strcmp(mode, "single") != 0)
        cfg_error(c, "weight_mode", "must be single or fused, is %s", mode);
    t.heads = cfg_size(c, "num_heads", 8);
    int64_t keys = cfg_times(c, "qk_dim_factor", 0.5, f.width),
            values = cfg_times(c, "v_dim_factor", 1, f.width);
    if (keys % t.heads || values % t.heads)
        cfg_error(c, "num_heads", "does not divide the widths of keys and values evenly");
    t.K = keys / t.heads, t.P = values / t.heads;
    t.eps = cfg_float(c, "norm_eps", 1e-6, ">=0"), t.cell_eps = cfg_float(c, "eps", 1e-6, ">=0");
    t.cap = cfg_float(c, "gate_soft_cap", 15, ">0");
    f.logit_cap = cfg_float(c, "output_logit_soft_cap", 30, ">0"), f.norm = (Norm){.eps = t.eps};
    /* transformers has this norm whatever the key says */
    if (!cfg_bool(c, "add_out_norm", true) && !has_tensor(x, "backbone.out_norm.weight")) f.final_norm = NULL;
    read_mlp(c, &t, f.width);
    read_older_keys(c, &t, f.logit_cap);
    for (size_t i = 0; i < sizeof run / sizeof *run; i++) cfg_skip(c, run[i]);
    if (import_failed(x)) return NULL;

    cJSON *m = frame_begin(x, &f);
    model_dim(m, "DH", t.heads), model_dim(m, "DK", t.K), model_dim(m, "DP", t.P);
    write_block(x, &t);
    Layers l = {0};
    for (int64_t i = 0; i < f.layers; i++) layers_add(x->a, &l, "mlstm");
    return frame_end(x, &f, &l);
}

const Importer importer_xlstm = {
    .name = "xlstm",
    .doc = "xLSTM with mLSTM blocks (xLSTM-7B), checkpoints of transformers",
    .accepts = "xLSTMForCausalLM",
    .recurrence = "matrix state, one decay per head, running maximum",
    .cases = "hf-xlstm",
    .import = import,
};
