#include "import/parts/delta_rule.h"

#include <string.h>

static int64_t steps(const DeltaRule *t) {
    return t->steps ? t->steps : 1;
}

static const char *name(ImportCtx *x, const char *stem, int64_t i) {
    return arena_printf(x->a, "%s%lld", stem, (long long)i);
}

/* ---- q [DG, DK], k0 .. [DG, DK], v0 .. [DH, DP] of each step ---- */

/* value as [heads, width], and one of each step under the name value0 .. */
static void st_steps(ImportCtx *x, cJSON *ops, const char *value, const char *heads, const char *width,
                     int64_t n) {
    Text names = text_new(x->a), sizes = text_new(x->a);
    for (int64_t i = 0; i < n; i++) {
        text_add(&names, "%s'%s%lld'", i ? "," : "", value, (long long)i);
        text_add(&sizes, "%s'%s*%s'", i ? "," : "", heads, width);
    }
    st(ops, "{'out':'%s','op':'reshape','x':'%s','shape':['%lld*%s*%s']}", value, value, (long long)n, heads,
       width);
    if (n > 1) st(ops, "{'out':[%s],'split':'%s','sizes':[%s]}", names.s, value, sizes.s);
    for (int64_t i = 0; i < n; i++)
        st(ops, "{'out':'%s%lld','op':'reshape','x':'%s','shape':['%s','%s']}", value, (long long)i,
           n > 1 ? name(x, value, i) : value, heads, width);
}

static void st_apart(ImportCtx *x, cJSON *ops, const char *in, const DeltaRule *t) {
    static const char *const rows[][3] = {{"q", "DG", "DK"}, {"k", "DG", "DK"}, {"v", "DH", "DP"}};
    for (int i = 0; i < 3; i++) {
        const char *value = rows[i][0], *act = i == 2 ? "silu" : t->act_last ? NULL : t->act;
        const char *heads =
            i && steps(t) > 1 ? arena_printf(x->a, "%lld*%s", (long long)steps(t), rows[i][1]) : rows[i][1];
        HeadRows r = {.module = t->module,
                      .tensor = arena_printf(x->a, "%s_proj", value),
                      .heads = heads,
                      .width = rows[i][2],
                      .conv = t->taps ? arena_printf(x->a, "%s_conv1d", value) : NULL,
                      .taps = t->taps,
                      .act = act};
        st_head_rows(x, ops, value, in, &r);
        if (i < 2 && t->act_last && t->act) st_act(ops, value, value, t->act);
        if (i) st_steps(x, ops, value, rows[i][1], rows[i][2], steps(t));
    }
}

