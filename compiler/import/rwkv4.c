/* RWKV-4 "Dove": Peng et al. 2023, arXiv:2305.13048. Checkpoints of the author, without a configuration, and of
 * transformers (RwkvForCausalLM). Each channel keeps two decaying sums over the past: of weighted values, and of
 * weights. The weights are exponentials, so both sums are stored divided by exp(pp), where pp is the largest
 * exponent so far. */
#include <math.h>

#include "import/parts/rwkv.h"

typedef struct Rwkv4 {
    const RwkvNames *names;
    Norm norm; /* of the blocks */
    int64_t
        every; /* transformers halves the residual stream so often, and what enters it from then on; 0: never */
} Rwkv4;

/* y = wkv(k, v): the past, and the token itself, which has a weight of its own. */
static void st_wkv(ImportCtx *x, cJSON *b, const char *att) {
    st(b, "{'out':'w','map':'per_token(-exp(@%s.time_decay[A]))'}", att);
    st(b, "{'out':'old','op':'scan.max','a':'w','b':'k','read':'before','start':-1e30,'state':'pp'}");
    st(b, "{'out':'new','map':'maximum(w + old, k)'}");
    st(b, "{'out':'keep','map':'exp(w + old - new)'}");
    st(b, "{'out':'take','map':'exp(k - new)'}");
    st(b, "{'out':'takev','map':'take * v'}");
    st(b, "{'out':'num','op':'scan.diag','a':'keep','b':'takev','read':'before','state':'aa'}");
    st(b, "{'out':'den','op':'scan.diag','a':'keep','b':'take','read':'before','state':'bb'}");
    st(b, "{'out':'own','map':'k + @%s.time_first[A]'}", att);
    st(b, "{'out':'top','map':'maximum(old, own)'}");
    st(b, "{'out':'past','map':'exp(old - top)'}");
    st(b, "{'out':'here','map':'exp(own - top)'}");
    st(b, "{'out':'y','map':'(past * num + here * v) / (past * den + here)'}");
    (void)x;
}

static const char *write_block(ImportCtx *x, const Rwkv4 *t, int64_t layer) {
    const RwkvNames *n = t->names;
    int64_t group = t->every ? layer / t->every : 0;
    bool last = t->every && (layer + 1) % t->every == 0, first = layer == 0 && n->norm0_in_block;
    const char *name =
        arena_printf(x->a, "rwkv%s%s%s", group ? arena_printf(x->a, "_%lld", (long long)group) : "",
                     last ? "_last" : "", first ? "_first" : "");
    if (json_get(json_get(x->model, "blocks"), name)) return name;
    cJSON *b = block_new(x->model, name, NULL, NULL);
    if (first) st_norm(b, "x", "x", n->norm0, "D", &t->norm);
    st_rwkv_input(b, n->norm1, &t->norm, "att_x");
    st_rwkv_mixes(x, b, n, n->att, RWKV_TIME_MIX, "kvr");
    st_linear(b, "r", "xr", arena_printf(x->a, "%s.receptance", n->att), "A", "D", false);
    st_linear(b, "k", "xk", arena_printf(x->a, "%s.key", n->att), "A", "D", false);
    st_linear(b, "v", "xv", arena_printf(x->a, "%s.value", n->att), "A", "D", false);
    st_wkv(x, b, n->att);
    st(b, "{'out':'y','map':'sigmoid(r) * y'}");
    st_linear(b, "o", "y", arena_printf(x->a, "%s.output", n->att), "D", "A", false);
    double scale = group ? exp2(-(double)group) : 0;
    st_residual(x, b, "o", scale);
    st_rwkv_channel_mix(x, b, n, RWKV_TIME_MIX, &t->norm, "relu2");
    st_residual(x, b, "f", scale);
    if (last) st(b, "{'out':'x','map':'x / 2'}");
    return name;
}

/* What transformers' configuration says has to be what the tensors are. */
static void read_hf(ImportCtx *x, Rwkv4 *t, Frame *f) {
    Cfg *c = &x->cfg;
    int64_t D = f->width, A = rwkv_size(x, t->names, "attention.key.weight", 0),
            F = rwkv_size(x, t->names, "feed_forward.key.weight", 0);
    f->layers = cfg_layers(c, "num_hidden_layers", 32, t->names->blocks);
    cfg_only_int(c, "vocab_size", f->vocab, f->vocab), cfg_only_int(c, "hidden_size", D, D);
    cfg_only_int(c, "attention_hidden_size", A, D), cfg_only_int(c, "intermediate_size", F, 4 * D);
    t->norm.eps = cfg_float(c, "layer_norm_epsilon", 1e-5, ">=0");
    t->every = cfg_has(c, "rescale_every") && json_get(c->node, "rescale_every")->valuedouble <= 0
                   ? (cfg_skip(c, "rescale_every"), 0)
                   : cfg_int(c, "rescale_every", 6);
    cfg_skip(c, "context_length"); /* how far the original was trained */
    f->tied_key = "tie_word_embeddings", f->tied = cfg_bool(c, f->tied_key, false);
}

static cJSON *import(ImportCtx *x) {
    bool hf = has_tensor(x, RWKV_HF.embedding);
    Rwkv4 t = {.names = hf ? &RWKV_HF : &RWKV_AUTHOR};
    Frame f;
    if (!rwkv_frame(x, t.names, &f)) return NULL;
    t.norm = f.norm; /* transformers gives the last one an eps of its own */
    if (hf) read_hf(x, &t, &f);
    int64_t A = rwkv_size(x, t.names, arena_printf(x->a, "%s.key.weight", t.names->att), 0);
    if (import_failed(x)) return NULL;
    cJSON *m = frame_begin(x, &f);
    model_dim(m, "A", A);
    Layers l = {0};
    for (int64_t i = 0; i < f.layers; i++) layers_add(x->a, &l, write_block(x, &t, i));
    return rwkv_end(x, t.names, &f, &l);
}

static bool recognise(const ImportCtx *x) {
    return has_tensor(x, "blocks.0.att.time_first") && !has_tensor(x, "blocks.0.att.ln_x.weight");
}

const Importer importer_rwkv4 = {
    .name = "rwkv4",
    .doc = "RWKV-4, its author's checkpoints (no configuration needed) and those of transformers",
    .accepts = "rwkv-4 RwkvForCausalLM rwkv",
    .recurrence = "diagonal, log-sum-exp with a running maximum",
    .cases = "rwkv4 hf-rwkv4 hf-rwkv4-wide",
    .recognise = recognise,
    .import = import,
};
