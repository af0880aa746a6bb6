/* An expert-choice mixture of experts: Zhou et al. 2022, arXiv:2202.09368. Each expert takes a fixed number of
 * tokens, those with its largest scores. Several experts may take a token, or none. */
#include <math.h>

#include "import/parts/attention.h"

enum { LONGEST = 4096 };

/* The length of sequence for which the configuration repeats how many tokens an expert takes is not told, but a number
 * that no length gives is wrong. */
static void check_tokens(Cfg *c, double factor, int64_t E) {
    int64_t told = cfg_int(c, "tokens_per_expert", 0), t = (int64_t)((double)told * (double)E / factor);
    for (int64_t i = t > 2 ? t - 2 : 0; i <= t + 2; i++)
        if ((int64_t)((double)i * factor / (double)E) == told) return;
    cfg_error(c, "tokens_per_expert",
              "no length of sequence makes int(length * capacity_factor / experts) %lld", (long long)told);
}

static cJSON *import(ImportCtx *x) {
    Cfg *c = &x->cfg;
    if (!c->node) return import_error(x, "there is no config.json, which says what an expert takes"), NULL;
    int64_t D = cfg_size(c, "dim", REQUIRED), F = cfg_size(c, "inner", REQUIRED);
    int64_t E = cfg_size(c, "experts", REQUIRED);
    double factor = cfg_float(c, "capacity_factor", 1, ">0 <=1e6");
    const char *act = cfg_act(c, "activation", "gelu");
    if (import_failed(x)) return NULL;
    if (factor > (double)E) cfg_error(c, "capacity_factor", "there are only %lld experts", (long long)E);
    check_tokens(c, factor, E);
    if (import_failed(x)) return NULL;

    cJSON *m = model_new(x, "features"), *ops = model_ops(m);
    model_dim(m, "D", D), model_dim(m, "EF", F), model_dim(m, "E", E),
        model_dim(m, "C", (int64_t)ceil(factor));
    model_context(x, LONGEST, 0);
    model_comment(m, "C: how many places a token has, on average, in the list of what experts take");
    st(ops, "{'out':'p','op':'linear','x':'input','w':'@router.weight[E, D]'}");
    st(ops, "{'out':'p','op':'softmax','x':'p'}");
    st(ops, "{'out':['p','token','expert'],'op':'topk.tokens','x':'p','k':'C','factor':%.17g}", factor);
    st(ops, "{'out':'u','op':'gather','x':'input','token':'token'}");
    st(ops,
       "{'out':'f','op':'linear.experts','x':'u','index':'expert','w':'@w1[E, EF, D]','b':'@b1[E, EF]'}");
    st(ops, "{'out':'f','map':'%s(f)'}", act);
    st(ops, "{'out':'f','op':'linear.experts','x':'f','index':'expert','w':'@w2[E, D, EF]','b':'@b2[E, D]'}");
    st(ops, "{'out':'y','op':'scatter','x':'f','w':'p','token':'token'}");
    return m;
}

static bool recognise(const ImportCtx *x) {
    return has_tensor(x, "router.weight") && has_tensor(x, "w1") && json_get(x->cfg.node, "capacity_factor");
}

const Importer importer_expert_choice = {
    .name = "expert-choice",
    .doc = "expert-choice mixture of experts (a layer)",
    .accepts = "moe-expert-choice",
    .recurrence = "none; needs whole sequences",
    .cases = "moe-expert-choice",
    .recognise = recognise,
    .import = import,
};
