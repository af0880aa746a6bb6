/* HGRN2: Qin et al. 2024, arXiv:2404.07904, as flash-linear-attention computes it. The forget gate of a channel
 * has a lower bound that grows from layer to layer. The input gate is 1 minus the forget gate. */
#include <string.h>

#include "import/parts/fla.h"
#include "import/parts/heads.h"

typedef struct Hgrn2 {
    int64_t heads, K, P, taps;
    bool bounds, bare; /* bare: norms without weights */
} Hgrn2;

/* "low" [D] of layer i: the sum over the layers 1 .. i of a softmax over all layers. */
static void st_bound(cJSON *ops, int64_t layers, int64_t i) {
    if (i == 1) {
        st(ops, "{'out':'bounds','op':'transpose','x':'@model.lower_bounds[%lld, D]','perm':[1, 0]}",
           (long long)layers);
        st(ops, "{'out':'bounds','op':'softmax','x':'bounds'}");
    }
    st(ops, "{'out':'more','op':'slice','x':'bounds','axis':-1,'start':%lld,'size':1}", (long long)i);
    st(ops, "{'out':'more','op':'reshape','x':'more','shape':['D']}");
    st(ops, "{'out':'bound','map':'%s'}", i == 1 ? "more" : "bound + more");
    st(ops, "{'out':'low','map':'per_token(bound)'}");
}

static void write_mixer(ImportCtx *x, cJSON *b, const Hgrn2 *t, bool bound) {
    static const char *const rows[][3] = {{"q", "DK"}, {"f", "DK"}, {"i", "DP"}};
    for (int i = 0; i < 3; i++) {
        const char *name = rows[i][0];
        HeadRows r = {.module = "attn", .heads = "DH", .width = rows[i][1], .taps = t->taps};
        r.tensor = arena_printf(x->a, "%s_proj", name);
        r.conv = t->taps ? arena_printf(x->a, "%s_conv1d", name) : NULL;
        st_head_rows(x, b, name, "u", &r);
    }
    st(b, "{'out':'q','map':'silu(q) / sqrt(DK)'}");
    if (bound) {
        st(b, "{'out':'low','op':'reshape','x':'low','shape':['DH','DK']}");
        st(b, "{'out':'d','map':'log(low + (1 - low) * sigmoid(f))'}");
        st(b, "{'out':'k','map':'(1 - low) * sigmoid(-f)'}");
    } else {
        st(b, "{'out':'d','map':'-softplus(-f)'}");
        st(b, "{'out':'k','map':'sigmoid(-f)'}");
    }
    st(b, "{'out':'y','op':'scan.matrix','q':'q','k':'k','v':'i','decay':'d','state':'S'}");
    HeadsOut o = {
        .module = "attn", .heads = "DH", .width = "DP", .norm = "g_norm", .whole = true, .tensor = "o_proj"};
    o.kind = (Norm){.eps = 1e-5, .bare = t->bare}; /* the configuration's is not passed on */
    st_heads_out(x, b, "o", "y", &o);
}

static cJSON *import(ImportCtx *x) {
    Cfg *c = &x->cfg;
    Fla f;
    if (!cfg_fla(x, &f, 4)) return NULL;
    int64_t D = f.frame.width;
    Hgrn2 t = {.heads = cfg_size(c, "num_heads", 1),
               .bounds = cfg_bool(c, "use_lower_bound", true),
               .bare = f.inner.bare};
    if (cfg_has(c, "expand_ratio"))
        t.K = cfg_size(c, "expand_ratio", 128), t.heads = D / t.K;
    else
        t.K = D / t.heads;
    if (t.heads < 1 || D % t.heads) cfg_error(c, "expand_ratio", "hidden_size is no multiple of it");
    if (t.bounds && t.heads * t.K != D)
        cfg_error(c, "expand_ratio", "with lower bounds must divide hidden_size");
    t.taps = cfg_bool(c, "use_short_conv", false) ? cfg_size(c, "conv_size", 4) : 0;
    cfg_skip(c, "conv_size");
    if (import_failed(x)) return NULL;

    cJSON *m = frame_begin(x, &f.frame), *ops = model_ops(m);
    t.P = D / t.heads;
    model_dim(m, "DH", t.heads), model_dim(m, "DK", t.K), model_dim(m, "DP", t.P);
    frame_embed(x, &f.frame);
    for (int64_t i = 0; i < f.frame.layers; i++) {
        bool attention = !strcmp(f.layers.block[i], "attention"), bound = t.bounds && i > 0 && !attention;
        const char *name = attention ? "attention" : bound ? "bounded" : "mixer";
        if (t.bounds && i > 0) st_bound(ops, f.frame.layers, i);
        if (!json_get(json_get(m, "blocks"), name)) {
            cJSON *b = fla_block(x, &f, name, bound ? "['x','low']" : NULL);
            if (attention)
                st_attention(x, b, "o", "u", &f.attention);
            else
                write_mixer(x, b, &t, bound);
            fla_block_end(x, &f, b);
        }
        st_layers(m, 1, arena_printf(x->a, "['%s']", name), f.frame.prefix);
    }
    frame_head(x, &f.frame);
    return m;
}

const Importer importer_hgrn2 = {
    .name = "hgrn2",
    .doc = "HGRN2 of flash-linear-attention",
    .accepts = "HGRN2ForCausalLM",
    .recurrence = "matrix state, decay per channel",
    .cases = "hgrn2",
    .import = import,
};
