#include "import/parts/mamba.h"

#include <string.h>

const MambaKeys MAMBA_KEYS_HF = {"state_size",     "conv_kernel", "expand",
                                 "time_step_rank", "use_bias",    "use_conv_bias"};
const MambaKeys MAMBA_KEYS_AUTHORS = {"d_state", "d_conv", "expand", "dt_rank", "bias", "conv_bias"};
const MambaKeys MAMBA_KEYS_HYBRID = {"mamba_d_state", "mamba_d_conv",    "mamba_expand",
                                     "mamba_dt_rank", "mamba_proj_bias", "mamba_conv_bias"};

int64_t cfg_expand(Cfg *c, const char *key, double otherwise, int64_t base) {
    double width = cfg_float(c, key, otherwise, ">0") * (double)base;
    if (width >= 1 && width <= INT32_MAX) return (int64_t)width;
    cfg_error(c, key, "makes a width of %g; it must be at least 1 and at most %d", width, INT32_MAX);
    return 1;
}

void cfg_mamba(Cfg *c, const MambaKeys *k, int64_t D, Mamba *t) {
    t->N = cfg_size(c, k->state, 16);
    t->W = cfg_size(c, k->taps, 4);
    t->E = cfg_expand(c, k->expand, 2, D);
    t->R = (D + 15) / 16;
    const cJSON *rank = c->node ? json_get(c->node, k->rank) : NULL;
    if (cJSON_IsString(rank) && strcmp(rank->valuestring, "auto") == 0)
        cfg_skip(c, k->rank);
    else
        t->R = cfg_size(c, k->rank, t->R);
    t->bias = cfg_bool(c, k->bias, false);
    t->conv_bias = cfg_bool(c, k->conv_bias, true);
}

/* ---- statements ---- */

static void dim(ImportCtx *x, const Mamba *t, const char *name, int64_t size) {
    model_dim(x->model, arena_printf(x->a, "%s%s", name, t->tag ? t->tag : ""), size);
}

#define ST(...) st_part(b, t->module, t->tag, __VA_ARGS__)

/* An RMS norm of the low-rank steps, of B or of C. */
static void st_norm(cJSON *b, const Mamba *t, const char *x, const char *name, const char *width) {
    if (t->norms == MAMBA_NORMS_PLAIN) ST("{'out':'%s','op':'norm.rms','x':'%s','eps':%.17g}", x, x, t->eps);
    if (t->norms == MAMBA_NORMS_WEIGHTED)
        ST("{'out':'%s','op':'norm.rms','x':'%s','w':'@~%s_layernorm.weight[%s$]','eps':%.17g}", x, x, name,
           width, t->eps);
}

/* Steps, B and C, one set for all channels, and the scan: y, with what passes by it. */
static void st_scan(cJSON *b, const Mamba *t) {
    ST("{'out':'rBC','op':'linear','x':'c','w':'@~x_proj.weight[MR$ + 2*MN$, ME$]'}");
    ST("{'out':['r','B','C'],'split':'rBC','sizes':['MR$','MN$','MN$']}");
    st_norm(b, t, "r", "dt", "MR"), st_norm(b, t, "B", "b", "MN"), st_norm(b, t, "C", "c", "MN");
    ST("{'out':'dt','op':'linear','x':'r','w':'@~dt_proj.weight[ME$, MR$]','b':'@~dt_proj.bias[ME$]'}");
    ST("{'out':'dt','map':'softplus(dt)'}");
    ST("{'out':'A','map':'-exp(@~A_log[ME$, MN$])'}");
    ST("{'out':'v','map':'dt * c'}");
    ST("{'out':'y','op':'scan.expand','u':'v','dt':'dt','A':'A','B':'B','C':'C','state':'h'}");
    ST("{'out':'y','map':'y + @~D[ME$]*c'}");
}

/* One of the matrices, or rows, that a tensor holds for each head. */
static void st_of_head(cJSON *b, const Mamba *t, const char *out, const char *tensor, int head,
                       const char *shape) {
    ST("{'out':'%s','op':'slice','x':'@~%s','axis':0,'start':%d,'size':1}", out, tensor, head);
    ST("{'out':'%s','op':'reshape','x':'%s','shape':%s}", out, out, shape);
}

