#include "import/parts/heads.h"

#include <math.h>
#include <string.h>

const char *head_tensor(ImportCtx *x, const char *module, const char *name) {
    return module ? arena_printf(x->a, "%s.%s", module, name) : name;
}

void st_act(cJSON *ops, const char *out, const char *in, const char *act) {
    if (!strcmp(act, "elu1")) /* exp for what is below 0: elu + 1 would lose its digits */
        st(ops, "{'out':'%s','map':'where(%s > 0, %s + 1, exp(minimum(%s, 0)))'}", out, in, in, in);
    else
        st(ops, "{'out':'%s','map':'%s(%s)'}", out, act, in);
}

void st_head_rows(ImportCtx *x, cJSON *ops, const char *out, const char *in, const HeadRows *t) {
    const char *rows = arena_printf(x->a, "%s*%s", t->heads, t->width);
    st_linear(ops, out, in, head_tensor(x, t->module, t->tensor), rows, "D", false);
    if (t->conv) {
        model_dim(x->model, "DW", t->taps);
        st(ops, "{'out':'%s','op':'conv.short','x':'%s','w':'@%s.weight[%s, DW]','state':'conv_%s'}", out,
           out, head_tensor(x, t->module, t->conv), rows, out);
    }
    if (t->act) st_act(ops, out, out, t->act);
    st(ops, "{'out':'%s','op':'reshape','x':'%s','shape':['%s','%s']}", out, out, t->heads, t->width);
}

void st_heads_out(ImportCtx *x, cJSON *ops, const char *out, const char *y, const HeadsOut *t) {
    const char *flat = arena_printf(x->a, "%s*%s", t->heads, t->width);
    if (t->norm && !t->whole) st_norm(ops, "o", y, head_tensor(x, t->module, t->norm), t->width, &t->kind);
    st(ops, "{'out':'o','op':'reshape','x':'%s','shape':['%s']}", t->norm && !t->whole ? "o" : y, flat);
    if (t->norm && t->whole) st_norm(ops, "o", "o", head_tensor(x, t->module, t->norm), flat, &t->kind);
    if (t->gate) st(ops, "{'out':'o','map':'o * %s(%s)'}", t->act, t->gate);
    st_linear(ops, out, "o", head_tensor(x, t->module, t->tensor), "D", flat, false);
}

/* in [heads, width] as [heads, 1, width] under a name of its own. */
static void st_column(cJSON *ops, const char *out, const char *in, const char *heads, const char *width) {
    st(ops, "{'out':'%s','op':'reshape','x':'%s','shape':['%s',1,'%s']}", out, in, heads, width);
}

void st_repeat_rows(ImportCtx *x, cJSON *ops, const char *out, const char *in, const char *groups,
                    int64_t times, const char *width) {
    if (times == 1) {
        if (strcmp(out, in) != 0) st(ops, "{'out':'%s','map':'%s'}", out, in);
        return;
    }
    Text list = text_new(x->a);
    for (int64_t i = 0; i < times; i++) text_add(&list, "%s'row'", i ? "," : "");
    st_column(ops, "row", in, groups, width);
    st(ops, "{'out':'%s','op':'concat','in':[%s],'axis':1}", out, list.s);
    st(ops, "{'out':'%s','op':'reshape','x':'%s','shape':['%s*%lld','%s']}", out, out, groups,
       (long long)times, width);
}

void st_rows_by_head(ImportCtx *x, cJSON *ops, const char *out, const char *in, const char *heads, int64_t n,
                     const char *width) {
    if (n == 1) {
        st(ops, "{'out':'%s','map':'%s0'}", out, in);
        return;
    }
    Text list = text_new(x->a);
    for (int64_t i = 0; i < n; i++) {
        const char *row = arena_printf(x->a, "%s%lld", in, (long long)i);
        st_column(ops, row, row, heads, width);
        text_add(&list, "%s'%s'", i ? "," : "", row);
    }
    st(ops, "{'out':'%s','op':'concat','in':[%s],'axis':1}", out, list.s);
    st(ops, "{'out':'%s','op':'reshape','x':'%s','shape':['%s*%lld','%s']}", out, out, heads, (long long)n,
       width);
}

void st_ones(cJSON *ops, const char *out, const char *heads) {
    st(ops, "{'out':'%s','op':'linspace','n':'%s','from':1,'to':1}", out, heads);
    st(ops, "{'out':'%s','op':'reshape','x':'%s','shape':['%s',1]}", out, out, heads);
    st(ops, "{'out':'%s','map':'per_token(%s)'}", out, out);
}

void st_with_ones(cJSON *ops, const char *value, const char *heads) {
    st_ones(ops, "one", heads);
    st(ops, "{'out':'%s','op':'concat','in':['%s','one'],'axis':-1}", value, value);
}

void st_fixed_decays(ImportCtx *x, cJSON *ops, const char *out, const char *heads, const double *log_decay,
                     int64_t n) {
    Text t = text_new(x->a);
    for (int64_t i = 0; i < n; i++) text_add(&t, "%s%.17g", i ? ", " : "", log_decay[i]);
    st(ops, "{'out':'%s','op':'constant','values':[%s],'shape':['%s',1]}", out, t.s, heads);
    st(ops, "{'out':'%s','map':'per_token(%s)'}", out, out);
}

void st_l2_norm(cJSON *ops, const char *value, double eps) {
    st(ops, "{'out':'%s','op':'norm.l2','x':'%s','eps':%.17g,'mode':'inside'}", value, value, eps);
}

int64_t cfg_times(Cfg *c, const char *key, double otherwise, int64_t base) {
    double v = floor(cfg_float(c, key, otherwise, ">0") * (double)base);
    if (v >= 1 && v <= INT32_MAX) return (int64_t)v;
    return cfg_error(c, key, "%g times %lld is no width", v / (double)base, (long long)base), 1;
}

int64_t cfg_shared_heads(Cfg *c, const char *key, int64_t heads) {
    int64_t n = cfg_size(c, key, heads);
    if (heads % n == 0 || import_failed(c->ctx)) return n;
    cfg_error(c, key, "%lld heads do not share %lld evenly", (long long)heads, (long long)n);
    return n;
}
