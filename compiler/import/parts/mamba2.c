#include "import/parts/mamba2.h"

#include <math.h>
#include <string.h>

#include "import/parts/mamba.h"
#include "ir/op.h"

const Mamba2Keys MAMBA2_KEYS_HF = {"num_heads", "head_dim", "n_groups",      "state_size",     "conv_kernel",
                                   "expand",    "use_bias", "use_conv_bias", "time_step_limit"};
const Mamba2Keys MAMBA2_KEYS_AUTHORS = {NULL,     "headdim", "ngroups",   "d_state", "d_conv",
                                        "expand", "bias",    "conv_bias", "dt_limit"};
const Mamba2Keys MAMBA2_KEYS_HYBRID = {"mamba_n_heads",   "mamba_d_head",    "mamba_n_groups",
                                       "mamba_d_state",   "mamba_d_conv",    "mamba_expand",
                                       "mamba_proj_bias", "mamba_conv_bias", "time_step_limit"};

const Mamba2Keys MAMBA2_KEYS_NEMOTRON = {"mamba_num_heads", "mamba_head_dim", "n_groups",
                                         "ssm_state_size",  "conv_kernel",    NULL,
                                         "use_bias",        "use_conv_bias",  "time_step_limit"};
const Mamba2Keys MAMBA2_KEYS_ZAMBA = {"n_mamba_heads",   "mamba_headdim", "mamba_ngroups",
                                      "mamba_d_state",   "mamba_d_conv",  "mamba_expand",
                                      "add_bias_linear", "use_conv_bias", "time_step_limit"};

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

/* The width of a head, which may be left to the number of heads ("auto"); 0: it is. */
static int64_t read_head(Cfg *c, const char *key, int64_t otherwise) {
    const cJSON *n = c->node ? json_get(c->node, key) : NULL;
    if ((n && !cJSON_IsNull(n)) ? !cJSON_IsString(n) || strcmp(n->valuestring, "auto") != 0 : otherwise > 0)
        return cfg_size(c, key, otherwise);
    cfg_skip(c, key);
    return 0;
}

void cfg_mamba2(Cfg *c, const Mamba2Keys *k, int64_t D, const Mamba2 *otherwise, Mamba2 *t) {
    t->P = read_head(c, k->head, otherwise->P);
    t->G = cfg_size(c, k->groups, otherwise->G);
    t->N = cfg_size(c, k->state, otherwise->N);
    t->W = cfg_size(c, k->taps, 4);
    t->H = k->heads ? cfg_size(c, k->heads, otherwise->H) : 0;
    t->E = otherwise->E ? otherwise->E : k->expand ? cfg_expand(c, k->expand, 2, D) : t->H * t->P;
    if (k->expand) cfg_skip(c, k->expand);
    if (!t->P) t->P = t->E / t->H;
    if (!t->H) t->H = t->E / t->P;
    t->out_bias = t->bias = cfg_bool(c, k->bias, false);
    t->conv_bias = cfg_bool(c, k->conv_bias, true);
    t->dt_min = 0, t->dt_max = INFINITY;
    read_limits(c, k->limit, t);
}

void mamba2_check(ImportCtx *x, const Mamba2 *t) {
    if (t->H * t->P != t->E)
        import_error(x, "%lld heads of %lld do not make the inner width %lld", (long long)t->H,
                     (long long)t->P, (long long)t->E);
    else if (t->H % t->G)
        import_error(x, "%lld heads do not share %lld groups evenly", (long long)t->H, (long long)t->G);
}

#define ST(...) st_part(b, t->module, NULL, __VA_ARGS__)

/* Factors on x, B and C belong to the taps of the convolution that follows. */
static void st_scaled_taps(ImportCtx *x, cJSON *b, const Mamba2 *t) {
    static const char *const names[] = {"wx", "wB", "wC"}, *const from[] = {"0", "ME", "ME + MG*MN"};
    for (int i = 0; i < 3; i++) {
        ST("{'out':'%s','op':'slice','x':'@~conv1d.weight[ME + 2*MG*MN, MW]','axis':0,'start':'%s',"
           "'size':'%s'}",
           names[i], from[i], i ? "MG*MN" : "ME");
        ST("{'out':'%s','map':'%s * %s'}", names[i], names[i], json_number(x->a, t->scales[1 + i]));
    }
    ST("{'out':'w','op':'concat','in':['wx','wB','wC'],'axis':0}");
}