/* One projection and one convolution of q, k, v; "z", "beta" and "d" besides. */
static void st_together(ImportCtx *x, cJSON *ops, const char *in, const DeltaRule *t) {
    const char *sizes = "'DG*DK','DG*DK','DH*DP'",
               *r = arena_printf(x->a, "%lld", (long long)(t->heads / t->key_heads));
    if (t->rows == DELTA_IN_ORDER) {
        st_linear(ops, "qkv", in, head_tensor(x, t->module, "in_proj_qkv"), "2*DG*DK + DH*DP", "D", false);
        st_linear(ops, "z", in, head_tensor(x, t->module, "in_proj_z"), "DH*DP", "D", false);
        st_linear(ops, "beta", in, head_tensor(x, t->module, "in_proj_b"), "DH", "D", false);
        st_linear(ops, "d", in, head_tensor(x, t->module, "in_proj_a"), "DH", "D", false);
    } else {
        st_linear(ops, "qkvz", in, head_tensor(x, t->module, "in_proj_qkvz"), "2*DG*DK + 2*DH*DP", "D",
                  false);
        st(ops, "{'out':'qkvz','op':'reshape','x':'qkvz','shape':['DG','2*DK + 2*%s*DP']}", r);
        st(ops, "{'out':['q','k','v','z'],'split':'qkvz','sizes':['DK','DK','%s*DP','%s*DP']}", r, r);
        st(ops, "{'out':'q','op':'reshape','x':'q','shape':['DG*DK']}");
        st(ops, "{'out':'k','op':'reshape','x':'k','shape':['DG*DK']}");
        st(ops, "{'out':'v','op':'reshape','x':'v','shape':['DH*DP']}");
        st(ops, "{'out':'z','op':'reshape','x':'z','shape':['DH*DP']}");
        st(ops, "{'out':'qkv','op':'concat','in':['q','k','v'],'axis':-1}");
        st_linear(ops, "ba", in, head_tensor(x, t->module, "in_proj_ba"), "2*DH", "D", false);
        st(ops, "{'out':'ba','op':'reshape','x':'ba','shape':['DG','2*%s']}", r);
        st(ops, "{'out':['beta','d'],'split':'ba','sizes':['%s','%s']}", r, r);
        st(ops, "{'out':'beta','op':'reshape','x':'beta','shape':['DH']}");
        st(ops, "{'out':'d','op':'reshape','x':'d','shape':['DH']}");
    }
    model_dim(x->model, "DW", t->taps);
    st(ops, "{'out':'qkv','op':'conv.short','x':'qkv','w':'@%s.weight[2*DG*DK + DH*DP, DW]','state':'conv'}",
       head_tensor(x, t->module, "conv1d"));
    st_act(ops, "qkv", "qkv", t->act);
    st(ops, "{'out':['q','k0','v0'],'split':'qkv','sizes':[%s]}", sizes);
    st(ops, "{'out':'q','op':'reshape','x':'q','shape':['DG','DK']}");
    st(ops, "{'out':'k0','op':'reshape','x':'k0','shape':['DG','DK']}");
    st(ops, "{'out':'v0','op':'reshape','x':'v0','shape':['DH','DP']}");
}

/* ---- strength and decay ---- */

/* beta0 .. [DH, 1] */
static void st_strengths(ImportCtx *x, cJSON *ops, const char *in, const DeltaRule *t) {
    if (t->no_beta) return;
    if (t->rows == DELTA_APART) {
        const char *rows = steps(t) > 1 ? arena_printf(x->a, "%lld*DH", (long long)steps(t)) : "DH";
        st_linear(ops, "beta", in, head_tensor(x, t->module, "b_proj"), rows, "D", false);
    }
    st(ops, "{'out':'beta','map':'%ssigmoid(beta)'}",
       t->beta != 0 ? arena_printf(x->a, "%s * ", json_number(x->a, t->beta)) : "");
    st_steps(x, ops, "beta", "DH", "1", steps(t));
}

/* "d": the logarithm of the decay, [DH, 1] or [DH, DK] */
static void st_decay(ImportCtx *x, cJSON *ops, const char *in, const DeltaRule *t) {
    const char *A = head_tensor(x, t->module, "A_log"), *bias = head_tensor(x, t->module, "dt_bias");
    if (t->decay == DELTA_KEEPS) return;
    if (t->decay == DELTA_DECAY_HEAD) {
        if (t->rows == DELTA_APART)
            st_linear(ops, "d", in, head_tensor(x, t->module, t->decay_in), "DH", "D", false);
        st(ops, "{'out':'d','map':'-exp(@%s[DH]) * softplus(d + @%s[DH])'}", A, bias);
        st(ops, "{'out':'d','op':'reshape','x':'d','shape':['DH',1]}");
        return;
    }
    if (t->decay_out) {
        st(ops, "{'out':'d','op':'linear','x':'%s','w':'@%s.weight'}", in,
           head_tensor(x, t->module, t->decay_in));
        st(ops, "{'out':'d','op':'linear','x':'d','w':'@%s.weight'}",
           head_tensor(x, t->module, t->decay_out));
    } else {
        st_linear(ops, "d", in, head_tensor(x, t->module, t->decay_in), "DH*DK", "D", false);
    }
    st(ops, "{'out':'d','map':'d + @%s[DH*DK]'}", bias);
    st(ops, "{'out':'d','op':'reshape','x':'d','shape':['DH','DK']}");
    if (t->decay == DELTA_DECAY_CHANNEL)
        st(ops, "{'out':'d','map':'-exp(@%s[DH, 1]) * softplus(d)'}", A);
    else
        st(ops, "{'out':'d','map':'%s * sigmoid(exp(@%s[DH, 1]) * d)'}", json_number(x->a, t->lowest), A);
}

