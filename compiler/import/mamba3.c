/* Mamba-3: checkpoints of the authors' package (state-spaces/mamba, ssm_cfg.layer "Mamba3") and of
 * flash-linear-attention (Mamba3ForCausalLM). Every layer is a norm and a mixer (parts/mamba3.h), in the authors'
 * package with an MLP where d_intermediate says so.
 *
 * How the projection becomes a decay changed in the authors' package in June 2026, and no file tells: each layout
 * is read as its library does now, and --arch=mamba3-softplus or --arch=mamba3-reciprocal says otherwise. */
#include <string.h>

#include "import/parts/backbone.h"
#include "import/parts/mamba3.h"

static void read_fla(ImportCtx *x, Frame *f, Mamba3 *t) {
    Cfg *c = &x->cfg;
    f->vocab = 32000, f->width = 2048, f->layers = 48;
    cfg_frame(x, f);
    f->norm.eps = cfg_float(c, "norm_eps", 1e-5, ">=0");
    cfg_mamba3(c, &MAMBA3_KEYS_FLA, f->width, t);
    t->bias = cfg_bool(c, "use_bias", false);
    t->softplus = true;
    cfg_only_int(c, "num_heads", t->H, t->H);
    cfg_skip_all(c, "hidden_act fuse_norm fuse_cross_entropy fuse_linear_cross_entropy use_l2warp");
}

static void choose_decay(ImportCtx *x, Mamba3 *t) {
    bool softplus = strcasestr(x->arch, "softplus") != NULL,
         other = strcasestr(x->arch, "reciprocal") != NULL;
    const char *there = t->softplus ? "reciprocal" : "softplus";
    if (softplus || other)
        t->softplus = softplus;
    else
        diag_note(x->d, (Loc){.file = x->path},
                  "Mamba-3 was published with two decays, and its files do not say which one they were "
                  "trained with: "
                  "%s is used, as in today's library of this layout; --arch=mamba3-%s takes the other",
                  t->softplus ? "softplus(a)" : "1 + a or 1 / (1 - a)", there);
}

static cJSON *import(ImportCtx *x) {
    Cfg *c = &x->cfg;
    Frame f = frame_backbone(x);
    Mamba3 t = {.module = "mixer"};
    int64_t F = 0;
    if (!c->node) return import_error(x, "there is no config.json, which a Mamba-3 model needs"), NULL;
    if (cfg_has(c, "d_model")) {
        Cfg s = cfg_authors_frame(x, &f, "Mamba3");
        cfg_mamba3(&s, &MAMBA3_KEYS_AUTHORS, f.width, &t);
        cfg_skip(&s, "fuse_pregate_headwise_norm"); /* another kernel for the same */
        cfg_done(&s);
        F = cfg_authors_mlp(c);
    } else {
        read_fla(x, &f, &t);
    }
    t.eps = f.norm.eps;
    choose_decay(x, &t);
    if (import_failed(x)) return NULL;

    cJSON *b = block_new(frame_begin(x, &f), "mamba3", NULL, NULL);
    st_norm(b, "u", "x", "norm", "D", &f.norm);
    st_mamba3(x, b, "o", "u", &t);
    st_residual(x, b, "o", 0);
    st_authors_mlp(x, b, F, &f.norm);
    return frame_end(x, &f, &(Layers){.block = (const char *[]){"mamba3"}, .n = 1});
}

static bool recognise(const ImportCtx *x) {
    return has_tensor(x, "backbone.layers.0.mixer.B_bias");
}

const Importer importer_mamba3 = {
    .name = "mamba3",
    .doc = "Mamba-3 (trapezoidal discretisation, rotating state, SISO and MIMO); checkpoints of state-spaces "
           "and flash-linear-attention",
    .accepts = "Mamba3ForCausalLM mamba3-softplus mamba3-reciprocal",
    .recurrence = "matrix state, one decay per head, rotation",
    .cases = "mamba3-siso mamba3-mimo mamba3-fla",
    .recognise = recognise,
    .import = import,
};