/* The same with a set for each head, and a scan. */
static void st_scan_heads(ImportCtx *x, cJSON *b, const Mamba *t) {
    Text parts = text_new(x->a), sizes = text_new(x->a), all = text_new(x->a);
    for (int i = 0; i < t->heads; i++) {
        text_add(&parts, "%s'c%d'", i ? "," : "", i);
        text_add(&sizes, "%s'ME$/MH$'", i ? "," : "");
        text_add(&all, "%s'y%d'", i ? "," : "", i);
    }
    ST("{'out':[%s],'split':'c','sizes':[%s]}", parts.s, sizes.s);
    for (int i = 0; i < t->heads; i++) {
        st_of_head(b, t, "w", "x_proj_weight[MH$, MR$ + 2*MN$, ME$/MH$]", i, "['MR$ + 2*MN$','ME$/MH$']");
        ST("{'out':'rBC','op':'linear','x':'c%d','w':'w'}", i);
        ST("{'out':['r','B','C'],'split':'rBC','sizes':['MR$','MN$','MN$']}");
        st_of_head(b, t, "w", "dt_proj_weight[MH$, ME$/MH$, MR$]", i, "['ME$/MH$','MR$']");
        st_of_head(b, t, "b", "dt_proj_bias[MH$, ME$/MH$]", i, "['ME$/MH$']");
        ST("{'out':'dt','op':'linear','x':'r','w':'w','b':'b'}");
        ST("{'out':'dt','map':'softplus(dt)'}");
        st_of_head(b, t, "A", "A_log[MH$, ME$/MH$, MN$]", i, "['ME$/MH$','MN$']");
        ST("{'out':'A','map':'-exp(A)'}");
        ST("{'out':'v','map':'dt * c%d'}", i);
        ST("{'out':'y%d','op':'scan.expand','u':'v','dt':'dt','A':'A','B':'B','C':'C','state':'h%d'}", i, i);
        st_of_head(b, t, "skip", "D[MH$, ME$/MH$]", i, "['ME$/MH$']");
        ST("{'out':'y%d','map':'y%d + skip*c%d'}", i, i, i);
    }
    ST("{'out':'y','op':'concat','in':[%s],'axis':0}", all.s);
}

/* Rows of channels and of gates take turns in the file: all channels first. */
static void st_untwine(cJSON *b, const Mamba *t, const char *out, const char *tensor, bool matrix) {
    ST("{'out':'%s','op':'reshape','x':'@~%s','shape':['ME$', 2%s]}", out, tensor, matrix ? ", 'D'" : "");
    ST("{'out':'%s','op':'transpose','x':'%s','perm':[1, 0%s]}", out, out, matrix ? ", 2" : "");
    ST("{'out':'%s','op':'reshape','x':'%s','shape':['2*ME$'%s]}", out, out, matrix ? ", 'D'" : "");
}

void st_mamba(ImportCtx *x, cJSON *b, const char *out, const char *in, const Mamba *t) {
    dim(x, t, "ME", t->E), dim(x, t, "MN", t->N), dim(x, t, "MR", t->R), dim(x, t, "MW", t->W);
    if (t->heads) dim(x, t, "MH", t->heads);
    if (t->heads) {
        st_untwine(b, t, "w", "in_proj.weight[2*ME$, D]", true);
        if (t->bias) st_untwine(b, t, "b", "in_proj.bias[2*ME$]", false);
        ST("{'out':'xz','op':'linear','x':'%s','w':'w'%s}", in, t->bias ? ",'b':'b'" : "");
    } else
        ST("{'out':'xz','op':'linear','x':'%s','w':'@~in_proj.weight[2*ME$, D]'%s}", in,
           t->bias ? ",'b':'@~in_proj.bias[2*ME$]'" : "");
    ST("{'out':['c','z'],'split':'xz','sizes':['ME$','ME$']}");
    ST("{'out':'c','op':'conv.short','x':'c','w':'@~conv1d.weight[ME$, MW$]'%s,'state':'conv'}",
       t->conv_bias ? ",'b':'@~conv1d.bias[ME$]'" : "");
    ST("{'out':'c','map':'%s(c)'}", t->act);
    if (t->heads)
        st_scan_heads(x, b, t);
    else
        st_scan(b, t);
    ST("{'out':'y','map':'y * silu(z)'}"); /* whatever the activation is */
    ST("{'out':'%s','op':'linear','x':'y','w':'@~out_proj.weight[D, ME$]'%s}", out,
       t->bias ? ",'b':'@~out_proj.bias[D]'" : "");
}
