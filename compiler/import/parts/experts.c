/* Shazeer et al. 2017, arXiv:1701.06538 (experts for a token); DeepSeek-AI 2024, arXiv:2405.04434, section 2.2 (shared
 * experts, groups); Wang et al. 2024, arXiv:2408.15664 (a correction for the choice alone); Fedus et al. 2021,
 * arXiv:2101.03961 (capacity). */
#include "import/parts/experts.h"

/* ---- reading ---- */

/* The first of the keys that is there; others have to agree with it. */
static int64_t size_under(Cfg *c, const char *const *keys, int64_t otherwise) {
    const char *first = NULL;
    int64_t n = otherwise;
    for (int i = 0; keys[i]; i++) {
        if (!cfg_has(c, keys[i])) continue;
        int64_t v = cfg_size(c, keys[i], REQUIRED);
        if (first && v != n)
            cfg_error(c, keys[i], "is %lld, but %s is %lld", (long long)v, first, (long long)n);
        if (!first) first = keys[i], n = v;
    }
    return first ? n : cfg_size(c, keys[0], otherwise ? otherwise : REQUIRED);
}

void cfg_experts(Cfg *c, Experts *t) {
    static const char *const counts[] = {"num_experts", "num_local_experts", "n_routed_experts", NULL},
                             *const chosen[] = {"num_experts_per_tok", "num_experts_per_token", NULL};
    t->count = size_under(c, counts, t->count);
    t->chosen = size_under(c, chosen, t->chosen);
    if (t->chosen > t->count && !import_failed(c->ctx))
        cfg_error(c, cfg_has(c, chosen[1]) ? chosen[1] : chosen[0],
                  "is %lld, but there are only %lld experts", (long long)t->chosen, (long long)t->count);
}

void cfg_expert_groups(Cfg *c, const char *groups, const char *kept, Experts *t) {
    Router *r = &t->router;
    r->groups = cfg_size(c, groups, r->groups ? r->groups : 1);
    r->kept = cfg_size(c, kept, r->kept ? r->kept : r->groups);
    if (import_failed(c->ctx)) return;
    int64_t least = r->group == GROUP_BEST_TWO && r->groups > 1 ? 2 : 1, each = t->count / r->groups;
    if (t->count % r->groups || each < least)
        cfg_error(c, groups, "%lld experts do not fall into %lld groups of one size%s", (long long)t->count,
                  (long long)r->groups, least > 1 ? ", at least 2" : "");
    else if (r->kept > r->groups || r->kept * each < t->chosen)
        cfg_error(c, kept, "%lld of %lld groups with %lld experts each do not hold the %lld that are chosen",
                  (long long)r->kept, (long long)r->groups, (long long)each, (long long)t->chosen);
}

void experts_look(ImportCtx *x, const char *prefix, Experts *t) {
    const char *both = arena_printf(x->a, "%s.gate_up_proj", t->module);
    if (!has_tensor(x, arena_printf(x->a, "%s%s", prefix, both))) return;
    t->stacked = true, t->gate_up = both, t->down = arena_printf(x->a, "%s.down_proj", t->module);
}

/* ---- the router ---- */

/* What experts of groups that a token does not use count: less than any score. */
static const char *const NEVER = "-1e30";

/* The value to choose by: `scores`, without what is not in the best groups. */
static const char *st_groups(cJSON *ops, const char *scores, const Router *r) {
    long long n = (long long)r->groups;
    st(ops, "{'out':'by','op':'reshape','x':'%s','shape':[%lld,'E/%lld']}", scores, n, n);
    if (r->group == GROUP_BEST) {
        st(ops, "{'out':'best','op':'reduce','x':'by','kind':'max'}");
    } else {
        st(ops, "{'out':'best','op':'largest','x':'by','k':2}");
        st(ops, "{'out':'best','map':'best * by'}");
        st(ops, "{'out':'best','op':'reduce','x':'best','kind':'sum'}");
    }
    st(ops, "{'out':'best','op':'reshape','x':'best','shape':[%lld]}", n);
    st(ops, "{'out':'best','op':'largest','x':'best','k':%lld}", (long long)r->kept);
    st(ops, "{'out':'best','op':'reshape','x':'best','shape':[%lld,1]}", n);
    st(ops, "{'out':'by','map':'where(best > 0, by, %s)'}", NEVER);
    st(ops, "{'out':'by','op':'reshape','x':'by','shape':['E']}");
    return "by";
}

