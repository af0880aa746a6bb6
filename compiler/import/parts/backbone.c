#include "import/parts/backbone.h"

#include <string.h>

#include "import/parts/mlp.h"

Frame frame_backbone(const ImportCtx *x) {
    Frame f = frame_named();
    f.prefix = "backbone.layers.{i}.", f.final_norm = "backbone.norm_f";
    f.embedding = has_tensor(x, "backbone.embedding.weight") ? "backbone.embedding.weight"
                                                             : "backbone.embeddings.weight";
    return f;
}

static void check_layer(Cfg *s, const char *layer, const char *otherwise) {
    if (strcmp(cfg_str(s, "layer", otherwise), layer) != 0) cfg_error(s, "layer", "is not %s", layer);
}

Cfg cfg_authors_frame(ImportCtx *x, Frame *f, const char *layer) {
    Cfg *c = &x->cfg;
    f->width = cfg_size(c, "d_model", REQUIRED);
    f->layers = cfg_layers(c, "n_layer", REQUIRED, "backbone.layers.");
    f->vocab = table_rows(x, f->embedding, f->head);
    f->tied_key = "tie_embeddings", f->tied = cfg_bool(c, f->tied_key, true);
    f->norm.eps = 1e-5;
    cfg_only_bool(c, "rms_norm", true, true);
    const cJSON *attention = cfg_list(c, "attn_layer_idx");
    if (attention && attention->child)
        cfg_error(c, "attn_layer_idx", "layers of attention are not supported here");
    cfg_sub(c, "attn_cfg");
    Cfg s = cfg_sub(c, "ssm_cfg");
    check_layer(&s, layer, "Mamba1");
    return s;
}

int64_t cfg_authors_mlp(Cfg *c) {
    return (cfg_int(c, "d_intermediate", 0) + 127) / 128 * 128;
}

void st_authors_mlp(ImportCtx *x, cJSON *b, int64_t width, const Norm *norm) {
    if (!width) return;
    Mlp t = {
        .width = width, .module = "mlp", .gate_up = "fc1", .up_first = true, .down = "fc2", .act = "silu"};
    st_norm(b, "u", "x", "norm2", "D", norm);
    st_mlp(x, b, "f", "u", &t);
    st_residual(x, b, "f", 0);
}

void cfg_check_authors_keys(Cfg *c, int64_t D, int64_t layers, int64_t E, const char *layer) {
    cfg_only_int(c, "d_model", D, D);
    cfg_only_int(c, "n_layer", layers, layers);
    cfg_only_int(c, "d_inner", E, E);
    cfg_skip(c, "pad_vocab_size_multiple");
    Cfg s = cfg_sub(c, "ssm_cfg");
    check_layer(&s, layer, layer);
    cfg_done(&s);
}
