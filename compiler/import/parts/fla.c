#include "import/parts/fla.h"

#include <math.h>
#include <string.h>

/* How the library runs a model, not what it computes. */
static const char *const RUN[] = {
    "attn_mode",  "fuse_norm",     "fuse_swiglu", "fuse_cross_entropy", "fuse_linear_cross_entropy",
    "use_l2warp", "state_v_first",
};

/* attn: {layers, num_heads, num_kv_heads, qkv_bias, window_size, rope_theta}, or null */
static void read_attention(ImportCtx *x, Fla *f, int64_t positions) {
    Cfg a = cfg_sub(&x->cfg, "attn");
    const cJSON *list = a.node ? cfg_list(&a, "layers") : NULL;
    for (int64_t i = 0; i < f->frame.layers; i++) {
        bool is = false;
        for (const cJSON *e = list ? list->child : NULL; e; e = e->next) is |= e->valuedouble == (double)i;
        layers_add(x->a, &f->layers, is ? "attention" : "mixer");
    }
    if (!a.node) return;
    Attention *t = &f->attention;
    *t = (Attention){.module = "attn", .norm = f->norm, .positions = positions};
    t->heads = cfg_size(&a, "num_heads", REQUIRED);
    t->kv_heads = cfg_size(&a, "num_kv_heads", t->heads);
    if (t->heads % t->kv_heads) cfg_error(&a, "num_kv_heads", "num_heads does not share them evenly");
    t->width = f->frame.width / t->heads;
    t->bias_qkv = cfg_bool(&a, "qkv_bias", false), t->qk_norm = cfg_bool(&a, "qk_norm", false);
    t->window = cfg_int(&a, "window_size", 0);
    t->rope = (Rope){.theta = cfg_float(&a, "rope_theta", 10000, ">1"), .scale = 1};
    if (t->width < 1 || t->width % 2)
        cfg_error(&a, "num_heads", "heads of %lld cannot turn", (long long)t->width);
    cfg_done(&a);
}

bool cfg_fla(ImportCtx *x, Fla *f, double hidden_ratio) {
    Cfg *c = &x->cfg;
    if (!c->node) return import_error(x, "there is no config.json, which a model of this library needs");
    *f = (Fla){.frame = frame_named()};
    f->frame.embedding = "model.embeddings.weight";
    cfg_frame(x, &f->frame);
    f->norm = (Norm){.eps = cfg_float(c, "norm_eps", 1e-6, ">=0")};
    f->inner = f->norm;
    f->inner.bare = !cfg_bool(c, "elementwise_affine", true);
    f->frame.norm = f->norm;
    double ratio = cfg_float(c, "hidden_ratio", hidden_ratio, ">0");
    int64_t wide = (int64_t)((double)f->frame.width * ratio * 2 / 3);
    f->mlp = (Mlp){
        .module = "mlp", .act = "silu", .width = cfg_size(c, "intermediate_size", (wide + 255) / 256 * 256)};
    const char *act = cfg_act(c, "hidden_act", "swish");
    if (strcmp(act, "silu") != 0) cfg_error(c, "hidden_act", "the library takes swish only");
    for (size_t i = 0; i < sizeof RUN / sizeof *RUN; i++) cfg_skip(c, RUN[i]);
    read_attention(x, f, cfg_size(c, "max_position_embeddings", 2048));
    return !import_failed(x);
}

bool fla_has(const ImportCtx *x, const Fla *f, const char *tensor) {
    for (int i = 0; i < f->layers.n; i++)
        if (!strcmp(f->layers.block[i], "mixer"))
            return has_tensor(x, arena_printf(x->a, "model.layers.%d.%s", i, tensor));
    return false;
}

cJSON *fla_block(ImportCtx *x, const Fla *f, const char *name, const char *in) {
    cJSON *b = block_new(x->model, name, in, in ? "['x']" : NULL);
    st_norm(b, "u", "x", "attn_norm", "D", &f->norm);
    return b;
}

cJSON *fla_begin(ImportCtx *x, Fla *f) {
    frame_begin(x, &f->frame);
    return fla_block(x, f, "mixer", NULL);
}

void fla_block_end(ImportCtx *x, const Fla *f, cJSON *b) {
    st_residual(x, b, "o", 0);
    st_norm(b, "u", "x", "mlp_norm", "D", &f->norm);
    st_mlp(x, b, "f", "u", &f->mlp);
    st_residual(x, b, "f", 0);
}

cJSON *fla_end(ImportCtx *x, Fla *f, cJSON *b) {
    fla_block_end(x, f, b);
    if (layers_have(&f->layers, "attention")) {
        cJSON *other = fla_block(x, f, "attention", NULL);
        st_attention(x, other, "o", "u", &f->attention);
        fla_block_end(x, f, other);
    }
    return frame_end(x, &f->frame, &f->layers);
}
