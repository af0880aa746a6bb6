#include "import/parts/ssm.h"

#include <string.h>

static const char *tensor(ImportCtx *x, const Ssm *t, const char *name) {
    return t->module ? arena_printf(x->a, "%s.%s", t->module, name) : name;
}

void ssm_sizes(ImportCtx *x, const char *prefix, Ssm *t) {
    const SsmNames *n = t->names;
    const char *re = arena_printf(x->a, "%s%s", prefix, tensor(x, t, n->re)),
               *dt = arena_printf(x->a, "%s%s", prefix, tensor(x, t, n->dt)),
               *C = arena_printf(x->a, "%s%s", prefix, tensor(x, t, n->C));
    const RawTensor *steps = weights_find(x->w, dt), *c = weights_find(x->w, C);
    t->systems = tensor_dim(x, re, 0), t->modes = tensor_dim(x, re, 1), t->channels = tensor_dim(x, dt, 0);
    t->steps = steps && steps->rank == 2 && steps->dim[1] > 1;
    t->outputs = c && c->rank == 4 ? c->dim[0] : 1;
    t->rank = n->P ? tensor_dim(x, arena_printf(x->a, "%s%s", prefix, tensor(x, t, n->P)), 0) : 0;
}

/* `map` with the weight in the place of #. */
static void st_of(ImportCtx *x, cJSON *ops, const char *out, const char *map, const char *weight) {
    const char *hole = strchr(map, '#');
    st(ops, "{'out':'%s','map':'%.*s@%s%s'}", out, (int)(hole - map), map, weight, hole + 1);
    (void)x;
}

/* The two parts of complex numbers: OUTre, OUTim. */
static void st_complex(ImportCtx *x, cJSON *ops, const char *out, const char *weight, const char *sizes) {
    (void)x;
    for (int i = 0; i < 2; i++) {
        const char *part = i ? "im" : "re";
        st(ops, "{'out':'%s%s','op':'slice','x':'%s','start':%d,'size':1}", out, part, weight, i);
        st(ops, "{'out':'%s%s','op':'reshape','x':'%s%s','shape':[%s]}", out, part, out, part, sizes);
    }
}

static void write_dims(cJSON *m, const Ssm *t) {
    model_dim(m, "SH", t->channels), model_dim(m, "SN", t->modes), model_dim(m, "SC", t->systems);
    model_dim(m, "SK", t->outputs);
    if (t->rank) model_dim(m, "SR", t->rank);
}

static void st_parameters(ImportCtx *x, cJSON *ops, const Ssm *t) {
    const SsmNames *n = t->names;
    st_of(x, ops, "re", n->re_map, arena_printf(x->a, "%s[SC, SN]", tensor(x, t, n->re)));
    st_of(x, ops, "im", n->im_map, arena_printf(x->a, "%s[SC, SN]", tensor(x, t, n->im)));
    st_of(x, ops, "dt", n->dt_map,
          arena_printf(x->a, "%s[SH, %s]", tensor(x, t, n->dt), t->steps ? "SN" : "1"));
    if (n->B)
        st_complex(x, ops, "b", arena_printf(x->a, "@%s[SC, SN, 2]", tensor(x, t, n->B)), "'SC','SN'");
    else
        st(ops, "{'out':'bre','map':'0*re + 1'}"), st(ops, "{'out':'bim','map':'0*re'}");
    if (t->rank)
        st_complex(x, ops, "p", arena_printf(x->a, "@%s[SR, SC, SN, 2]", tensor(x, t, n->P)),
                   "'SR','SC','SN'");
}

void st_modes(ImportCtx *x, cJSON *ops, const Ssm *t, int64_t from, int64_t count, bool before,
              const char *tag) {
    write_dims(x->model, t);
    if (!from) st_parameters(x, ops, t);
    const char *C = arena_printf(x->a, "@%s[SK, SH, SN, 2]", tensor(x, t, t->names->C));
    if (count < t->outputs) {
        st(ops, "{'out':'c','op':'slice','x':'%s','axis':0,'start':%lld,'size':%lld}", C, (long long)from,
           (long long)count);
        C = "c";
    }
    st_complex(x, ops, "c", C, arena_printf(x->a, "%lld,'SH','SN'", (long long)count));
    const char *low = t->rank ? ",'pre':'pre','pim':'pim'" : "";
    st(ops,
       "{'out':['are%s','aim%s','gre%s','gim%s','d%s','fre%s','fim%s','qre%s','qim%s'],'op':'modes','re':'re'"
       ",'im':'im','dt':'"
       "dt','bre':'bre','bim':'bim','cre':'cre','cim':'cim'%s,'rank':%lld,'rule':'%s','length':%lld,'read':'%"
       "s'}",
       tag, tag, tag, tag, tag, tag, tag, tag, tag, low, (long long)t->rank, t->hold ? "hold" : "bilinear",
       (long long)t->length, before ? "before" : "after");
}

