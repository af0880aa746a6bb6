/* Mamba-2: Dao & Gu 2024, arXiv:2405.21060, section 7. Checkpoints of transformers (Mamba2ForCausalLM) and of
 * the authors' package. A head has one decay exp(dt*A); its state is a matrix; B and C are shared by the
 * heads of a group. */
#include <math.h>
#include <string.h>

#include "import/import.h"
#include "ir/op.h"

typedef struct Mamba2 {
    int64_t V, D, E, H, P, G, N, W, layers;
    double eps, dt_min, dt_max; /* limits of the step, after softplus */
    bool bias, conv_bias, tied;
    const char *flag; /* the key that says so */
    const char *act, *embedding;
} Mamba2;

static void read_limits(Cfg *c, const char *key, Mamba2 *t) {
    const cJSON *limit = cfg_list(c, key);
    if (!limit) return;
    if (cJSON_GetArraySize(limit) != 2) {
        cfg_error(c, key, "must be two numbers, a lower limit and an upper one, got %d",
                  cJSON_GetArraySize(limit));
        return;
    }
    t->dt_min = cfg_item(c, key, limit, 0), t->dt_max = cfg_item(c, key, limit, 1);
    const char *low = number_wrong(c->ctx->a, t->dt_min, ">=0"),
               *high = isinf(t->dt_max) ? NULL : number_wrong(c->ctx->a, t->dt_max, ">0");
    if (low) cfg_error(c, key, "the lower limit: %s", low);
    if (high) cfg_error(c, key, "the upper limit: %s", high);
    if (!low && !high && !(t->dt_min <= t->dt_max))
        cfg_error(c, key, "the lower limit, %g, is above the upper one, %g", t->dt_min, t->dt_max);
}

/* Configurations converted from the authors' keep the old keys beside the new ones; they have to agree. */
static void check_old_keys(Cfg *c, const Mamba2 *t) {
    cfg_only_int(c, "d_model", t->D, t->D);
    cfg_only_int(c, "n_layer", t->layers, t->layers);
    cfg_only_int(c, "d_inner", t->E, t->E);
    cfg_skip(c, "pad_vocab_size_multiple");
    Cfg s = cfg_sub(c, "ssm_cfg");
    if (strcmp(cfg_str(&s, "layer", "Mamba2"), "Mamba2") != 0) cfg_error(&s, "layer", "is not Mamba2");
    cfg_done(&s);
}

static void read_hf(Cfg *c, Mamba2 *t) {
    t->V = cfg_size(c, "vocab_size", 32768);
    t->D = cfg_size(c, "hidden_size", 4096);
    t->H = cfg_size(c, "num_heads", 128);
    t->P = cfg_size(c, "head_dim", 64);
    t->N = cfg_size(c, "state_size", 128);
    t->G = cfg_size(c, "n_groups", 8);
    t->W = cfg_size(c, "conv_kernel", 4);
    t->layers = cfg_layers(c, "num_hidden_layers", 64, "backbone.layers.");
    t->E = cfg_size(c, "expand", 2) * t->D;
    t->E = cfg_size(c, "intermediate_size", t->E);
    t->bias = cfg_bool(c, "use_bias", false);
    t->conv_bias = cfg_bool(c, "use_conv_bias", true);
    t->flag = "tie_word_embeddings";
    t->tied = cfg_bool(c, t->flag, false);
    t->act = cfg_act(c, "hidden_act", "silu");
    t->eps = cfg_float(c, "layer_norm_epsilon", 1e-5, ">=0");
    read_limits(c, "time_step_limit", t);
    cfg_skip(c, "time_step_rank"); /* Mamba-2 has none; the key is left over in published files */
    /* transformers reads neither: the gate always comes before the norm, and the norm is always there. */
    cfg_skip(c, "norm_before_gate");
    cfg_skip(c, "rms_norm");
    check_old_keys(c, t);
}

static void read_original(ImportCtx *x, Cfg *c, Mamba2 *t) {
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
    if (strcmp(cfg_str(&s, "layer", "Mamba1"), "Mamba2") != 0) cfg_error(&s, "layer", "is not Mamba2");
    t->N = cfg_size(&s, "d_state", 128);
    t->W = cfg_size(&s, "d_conv", 4);
    t->P = cfg_size(&s, "headdim", 64);
    t->G = cfg_size(&s, "ngroups", 1);
    t->E = cfg_size(&s, "expand", 2) * t->D;
    t->H = t->E / t->P;
    t->bias = cfg_bool(&s, "bias", false);
    t->conv_bias = cfg_bool(&s, "conv_bias", true);
    cfg_only_bool(&s, "rmsnorm", true, true);
    cfg_only_bool(&s, "norm_before_gate", false, false);
    cfg_only_bool(&s, "D_has_hdim", false, false);
    read_limits(&s, "dt_limit", t);
    cfg_done(&s);
    t->flag = "tie_embeddings";
    t->tied = cfg_bool(c, t->flag, true);
    t->act = "silu";
    t->eps = 1e-5;
}

