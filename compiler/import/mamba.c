/* Mamba: checkpoints of transformers (MambaForCausalLM, FalconMambaForCausalLM) and of the authors' package (d_model,
 * n_layer, ssm_cfg). Every layer is a norm and a mixer (parts/mamba.h). */
#include <string.h>

#include "import/parts/backbone.h"
#include "import/parts/mamba.h"

static void read_hf(ImportCtx *x, Frame *f, Mamba *t) {
    Cfg *c = &x->cfg;
    f->vocab = 50280, f->width = 768, f->layers = 32, f->tied = true;
    cfg_frame(x, f);
    f->norm.eps = cfg_float(c, "layer_norm_epsilon", 1e-5, ">=0");
    cfg_mamba(c, &MAMBA_KEYS_HF, f->width, t);
    t->E = cfg_size(c, "intermediate_size", t->E);
    t->act = cfg_act(c, "hidden_act", "silu");
    cfg_only_bool(c, "rms_norm", true, true);
    cfg_check_authors_keys(c, f->width, f->layers, t->E, "Mamba1");
}

static cJSON *import(ImportCtx *x) {
    Cfg *c = &x->cfg;
    Frame f = frame_backbone(x);
    Mamba t = {.act = "silu", .module = "mixer"};
    int64_t F = 0;
    if (!c->node) return import_error(x, "there is no config.json, which a Mamba model needs"), NULL;
    if (cfg_has(c, "d_model") && !cfg_has(c, "hidden_size")) {
        Cfg s = cfg_authors_frame(x, &f, "Mamba1");
        cfg_mamba(&s, &MAMBA_KEYS_AUTHORS, f.width, &t);
        F = cfg_authors_mlp(c);
        cfg_done(&s);
    } else {
        read_hf(x, &f, &t);
    }
    if (strcasestr(x->arch, "falcon")) {
        t.norms = MAMBA_NORMS_PLAIN;
        t.eps = cfg_float(c, "mixer_rms_eps", 1e-6, ">=0");
    }
    if (import_failed(x)) return NULL;

    cJSON *b = block_new(frame_begin(x, &f), "mamba", NULL, NULL);
    st_norm(b, "u", "x", "norm", "D", &f.norm);
    st_mamba(x, b, "o", "u", &t);
    st_residual(x, b, "o", 0);
    st_authors_mlp(x, b, F, &f.norm);
    return frame_end(x, &f, &(Layers){.block = (const char *[]){"mamba"}, .n = 1});
}

static bool recognise(const ImportCtx *x) {
    return has_tensor(x, "backbone.layers.0.mixer.x_proj.weight") &&
           has_tensor(x, "backbone.layers.0.mixer.A_log");
}

const Importer importer_mamba = {
    .name = "mamba",
    .doc = "Mamba (selective state space) and FalconMamba; checkpoints of transformers and state-spaces",
    .accepts = "MambaForCausalLM FalconMambaForCausalLM falcon_mamba MambaLMHeadModel",
    .recurrence = "diagonal per channel and state",
    .cases = "hf-mamba hf-mamba-tiedless hf-falcon-mamba",
    .recognise = recognise,
    .import = import,
};
