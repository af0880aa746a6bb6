#include "import/parts/hybrid.h"

#include <string.h>

static void st_mixer(ImportCtx *x, cJSON *b, const Hybrid *h, const char *name) {
    if (!strncmp(name, "mamba2", 6))
        st_mamba2(x, b, "o", "u", h->mamba2);
    else if (!strncmp(name, "mamba", 5))
        st_mamba(x, b, "o", "u", h->mamba);
    else if (!strncmp(name, "conv", 4))
        st_short_conv(x, b, "o", "u", h->conv);
    else if (!strncmp(name, "delta", 5))
        st_delta_rule(x, b, "o", "u", h->delta);
    else if (!strncmp(name, "mla", 3))
        st_mla(x, b, "o", "u", h->mla);
    else
        st_attention(x, b, "o", "u", strncmp(name, "sliding", 7) ? h->attention : h->sliding);
}

static void write_block(ImportCtx *x, const Norm *norm, const Hybrid *h, const char *name) {
    cJSON *b = block_new(x->model, name, NULL, NULL);
    st_norm(b, "u", "x", h->mixer_norm, "D", norm);
    st_mixer(x, b, h, name);
    if (h->mixer_post) st_norm(b, "o", "o", h->mixer_post, "D", norm);
    st_residual(x, b, "o", h->residual);
    st_norm(b, "u", "x", h->ff_norm, "D", norm);
    if (strstr(name, "_experts"))
        st_experts(x, b, "f", "u", h->experts);
    else
        st_mlp(x, b, "f", "u", h->mlp);
    if (h->ff_post) st_norm(b, "f", "f", h->ff_post, "D", norm);
    st_residual(x, b, "f", h->residual);
}

cJSON *hybrid_model(ImportCtx *x, Frame *f, const Hybrid *h, const Layers *l) {
    frame_begin(x, f);
    for (int i = 0; i < l->n; i++) {
        Layers before = {.block = l->block, .n = i};
        if (!layers_have(&before, l->block[i])) write_block(x, &f->norm, h, l->block[i]);
    }
    return frame_end(x, f, l);
}
