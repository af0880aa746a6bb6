#include "import/parts/feature_map.h"

#include <string.h>

#include "import/parts/heads.h"

enum { DPFP_SHIFTS = 4 };

FeatureMap cfg_feature_map(Cfg *c, const char *key, const char *otherwise) {
    static const char *const names[] = {"identity", "relu", "elu",  "elementwise_product",
                                        "hedgehog", "t2r",  "dpfp", "taylor"};
    enum { N = sizeof names / sizeof *names };
    const char *name = cfg_str(c, key, otherwise), *all[N];
    for (int i = 0; i < N; i++) {
        if (!strcmp(name, names[i])) return (FeatureMap)i;
        all[i] = names[i];
    }
    cfg_error(c, key, "unknown feature map \"%s\"%s", name, diag_did_you_mean(c->ctx->a, name, all, N));
    return MAP_IDENTITY;
}

int64_t feature_width(FeatureMap map, int64_t width) {
    return map == MAP_HEDGEHOG ? 2 * width
           : map == MAP_DPFP   ? 2 * DPFP_SHIFTS * width
           : map == MAP_TAYLOR ? 1 + width + width * width
                               : width;
}

/* out = value turned by `by`: the last ones come first. */
static void st_roll(cJSON *ops, const char *out, const char *value, int64_t width, int64_t by) {
    st(ops, "{'out':['start','end'],'split':'%s','sizes':[%lld,%lld]}", value, (long long)(width - by),
       (long long)by);
    st(ops, "{'out':'%s','op':'concat','in':['end','start'],'axis':-1}", out);
}

static void st_dpfp(ImportCtx *x, cJSON *ops, const char *value, int64_t width) {
    Text rolled = text_new(x->a), same = text_new(x->a);
    st(ops, "{'out':'up','map':'relu(%s)'}", value);
    st(ops, "{'out':'down','map':'relu(-%s)'}", value);
    st(ops, "{'out':'both','op':'concat','in':['up','down'],'axis':-1}");
    for (int i = 1; i <= DPFP_SHIFTS; i++) {
        const char *name = arena_printf(x->a, "roll%d", i);
        st_roll(ops, name, "both", 2 * width, i % (2 * width));
        text_add(&rolled, "%s'%s'", i > 1 ? "," : "", name);
        text_add(&same, "%s'both'", i > 1 ? "," : "");
    }
    st(ops, "{'out':'rolled','op':'concat','in':[%s],'axis':-1}", rolled.s);
    st(ops, "{'out':'same','op':'concat','in':[%s],'axis':-1}", same.s);
    st(ops, "{'out':'%s','map':'same * rolled'}", value);
}

/* [1, x / width^1/4, x xT / (sqrt 2 sqrt width)] */
static void st_taylor(ImportCtx *x, cJSON *ops, const char *value, const char *heads, int64_t width) {
    long long w = (long long)width;
    const char *size = arena_printf(x->a, "%lld", w);
    st(ops, "{'out':'column','op':'reshape','x':'%s','shape':['%s*%lld',1]}", value, heads, w);
    st_repeat_rows(x, ops, "rows", value, heads, width, size);
    st(ops, "{'out':'squares','map':'column * rows / (sqrt(2) * sqrt(%lld))'}", w);
    st(ops, "{'out':'squares','op':'reshape','x':'squares','shape':['%s',%lld]}", heads, w * w);
    st_ones(ops, "one", heads);
    st(ops, "{'out':'%s','map':'%s / sqrt(sqrt(%lld))'}", value, value, w);
    st(ops, "{'out':'%s','op':'concat','in':['one','%s','squares'],'axis':-1}", value, value);
}

void st_feature_map(ImportCtx *x, cJSON *ops, FeatureMap map, const char *value, const char *heads,
                    int64_t width, const char *module) {
    const char *w = arena_printf(x->a, "%lld", (long long)width);
    switch (map) {
    case MAP_IDENTITY:
        return;
    case MAP_RELU:
        st_act(ops, value, value, "relu");
        return;
    case MAP_ELU:
        st_act(ops, value, value, "elu1");
        return;
    case MAP_PRODUCT:
        st_linear(ops, "one", value, head_tensor(x, module, "layer1"), w, w, true);
        st_linear(ops, "two", value, head_tensor(x, module, "layer2"), w, w, true);
        st(ops, "{'out':'%s','map':'one * two'}", value);
        return;
    case MAP_HEDGEHOG:
        st_linear(ops, "up", value, head_tensor(x, module, "layer"), w, w, true);
        st(ops, "{'out':'up','map':'2 * up'}");
        st(ops, "{'out':'down','map':'-up'}");
        st(ops, "{'out':'%s','op':'concat','in':['up','down'],'axis':-1}", value);
        st(ops, "{'out':'%s','op':'softmax','x':'%s'}", value, value);
        return;
    case MAP_T2R:
        st_linear(ops, value, value, head_tensor(x, module, "layer"), w, w, false);
        st_act(ops, value, value, "relu");
        return;
    case MAP_DPFP:
        st_dpfp(x, ops, value, width);
        return;
    case MAP_TAYLOR:
        st_taylor(x, ops, value, heads, width);
        return;
    }
}
