/* RWKV-7 "Goose": Peng et al. 2025, arXiv:2503.14456, in the author's own files (RWKV-LM: RWKV-v7/rwkv_v7_demo.py), where
 * every size is read off the tensors, and in those of flash-linear-attention.
 *
 * Per head, with the state S [value, key]:  S = S diag(d) - (S kappa)(kappa*a)T + v kT;  o = S r.
 * In terms of scan.matrix: decay = log d, a = -kappa, b = kappa*a. Layer 0 has no mix of values; its v goes
 * to all later layers as v_first. */
#include <string.h>

#include "import/parts/rwkv.h"

/* log d = -exp(-1/2) * sigmoid(..) */
#define EXP_MINUS_HALF "0.6065306597126334"

static const RwkvNames FLA = {.embedding = "model.embeddings.weight",
                              .blocks = "model.layers.",
                              .norm0 = "pre_norm",
                              .norm1 = "attn_norm",
                              .norm2 = "ffn_norm",
                              .att = "attn",
                              .ffn = "ffn",
                              .final = "model.norm",
                              .head = "lm_head.weight",
                              .norm0_in_block = true};

typedef struct Rwkv7 {
    const RwkvNames *names;
    bool fla;
    bool norm0;                /* in the first layer */
    bool together;             /* all mixes in one tensor: the first files of flash-linear-attention */
    Norm norm;                 /* of the stream */
    const char *act;           /* of the channel mix */
    double head_eps;           /* of the norm of a head */
    double length_eps;         /* of kappa's length: inside the root, */
    bool floor;                /* or what it is at least */
    int64_t H, N, P, ranks[4]; /* heads, their width of keys and of values; of w, a, g, v */
} Rwkv7;

/* A projection, and the constant in a map. */
static void st_product(ImportCtx *x, cJSON *b, const Rwkv7 *t, const char *out, char letter,
                       const char *author, const char *o, const char *i) {
    const char *name =
        t->fla ? arena_printf(x->a, "attn.%c_proj", letter) : arena_printf(x->a, "att.%s", author);
    st_linear(b, out, letter == 'o' ? "o" : arena_printf(x->a, "x%c", letter), name, o, i, false);
}

static const char *offset_of(ImportCtx *x, const Rwkv7 *t, char letter, const char *dim) {
    return t->fla ? arena_printf(x->a, "@attn.%c_lora.lora.2.bias[%s]", letter, dim)
                  : arena_printf(x->a, "@att.%c0[%s]", letter, dim);
}

/* out = act(x @ 1) @ 2: two thin matrices. */
static void st_low_rank(ImportCtx *x, cJSON *b, const Rwkv7 *t, const char *out, char letter, const char *act,
                        const char *dim) {
    const char *rank = arena_printf(x->a, "R%c", letter), *in = arena_printf(x->a, "x%c", letter);
    if (t->fla)
        st_linear(b, out, in, arena_printf(x->a, "attn.%c_lora.lora.0", letter), rank, "D", false);
    else {
        st(b, "{'out':'%c1','op':'transpose','x':'@att.%c1[D, %s]','perm':[1, 0]}", letter, letter, rank);
        st(b, "{'out':'%c2','op':'transpose','x':'@att.%c2[%s, %s]','perm':[1, 0]}", letter, letter, rank,
           dim);
        st(b, "{'out':'%s','op':'linear','x':'%s','w':'%c1'}", out, in, letter);
    }
    if (act) st(b, "{'out':'%s','map':'%s(%s)'}", out, act, out);
    if (t->fla)
        st_linear(b, out, out, arena_printf(x->a, "attn.%c_lora.lora.2", letter), dim, rank, false);
    else
        st(b, "{'out':'%s','op':'linear','x':'%s','w':'%c2'}", out, out, letter);
}

static void st_all_mixes(ImportCtx *x, cJSON *b, const Rwkv7 *t) {
    if (!t->together) {
        st_rwkv_mixes(x, b, t->names, t->names->att, RWKV_X, "rwkvag");
        return;
    }
    for (int i = 0; i < 6; i++) {
        st(b, "{'out':'mix','op':'slice','x':'@attn.x_x[6, D]','axis':0,'start':%d,'size':1}", i);
        st(b, "{'out':'x%c','map':'u + (before - u) * mix'}", "rwkvag"[i]);
        st(b, "{'out':'x%c','op':'reshape','x':'x%c','shape':['D']}", "rwkvag"[i], "rwkvag"[i]);
    }
}