/* The weight becomes 0 where the one expert that a token chose has been chosen `capacity` times before. */
static void st_capacity(cJSON *ops, int64_t capacity) {
    st(ops, "{'out':'chosen','op':'largest','x':'scores','k':1}");
    st(ops, "{'out':'one','op':'linspace','n':'E','from':1,'to':1}");
    st(ops, "{'out':'one','map':'per_token(one)'}");
    st(ops, "{'out':'count','op':'scan.diag','a':'one','b':'chosen','exact':true,'state':'taken'}");
    st(ops, "{'out':'kept','map':'chosen * (count <= %lld)'}", (long long)capacity);
    st(ops, "{'out':'kept','op':'reduce','x':'kept','kind':'sum'}");
    st(ops, "{'out':'p','map':'p * kept'}");
}

void st_router(ImportCtx *x, cJSON *ops, const char *in, const Experts *t) {
    const Router *r = &t->router;
    const char *p = r->logits ? r->logits : "p", *by = r->by;
    model_dim(x->model, "E", t->count), model_dim(x->model, "EC", t->chosen);
    if (r->module) st_linear(ops, p, in, r->module, "E", "D", r->bias);
    if (r->softcap != 0) {
        const char *cap = json_number(x->a, r->softcap);
        st(ops, "{'out':'p','map':'%s * tanh(%s / %s)'}", cap, p, cap), p = "p";
    }
    if (r->scores == SCORES_SOFTMAX) st(ops, "{'out':'p','op':'softmax','x':'%s'}", p), p = "p";
    if (r->scores == SCORES_SIGMOID) st(ops, "{'out':'p','map':'sigmoid(%s)'}", p), p = "p";
    if (r->correction) st(ops, "{'out':'by','map':'%s + @%s[E]'}", p, r->correction), by = "by";
    if (r->groups > 1 && r->kept < r->groups) by = st_groups(ops, by ? by : p, r);
    if (r->capacity) st(ops, "{'out':'scores','map':'%s'}", by ? by : p);
    st(ops, "{'out':['p','expert'],'op':'topk','x':'%s'%s,'k':'EC'%s%s}", p,
       by ? arena_printf(x->a, ",'by':'%s'", by) : "", r->normalize ? ",'normalize':true" : "",
       r->normalize && r->floor != 0 ? arena_printf(x->a, ",'floor':%s", json_number(x->a, r->floor)) : "");
    if (r->scores == SCORES_CHOSEN) st(ops, "{'out':'p','op':'softmax','x':'p'}");
    if (r->capacity) st_capacity(ops, r->capacity);
    if (r->scale != 0 && r->scale != 1) st(ops, "{'out':'p','map':'%s * p'}", json_number(x->a, r->scale));
}

/* ---- the experts ---- */

/* out = the chosen experts' products with `matrix`, a value or a weight */
static void st_product(ImportCtx *x, cJSON *ops, const char *out, const char *in, const char *matrix,
                       const char *bias) {
    st(ops, "{'out':'%s','op':'linear.experts','x':'%s','index':'expert','w':'%s'%s}", out, in, matrix,
       bias ? arena_printf(x->a, ",'b':'%s'", bias) : "");
}

/* The value `name`: half of what `both` holds for each expert, the rows of gate or, `second`, those of up. inner: more
 * dimensions, with a comma before them. */
static const char *st_half(cJSON *ops, const char *name, const char *both, const char *inner, bool by_turns,
                           bool second) {
    if (!by_turns) {
        st(ops, "{'out':'%s','op':'slice','x':'%s','axis':1,'start':'%s','size':'EF'}", name, both,
           second ? "EF" : "0");
        return name;
    }
    st(ops, "{'out':'%s','op':'reshape','x':'%s','shape':['E','EF',2%s]}", name, both, inner);
    st(ops, "{'out':'%s','op':'slice','x':'%s','axis':2,'start':%d,'size':1}", name, name, second);
    st(ops, "{'out':'%s','op':'reshape','x':'%s','shape':['E','EF'%s]}", name, name, inner);
    return name;
}

/* A tensor with one matrix [o, i] for each expert: what an operand is called. */
static const char *stacked(ImportCtx *x, cJSON *ops, const Experts *t, const char *value, const char *tensor,
                           const char *o, const char *i) {
    if (!t->transposed) return arena_printf(x->a, "@%s[E, %s, %s]", tensor, o, i);
    st(ops, "{'out':'%s','op':'transpose','x':'@%s[E, %s, %s]','perm':[0,2,1]}", value, tensor, i, o);
    return value;
}

static const char *stacked_bias(ImportCtx *x, const Experts *t, const char *tensor, const char *o) {
    return t->bias ? arena_printf(x->a, "@%s_bias[E, %s]", tensor, o) : NULL;
}

