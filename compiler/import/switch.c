/* The sparse MLP of Switch Transformers: Fedus et al. 2021, arXiv:2101.03961. Top-1 routing with capacity: an
 * expert takes the first tokens of a sequence that choose it, up to its capacity. The output for later ones is 0. */
#include "import/parts/experts.h"

static cJSON *import(ImportCtx *x) {
    Cfg *c = &x->cfg;
    if (!c->node) return import_error(x, "there is no config.json, which says what room an expert has"), NULL;
    Experts e = {.module = "experts",
                 .list = "expert_",
                 .chosen = 1,
                 .ungated = true,
                 .up = "wi",
                 .down = "wo",
                 .width = cfg_size(c, "d_ff", REQUIRED),
                 .act = cfg_act(c, "dense_act_fn", "relu"),
                 .router = {.module = "router.classifier", .bias = cfg_bool(c, "router_bias", false)}};
    int64_t D = cfg_size(c, "d_model", REQUIRED);
    e.router.capacity = cfg_size(c, "expert_capacity", 64);
    cfg_experts(c, &e);
    if (e.chosen > 1) cfg_error(c, "num_experts_per_tok", "must be 1");
    cfg_skip(c, "router_dtype");
    if (import_failed(x)) return NULL;

    cJSON *m = model_new(x, "features");
    model_dim(m, "D", D);
    st_experts(x, model_ops(m), "y", "input", &e);
    return m;
}

static bool recognise(const ImportCtx *x) {
    return has_tensor(x, "router.classifier.weight") && has_tensor(x, "experts.expert_0.wi.weight");
}

const Importer importer_switch = {
    .name = "switch",
    .doc = "Switch Transformers' sparse MLP (a layer): top-1 routing with capacity",
    .accepts = "SwitchTransformersSparseMLP switch-moe",
    .recurrence = "tokens taken by each expert",
    .cases = "moe-switch",
    .recognise = recognise,
    .import = import,
};
