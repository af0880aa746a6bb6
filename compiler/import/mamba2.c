/* Mamba-2: checkpoints of transformers (Mamba2ForCausalLM) and of the authors' package. Every layer is a norm and a
 * mixer (parts/mamba2.h). */
#include "import/parts/mamba2.h"
#include "import/parts/backbone.h"
#include "import/parts/mamba.h"

static void read_hf(ImportCtx *x, Frame *f, Mamba2 *t) {
    Cfg *c = &x->cfg;
    f->vocab = 32768, f->width = 4096, f->layers = 64;
    cfg_frame(x, f);
    f->norm.eps = cfg_float(c, "layer_norm_epsilon", 1e-5, ">=0");
    cfg_mamba2(c, &MAMBA2_KEYS_HF, f->width, &(Mamba2){.H = 128, .P = 64, .N = 128, .G = 8}, t);
    t->E = cfg_size(c, "intermediate_size", t->E);
    t->act = cfg_act(c, "hidden_act", "silu");
    cfg_skip(c, "time_step_rank"); /* Mamba-2 has none; the key is left over in published files */
    /* transformers reads neither: the gate always comes before the norm, and the norm is always there. */
    cfg_skip(c, "norm_before_gate");
    cfg_skip(c, "rms_norm");
    cfg_check_authors_keys(c, f->width, f->layers, t->E, "Mamba2");
}

static void read_original(ImportCtx *x, Frame *f, Mamba2 *t) {
    Cfg s = cfg_authors_frame(x, f, "Mamba2");
    cfg_mamba2(&s, &MAMBA2_KEYS_AUTHORS, f->width, &(Mamba2){.P = 64, .N = 128, .G = 1}, t);
    bool norm = cfg_bool(&s, "rmsnorm", true), before = cfg_bool(&s, "norm_before_gate", false);
    t->gate = !norm ? MAMBA2_GATE_ONLY : before ? MAMBA2_NORM_GATE : MAMBA2_GATE_NORM;
    t->act = "silu";
    cfg_only_bool(&s, "D_has_hdim", false, false);
    cfg_done(&s);
}

static cJSON *import(ImportCtx *x) {
    Cfg *c = &x->cfg;
    Frame f = frame_backbone(x);
    Mamba2 t = {.module = "mixer"};
    int64_t F = 0;
    if (!c->node) return import_error(x, "there is no config.json, which a Mamba-2 model needs"), NULL;
    if (cfg_has(c, "d_model") && !cfg_has(c, "hidden_size"))
        read_original(x, &f, &t), F = cfg_authors_mlp(c);
    else
        read_hf(x, &f, &t);
    t.eps = f.norm.eps;
    mamba2_check(x, &t);
    if (import_failed(x)) return NULL;

    cJSON *b = block_new(frame_begin(x, &f), "mamba2", NULL, NULL);
    st_norm(b, "u", "x", "norm", "D", &f.norm);
    st_mamba2(x, b, "o", "u", &t);
    st_residual(x, b, "o", 0);
    st_authors_mlp(x, b, F, &f.norm);
    return frame_end(x, &f, &(Layers){.block = (const char *[]){"mamba2"}, .n = 1});
}

static bool recognise(const ImportCtx *x) {
    return has_tensor(x, "backbone.layers.0.mixer.dt_bias") && has_tensor(x, "backbone.layers.0.mixer.A_log");
}

const Importer importer_mamba2 = {
    .name = "mamba2",
    .doc = "Mamba-2 (state space duality), Codestral Mamba; checkpoints of transformers and state-spaces",
    .accepts = "Mamba2ForCausalLM",
    .recurrence = "matrix state, one decay per head",
    .cases = "hf-mamba2 hf-mamba2-codestral hf-mamba2-limit",
    .recognise = recognise,
    .import = import,
};
