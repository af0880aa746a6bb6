/* Mamba: Gu & Dao 2023, arXiv:2312.00752, algorithm 2. Checkpoints of transformers (MambaForCausalLM) and of
 * the authors' package (d_model, n_layer, ssm_cfg). Step sizes come from a low rank R; the decay of a state
 * is exp(dt*A); B is discretised as dt*B. */
#include <string.h>

#include "import/import.h"

typedef struct Mamba {
    int64_t V, D, E, N, R, W, layers;
    double eps;
    bool bias, conv_bias, tied;
    const char *flag; /* the key that says so */
    const char *act, *embedding;
} Mamba;

/* Configurations converted from the authors' keep the old keys beside the new ones; they have to agree. */
static void check_old_keys(Cfg *c, const Mamba *t) {
    cfg_only_int(c, "d_model", t->D, t->D);
    cfg_only_int(c, "n_layer", t->layers, t->layers);
    cfg_only_int(c, "d_inner", t->E, t->E);
    cfg_skip(c, "pad_vocab_size_multiple");
    Cfg s = cfg_sub(c, "ssm_cfg");
    if (strcmp(cfg_str(&s, "layer", "Mamba1"), "Mamba1") != 0) cfg_error(&s, "layer", "is not Mamba1");
    cfg_done(&s);
}

static void read_hf(Cfg *c, Mamba *t) {
    t->V = cfg_size(c, "vocab_size", 50280);
    t->D = cfg_size(c, "hidden_size", 768);
    t->N = cfg_size(c, "state_size", 16);
    t->layers = cfg_layers(c, "num_hidden_layers", 32, "backbone.layers.");
    t->W = cfg_size(c, "conv_kernel", 4);
    t->E = cfg_size(c, "expand", 2) * t->D;
    t->E = cfg_size(c, "intermediate_size", t->E);
    t->R = (t->D + 15) / 16;
    const cJSON *rank = json_get(c->node, "time_step_rank");
    if (cJSON_IsString(rank) && strcmp(rank->valuestring, "auto") == 0)
        cfg_skip(c, "time_step_rank");
    else
        t->R = cfg_size(c, "time_step_rank", t->R);
    t->bias = cfg_bool(c, "use_bias", false);
    t->conv_bias = cfg_bool(c, "use_conv_bias", true);
    t->flag = "tie_word_embeddings";
    t->tied = cfg_bool(c, t->flag, true);
    t->act = cfg_act(c, "hidden_act", "silu");
    t->eps = cfg_float(c, "layer_norm_epsilon", 1e-5, ">=0");
    cfg_only_bool(c, "rms_norm", true, true);
    check_old_keys(c, t);
}

/* The authors' configuration. The vocabulary of the file is padded. */
static void read_original(ImportCtx *x, Cfg *c, Mamba *t) {
    t->D = cfg_size(c, "d_model", REQUIRED);
    t->layers = cfg_layers(c, "n_layer", REQUIRED, "backbone.layers.");
    t->V = table_rows(x, t->embedding, "lm_head.weight");
    cfg_only_bool(c, "rms_norm", true, true);
    cfg_only_int(c, "d_intermediate", 0, 0);
    const cJSON *attention = cfg_list(c, "attn_layer_idx");
    if (attention && attention->child)
        cfg_error(c, "attn_layer_idx", "layers of attention are not supported here");
    cfg_sub(c, "attn_cfg");
    Cfg s = cfg_sub(c, "ssm_cfg");
    if (strcmp(cfg_str(&s, "layer", "Mamba1"), "Mamba1") != 0) cfg_error(&s, "layer", "is not Mamba1");
    t->N = cfg_size(&s, "d_state", 16);
    t->W = cfg_size(&s, "d_conv", 4);
    t->E = cfg_size(&s, "expand", 2) * t->D;
    const cJSON *rank = s.node ? json_get(s.node, "dt_rank") : NULL;
    t->R = (t->D + 15) / 16;
    if (cJSON_IsString(rank))
        cfg_skip(&s, "dt_rank");
    else
        t->R = cfg_size(&s, "dt_rank", t->R);
    t->bias = cfg_bool(&s, "bias", false);
    t->conv_bias = cfg_bool(&s, "conv_bias", true);
    cfg_done(&s);
    t->flag = "tie_embeddings";
    t->tied = cfg_bool(c, t->flag, true);
    t->act = "silu";
    t->eps = 1e-5;
}