static void write_time_mix(ImportCtx *x, cJSON *b, const Rwkv7 *t, bool first) {
    const char *att = t->names->att;
    st_rwkv_input(b, t->names->norm1, &t->norm, "att_x");
    st_all_mixes(x, b, t);
    st_product(x, b, t, "r", 'r', "receptance", "H*N", "D");
    st_product(x, b, t, "k", 'k', "key", "H*N", "D");
    st_product(x, b, t, "v", 'v', "value", "H*P", "D");
    st_low_rank(x, b, t, "w", 'w', "tanh", "H*N");
    st(b, "{'out':'w','map':'-" EXP_MINUS_HALF " * sigmoid(%s + w)','comment':'log of the decay'}",
       offset_of(x, t, 'w', "H*N"));
    st_low_rank(x, b, t, "a", 'a', NULL, "H*N");
    st(b, "{'out':'a','map':'sigmoid(%s + a)','comment':'in-context learning rate'}",
       offset_of(x, t, 'a', "H*N"));
    st_low_rank(x, b, t, "g", 'g', "sigmoid", "H*P");
    if (first) {
        st(b, "{'out':'v_first','map':'v'}");
    } else {
        st_low_rank(x, b, t, "m", 'v', NULL, "H*P");
        st(b, "{'out':'v','map':'v + (v_first - v) * sigmoid(%s + m)'}", offset_of(x, t, 'v', "H*P"));
    }
    st(b, "{'out':'kappa','map':'k * @%s.k_k[H*N]'}", att);
    st(b, "{'out':'kappa','op':'reshape','x':'kappa','shape':['H','N']}");
    st(b, "{'out':'kappa','op':'norm.l2','x':'kappa','eps':%.17g,'mode':'%s'}", t->length_eps,
       t->floor ? "floor" : "inside");
    st(b, "{'out':'k','map':'k * (1 + (a - 1) * @%s.k_a[H*N])'}", att);
    for (const char *p = "rwka"; *p; p++)
        st(b, "{'out':'%c','op':'reshape','x':'%c','shape':['H','N']}", *p, *p);
    st(b, "{'out':'v','op':'reshape','x':'v','shape':['H','P']}");
    st(b, "{'out':'away','map':'-kappa'}");
    st(b, "{'out':'toward','map':'kappa * a'}");
    st(b, "{'out':'o','op':'scan.matrix','q':'r','k':'k','v':'v','decay':'w','a':'away','b':'toward','state':"
          "'S',"
          "'min_decay':-" EXP_MINUS_HALF "}");
    const char *norm = t->fla ? "attn.g_norm" : "att.ln_x";
    st(b, "{'out':'o','op':'reshape','x':'o','shape':['H*P']}");
    st(b,
       "{'out':'o','op':'norm.layer','x':'o','w':'@%s.weight[H*P]','b':'@%s.bias[H*P]','groups':'H','eps':%."
       "17g}",
       norm, norm, t->head_eps);
    st(b, "{'out':'s','map':'r * k * @%s.r_k[H, N]'}", att);
    st(b, "{'out':'s','op':'reduce','x':'s','kind':'sum'}");
    st(b, "{'out':'bonus','map':'s * v'}");
    st(b, "{'out':'bonus','op':'reshape','x':'bonus','shape':['H*P']}");
    st(b, "{'out':'o','map':'(o + bonus) * g'}");
    st_product(x, b, t, "o", 'o', "output", "D", "H*P");
    st_residual(x, b, "o", 0);
}

static void write_block(ImportCtx *x, const Rwkv7 *t, bool first) {
    cJSON *b = first ? block_new(x->model, "first", "['x']", "['x','v_first']")
                     : block_new(x->model, "later", "['x','v_first']", "['x']");
    if (first && t->norm0) st_norm(b, "x", "x", t->names->norm0, "D", &t->norm);
    write_time_mix(x, b, t, first);
    st_rwkv_channel_mix(x, b, t->names, RWKV_X, &t->norm, t->act);
    st_residual(x, b, "f", 0);
}

/* Heads and the ranks of the thin matrices, from the tensors. */
static bool read_sizes(ImportCtx *x, Rwkv7 *t, int64_t layers) {
    int errors = x->d->errors;
    const char *att = t->names->att;
    t->H = rwkv_size(x, t->names, arena_printf(x->a, "%s.r_k", att), 0);
    t->N = rwkv_size(x, t->names, arena_printf(x->a, "%s.r_k", att), 1);
    int64_t values = rwkv_size(x, t->names, t->fla ? "attn.v_proj.weight" : "att.value.weight", 0);
    for (int i = 0; i < (layers < 2 ? 3 : 4); i++) { /* one layer alone mixes no values */
        char letter = "wagv"[i];
        const char *name = t->fla ? arena_printf(x->a, "attn.%c_lora.lora.0.weight", letter)
                                  : arena_printf(x->a, "att.%c1", letter);
        t->ranks[i] =
            tensor_dim(x, arena_printf(x->a, "%s%d.%s", t->names->blocks, i == 3, name), t->fla ? 0 : -1);
    }
    if (x->d->errors > errors) return false;
    if (values % t->H)
        return import_error(x, "%lld heads do not share values of %lld evenly", (long long)t->H,
                            (long long)values);
    t->P = values / t->H;
    return true;
}

