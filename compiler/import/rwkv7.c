/* RWKV-7 "Goose": Peng et al. 2025, arXiv:2503.14456, in the author's own files (RWKV-LM:
 * RWKV-v7/rwkv_v7_demo.py). There is no configuration; every size is read off the tensors.
 *
 * Per head, with the state S [value, key]:  S = S diag(d) - (S kappa)(kappa*a)T + v kT;  o = S r.
 * In terms of scan.matrix: decay = log d, a = -kappa, b = kappa*a. Layer 0 has no mix of values; its v goes
 * to all later layers as v_first. */
#include <string.h>

#include "import/import.h"

/* log d = -exp(-1/2) * sigmoid(..) */
#define EXP_MINUS_HALF "0.6065306597126334"

/* x mixed with the token before, one mix per use. */
static void st_mixes(cJSON *b, const char *letters, const char *module) {
    for (const char *p = letters; *p; p++)
        st(b, "{'out':'x%c','map':'u + (before - u) * @%s.x_%c[D]'}", *p, module, *p);
}

/* out = act(x @ 1) @ 2: two thin matrices, stored [in, out]. */
static void st_low_rank(cJSON *b, const char *out, char name, const char *x, const char *rank,
                        const char *act) {
    st(b, "{'out':'%c1','op':'transpose','x':'@att.%c1[D, %s]','perm':[1, 0]}", name, name, rank);
    st(b, "{'out':'%c2','op':'transpose','x':'@att.%c2[%s, D]','perm':[1, 0]}", name, name, rank);
    st(b, "{'out':'%s','op':'linear','x':'%s','w':'%c1'}", out, x, name);
    if (act) st(b, "{'out':'%s','map':'%s(%s)'}", out, act, out);
    st(b, "{'out':'%s','op':'linear','x':'%s','w':'%c2'}", out, out, name);
}

static void st_heads(cJSON *b, const char *names) {
    for (const char *p = names; *p; p++)
        st(b, "{'out':'%c','op':'reshape','x':'%c','shape':['H','N']}", *p, *p);
}

static void write_time_mix(cJSON *b, bool first) {
    st(b, "{'out':'u','op':'norm.layer','x':'x','w':'@ln1.weight[D]','b':'@ln1.bias[D]','eps':1e-5}");
    st(b, "{'out':'before','op':'shift','x':'u','state':'att_x'}");
    st_mixes(b, "rwkvag", "att");
    st_linear(b, "r", "xr", "att.receptance", "D", "D", false);
    st_linear(b, "k", "xk", "att.key", "D", "D", false);
    st_linear(b, "v", "xv", "att.value", "D", "D", false);
    st_low_rank(b, "w", 'w', "xw", "Rw", "tanh");
    st(b, "{'out':'w','map':'-" EXP_MINUS_HALF " * sigmoid(@att.w0[D] + w)','comment':'log of the decay'}");
    st_low_rank(b, "a", 'a', "xa", "Ra", NULL);
    st(b, "{'out':'a','map':'sigmoid(@att.a0[D] + a)','comment':'in-context learning rate'}");
    st_low_rank(b, "g", 'g', "xg", "Rg", "sigmoid");
    if (first) {
        st(b, "{'out':'v_first','map':'v'}");
    } else {
        st_low_rank(b, "m", 'v', "xv", "Rv", NULL);
        st(b, "{'out':'v','map':'v + (v_first - v) * sigmoid(@att.v0[D] + m)'}");
    }
    st(b, "{'out':'kappa','map':'k * @att.k_k[D]'}");
    st(b, "{'out':'kappa','op':'reshape','x':'kappa','shape':['H','N']}");
    st(b, "{'out':'kappa','op':'norm.l2','x':'kappa','eps':1e-12,'mode':'floor'}");
    st(b, "{'out':'k','map':'k * (1 + (a - 1) * @att.k_a[D])'}");
    st_heads(b, "rwkva");
    st(b, "{'out':'away','map':'-kappa'}");
    st(b, "{'out':'toward','map':'kappa * a'}");
    st(b, "{'out':'o','op':'scan.matrix','q':'r','k':'k','v':'v','decay':'w','a':'away','b':'toward','state':"
          "'S',"
          "'min_decay':-" EXP_MINUS_HALF "}");
    st(b, "{'out':'o','op':'reshape','x':'o','shape':['D']}");
    st(b,
       "{'out':'o','op':'norm.layer','x':'o','w':'@att.ln_x.weight[D]','b':'@att.ln_x.bias[D]','groups':'H',"
       "'eps':64e-5}");
    st(b, "{'out':'s','map':'r * k * @att.r_k[H, N]'}");
    st(b, "{'out':'s','op':'reduce','x':'s','kind':'sum'}");
    st(b, "{'out':'bonus','map':'s * v'}");
    st(b, "{'out':'bonus','op':'reshape','x':'bonus','shape':['D']}");
    st(b, "{'out':'o','map':'(o + bonus) * g'}");
    st_linear(b, "o", "o", "att.output", "D", "D", false);
    st(b, "{'out':'x','map':'x + o'}");
}

