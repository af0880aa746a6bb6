/* Hyena: Poli et al. 2023, arXiv:2302.10866, algorithms 1 to 3, in the checkpoints of HazyResearch/safari:
 * whole language models (ConvLMHeadModel) and single operators. The long filters are a small sine network of
 * the position; they are written with ordinary ops on constants, so that they are computed when the model is
 * compiled.
 *
 * Filter channels for orders above 2 have two layouts. safari's src/models/sequence/hyena.py: channel c and
 * step o at c*(order-1) + o. Its standalone_hyena.py: at o*D + c. The tensors are the same shape; the
 * configuration decides, see `read_layout`. */
#include <string.h>

#include "import/parts/attention.h"
#include "import/parts/frame.h"
#include "import/parts/hyena_filter.h"
#include "import/parts/mlp.h"

typedef struct Hyena {
    int64_t D, order, width;
    HyenaFilter filter;
    bool skip, step_major;
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

static void check_filter(Cfg *c, const HyenaFilter *h, const char *length, const char *inner) {
    if (h->emb < 3 || h->emb % 2 == 0) cfg_error(c, "emb_dim", "must be odd and at least 3");
    if (h->L < 2 && !import_failed(c->ctx)) cfg_error(c, length, "must be at least 2");
    if (h->inner > 16) cfg_error(c, inner, "must be at most 16");
}

static void read_layer(ImportCtx *x, Cfg *c, Hyena *t, bool whole_model) {
    t->step_major = read_layout(x, c, whole_model);
    HyenaFilter *h = &t->filter;
    h->L = cfg_size(c, "l_max", REQUIRED);
    t->order = cfg_size(c, "order", 2);
    h->width = cfg_size(c, "filter_order", 64);
    h->emb = cfg_size(c, "emb_dim", 3);
    t->width = cfg_size(c, "short_filter_order", 3);
    h->inner = cfg_int(c, "num_inner_mlps", 2);
    h->normalized = cfg_bool(c, "normalized", false);
    t->skip = cfg_bool(c, "bias", true);
    cfg_hyena_fading(c, h);
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
    check_filter(c, h, "l_max", "num_inner_mlps");
}

static bool in_layer(ImportCtx *x, const Hyena *t, const char *name) {
    return has_tensor(x, arena_printf(x->a, "%s%s", t->prefix, name));
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
    HyenaFilter h = t->filter;
    h.first = arena_printf(x->a, "%.*s", (int)(strlen(t->prefix) - strlen(p)), t->prefix);
    h.module = arena_printf(x->a, "%sfilter_fn", p), h.channels = "(O-1)*D", h.taps = "L", h.Z = "Z",
    h.F = "F";
    st_hyena_filter(x, b, &h);
    st_steps(x->a, b, t, p);
    const char *name = in_layer(x, t, "output_linear.weight") ? "output_linear" : "out_proj"; /* old files */
    st(b, "{'out':'y','op':'linear','x':'y','w':'@%s%s.weight[D, D]','b':'@%s%s.bias[D]'}", p, name, p, name);
}

static void write_dims(cJSON *m, const Hyena *t) {
    model_dim(m, "D", t->D), model_dim(m, "O", t->order), model_dim(m, "L", t->filter.L),
        model_dim(m, "W", t->width);
    model_dim(m, "Z", t->filter.emb), model_dim(m, "F", t->filter.width);
    model_comment(
        m, "O: order; L: longest sequence, which the filters' time grid belongs to; Z, F: width of the "
           "positions' features and of the filters' network");
}

/* Tensors that stay unread with these settings. */
static void ignore_unread(ImportCtx *x, cJSON *m, const Hyena *t, const char *pattern) {
    if (!t->filter.modulate)
        model_unused(x, m, arena_printf(x->a, "%sfilter_fn.modulation.deltas", pattern), "modulate is false");
    if (!t->filter.modulate && in_layer(x, t, "filter_fn.pos_emb.z"))
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

/* ---- language models ---- */

/* What files of whole models vary in. */
typedef struct Names {
    const char *backbone, *head; /* before the tensors of the layers: "backbone."; the head's tensor */
    const char *inside;          /* of a mixer or MLP that was trained with checkpointing: "layer." */
} Names;

static Names find_names(ImportCtx *x) {
    static const char *const backbones[] = {"backbone.", "hyena.backbone.", "model.backbone."};
    Names n = {backbones[0], "lm_head.weight", ""};
    for (int i = 0; i < 3; i++)
        if (has_tensor(x, arena_printf(x->a, "%sembeddings.word_embeddings.weight", backbones[i])))
            n.backbone = backbones[i];
    if (has_tensor(x, "model.lm_head.weight")) n.head = "model.lm_head.weight";
    if (has_tensor(x, arena_printf(x->a, "%slayers.0.mlp.layer.fc1.weight", n.backbone))) n.inside = "layer.";
    return n;
}

/* HyenaDNA in transformers: keys of its own, and what its code fixes. */
static void read_port(Cfg *c, Hyena *t) {
    HyenaFilter *h = &t->filter;
    t->order = cfg_size(c, "hyena_order", 2), t->width = cfg_size(c, "short_filter_order", 3), t->skip = true;
    t->step_major = true;
    *h = (HyenaFilter){.shift = 0.05, .fast = 0.3, .slow = 1.5, .target = 1e-2, .modulate = true};
    h->L = cfg_size(c, "max_seq_len", REQUIRED), h->emb = cfg_size(c, "emb_dim", 5);
    h->width = cfg_size(c, "filter_order", 64), h->inner = cfg_int(c, "num_inner_mlps", 2);
    cfg_skip(c, "activation_freq"), cfg_skip(c, "train_freq"), cfg_skip(c, "use_bias");
    if (t->order < 2 || t->order > 16) cfg_error(c, "hyena_order", "must be from 2 to 16");
    check_filter(c, h, "max_seq_len", "num_inner_mlps");
}

/* The authors' own: safari's keys, but the published weights are run with a shift. */
static void read_lm_layer(ImportCtx *x, Cfg *c, Hyena *t) {
    Cfg layer = cfg_sub(c, "layer");
    read_layer(x, &layer, t, true);
    bool open = t->filter.modulate && !cfg_has(&layer, "shift");
    if (open && strcasestr(x->arch, "dna"))
        t->filter.shift = 0.05;
    else if (open && has_tensor(x, "model.backbone.embeddings.word_embeddings.weight"))
        diag_note(x->d, (Loc){.file = x->path},
                  "the shift of the filters' window is taken as 0, as in training; the published code of "
                  "HyenaDNA has "
                  "0.05, as --arch=hyena-dna has");
    cfg_done(&layer);
}

static void st_lm_block(ImportCtx *x, const Frame *f, const char *name, const Mlp *mlp, const Hyena *t,
                        const Attention *attention, const char *mixer) {
    cJSON *b = block_new(x->model, name, NULL, NULL);
    st_norm(b, "u", "x", "norm1", "D", &f->norm);
    if (attention)
        st_attention(x, b, "y", "u", attention);
    else
        st_hyena(x, b, t, mixer, "u");
    st_residual(x, b, "y", 0);
    st_norm(b, "u", "x", "norm2", "D", &f->norm);
    st_mlp(x, b, "m", "u", mlp);
    st_residual(x, b, "m", 0);
}

static void read_attention(ImportCtx *x, int64_t D, Attention *t) {
    enum { ANY = 8192 }; /* nothing limits the sequence */
    Cfg c = cfg_sub(&x->cfg, "attn_cfg");
    *t = (Attention){.rows = QKV_IN_ORDER, .qkv = "Wqkv", .o = "out_proj", .positions = ANY};
    t->bias_qkv = t->bias_o = true, t->rope = (Rope){.none = true};
    cfg_equal_heads(&c, "num_heads", REQUIRED, D, t);
    int64_t rotary = cfg_int(&c, "rotary_emb_dim", 0);
    if (rotary) t->rope = (Rope){.theta = 10000, .scale = 1, .dims = rotary == t->width ? 0 : rotary};
    cfg_only_bool(&c, "causal", true, true);
    cfg_skip(&c, "use_flash_attn");
    cfg_done(&c);
}

static cJSON *import_lm(ImportCtx *x) {
    Cfg *c = &x->cfg;
    Names n = find_names(x);
    const char *mixer = arena_printf(x->a, "mixer.%s", n.inside), *layer = NULL;
    Frame f = {.prefix = arena_printf(x->a, "%slayers.{i}.", n.backbone), .head = n.head, .tied = true};
    f.embedding = arena_printf(x->a, "%sembeddings.word_embeddings.weight", n.backbone);
    f.final_norm = arena_printf(x->a, "%sln_f", n.backbone);
    Hyena t = {.D = cfg_size(c, "d_model", REQUIRED)};
    f.width = t.D, f.layers = cfg_layers(c, "n_layer", REQUIRED, arena_printf(x->a, "%slayers.", n.backbone));
    f.norm = (Norm){.kind = NORM_LAYER, .eps = cfg_float(c, "layer_norm_epsilon", 1e-5, ">=0")};
    Mlp mlp = {.module = *n.inside ? "mlp.layer" : "mlp",
               .up = "fc1",
               .down = "fc2",
               .dim = "M",
               .act = "gelu_tanh"};
    mlp.ungated = mlp.bias = true, mlp.width = cfg_size(c, "d_inner", 4 * t.D);
    cfg_only_int(c, "max_position_embeddings", 0, 0);
    cfg_only_bool(c, "identity_mlp", false, false);
    cfg_skip(c, "tie_word_embeddings"), cfg_skip(c, "return_hidden_state");
    if (cfg_has(c, "layer"))
        read_lm_layer(x, c, &t);
    else
        read_port(c, &t);
    f.vocab = table_rows(x, f.embedding, f.head);
    const cJSON *listed = cfg_list(c, "attn_layer_idx");
    Layers layers = {0};
    int attends = 0;
    for (int64_t i = 0; i < f.layers; i++) {
        const char *at = arena_printf(x->a, "%slayers.%lld.", n.backbone, (long long)i);
        bool qkv = has_tensor(x, arena_printf(x->a, "%s%sWqkv.weight", at, mixer));
        attends += qkv;
        if (!qkv && !layer) layer = at;
        layers_add(x->a, &layers, qkv ? "attention" : "hyena");
    }
    if (cJSON_GetArraySize(listed) != attends && !import_failed(x))
        cfg_error(c, "attn_layer_idx", "names %d layers, the checkpoint has %d with attention",
                  cJSON_GetArraySize(listed), attends);
    Attention attention = {.module = *n.inside ? "mixer.layer" : "mixer"};
    if (attends) {
        const char *module = attention.module;
        read_attention(x, t.D, &attention);
        attention.module = module;
    } else {
        cfg_sub(c, "attn_cfg");
    }
    if (import_failed(x)) return NULL;
    t.prefix = arena_printf(x->a, "%s%s", layer ? layer : "", mixer);
    cJSON *m = frame_begin(x, &f);
    write_dims(m, &t);
    if (layer) st_lm_block(x, &f, "hyena", &mlp, &t, NULL, mixer), ignore_unread(x, m, &t, "*.");
    if (attends) st_lm_block(x, &f, "attention", &mlp, NULL, &attention, NULL);
    return frame_end(x, &f, &layers);
}

static cJSON *import(ImportCtx *x) {
    if (!x->cfg.node)
        return import_error(x, "there is no config.json with l_max and the filter's settings"), NULL;
    return cfg_has(&x->cfg, "layer") || cfg_has(&x->cfg, "max_seq_len") ? import_lm(x) : import_operator(x);
}

static bool recognise(const ImportCtx *x) {
    static const char *const backbones[] = {"", "hyena.", "model."};
    if (has_tensor(x, "filter_fn.implicit_filter.0.weight")) return true;
    for (int k = 0; k < 9; k++) { /* the first layer may be attention */
        const char *at = arena_printf(x->a, "%sbackbone.layers.%d.mixer.", backbones[k % 3], k / 3);
        if (has_tensor(x, arena_printf(x->a, "%sfilter_fn.implicit_filter.0.weight", at)) ||
            has_tensor(x, arena_printf(x->a, "%slayer.filter_fn.implicit_filter.0.weight", at)))
            return true;
    }
    return false;
}

const Importer importer_hyena = {
    .name = "hyena",
    .doc = "Hyena (safari) and HyenaDNA: language models and single operators; --arch=hyena-standalone or "
           "hyena-safari sets the filter's layout, hyena-dna the shift of its window",
    .accepts =
        "hyena-standalone hyena-safari ConvLMHeadModel HyenaOperator HyenaDNAForCausalLM hyenadna hyena-dna",
    .recurrence = "long convolution; KV cache",
    .cases = "hyena-lm hyena-order2 hyena-order3 hyena-order3-standalone",
    .recognise = recognise,
    .import = import,
};
