/* Hyena: Poli et al. 2023, arXiv:2302.10866, algorithms 1 to 3, in the checkpoints of HazyResearch/safari:
 * whole language models (ConvLMHeadModel) and single operators. The long filters are a small sine network of
 * the position; they are written with ordinary ops on constants, so that they are computed when the model is
 * compiled.
 *
 * Filter channels for orders above 2 have two layouts. safari's src/models/sequence/hyena.py: channel c and
 * step o at c*(order-1) + o. Its standalone_hyena.py: at o*D + c. The tensors are the same shape; the
 * configuration decides, see `read_layout`. */
#include <math.h>
#include <string.h>

#include "import/import.h"

typedef struct Hyena {
    int64_t D, order, L, emb, filter, width, inner;
    double shift, fast, slow, target;
    bool modulate, normalized, skip, step_major;
    const char *act, *prefix; /* of tensor names, in the first layer */
} Hyena;

/* Arguments that only safari's HyenaOperator has. */
static const char *const SAFARI_ONLY[] = {
    "short_filter_order", "num_heads",    "inner_factor", "num_blocks",     "fused_bias_fc", "outer_mixing",
    "jit_filter",         "return_state", "activation",   "post_order_ffn", "filter_cls",    "modulate",
};

/* Named by the user, else by which constructor could have taken these arguments, else safari's. */
static bool read_layout(ImportCtx *x, Cfg *c, bool whole_model) {
    if (strcasestr(x->arch, "standalone")) return true;
    if (strcasestr(x->arch, "safari") || whole_model) return false;
    for (size_t i = 0; i < sizeof SAFARI_ONLY / sizeof *SAFARI_ONLY; i++)
        if (c->node && json_get(c->node, SAFARI_ONLY[i])) return false;
    if (cfg_has(c, "shift")) return true;
    if (cfg_int(c, "order", 2) > 2)
        diag_warning(x->d, (Loc){.file = x->path},
                     "the order of the filter's channels is not known; taken as in safari's model tree "
                     "(else give --arch=hyena-standalone)");
    return false;
}

static void read_layer(ImportCtx *x, Cfg *c, Hyena *t, bool whole_model) {
    t->step_major = read_layout(x, c, whole_model);
    t->L = cfg_size(c, "l_max", REQUIRED);
    t->order = cfg_size(c, "order", 2);
    t->filter = cfg_size(c, "filter_order", 64);
    t->emb = cfg_size(c, "emb_dim", 3);
    t->width = cfg_size(c, "short_filter_order", 3);
    t->inner = cfg_int(c, "num_inner_mlps", 2);
    t->modulate = cfg_bool(c, "modulate", true);
    t->normalized = cfg_bool(c, "normalized", false);
    t->skip = cfg_bool(c, "bias", true);
    t->shift = cfg_float(c, "shift", 0, NULL);
    t->fast = cfg_float(c, "fast_decay_pct", 0.3, ">0");
    t->slow = cfg_float(c, "slow_decay_pct", 1.5, ">0");
    t->target = cfg_float(c, "target", 1e-2, ">0");
    const char *act = cfg_str(c, "activation", "id");
    t->act = !strcmp(act, "id") || !strcmp(act, "identity") || !strcmp(act, "linear")
                 ? NULL
                 : cfg_act(c, "activation", "id");
    cfg_skip(c, "w"); /* the first value of `freq`, which is trained */
    cfg_skip(c, "train_freq");
    cfg_only_int(c, "num_heads", 1, 1);
    cfg_only_int(c, "inner_factor", 1, 1);
    cfg_only_int(c, "num_blocks", 1, 1);
    cfg_only_bool(c, "outer_mixing", false, false);
    cfg_only_bool(c, "post_order_ffn", false, false);
    cfg_only_bool(c, "return_state", false, false);
    cfg_skip(c, "filter_cls");
    if (t->order < 2 || t->order > 16) cfg_error(c, "order", "must be from 2 to 16");
    if (t->emb < 3 || t->emb % 2 == 0) cfg_error(c, "emb_dim", "must be odd and at least 3");
    if (t->L < 2 && !import_failed(c->ctx)) cfg_error(c, "l_max", "must be at least 2");
    if (t->inner > 16) cfg_error(c, "num_inner_mlps", "must be at most 16");
}

static bool in_layer(ImportCtx *x, const Hyena *t, const char *name) {
    return has_tensor(x, arena_printf(x->a, "%s%s", t->prefix, name));
}

/* ---- the filter ---- */