/* FalconMamba: B, C and the low-rank steps pass an RMS norm without weights. */
static void st_norms(cJSON *b, double eps) {
    static const char *const names[] = {"r", "B", "C"};
    for (int i = 0; i < 3; i++)
        st(b, "{'out':'%s','op':'norm.rms','x':'%s','eps':%.17g}", names[i], names[i], eps);
}

static void write_block(cJSON *m, const Mamba *t, bool falcon, double mixer_eps) {
    cJSON *b = block_new(m, "mamba", NULL, NULL);
    st(b, "{'out':'u','op':'norm.rms','x':'x','w':'@norm.weight[D]','eps':%.17g}", t->eps);
    st_linear(b, "xz", "u", "mixer.in_proj", "2*E", "D", t->bias);
    st(b, "{'out':['c','z'],'split':'xz','sizes':['E','E']}");
    st(b, "{'out':'c','op':'conv.short','x':'c','w':'@mixer.conv1d.weight[E, W]'%s,'state':'conv'}",
       t->conv_bias ? ",'b':'@mixer.conv1d.bias[E]'" : "");
    st(b, "{'out':'c','map':'%s(c)'}", t->act);
    st_linear(b, "rBC", "c", "mixer.x_proj", "R + 2*N", "E", false);
    st(b, "{'out':['r','B','C'],'split':'rBC','sizes':['R','N','N']}");
    if (falcon) st_norms(b, mixer_eps);
    st_linear(b, "dt", "r", "mixer.dt_proj", "E", "R", true);
    st(b, "{'out':'dt','map':'softplus(dt)'}");
    st(b, "{'out':'A','map':'-exp(@mixer.A_log[E, N])'}");
    st(b, "{'out':'v','map':'dt * c'}");
    st(b, "{'out':'y','op':'scan.expand','u':'v','dt':'dt','A':'A','B':'B','C':'C','state':'h'}");
    st(b, "{'out':'y','map':'(y + @mixer.D[E]*c) * %s(z)'}", t->act);
    st_linear(b, "o", "y", "mixer.out_proj", "D", "E", t->bias);
    st(b, "{'out':'x','map':'x + o'}");
}

static cJSON *import(ImportCtx *x) {
    Cfg *c = &x->cfg;
    Mamba t = {.embedding = "backbone.embeddings.weight"};
    if (has_tensor(x, "backbone.embedding.weight")) t.embedding = "backbone.embedding.weight";
    bool falcon = strcasestr(x->arch, "falcon") != NULL;
    if (!c->node) return import_error(x, "there is no config.json, which a Mamba model needs"), NULL;
    if (cfg_has(c, "d_model") && !cfg_has(c, "hidden_size"))
        read_original(x, c, &t);
    else
        read_hf(c, &t);
    double mixer_eps = falcon ? cfg_float(c, "mixer_rms_eps", 1e-6, ">=0") : 0;
    if (import_failed(x)) return NULL;

    cJSON *m = model_new(x, "tokens");
    model_dim(m, "V", t.V), model_dim(m, "D", t.D), model_dim(m, "E", t.E), model_dim(m, "N", t.N);
    model_dim(m, "R", t.R), model_dim(m, "W", t.W);
    write_block(m, &t, falcon, mixer_eps);
    cJSON *ops = model_ops(m);
    Tied tables = tied_tables(x, m, t.tied, t.flag, t.embedding, "lm_head.weight");
    st(ops, "{'out':'x','op':'embed','ids':'tokens','table':'@%s[V, D]'}", tables.table);
    st_layers(m, t.layers, "['mamba']", "backbone.layers.{i}.");
    st(ops, "{'out':'x','op':'norm.rms','x':'x','w':'@backbone.norm_f.weight[D]','eps':%.17g}", t.eps);
    st(ops, "{'out':'logits','op':'linear','x':'x','w':'@%s[V, D]'}", tables.head);
    model_ids(x, m);
    return m;
}

static bool recognise(const ImportCtx *x) {
    return has_tensor(x, "backbone.layers.0.mixer.x_proj.weight") &&
           has_tensor(x, "backbone.layers.0.mixer.A_log");
}

const Importer importer_mamba = {
    .name = "mamba",
    .doc = "Mamba (selective state spaces), also FalconMamba; transformers or state-spaces checkpoints",
    .accepts = "MambaForCausalLM FalconMambaForCausalLM falcon_mamba MambaLMHeadModel",
    .recognise = recognise,
    .import = import,
};
