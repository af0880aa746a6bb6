/* RWKV-6 "Finch": Peng et al. 2024, arXiv:2404.05892, in the author's checkpoints. It is RWKV-5 with decays and
 * token shifts that depend on the token, through low-rank projections stored [in, out]. */
#include "import/parts/rwkv.h"

static const RwkvNames *const names = &RWKV_AUTHOR;

/* xw, xk, xv, xr, xg */
static void st_token_mixes(cJSON *b) {
    st(b, "{'out':'d','map':'before - u'}");
    st(b, "{'out':'m','map':'u + d * @att.time_maa_x[D]'}");
    st(b, "{'out':'w1','op':'transpose','x':'@att.time_maa_w1[D, 5*Rm]','perm':[1, 0]}");
    st(b, "{'out':'m','op':'linear','x':'m','w':'w1'}");
    st(b, "{'out':'m','map':'tanh(m)'}");
    st(b, "{'out':'m','op':'linear.blocks','x':'m','w':'@att.time_maa_w2[5, Rm, D]'}");
    st(b, "{'out':['mw','mk','mv','mr','mg'],'split':'m','sizes':['D','D','D','D','D']}");
    for (const char *p = "wkvrg"; *p; p++)
        st(b, "{'out':'x%c','map':'u + d * (m%c + @att.time_maa_%c[D])'}", *p, *p, *p);
}

/* "w" [H, N]: the logarithm of the decay */
static void st_decay(cJSON *b) {
    st(b, "{'out':'w1','op':'transpose','x':'@att.time_decay_w1[D, Rd]','perm':[1, 0]}");
    st(b, "{'out':'w2','op':'transpose','x':'@att.time_decay_w2[Rd, D]','perm':[1, 0]}");
    st(b, "{'out':'w','op':'linear','x':'xw','w':'w1'}");
    st(b, "{'out':'w','map':'tanh(w)'}");
    st(b, "{'out':'w','op':'linear','x':'w','w':'w2'}");
    st(b, "{'out':'w','map':'-exp(w + @att.time_decay[D])'}");
    st(b, "{'out':'w','op':'reshape','x':'w','shape':['H','N']}");
}

static void write_block(ImportCtx *x, const Norm *norm) {
    cJSON *b = block_new(x->model, "rwkv", NULL, NULL);
    st_rwkv_input(b, names->norm1, norm, "att_x");
    st_token_mixes(b);
    st_decay(b);
    st_rwkv_heads(b);
    st(b, "{'out':'y','op':'scan.matrix','q':'r','k':'k','v':'v','decay':'w','bonus':'@att.time_faaaa[H, N]',"
          "'read':'before','state':'S'}");
    st_rwkv_matrix_end(x, b, RWKV_TIME_MAA, norm, true);
}

static cJSON *import(ImportCtx *x) {
    Frame f;
    if (!rwkv_frame(x, names, &f)) return NULL;
    int64_t H = rwkv_size(x, names, "att.time_faaaa", 0), N = rwkv_size(x, names, "att.time_faaaa", 1),
            mixes = rwkv_size(x, names, "att.time_maa_w2", 1),
            decay = rwkv_size(x, names, "att.time_decay_w1", -1);
    if (!import_failed(x) && H * N != f.width)
        import_error(x, "%lld heads of %lld are not the width %lld", (long long)H, (long long)N,
                     (long long)f.width);
    if (import_failed(x)) return NULL;
    cJSON *m = frame_begin(x, &f);
    model_dim(m, "H", H), model_dim(m, "N", N), model_dim(m, "Rm", mixes), model_dim(m, "Rd", decay);
    model_set(m, "transposed", "['S']");
    write_block(x, &f.norm);
    Layers l = {0};
    for (int64_t i = 0; i < f.layers; i++) layers_add(x->a, &l, "rwkv");
    return rwkv_end(x, names, &f, &l);
}

static bool recognise(const ImportCtx *x) {
    return has_tensor(x, "blocks.0.att.time_maa_w1");
}

const Importer importer_rwkv6 = {
    .name = "rwkv6",
    .doc = "RWKV-6, its author's checkpoints (.pth or converted; no configuration needed)",
    .accepts = "rwkv-6",
    .recurrence = "matrix state, decay per channel",
    .cases = "rwkv6",
    .recognise = recognise,
    .import = import,
};
