/* RWKV-5 "Eagle": Peng et al. 2024, arXiv:2404.05892, in the author's checkpoints. Each head has a matrix state
 * with learned decays per key channel, the same for all tokens. The current token has a weight of its own (the
 * bonus). In versions 5.0 and 5.1 a head has a single decay and a single bonus. */
#include "import/parts/rwkv.h"

static const RwkvNames *const names = &RWKV_AUTHOR;

/* "w" [H, N or 1], the logarithm of the decay, and "bonus" [H, N] */
static void st_paces(ImportCtx *x, cJSON *b, bool by_channel) {
    st(b, "{'out':'w','map':'per_token(-exp(@att.time_decay[H, %s]))'}", by_channel ? "N" : "1");
    const char *width = by_channel ? "N" : "1";
    if (rwkv_has(x, names, "att.time_faaaa"))
        st(b, "{'out':'bonus','map':'@att.time_faaaa[H, %s]'}", width);
    else
        st(b, "{'out':'bonus','map':'exp(@att.time_first[H, %s])'}", width);
    if (by_channel) return;
    st(b, "{'out':'zeros','op':'linspace','n':'N','from':0,'to':0}");
    st(b, "{'out':'bonus','map':'bonus + zeros'}");
}

static void write_block(ImportCtx *x, const Norm *norm, bool by_channel, bool gate) {
    cJSON *b = block_new(x->model, "rwkv", NULL, NULL);
    st_rwkv_input(b, names->norm1, norm, "att_x");
    st_rwkv_mixes(x, b, names, "att", RWKV_TIME_MIX, gate ? "kvrg" : "kvr");
    st_rwkv_heads(b);
    st_paces(x, b, by_channel);
    st(b, "{'out':'y','op':'scan.matrix','q':'r','k':'k','v':'v','decay':'w','bonus':'bonus','read':'before',"
          "'state':'S'}");
    st_rwkv_matrix_end(x, b, RWKV_TIME_MIX, norm, gate);
}

static cJSON *import(ImportCtx *x) {
    Frame f;
    if (!rwkv_frame(x, names, &f)) return NULL;
    const RawTensor *decay = weights_find(x->w, "blocks.0.att.time_decay");
    int64_t heads = rwkv_size(x, names, "att.time_decay", 0),
            width = rwkv_size(x, names, "att.key.weight", 0);
    if (import_failed(x)) return NULL;
    if (width % heads || width != f.width)
        return import_error(x, "%lld heads do not share the width %lld evenly", (long long)heads,
                            (long long)width),
               NULL;
    bool by_channel = decay->rank > 1 && decay->dim[1] > 1;
    cJSON *m = frame_begin(x, &f);
    model_dim(m, "H", heads), model_dim(m, "N", width / heads);
    model_set(m, "transposed", "['S']");
    write_block(x, &f.norm, by_channel, rwkv_has(x, names, "att.gate.weight"));
    Layers l = {0};
    for (int64_t i = 0; i < f.layers; i++) layers_add(x->a, &l, "rwkv");
    return rwkv_end(x, names, &f, &l);
}

static bool recognise(const ImportCtx *x) {
    return has_tensor(x, "blocks.0.att.ln_x.weight") && has_tensor(x, "blocks.0.att.time_mix_k");
}

const Importer importer_rwkv5 = {
    .name = "rwkv5",
    .doc = "RWKV-5, its author's checkpoints (.pth or converted; no configuration needed)",
    .accepts = "rwkv-5",
    .recurrence = "matrix state, fixed decay per channel",
    .cases = "rwkv5",
    .recognise = recognise,
    .import = import,
};
