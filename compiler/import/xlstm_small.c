/* xLSTM of mLSTM and sLSTM blocks, in files of the authors' package: Beck et al. 2024, arXiv:2405.04517, fig. 10 and 11. */
#include <string.h>

#include "import/parts/frame.h"
#include "import/parts/mlp.h"
#include "import/parts/mlstm.h"

enum { GATES = 4 };

typedef struct Small {
    Frame frame;
    int64_t inner, heads, blocks, taps; /* of mLSTM; blocks: on the diagonals of the projections */
    int64_t cells, slstm_taps;          /* heads of sLSTM */
    bool bias, vanilla;                 /* vanilla: rows of the recurrent matrices are gates */
    Mlp mlp;
    Norm norm;
    const char *first[2]; /* the prefix of the first layer of each kind; NULL: there is none */
} Small;

/* out = in times blocks stored [block, out, in] */
static void st_headwise(cJSON *b, const char *out, const char *in, const char *tensor, const char *n,
                        const char *width) {
    st(b, "{'out':'w','op':'transpose','x':'@xlstm.%s.weight[%s, %s, %s]','perm':[0,2,1]}", tensor, n, width,
       width);
    st(b, "{'out':'%s','op':'linear.blocks','x':'%s','w':'w'}", out, in);
}

static void st_conv(cJSON *b, const char *in, const char *width, const char *taps) {
    st(b,
       "{'out':'c','op':'conv.short','x':'%s','w':'@xlstm.conv1d.conv.weight[%s, "
       "%s]','b':'@xlstm.conv1d.conv.bias[%s]',"
       "'state':'conv'}",
       in, width, taps, width);
    st(b, "{'out':'c','map':'silu(c)'}");
}

/* The weights of all norms are what is added to 1. */
static void st_head_norm(cJSON *b, const char *tensor, const char *width, const char *heads) {
    st(b, "{'out':'w','map':'1 + @xlstm.%s.weight[%s]'}", tensor, width);
    st(b, "{'out':'y','op':'norm.layer','x':'y','w':'w','groups':'%s','eps':1e-05}", heads);
}

static void write_mlstm(ImportCtx *x, const Small *t) {
    cJSON *m = x->model, *b = block_new(m, "mlstm", NULL, NULL);
    model_dim(m, "DE", t->inner), model_dim(m, "DH", t->heads), model_dim(m, "DB", t->blocks),
        model_dim(m, "DW", t->taps);
    st_norm(b, "u", "x", "xlstm_norm", "D", &t->norm);
    st_linear(b, "p", "u", "xlstm.proj_up", "2*DE", "D", t->bias);
    st(b, "{'out':['a','z'],'split':'p','sizes':['DE','DE']}");
    st_conv(b, "a", "DE", "DW");
    st_headwise(b, "q", "c", "q_proj", "DB", "DE/DB");
    st_headwise(b, "k", "c", "k_proj", "DB", "DE/DB");
    st_headwise(b, "v", "a", "v_proj", "DB", "DE/DB");
    st(b, "{'out':'all','op':'concat','in':['q','k','v']}");
    st_linear(b, "i", "all", "xlstm.mlstm_cell.igate", "DH", "3*DE", true);
    st_linear(b, "f", "all", "xlstm.mlstm_cell.fgate", "DH", "3*DE", true);
    st(b, "{'out':'q','map':'q / sqrt(DE/DH)'}");
    for (const char *p = "qkv"; *p; p++)
        st(b, "{'out':'%c','op':'reshape','x':'%c','shape':['DH','DE/DH']}", *p, *p);
    st_mlstm(b, "DH", "DE/DH", 1e-6);
    st(b, "{'out':'y','op':'reshape','x':'y','shape':['DE']}");
    st_head_norm(b, "mlstm_cell.outnorm", "DE", "DH");
    st(b, "{'out':'y','map':'(y + @xlstm.learnable_skip[DE] * c) * silu(z)'}");
    st_linear(b, "o", "y", "xlstm.proj_down", "D", "DE", t->bias);
    st_residual(x, b, "o", 0);
}