static void write_channel_mix(cJSON *b) {
    st(b, "{'out':'u','op':'norm.layer','x':'x','w':'@ln2.weight[D]','b':'@ln2.bias[D]','eps':1e-5}");
    st(b, "{'out':'before','op':'shift','x':'u','state':'ffn_x'}");
    st_mixes(b, "k", "ffn");
    st_linear(b, "f", "xk", "ffn.key", "F", "D", false);
    st(b, "{'out':'f','map':'square(relu(f))'}");
    st_linear(b, "f", "f", "ffn.value", "D", "F", false);
    st(b, "{'out':'x','map':'x + f'}");
}

static void write_block(cJSON *m, bool first) {
    cJSON *b = first ? block_new(m, "first", "['x']", "['x','v_first']")
                     : block_new(m, "later", "['x','v_first']", "['x']");
    write_time_mix(b, first);
    write_channel_mix(b);
}

static bool read_sizes(ImportCtx *x, cJSON *m, int64_t layers) {
    static const struct {
        const char *dim, *tensor;
        int axis;
    } sizes[] = {
        {"V", "emb.weight", 0},
        {"D", "emb.weight", 1},
        {"H", "blocks.0.att.r_k", 0},
        {"N", "blocks.0.att.r_k", 1},
        {"F", "blocks.0.ffn.key.weight", 0},
        {"Rw", "blocks.0.att.w1", -1},
        {"Ra", "blocks.0.att.a1", -1},
        {"Rg", "blocks.0.att.g1", -1},
        {"Rv", "blocks.1.att.v1", -1},
    };
    int n = sizeof sizes / sizeof *sizes - (layers < 2); /* one layer alone mixes no values */
    int errors = x->d->errors;
    for (int i = 0; i < n; i++) model_dim(m, sizes[i].dim, tensor_dim(x, sizes[i].tensor, sizes[i].axis));
    return x->d->errors == errors;
}

static cJSON *import(ImportCtx *x) {
    int64_t layers = count_layers(x, "blocks.");
    if (has_tensor(x, "blocks.0.ffn.s_emb.weight") || has_tensor(x, "blocks.0.ffn.s1"))
        return import_error(x,
                            "has the tables of DeepEmbed (RWKV-7a, 7b: ffn.s_emb), which are not supported"),
               NULL;
    if (!has_tensor(x, "blocks.0.att.r_k"))
        return import_error(x,
                            "has no tensor \"blocks.0.att.r_k\"; the author's own tensor names are expected"),
               import_way_out(x, "rwkv7"), NULL;
    cJSON *m = model_new(x, "tokens");
    if (!read_sizes(x, m, layers)) return m;
    write_block(m, true);
    if (layers > 1) write_block(m, false);
    cJSON *ops = model_ops(m);
    st(ops, "{'out':'x','op':'embed','ids':'tokens','table':'@emb.weight[V, D]'}");
    st(ops, "{'out':'x','op':'norm.layer','x':'x','w':'@blocks.0.ln0.weight[D]','b':'@blocks.0.ln0.bias[D]',"
            "'eps':1e-5}");
    st_layers(m, 1, "['first']", "blocks.{i}.");
    if (layers > 1) st_layers(m, layers - 1, "['later']", "blocks.{i}.");
    st(ops, "{'out':'x','op':'norm.layer','x':'x','w':'@ln_out.weight[D]','b':'@ln_out.bias[D]','eps':1e-5}");
    st(ops, "{'out':'logits','op':'linear','x':'x','w':'@head.weight[V, D]'}");
    /* Some files fill layer 0's places for the mix of values with numbers that nothing reads. */
    model_unused(x, m, "blocks.0.att.v[012]", "layer 0 has no earlier values to mix its own with");
    model_ids(x, m);
    return m;
}

static bool recognise(const ImportCtx *x) {
    return has_tensor(x, "blocks.0.att.r_k");
}

const Importer importer_rwkv7 = {
    .name = "rwkv7",
    .doc = "RWKV-7 in the author's files (.pth or converted); no configuration needed",
    .accepts = "rwkv-7 RWKV_x070",
    .recurrence = "matrix with decays per channel and a delta rule",
    .cases = "rwkv7",
    .recognise = recognise,
    .import = import,
};