static void read_fla(ImportCtx *x, Rwkv7 *t, Frame *f) {
    Cfg *c = &x->cfg;
    static const char *const ranks[] = {"decay_low_rank_dim", "a_low_rank_dim", "gate_low_rank_dim",
                                        "v_low_rank_dim"};
    static const char *const run[] = {"attn_mode",   "fuse_cross_entropy",      "fuse_linear_cross_entropy",
                                      "use_l2warp",  "max_position_embeddings", "num_heads",
                                      "hidden_ratio"};
    for (int i = 0; i < 4; i++)
        if (t->ranks[i]) cfg_only_int(c, ranks[i], t->ranks[i], t->ranks[i]);
    if (f->layers < 2) cfg_skip(c, "v_low_rank_dim");
    for (size_t i = 0; i < sizeof run / sizeof *run; i++) cfg_skip(c, run[i]);
    f->layers = cfg_layers(c, "num_hidden_layers", 24, t->names->blocks);
    cfg_only_int(c, "vocab_size", f->vocab, f->vocab), cfg_only_int(c, "hidden_size", f->width, f->width);
    cfg_only_int(c, "head_dim", t->N, t->N);
    int64_t F = rwkv_size(x, t->names, "ffn.key.weight", 0);
    cfg_only_int(c, "intermediate_size", F, F);
    t->act = cfg_act(c, "hidden_act", "sqrelu");
    const cJSON *values = json_get(c->node, "value_dim");
    cfg_skip(c, "value_dim");
    for (const cJSON *e = cJSON_IsArray(values) ? values->child : NULL; e; e = e->next)
        if (e->valuedouble != (double)(t->H * t->P))
            cfg_error(c, "value_dim",
                      "layers with values of other widths than the first one's are not supported");
    f->norm.no_bias = !cfg_bool(c, "norm_bias", true);
    f->norm.eps = cfg_float(c, "norm_eps", 1e-5, ">=0");
    t->head_eps = (double)t->N * f->norm.eps;
    t->norm0 = cfg_bool(c, "norm_first", true);
    t->floor = !cfg_bool(c, "fuse_norm", true);
    t->length_eps = t->floor ? 1e-12 : 1e-6;
    f->tied_key = "tie_word_embeddings", f->tied = cfg_bool(c, f->tied_key, false);
}

static cJSON *import(ImportCtx *x) {
    bool fla = has_tensor(x, FLA.embedding);
    Rwkv7 t = {.names = fla ? &FLA : &RWKV_AUTHOR,
               .fla = fla,
               .act = "relu2",
               .head_eps = 64e-5,
               .length_eps = 1e-12};
    t.floor = true, t.together = rwkv_has(x, &FLA, "attn.x_x");
    if (has_tensor(x, "blocks.0.ffn.s_emb.weight") || has_tensor(x, "blocks.0.ffn.s1"))
        return import_error(x,
                            "has the tables of DeepEmbed (RWKV-7a, 7b: ffn.s_emb), which are not supported"),
               NULL;
    if (!fla && !has_tensor(x, "blocks.0.att.r_k"))
        return import_error(x, "has no tensor \"blocks.0.att.r_k\"; the author's own tensor names are "
                               "expected, or those of "
                               "flash-linear-attention"),
               import_way_out(x, "rwkv7"), NULL;
    Frame f;
    if (!rwkv_frame(x, t.names, &f) || !read_sizes(x, &t, f.layers)) return NULL;
    if (fla) read_fla(x, &t, &f);
    t.norm = f.norm;
    if (import_failed(x)) return NULL;
    cJSON *m = frame_begin(x, &f);
    model_dim(m, "H", t.H), model_dim(m, "N", t.N), model_dim(m, "P", t.P);
    for (int i = 0; i < 4; i++)
        if (t.ranks[i]) model_dim(m, arena_printf(x->a, "R%c", "wagv"[i]), t.ranks[i]);
    Layers l = {0};
    for (int64_t i = 0; i < f.layers; i++) layers_add(x->a, &l, i ? "later" : "first");
    write_block(x, &t, true);
    if (f.layers > 1) write_block(x, &t, false);
    /* Some files fill layer 0's places for the mix of values with numbers that nothing reads. */
    model_unused(x, m, "blocks.0.att.v[012]", "layer 0 has no earlier values to mix its own with");
    return rwkv_end(x, t.names, &f, &l);
}

static bool recognise(const ImportCtx *x) {
    return has_tensor(x, "blocks.0.att.r_k");
}

const Importer importer_rwkv7 = {
    .name = "rwkv7",
    .doc = "RWKV-7, its author's checkpoints (no configuration needed) and those of flash-linear-attention",
    .accepts = "rwkv-7 RWKV_x070 RWKV7ForCausalLM",
    .recurrence = "matrix state, decay per channel, delta rule",
    .cases = "rwkv7 rwkv7-fla",
    .recognise = recognise,
    .import = import,
};