/* The tensor called fgate feeds the input gate, and igate the forget gate. */
static void write_slstm(ImportCtx *x, const Small *t) {
    static const char *const gates[GATES][2] = {
        {"fgate", "c"}, {"igate", "c"}, {"zgate", "u"}, {"ogate", "u"}};
    cJSON *m = x->model, *b = block_new(m, "slstm", NULL, NULL);
    model_dim(m, "CH", t->cells), model_dim(m, "CW", t->slstm_taps ? t->slstm_taps : 1);
    st_norm(b, "u", "x", "xlstm_norm", "D", &t->norm);
    if (t->slstm_taps)
        st_conv(b, "u", "D", "CW");
    else
        st(b, "{'out':'c','map':'u'}");
    for (int i = 0; i < GATES; i++)
        st_headwise(b, arena_printf(x->a, "g%d", i), gates[i][1], gates[i][0], "CH", "D/CH");
    st(b, "{'out':'g','op':'concat','in':['g0','g1','g2','g3']}");
    st(b, "{'out':'g','op':'reshape','x':'g','shape':[4,'D']}");
    if (t->vanilla) {
        st(b, "{'out':'w','op':'reshape','x':'@xlstm.slstm_cell._recurrent_kernel_[CH, 4*D/CH, "
              "D/CH]','shape':['CH',4,'D/CH',"
              "'D/CH']}");
        st(b, "{'out':'b','op':'reshape','x':'@xlstm.slstm_cell._bias_[4*D]','shape':[4,'D']}");
    } else {
        st(b, "{'out':'w','op':'reshape','x':'@xlstm.slstm_cell._recurrent_kernel_[CH, D/CH, "
              "4*D/CH]','shape':['CH','D/CH',4,"
              "'D/CH']}");
        st(b, "{'out':'w','op':'transpose','x':'w','perm':[0,2,3,1]}");
        st(b, "{'out':'b','op':'reshape','x':'@xlstm.slstm_cell._bias_[4*D]','shape':['CH',4,'D/CH']}");
        st(b, "{'out':'b','op':'transpose','x':'b','perm':[1,0,2]}");
        st(b, "{'out':'b','op':'reshape','x':'b','shape':[4,'D']}");
    }
    st(b, "{'out':'y','op':'scan.cell','x':'g','w':'w','b':'b','gates':'i f z o','keeps':'c n m','cell':'"
          "l = m - softplus(-f); p = where(n == 0, i, max(i, l)); a = min(exp(i - p), 1); r = min(exp(l - "
          "p), 1); "
          "c = r*c + a*tanh(z); n = r*n + a; m = p; y = sigmoid(o)*c/n','state':['y','kept']}");
    st_head_norm(b, "group_norm", "D", "CH");
    st(b, "{'out':'x','map':'x + y'}");
    if (!t->mlp.width) return;
    st_norm(b, "u", "x", "ffn_norm", "D", &t->norm);
    st_mlp(x, b, "f", "u", &t->mlp);
    st_residual(x, b, "f", 0);
}

static int64_t dim_of(ImportCtx *x, const char *first, const char *name, int axis) {
    return tensor_dim(x, arena_printf(x->a, "%sxlstm.%s", first, name), axis);
}