/* The positions t [L, 1] and their features z [L, Z]: t, cos and -sin of a few frequencies. Trained models
 * may have moved them, so the file comes first. */
static void st_positions(ImportCtx *x, cJSON *b, const Hyena *t, const char *p) {
    if (in_layer(x, t, "filter_fn.pos_emb.t")) {
        if (t->modulate || !in_layer(x, t, "filter_fn.pos_emb.z"))
            st(b, "{'out':'t','map':'@%sfilter_fn.pos_emb.t[L, 1]'}", p);
    } else {
        st(b, "{'out':'t','op':'linspace','n':'L','from':0,'to':1}");
        st(b, "{'out':'t','op':'reshape','x':'t','shape':['L',1]}");
    }
    if (in_layer(x, t, "filter_fn.pos_emb.z")) {
        st(b, "{'out':'z','map':'@%sfilter_fn.pos_emb.z[L, Z]'}", p);
        return;
    }
    int64_t bands = (t->emb - 1) / 2;
    st(b, "{'out':'angle','op':'linspace','n':'L','from':0,'to':%.17g}",
       2 * M_PI * (double)(t->L - 1) / (double)t->L);
    st(b, "{'out':'angle','op':'reshape','x':'angle','shape':['L',1]}");
    st(b, "{'out':'f','op':'linspace','n':%lld,'from':1e-4,'to':%lld}", (long long)bands,
       (long long)(bands > 1 ? bands - 1 : 1));
    st(b, "{'out':'re','map':'cos(f * angle)'}");
    st(b, "{'out':'im','map':'-sin(f * angle)'}");
    st(b, "{'out':'z','op':'concat','in':['t','re','im']}");
}

/* The frequency of the i-th sine. The three names are one parameter; a file may hold it once. */
static const char *freq_name(ImportCtx *x, const Hyena *t, int64_t i) {
    const char *name = arena_printf(x->a, "filter_fn.implicit_filter.%lld.freq", (long long)(2 * i + 1));
    for (int64_t k = 0; !in_layer(x, t, name) && k <= t->inner; k++) {
        const char *other = arena_printf(x->a, "filter_fn.implicit_filter.%lld.freq", (long long)(2 * k + 1));
        if (in_layer(x, t, other)) return other;
    }
    return name;
}

/* Fades the filter: exp(-t |delta|) + shift, one delta per channel. */
static void st_modulation(ImportCtx *x, cJSON *b, const Hyena *t, const char *p) {
    if (in_layer(x, t, "filter_fn.modulation.deltas"))
        st(b, "{'out':'delta','map':'@%sfilter_fn.modulation.deltas[(O-1)*D]'}", p);
    else
        st(b, "{'out':'delta','op':'linspace','n':'(O-1)*D','from':%.17g,'to':%.17g}",
           log(t->target) / t->slow, log(t->target) / t->fast);
    if (t->shift != 0)
        st(b, "{'out':'h','map':'h * (exp(-t * abs(delta)) + %s)'}", json_number(x->a, t->shift));
    else
        st(b, "{'out':'h','map':'h * exp(-t * abs(delta))'}");
}

/* h [(O-1)*D, L]: constants only, so this costs nothing at run time. */
static void st_filter(ImportCtx *x, cJSON *b, const Hyena *t, const char *p) {
    st_positions(x, b, t, p);
    for (int64_t i = 0; i <= t->inner; i++) {
        const char *in = i ? "a" : "z", *width = i ? "F" : "Z";
        st(b,
           "{'out':'a','op':'linear','x':'%s','w':'@%sfilter_fn.implicit_filter.%lld.weight[F, %s]',"
           "'b':'@%sfilter_fn.implicit_filter.%lld.bias[F]'}",
           in, p, (long long)(2 * i), width, p, (long long)(2 * i));
        st(b, "{'out':'a','map':'sin(@%s%s[F] * a)'}", p, freq_name(x, t, i));
    }
    st(b, "{'out':'h','op':'linear','x':'a','w':'@%sfilter_fn.implicit_filter.%lld.weight[(O-1)*D, F]'}", p,
       (long long)(2 * (t->inner + 1)));
    if (t->modulate) st_modulation(x, b, t, p);
    if (t->normalized) {
        st(b, "{'out':'size','map':'abs(h)'}");
        st(b, "{'out':'size','op':'reduce','x':'size','kind':'sum'}");
        st(b, "{'out':'h','map':'h / size'}");
    }
    st(b, "{'out':'h','op':'transpose','x':'h','perm':[1, 0]}");
}

/* ---- the operator ---- */