/* ---- the rule ---- */

static void st_length(cJSON *ops, const DeltaRule *t, const char *value) {
    if (!t->sums) {
        st_l2_norm(ops, value, 1e-6);
        return;
    }
    st(ops, "{'out':'sum','map':'abs(%s)'}", value);
    st(ops, "{'out':'sum','op':'reduce','x':'sum','kind':'sum'}");
    st(ops, "{'out':'%s','map':'%s / maximum(sum, 1e-6)'}", value, value);
}

/* What reads the state before step i corrects it, times the strength: with the decay, where the state decays first. */
static void st_reader(ImportCtx *x, cJSON *ops, const DeltaRule *t, int64_t i) {
    const char *key = t->corrected ? "p" : name(x, "k", i), *beta = t->no_beta ? "" : name(x, " * beta", i);
    bool decayed = t->decay != DELTA_KEEPS && !t->corrected && i == 0;
    st_repeat_rows(x, ops, "reader", key, "DG", t->heads / t->key_heads, "DK");
    st(ops, "{'out':'a%lld','map':'-reader%s%s'}", (long long)i, beta, decayed ? " * exp(d)" : "");
    if (!t->no_beta)
        st(ops, "{'out':'v%lld','map':'v%lld * beta%lld'}", (long long)i, (long long)i, (long long)i);
}

void st_delta_rule(ImportCtx *x, cJSON *ops, const char *out, const char *in, const DeltaRule *t) {
    cJSON *m = x->model;
    model_dim(m, "DG", t->key_heads), model_dim(m, "DH", t->heads), model_dim(m, "DK", t->K),
        model_dim(m, "DP", t->P);
    if (t->rows == DELTA_APART)
        st_apart(x, ops, in, t);
    else
        st_together(x, ops, in, t);
    st_strengths(x, ops, in, t);
    st_decay(x, ops, in, t);
    if (t->corrected) {
        st(ops, "{'out':'p','map':'sigmoid(@%s[DG, 1]) * k0'}", head_tensor(x, t->module, "decay"));
        st(ops, "{'out':'q','map':'q - @%s[DG, 1] * p'}", head_tensor(x, t->module, "D"));
        st_length(ops, t, "p");
    }
    st_length(ops, t, "q");
    st(ops, "{'out':'q','map':'q / sqrt(DK)'}");
    for (int64_t i = 0; i < steps(t); i++) {
        st_length(ops, t, name(x, "k", i));
        st_reader(x, ops, t, i);
    }
    st_rows_by_head(x, ops, "k", "k", "DG", steps(t), "DK");
    st_rows_by_head(x, ops, "v", "v", "DH", steps(t), "DP");
    st_rows_by_head(x, ops, "a", "a", "DH", steps(t), "DK");
    st(ops, "{'out':'y','op':'scan.matrix','q':'q','k':'k','v':'v'%s,'a':'a'%s%s,'state':'S'}",
       t->decay == DELTA_KEEPS ? "" : ",'decay':'d'",
       steps(t) > 1 ? arena_printf(x->a, ",'writes':%lld", (long long)steps(t)) : "",
       t->decay == DELTA_DECAY_BOUNDED ? arena_printf(x->a, ",'min_decay':%s", json_number(x->a, t->lowest))
                                       : "");

    HeadsOut o = {.module = t->module,
                  .heads = "DH",
                  .width = "DP",
                  .norm = t->norm,
                  .kind = t->kind,
                  .tensor = t->out};
    o.gate = t->gate_in || t->rows != DELTA_APART ? "z" : NULL, o.act = t->gate_act;
    if (t->gate_out) {
        st(ops, "{'out':'z','op':'linear','x':'%s','w':'@%s.weight'}", in,
           head_tensor(x, t->module, t->gate_in));
        st(ops, "{'out':'z','op':'linear','x':'z','w':'@%s.weight'}", head_tensor(x, t->module, t->gate_out));
    } else if (t->gate_in) {
        st_linear(ops, "z", in, head_tensor(x, t->module, t->gate_in), "DH*DP", "D", false);
    }
    st_heads_out(x, ops, out, "y", &o);
}