static void read_blocks(ImportCtx *x, Small *t) {
    static const char *const begin[] = {"bias_init",
                                        "recurrent_weight_init",
                                        "backend",
                                        "dtype",
                                        "dtype_b",
                                        "dtype_r",
                                        "dtype_w",
                                        "dtype_g",
                                        "dtype_s",
                                        "dtype_a",
                                        "enable_automatic_mixed_precision",
                                        "initial_val",
                                        "num_states",
                                        "num_gates",
                                        "function"};
    Cfg *c = &x->cfg, mb = cfg_sub(c, "mlstm_block"), ml = cfg_sub(&mb, "mlstm"),
        sb = cfg_sub(c, "slstm_block"), sl = cfg_sub(&sb, "slstm"), ff = cfg_sub(&sb, "feedforward");
    const char *m = t->first[0], *s = t->first[1];
    for (int i = 0; i < 2; i++)
        cfg_skip(i ? &ff : &ml, "proj_factor"), cfg_skip(i ? &ff : &ml, "round_proj_up_to_multiple_of");
    cfg_skip(&ml, "round_proj_up_dim_up"), cfg_skip(&ff, "round_proj_up_dim_up");
    if (m) {
        t->inner = dim_of(x, m, "proj_down.weight", 1), t->heads = dim_of(x, m, "mlstm_cell.igate.bias", 0);
        t->blocks = dim_of(x, m, "q_proj.weight", 0), t->taps = dim_of(x, m, "conv1d.conv.weight", -1);
        cfg_only_int(&ml, "conv1d_kernel_size", t->taps, t->taps),
            cfg_only_int(&ml, "num_heads", t->heads, t->heads);
        if (t->blocks) cfg_only_int(&ml, "qkv_proj_blocksize", t->inner / t->blocks, t->inner / t->blocks);
        if (!import_failed(x) && (t->inner % t->heads || t->inner % t->blocks))
            import_error(x, "%lld channels do not fall into %lld heads and %lld blocks", (long long)t->inner,
                         (long long)t->heads, (long long)t->blocks);
        cfg_done(&ml);
    }
    if (s) {
        t->cells = dim_of(x, s, "fgate.weight", 0);
        t->slstm_taps = cfg_int(&sl, "conv1d_kernel_size", 4);
        t->vanilla = dim_of(x, s, "slstm_cell._recurrent_kernel_", 1) >
                     dim_of(x, s, "slstm_cell._recurrent_kernel_", 2);
        cfg_only_int(&sl, "num_heads", t->cells, t->cells);
        for (size_t i = 0; i < sizeof begin / sizeof *begin; i++) cfg_skip(&sl, begin[i]);
        cfg_done(&sl);
        const char *up = arena_printf(x->a, "%sffn.proj_up.weight", s);
        t->mlp = (Mlp){.module = "ffn", .gate_up = "proj_up", .down = "proj_down", .bias = t->bias};
        t->mlp.width = has_tensor(x, up) ? tensor_dim(x, up, 0) / 2 : 0,
        t->mlp.act = cfg_act(&ff, "act_fn", "gelu");
        cfg_done(&ff);
    }
    cfg_done(&mb), cfg_done(&sb);
}

static cJSON *import(ImportCtx *x) {
    Cfg *c = &x->cfg;
    const char *stack = "xlstm_block_stack.blocks.";
    Small t = {.norm = {.kind = NORM_LAYER_PLUS, .eps = 1e-5}};
    Layers layers = {0};
    t.frame = (Frame){.prefix = "xlstm_block_stack.blocks.{i}.",
                      .embedding = "token_embedding.weight",
                      .head = "lm_head.weight",
                      .tied_key = "tie_weights",
                      .norm = t.norm};
    Frame *f = &t.frame;
    f->width = cfg_size(c, "embedding_dim", tensor_dim(x, f->embedding, 1));
    f->vocab = cfg_size(c, "vocab_size", tensor_dim(x, f->embedding, 0));
    f->layers = cfg_layers(c, "num_blocks", count_layers(x, stack), stack);
    f->tied = cfg_bool(c, "tie_weights", false);
    if (cfg_bool(c, "add_post_blocks_norm", true)) f->final_norm = "xlstm_block_stack.post_blocks_norm";
    t.bias = cfg_bool(c, "bias", false);
    cfg_skip(c, "context_length"), cfg_skip(c, "slstm_at"); /* lengths of training; the tensors tell */
    cfg_skip(c, "weight_decay_on_embedding"), cfg_skip(c, "add_embedding_dropout");
    for (int64_t i = 0; i < f->layers && !import_failed(x); i++) {
        const char *p = arena_printf(x->a, "%s%lld.", stack, (long long)i);
        bool cell = has_tensor(x, arena_printf(x->a, "%sxlstm.slstm_cell._bias_", p));
        if (!t.first[cell]) t.first[cell] = p;
        layers_add(x->a, &layers, cell ? "slstm" : "mlstm");
    }
    read_blocks(x, &t);
    if (import_failed(x)) return NULL;
    frame_begin(x, f);
    if (t.first[0]) write_mlstm(x, &t);
    if (t.first[1]) write_slstm(x, &t);
    return frame_end(x, f, &layers);
}

static bool recognise(const ImportCtx *x) {
    return has_tensor(x, "xlstm_block_stack.blocks.0.xlstm_norm.weight");
}

const Importer importer_xlstm_small = {
    .name = "xlstm-small",
    .doc = "xLSTM with mLSTM and sLSTM blocks, the authors' xLSTMLMModel",
    .accepts = "xlstmlmmodel",
    .recurrence = "matrix state, one decay per head, running maximum; nonlinear cell",
    .cases = "xlstm-small",
    .recognise = recognise,
    .import = import,
};
