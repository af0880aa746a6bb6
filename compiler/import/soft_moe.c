/* A soft mixture of experts: Puigcerver et al. 2023, arXiv:2308.00951, with normalised inputs (section 2.3). Each
 * slot of an expert reads a weighted mean of all tokens, and each token reads a weighted mean of the outputs of
 * all slots. */
#include "import/parts/attention.h"

enum { LONGEST = 4096 };

/* value = value / (its length + 1e-6), along the last dimension */
static void st_unit(cJSON *ops, const char *value) {
    st(ops, "{'out':'size','map':'%s * %s'}", value, value);
    st(ops, "{'out':'size','op':'reduce','x':'size','kind':'sum'}");
    st(ops, "{'out':'%s','map':'%s / (sqrt(size) + 1e-6)'}", value, value);
}

static cJSON *import(ImportCtx *x) {
    Cfg *c = &x->cfg;
    int64_t D = cfg_size(c, "dim", tensor_dim(x, "phi", 0)),
            E = cfg_size(c, "experts", tensor_dim(x, "phi", 1));
    int64_t S = cfg_size(c, "slots_per_expert", tensor_dim(x, "phi", 2));
    int64_t F = cfg_size(c, "inner", tensor_dim(x, "w1", 1));
    const char *act = cfg_act(c, "activation", "gelu");
    if (import_failed(x)) return NULL;

    cJSON *m = model_new(x, "features"), *ops = model_ops(m);
    model_dim(m, "D", D), model_dim(m, "EF", F), model_dim(m, "E", E), model_dim(m, "S", S);
    model_context(x, LONGEST, 0);
    model_comment(m, "S slots of each expert; the first slots of all experts come before their second ones");
    st(ops, "{'out':'phi','op':'transpose','x':'@phi[D, E, S]','perm':[2,1,0]}");
    st_unit(ops, "phi");
    st(ops, "{'out':'phi','map':'@scale[1] * phi'}");
    st(ops, "{'out':'phi','op':'reshape','x':'phi','shape':['S*E','D']}");
    st(ops, "{'out':'u','map':'input'}");
    st_unit(ops, "u");
    st(ops, "{'out':'z','op':'linear','x':'u','w':'phi'}");
    st(ops, "{'out':'dispatch','op':'softmax.tokens','x':'z'}");
    st(ops, "{'out':'combine','op':'softmax','x':'z'}");
    st(ops, "{'out':'f','op':'pool','x':'input','w':'dispatch'}");
    st(ops, "{'out':'f','op':'reshape','x':'f','shape':['S','E*D']}");
    st(ops, "{'out':'w','op':'transpose','x':'@w1[E, EF, D]','perm':[0,2,1]}");
    st(ops, "{'out':'f','op':'linear.blocks','x':'f','w':'w','b':'@b1[E, EF]'}");
    st(ops, "{'out':'f','map':'%s(f)'}", act);
    st(ops, "{'out':'w','op':'transpose','x':'@w2[E, D, EF]','perm':[0,2,1]}");
    st(ops, "{'out':'f','op':'linear.blocks','x':'f','w':'w','b':'@b2[E, D]'}");
    st(ops, "{'out':'f','op':'reshape','x':'f','shape':['S*E','D']}");
    st(ops, "{'out':'y','op':'combine','x':'f','w':'combine'}");
    return m;
}

static bool recognise(const ImportCtx *x) {
    return has_tensor(x, "phi") && has_tensor(x, "scale") && has_tensor(x, "w1") && has_tensor(x, "b2");
}

const Importer importer_soft_moe = {
    .name = "soft-moe",
    .doc = "soft mixture of experts (a layer)",
    .accepts = "soft-moe",
    .recurrence = "none; needs whole sequences",
    .cases = "moe-soft",
    .recognise = recognise,
    .import = import,
};