/* softplus(dt + bias), cut to the limits; a lower limit of 0 and an upper one of infinity cut nothing. */
static void st_steps(ImportCtx *x, cJSON *b, const Mamba2 *t) {
    st(b, "{'out':'dt','map':'softplus(dt + @mixer.dt_bias[H])'}");
    if (t->dt_min > 0) st(b, "{'out':'dt','map':'maximum(dt, %s)'}", json_number(x->a, t->dt_min));
    if (isfinite(t->dt_max)) st(b, "{'out':'dt','map':'minimum(dt, %s)'}", json_number(x->a, t->dt_max));
    st(b, "{'out':'dt','op':'reshape','x':'dt','shape':['H',1]}");
}

static void write_block(ImportCtx *x, cJSON *m, const Mamba2 *t) {
    cJSON *b = block_new(m, "mamba2", NULL, NULL);
    st(b, "{'out':'u','op':'norm.rms','x':'x','w':'@norm.weight[D]','eps':%.17g}", t->eps);
    st_linear(b, "zcdt", "u", "mixer.in_proj", "2*E + 2*G*N + H", "D", t->bias);
    st(b, "{'out':['z','c','dt'],'split':'zcdt','sizes':['E','E + 2*G*N','H']}");
    st(b, "{'out':'c','op':'conv.short','x':'c','w':'@mixer.conv1d.weight[E + 2*G*N, W]'%s,'state':'conv'}",
       t->conv_bias ? ",'b':'@mixer.conv1d.bias[E + 2*G*N]'" : "");
    st(b, "{'out':'c','map':'%s(c)'}", t->act);
    st(b, "{'out':['c','B','C'],'split':'c','sizes':['E','G*N','G*N']}");
    st(b, "{'out':'c','op':'reshape','x':'c','shape':['H','P']}");
    st(b, "{'out':'B','op':'reshape','x':'B','shape':['G','N']}");
    st(b, "{'out':'C','op':'reshape','x':'C','shape':['G','N']}");
    st_steps(x, b, t);
    st(b, "{'out':'decay','map':'dt * -exp(@mixer.A_log[H, 1])'}");
    st(b, "{'out':'v','map':'dt * c'}");
    st(b, "{'out':'y','op':'scan.matrix','q':'C','k':'B','v':'v','decay':'decay','state':'S'}");
    st(b, "{'out':'y','map':'y + @mixer.D[H, 1]*c'}");
    st(b, "{'out':'y','op':'reshape','x':'y','shape':['E']}");
    st(b, "{'out':'y','map':'y * silu(z)'}"); /* in the original, too, whatever hidden_act says */
    st(b, "{'out':'y','op':'norm.rms','x':'y','w':'@mixer.norm.weight[E]','groups':'G','eps':%.17g}", t->eps);
    st_linear(b, "o", "y", "mixer.out_proj", "D", "E", t->bias);
    st(b, "{'out':'x','map':'x + o'}");
}

static cJSON *import(ImportCtx *x) {
    Cfg *c = &x->cfg;
    Mamba2 t = {.embedding = "backbone.embeddings.weight", .dt_max = INFINITY};
    if (has_tensor(x, "backbone.embedding.weight")) t.embedding = "backbone.embedding.weight";
    if (!c->node) return import_error(x, "there is no config.json, which a Mamba-2 model needs"), NULL;
    if (cfg_has(c, "d_model") && !cfg_has(c, "hidden_size"))
        read_original(x, c, &t);
    else
        read_hf(c, &t);
    if (t.H * t.P != t.E)
        return import_error(x, "%lld heads of %lld do not make the inner width %lld", (long long)t.H,
                            (long long)t.P, (long long)t.E),
               NULL;
    if (import_failed(x)) return NULL;

    cJSON *m = model_new(x, "tokens");
    model_dim(m, "V", t.V), model_dim(m, "D", t.D), model_dim(m, "E", t.E), model_dim(m, "H", t.H);
    model_dim(m, "P", t.P), model_dim(m, "G", t.G), model_dim(m, "N", t.N), model_dim(m, "W", t.W);
    write_block(x, m, &t);
    cJSON *ops = model_ops(m);
    Tied tables = tied_tables(x, m, t.tied, t.flag, t.embedding, "lm_head.weight");
    st(ops, "{'out':'x','op':'embed','ids':'tokens','table':'@%s[V, D]'}", tables.table);
    st_layers(m, t.layers, "['mamba2']", "backbone.layers.{i}.");
    st(ops, "{'out':'x','op':'norm.rms','x':'x','w':'@backbone.norm_f.weight[D]','eps':%.17g}", t.eps);
    st(ops, "{'out':'logits','op':'linear','x':'x','w':'@%s[V, D]'}", tables.head);
    model_ids(x, m);
    return m;
}

static bool recognise(const ImportCtx *x) {
    return has_tensor(x, "backbone.layers.0.mixer.dt_bias") && has_tensor(x, "backbone.layers.0.mixer.A_log");
}

const Importer importer_mamba2 = {
    .name = "mamba2",
    .doc = "Mamba-2 (state space duality); transformers or state-spaces checkpoints",
    .accepts = "Mamba2ForCausalLM",
    .recognise = recognise,
    .import = import,
};