/* softplus(dt + bias), cut to the limits; a lower limit of 0 and an upper one of infinity cut nothing. */
static void st_steps(ImportCtx *x, cJSON *b, const Mamba2 *t) {
    const char *factor = t->scales ? arena_printf(x->a, " * %s", json_number(x->a, t->scales[4])) : "";
    ST("{'out':'dt','map':'softplus(dt%s + @~dt_bias[MH])'}", factor);
    if (t->dt_min > 0) ST("{'out':'dt','map':'maximum(dt, %s)'}", json_number(x->a, t->dt_min));
    if (isfinite(t->dt_max)) ST("{'out':'dt','map':'minimum(dt, %s)'}", json_number(x->a, t->dt_max));
    ST("{'out':'dt','op':'reshape','x':'dt','shape':['MH',1]}");
}

/* In the originals the gate is silu, whatever the activation is. */
static void st_gated_norm(ImportCtx *x, cJSON *b, const Mamba2 *t) {
    const char *factor = t->scales ? arena_printf(x->a, " * %s", json_number(x->a, t->scales[0])) : "";
    if (t->gate != MAMBA2_NORM_GATE) ST("{'out':'y','map':'y * silu(z%s)'}", factor);
    if (t->gate != MAMBA2_GATE_ONLY)
        ST("{'out':'y','op':'norm.rms','x':'y','w':'@~norm.weight[ME]','groups':'MG','eps':%.17g}", t->eps);
    if (t->gate == MAMBA2_NORM_GATE) ST("{'out':'y','map':'y * silu(z%s)'}", factor);
}

void st_mamba2(ImportCtx *x, cJSON *b, const char *out, const char *in, const Mamba2 *t) {
    cJSON *m = x->model;
    model_dim(m, "ME", t->E), model_dim(m, "MH", t->H), model_dim(m, "MP", t->P);
    model_dim(m, "MG", t->G), model_dim(m, "MN", t->N), model_dim(m, "MW", t->W);
    ST("{'out':'zcdt','op':'linear','x':'%s','w':'@~in_proj.weight[2*ME + 2*MG*MN + MH, D]'%s}", in,
       t->bias ? ",'b':'@~in_proj.bias[2*ME + 2*MG*MN + MH]'" : "");
    ST("{'out':['z','c','dt'],'split':'zcdt','sizes':['ME','ME + 2*MG*MN','MH']}");
    if (t->scales) st_scaled_taps(x, b, t);
    ST("{'out':'c','op':'conv.short','x':'c','w':'%s'%s,'state':'conv'}",
       t->scales ? "w" : "@~conv1d.weight[ME + 2*MG*MN, MW]",
       t->conv_bias ? ",'b':'@~conv1d.bias[ME + 2*MG*MN]'" : "");
    ST("{'out':'c','map':'%s(c)'}", t->act);
    ST("{'out':['c','B','C'],'split':'c','sizes':['ME','MG*MN','MG*MN']}");
    ST("{'out':'c','op':'reshape','x':'c','shape':['MH','MP']}");
    ST("{'out':'B','op':'reshape','x':'B','shape':['MG','MN']}");
    ST("{'out':'C','op':'reshape','x':'C','shape':['MG','MN']}");
    st_steps(x, b, t);
    ST("{'out':'decay','map':'dt * -exp(@~A_log[MH, 1])'}");
    ST("{'out':'v','map':'dt * c'}");
    ST("{'out':'y','op':'scan.matrix','q':'C','k':'B','v':'v','decay':'decay','state':'S'}");
    ST("{'out':'y','map':'y + @~D[MH, 1]*c'}");
    ST("{'out':'y','op':'reshape','x':'y','shape':['ME']}");
    st_gated_norm(x, b, t);
    ST("{'out':'%s','op':'linear','x':'y','w':'@~out_proj.weight[D, ME]'%s}", out,
       t->out_bias ? ",'b':'@~out_proj.bias[D]'" : "");
}