/* Rows of step `o` of a constant [(O-1)*D, tail]. */
static void st_step(cJSON *b, const Hyena *t, const char *out, const char *x, int64_t o, const char *tail) {
    const char *comma = *tail ? "," : "";
    if (t->step_major) {
        st(b, "{'out':'%s','op':'slice','x':'%s','axis':0,'start':'%lld*D','size':'D'}", out, x,
           (long long)o);
        return;
    }
    st(b, "{'out':'%s','op':'reshape','x':'%s','shape':['D','O-1'%s%s]}", out, x, comma, tail);
    st(b, "{'out':'%s','op':'slice','x':'%s','axis':1,'start':%lld,'size':1}", out, out, (long long)o);
    st(b, "{'out':'%s','op':'reshape','x':'%s','shape':['D'%s%s]}", out, out, comma, tail);
}

/* v = (h_o * (v x_i)) + bias_o (v x_i), for i from the last gate down to the second; then the first gate. */
static void st_steps(Arena *a, cJSON *b, const Hyena *t, const char *p) {
    if (t->skip && t->order > 2) st(b, "{'out':'skip','map':'@%sfilter_fn.bias[(O-1)*D]'}", p);
    for (int64_t o = 0; o < t->order - 1; o++) {
        const char *h = "h", *skip = "";
        if (t->order > 2) {
            h = arena_printf(a, "h%lld", (long long)o);
            st_step(b, t, h, "h", o, "'L'");
            if (t->skip) {
                const char *name = arena_printf(a, "skip%lld", (long long)o);
                st_step(b, t, name, "skip", o, "");
                skip = arena_printf(a, ",'skip':'%s'", name);
            }
        } else if (t->skip) {
            skip = arena_printf(a, ",'skip':'@%sfilter_fn.bias[D]'", p);
        }
        st(b, "{'out':'v','map':'v * x%lld'}", (long long)(t->order - 1 - o));
        st(b, "{'out':'v','op':'conv.long','x':'v','h':'%s'%s,'state':'past%lld'}", h, skip, (long long)o);
    }
    st(b, "{'out':'y','map':'v * x0'}");
    if (t->act) st(b, "{'out':'y','map':'%s(y)'}", t->act);
}

/* y = hyena(in); p: before the tensors' names. */
static void st_hyena(ImportCtx *x, cJSON *b, const Hyena *t, const char *p, const char *in) {
    Text out = text_new(x->a), sizes = text_new(x->a);
    for (int64_t i = 0; i < t->order; i++) text_add(&out, "'x%lld',", (long long)i), text_add(&sizes, "'D',");
    st(b,
       "{'out':'p','op':'linear','x':'%s','w':'@%sin_proj.weight[(O+1)*D, "
       "D]','b':'@%sin_proj.bias[(O+1)*D]'}",
       in, p, p);
    st(b,
       "{'out':'p','op':'conv.short','x':'p','w':'@%sshort_filter.weight[(O+1)*D, W]',"
       "'b':'@%sshort_filter.bias[(O+1)*D]','state':'conv'}",
       p, p);
    st(b, "{'out':[%s'v'],'split':'p','sizes':[%s'D']}", out.s, sizes.s);
    st_filter(x, b, t, p);
    st_steps(x->a, b, t, p);
    const char *name = in_layer(x, t, "output_linear.weight") ? "output_linear" : "out_proj"; /* old files */
    st(b, "{'out':'y','op':'linear','x':'y','w':'@%s%s.weight[D, D]','b':'@%s%s.bias[D]'}", p, name, p, name);
}

static void write_dims(cJSON *m, const Hyena *t) {
    model_dim(m, "D", t->D), model_dim(m, "O", t->order), model_dim(m, "L", t->L),
        model_dim(m, "W", t->width);
    model_dim(m, "Z", t->emb), model_dim(m, "F", t->filter);
    model_comment(
        m, "O: order; L: longest sequence, which the filters' time grid belongs to; Z, F: width of the "
           "positions' features and of the filters' network");
}

/* Tensors that stay unread with these settings. */
static void ignore_unread(ImportCtx *x, cJSON *m, const Hyena *t, const char *pattern) {
    if (!t->modulate)
        model_unused(x, m, arena_printf(x->a, "%sfilter_fn.modulation.deltas", pattern), "modulate is false");
    if (!t->modulate && in_layer(x, t, "filter_fn.pos_emb.z"))
        model_unused(x, m, arena_printf(x->a, "%sfilter_fn.pos_emb.t", pattern), "modulate is false");
    if (!t->skip) model_unused(x, m, arena_printf(x->a, "%sfilter_fn.bias", pattern), "bias is false");
}

