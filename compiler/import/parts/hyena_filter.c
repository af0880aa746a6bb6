#include "import/parts/hyena_filter.h"

#include <math.h>

void cfg_hyena_fading(Cfg *c, HyenaFilter *t) {
    t->modulate = cfg_bool(c, "modulate", true);
    t->shift = cfg_float(c, "shift", 0, NULL);
    t->fast = cfg_float(c, "fast_decay_pct", 0.3, ">0");
    t->slow = cfg_float(c, "slow_decay_pct", 1.5, ">0");
    t->target = cfg_float(c, "target", 1e-2, ">0");
}

static bool in_layer(ImportCtx *x, const HyenaFilter *t, const char *name) {
    return has_tensor(x, arena_printf(x->a, "%s%s.%s", t->first, t->module, name));
}

/* The positions t [L, 1] and their features z [L, Z]: t, cos and -sin of a few frequencies. Trained models
 * may have moved them, so the file comes first. */
static void st_positions_of(ImportCtx *x, cJSON *b, const HyenaFilter *t) {
    if (in_layer(x, t, "pos_emb.t")) {
        if (t->modulate || !in_layer(x, t, "pos_emb.z"))
            st(b, "{'out':'t','map':'@%s.pos_emb.t[%s, 1]'}", t->module, t->taps);
    } else {
        st(b, "{'out':'t','op':'linspace','n':'%s','from':0,'to':1}", t->taps);
        st(b, "{'out':'t','op':'reshape','x':'t','shape':['%s',1]}", t->taps);
    }
    if (in_layer(x, t, "pos_emb.z")) {
        st(b, "{'out':'z','map':'@%s.pos_emb.z[%s, %s]'}", t->module, t->taps, t->Z);
        return;
    }
    int64_t bands = (t->emb - 1) / 2;
    st(b, "{'out':'angle','op':'linspace','n':'%s','from':0,'to':%.17g}", t->taps,
       2 * M_PI * (double)(t->L - 1) / (double)t->L);
    st(b, "{'out':'angle','op':'reshape','x':'angle','shape':['%s',1]}", t->taps);
    st(b, "{'out':'f','op':'linspace','n':%lld,'from':1e-4,'to':%lld}", (long long)bands,
       (long long)(bands > 1 ? bands - 1 : 1));
    st(b, "{'out':'re','map':'cos(f * angle)'}");
    st(b, "{'out':'im','map':'-sin(f * angle)'}");
    st(b, "{'out':'z','op':'concat','in':['t','re','im']}");
}

/* The frequency of the i-th sine. All names are one parameter; a file may hold it once. */
static const char *freq_name(ImportCtx *x, const HyenaFilter *t, int64_t i) {
    const char *name = arena_printf(x->a, "implicit_filter.%lld.freq", (long long)(2 * i + 1));
    for (int64_t k = 0; !in_layer(x, t, name) && k <= t->inner; k++) {
        const char *other = arena_printf(x->a, "implicit_filter.%lld.freq", (long long)(2 * k + 1));
        if (in_layer(x, t, other)) return other;
    }
    return name;
}

/* Fades the filter: exp(-t |delta|) + shift, one delta per channel. */
static void st_fading(ImportCtx *x, cJSON *b, const HyenaFilter *t) {
    if (in_layer(x, t, "modulation.deltas"))
        st(b, "{'out':'delta','map':'@%s.modulation.deltas[%s]'}", t->module, t->channels);
    else
        st(b, "{'out':'delta','op':'linspace','n':'%s','from':%.17g,'to':%.17g}", t->channels,
           log(t->target) / t->slow, log(t->target) / t->fast);
    if (t->shift != 0)
        st(b, "{'out':'h','map':'h * (exp(-t * abs(delta)) + %s)'}", json_number(x->a, t->shift));
    else
        st(b, "{'out':'h','map':'h * exp(-t * abs(delta))'}");
}

void st_hyena_filter(ImportCtx *x, cJSON *b, const HyenaFilter *t) {
    st_positions_of(x, b, t);
    for (int64_t i = 0; i <= t->inner; i++) {
        const char *in = i ? "a" : "z", *width = i ? t->F : t->Z;
        st(b,
           "{'out':'a','op':'linear','x':'%s','w':'@%s.implicit_filter.%lld.weight[%s, "
           "%s]','b':'@%s.implicit_filter.%lld."
           "bias[%s]'}",
           in, t->module, (long long)(2 * i), t->F, width, t->module, (long long)(2 * i), t->F);
        st(b, "{'out':'a','map':'sin(@%s.%s[%s] * a)'}", t->module, freq_name(x, t, i), t->F);
    }
    st(b, "{'out':'h','op':'linear','x':'a','w':'@%s.implicit_filter.%lld.weight[%s, %s]'}", t->module,
       (long long)(2 * (t->inner + 1)), t->channels, t->F);
    if (t->modulate) st_fading(x, b, t);
    if (t->normalized) {
        st(b, "{'out':'size','map':'abs(h)'}");
        st(b, "{'out':'size','op':'reduce','x':'size','kind':'sum'}");
        st(b, "{'out':'h','map':'h / size'}");
    }
    st(b, "{'out':'h','op':'transpose','x':'h','perm':[1, 0]}");
}