/* One matrix of each expert: the products of `in` with the chosen ones. */
static void st_matrix(ImportCtx *x, cJSON *ops, const Experts *t, const char *out, const char *in,
                      const char *name, const char *o, const char *i) {
    if (t->stacked) {
        st_product(x, ops, out, in, stacked(x, ops, t, "w", name, o, i), stacked_bias(x, t, name, o));
        return;
    }
    const char *all = arena_printf(x->a, "@%s.%s{0..E}.%s", t->module, t->list ? t->list : "", name);
    st_product(x, ops, out, in, arena_printf(x->a, "%s.weight[E, %s, %s]", all, o, i),
               t->bias ? arena_printf(x->a, "%s.bias[E, %s]", all, o) : NULL);
}

/* The dimension outside an expert. */
static const char *outside(const Experts *t) {
    return t->latent ? "EL" : "D";
}

static void st_gate_and_up(ImportCtx *x, cJSON *ops, const char *in, const Experts *t) {
    if (!t->gate_up) {
        if (!t->ungated) st_matrix(x, ops, t, "gate", in, t->gate ? t->gate : "gate_proj", "EF", outside(t));
        st_matrix(x, ops, t, "up", in, t->up ? t->up : "up_proj", "EF", outside(t));
        return;
    }
    const char *w = stacked(x, ops, t, "w", t->gate_up, "2*EF", outside(t)),
               *b = stacked_bias(x, t, t->gate_up, "2*EF");
    for (int i = 0; i < 2; i++) {
        const char *inner = arena_printf(x->a, ",'%s'", outside(t));
        const char *half = st_half(ops, i ? "wu" : "wg", w, inner, t->by_turns, i);
        const char *bias = b ? st_half(ops, i ? "bu" : "bg", b, "", t->by_turns, i) : NULL;
        st_product(x, ops, i ? "up" : "gate", in, half, bias);
    }
}

static const char *capped(Arena *a, const char *value, double cap) {
    const char *c = json_number(a, cap);
    return arena_printf(a, "%s * tanh(%s / %s)", c, value, c);
}

static void st_within(ImportCtx *x, cJSON *ops, const Experts *t) {
    const char *act = arena_printf(x->a, "%s(%s)", t->act, t->ungated ? "up" : "gate"), *up = "up";
    if (t->limit > 0) {
        const char *limit = json_number(x->a, t->limit);
        st(ops, "{'out':'gate','map':'min(gate, %s)'}", limit);
        up = arena_printf(x->a, "(clamp(up, -%s, %s) + 1)", limit, limit);
    }
    if (t->gate_cap > 0) act = arena_printf(x->a, "%s * sigmoid(gate)", capped(x->a, "gate", t->gate_cap));
    if (t->up_cap > 0) up = capped(x->a, "up", t->up_cap);
    if (t->slope > 0) act = arena_printf(x->a, "gate * sigmoid(%s * gate)", json_number(x->a, t->slope));
    if (t->ungated)
        st(ops, "{'out':'f','map':'%s'}", act);
    else
        st(ops, "{'out':'f','map':'%s * %s'}", act, up);
}

/* out = the chosen experts' sum and what the expert makes that all tokens share */
static void st_shared(ImportCtx *x, cJSON *ops, const char *out, const char *in, const Experts *t) {
    Mlp shared = t->shared;
    shared.dim = "SF";
    if (t->shared_gate) st_linear(ops, "share", in, t->shared_gate, "1", "D", false);
    st_mlp(x, ops, "s", in, &shared);
    st(ops, "{'out':'%s','map':'routed + %ss'}", out, t->shared_gate ? "sigmoid(share) * " : "");
}

void st_experts(ImportCtx *x, cJSON *ops, const char *out, const char *in, const Experts *t) {
    bool shared = t->shared.width > 0;
    st_router(x, ops, in, t);
    model_dim(x->model, "EF", t->width);
    if (t->latent)
        model_dim(x->model, "EL", t->latent), st_linear(ops, "l", in, t->into, "EL", "D", t->latent_bias);
    st_gate_and_up(x, ops, t->latent ? "l" : in, t);
    st_within(x, ops, t);
    st_matrix(x, ops, t, "f", "f", t->down ? t->down : "down_proj", outside(t), "EF");
    const char *sum = shared ? "routed" : out;
    st(ops, "{'out':'%s','op':'combine','x':'f','w':'p'}", sum);
    if (t->latent) st_linear(ops, sum, sum, t->back, "D", "EL", t->latent_bias);
    if (shared) st_shared(x, ops, out, in, t);
}