static cJSON *import_operator(ImportCtx *x) {
    Cfg *c = &x->cfg;
    Hyena t = {.prefix = "", .D = cfg_size(c, "d_model", REQUIRED)};
    read_layer(x, c, &t, false);
    if (import_failed(x)) return NULL;

    cJSON *m = model_new(x, "features");
    write_dims(m, &t);
    st_hyena(x, model_ops(m), &t, "", "input");
    ignore_unread(x, m, &t, "");
    model_set(m, "expose", "{'filter':'h'}");
    return m;
}

static cJSON *import_lm(ImportCtx *x) {
    Cfg *c = &x->cfg;
    Cfg layer = cfg_sub(c, "layer");
    Hyena t = {.prefix = "backbone.layers.0.mixer.", .D = cfg_size(c, "d_model", REQUIRED)};
    int64_t layers = cfg_layers(c, "n_layer", REQUIRED, "backbone.layers."),
            inner = cfg_size(c, "d_inner", 4 * t.D);
    double eps = cfg_float(c, "layer_norm_epsilon", 1e-5, ">=0");
    const char *embedding = "backbone.embeddings.word_embeddings.weight", *head = "lm_head.weight";
    cfg_only_int(c, "max_position_embeddings", 0, 0);
    cfg_only_bool(c, "identity_mlp", false, false);
    const cJSON *attention = cfg_list(c, "attn_layer_idx");
    if (attention && attention->child)
        cfg_error(c, "attn_layer_idx", "layers of attention are not supported here");
    cfg_sub(c, "attn_cfg");
    read_layer(x, &layer, &t, true);
    cfg_done(&layer);
    int64_t V = table_rows(x, embedding, head);
    if (import_failed(x)) return NULL;

    cJSON *m = model_new(x, "tokens");
    model_dim(m, "V", V);
    write_dims(m, &t);
    model_dim(m, "M", inner);
    cJSON *b = block_new(m, "hyena", NULL, NULL);
    st(b, "{'out':'u','op':'norm.layer','x':'x','w':'@norm1.weight[D]','b':'@norm1.bias[D]','eps':%.17g}",
       eps);
    st_hyena(x, b, &t, "mixer.", "u");
    st(b, "{'out':'x','map':'x + y'}");
    st(b, "{'out':'u','op':'norm.layer','x':'x','w':'@norm2.weight[D]','b':'@norm2.bias[D]','eps':%.17g}",
       eps);
    st_linear(b, "m", "u", "mlp.fc1", "M", "D", true);
    st(b, "{'out':'m','map':'gelu_tanh(m)'}");
    st_linear(b, "m", "m", "mlp.fc2", "D", "M", true);
    st(b, "{'out':'x','map':'x + m'}");
    cJSON *ops = model_ops(m);
    Tied tables = tied_tables(x, m, true, NULL, embedding, head); /* safari has no flag */
    st(ops, "{'out':'x','op':'embed','ids':'tokens','table':'@%s[V, D]'}", tables.table);
    st_layers(m, layers, "['hyena']", "backbone.layers.{i}.");
    st(ops,
       "{'out':'x','op':'norm.layer','x':'x','w':'@backbone.ln_f.weight[D]','b':'@backbone.ln_f.bias[D]',"
       "'eps':%.17g}",
       eps);
    st(ops, "{'out':'logits','op':'linear','x':'x','w':'@%s[V, D]'}", tables.head);
    ignore_unread(x, m, &t, "*.");
    model_ids(x, m);
    return m;
}

static cJSON *import(ImportCtx *x) {
    if (!x->cfg.node)
        return import_error(x, "there is no config.json with l_max and the filter's settings"), NULL;
    return cfg_has(&x->cfg, "layer") ? import_lm(x) : import_operator(x);
}

static bool recognise(const ImportCtx *x) {
    return has_tensor(x, "filter_fn.implicit_filter.0.weight") ||
           has_tensor(x, "backbone.layers.0.mixer.filter_fn.implicit_filter.0.weight");
}

const Importer importer_hyena = {
    .name = "hyena",
    .doc = "Hyena (safari): language models and single operators; hyena-standalone, hyena-safari fix the "
           "filter's "
           "layout",
    .accepts = "hyena-standalone hyena-safari ConvLMHeadModel HyenaOperator",
    .recurrence = "long convolution",
    .cases = "hyena-lm hyena-order2 hyena-order3 hyena-order3-standalone",
    .recognise = recognise,
    .import = import,
};