/* count copies, one behind the other. */
static const char *copies(ImportCtx *x, cJSON *ops, const char *name, int64_t count) {
    if (count == 1) return name;
    Text list = text_new(x->a);
    for (int64_t i = 0; i < count; i++) text_add(&list, "%s'%s'", i ? "," : "", name);
    const char *out = arena_printf(x->a, "%s_all", name);
    st(ops, "{'out':'%s','op':'concat','in':[%s],'axis':0}", out, list.s);
    return out;
}

void st_ssm(ImportCtx *x, cJSON *ops, const char *out, const char *in, const Ssm *t, int64_t count,
            const char *skip, const char *tag, const char *state) {
    const char *kind[] = {"are", "aim", "fre", "fim", "qre", "qim"}, *name[6];
    for (int i = 0; i < (t->rank ? 6 : 2); i++)
        name[i] = copies(x, ops, arena_printf(x->a, "%s%s", kind[i], tag), count);
    for (int i = 0; i < 2; i++)
        st(ops, "{'out':'gain%s','op':'reshape','x':'g%s%s','shape':['%lld*SH','SN']}", i ? "im" : "re",
           i ? "im" : "re", tag, (long long)count);
    st(ops, "{'out':'now','op':'reshape','x':'d%s','shape':['%lld*SH']}", tag, (long long)count);
    if (skip) st(ops, "{'out':'now','map':'now + %s'}", skip);
    const char *low = t->rank ? arena_printf(x->a, ",'fre':'%s','fim':'%s','qre':'%s','qim':'%s','rank':%lld",
                                             name[2], name[3], name[4], name[5], (long long)t->rank)
                              : "";
    st(ops,
       "{'out':'%s','op':'scan.modal','x':'%s','re':'%s','im':'%s','gre':'gainre','gim':'gainim','d':'now'%s,"
       "'state':"
       "['%sre','%sim']}",
       out, copies(x, ops, in, count), name[0], name[1], low, state, state);
}

void st_filter(cJSON *ops, const char *out, const Ssm *t, int64_t count, int64_t taps, bool late,
               const char *tag) {
    char low[160] = "";
    if (t->rank)
        snprintf(low, sizeof low, ",'fre':'fre%s','fim':'fim%s','qre':'qre%s','qim':'qim%s','rank':%lld", tag,
                 tag, tag, tag, (long long)t->rank);
    for (int64_t k = 0; k < count; k++) {
        const char *part[] = {"gre", "gim", "d"};
        for (int i = 0; i < 3; i++) {
            st(ops, "{'out':'%s1','op':'slice','x':'%s%s','axis':0,'start':%lld,'size':1}", part[i], part[i],
               tag, (long long)k);
            st(ops, "{'out':'%s1','op':'reshape','x':'%s1','shape':['SH'%s]}", part[i], part[i],
               i < 2 ? ",'SN'" : "");
        }
        st(ops,
           "{'out':'h%lld','op':'impulse','re':'are%s','im':'aim%s','gre':'gre1','gim':'gim1','d':'d1'%s,'l':"
           "%lld}",
           (long long)k, tag, tag, low, (long long)(taps + late));
        if (late)
            st(ops, "{'out':'h%lld','op':'slice','x':'h%lld','start':1,'size':%lld}", (long long)k,
               (long long)k, (long long)taps);
        st(ops, "{'out':'h%lld','op':'reshape','x':'h%lld','shape':[1,'SH',%lld]}", (long long)k,
           (long long)k, (long long)taps);
        if (k)
            st(ops, "{'out':'%s','op':'concat','in':['%s','h%lld'],'axis':0}", out, out, (long long)k);
        else
            st(ops, "{'out':'%s','map':'h0'}", out);
    }
}
