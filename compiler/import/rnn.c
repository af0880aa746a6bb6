/* LSTM, GRU and the plain RNN of PyTorch: Hochreiter & Schmidhuber 1997; Cho et al. 2014, arXiv:1406.1078; Elman
 * 1990. Stacked layers, unidirectional or bidirectional. A single cell (LSTMCell ..) is read as a layer whose
 * tensors have no layer number. */
#include <string.h>

#include "import/import.h"

/* A kind of cell: rows of its matrices in blocks, one for each gate. */
typedef struct Kind {
    const char *name;
    int64_t gates;
    bool bias_apart; /* that of the recurrent product stays inside the formula */
    const char *names, *keeps, *cell, *states;
} Kind;

static const Kind KINDS[] = {
    {"LSTM", 4, false, "i f g o", "c", "c = sigmoid(f)*c + sigmoid(i)*tanh(g); y = sigmoid(o)*tanh(c)",
     "'h','c'"},
    {"GRU", 3, true, "r z n", "", "z = sigmoid(z); y = (1 - z)*tanh(n_x + sigmoid(r)*n_w) + z*y",
     "'h','kept'"},
    {"RNN", 1, false, "a", "", "y = tanh(a)", "'h','kept'"},
    {"RNN", 1, false, "a", "", "y = relu(a)", "'h','kept'"},
};
enum { RNN_TANH = 2, RNN_RELU = 3, WHOLE_CONTEXT = 4096 };

typedef struct Rnn {
    const Kind *kind;
    int64_t layers, hidden, projected; /* projected: 0: it is not */
    bool bias, both, cell;             /* cell: tensors without a number */
} Rnn;

static const char *tensor(ImportCtx *x, const Rnn *t, const char *name, int64_t layer, bool backwards) {
    if (t->cell) return name;
    return arena_printf(x->a, "%s_l%lld%s", name, (long long)layer, backwards ? "_reverse" : "");
}

/* As many gates as the recurrent matrix has, unless the name of the model says which. */
static const Kind *find_kind(ImportCtx *x, const char *w, int64_t hidden) {
    int64_t gates = tensor_dim(x, w, 0) / hidden;
    const char *activation = cfg_str(&x->cfg, "nonlinearity", "tanh");
    if (gates == 1 && !strcmp(activation, "relu")) return &KINDS[RNN_RELU];
    if (gates == 1 && strcmp(activation, "tanh")) cfg_error(&x->cfg, "nonlinearity", "must be tanh or relu");
    for (int i = 0; i <= RNN_TANH; i++)
        if (KINDS[i].gates * hidden == tensor_dim(x, w, 0)) return &KINDS[i];
    import_error(x, "%s has %lld rows, which are no gates of %lld numbers each", w,
                 (long long)tensor_dim(x, w, 0), (long long)hidden);
    return &KINDS[0];
}

static void read(ImportCtx *x, Rnn *t) {
    Cfg *c = &x->cfg;
    t->cell = has_tensor(x, "weight_ih");
    t->both = cfg_bool(c, "bidirectional", !t->cell && has_tensor(x, "weight_ih_l0_reverse"));
    t->bias = cfg_bool(c, "bias", has_tensor(x, tensor(x, t, "bias_ih", 0, false)));
    const char *hh = tensor(x, t, "weight_hh", 0, false), *hr = tensor(x, t, "weight_hr", 0, false);
    t->projected = cfg_int(c, "proj_size", has_tensor(x, hr) ? tensor_dim(x, hr, 0) : 0);
    int64_t hidden = has_tensor(x, hr) ? tensor_dim(x, hr, 1) : tensor_dim(x, hh, 1);
    t->hidden = cfg_size(c, "hidden_size", hidden);
    t->kind = find_kind(x, hh, t->hidden);
    int64_t held = 1;
    while (!t->cell && has_tensor(x, tensor(x, t, "weight_ih", held, false))) held++;
    t->layers = cfg_size(c, "num_layers", held);
    if (t->layers != held)
        cfg_error(c, "num_layers", "is %lld, but the checkpoint holds %lld layers", (long long)t->layers,
                  (long long)held);
    cfg_skip(c, "batch_first"); /* how the caller's arrays lie */
    cfg_skip(c, "mode");        /* the same as the class */
    if (t->projected && t->kind != &KINDS[0]) cfg_error(c, "proj_size", "only an LSTM has projections");
}

/* A block for one direction of one layer: `out` from `in`, which is `width` wide. */
static void write_direction(ImportCtx *x, const Rnn *t, int64_t layer, bool backwards, const char *width) {
    const Kind *k = t->kind;
    const char *out = !t->both ? "x" : backwards ? "backwards" : "forwards";
    const char *name = arena_printf(x->a, "l%lld%s", (long long)layer, backwards ? "_reverse" : "");
    const char *ih = tensor(x, t, "weight_ih", layer, backwards),
               *hh = tensor(x, t, "weight_hh", layer, backwards),
               *bi = tensor(x, t, "bias_ih", layer, backwards),
               *bh = tensor(x, t, "bias_hh", layer, backwards), *b = "", *rb = "", *proj = "",
               *in = backwards ? "u" : "x";
    cJSON *ops = block_new(x->model, name, "['x']", arena_printf(x->a, "['%s']", out));
    if (backwards) st(ops, "{'out':'u','op':'reverse','x':'x'}");
    if (t->bias && k->bias_apart) {
        st(ops, "{'out':'b','op':'reshape','x':'@%s[%lld*H]','shape':[%lld,'H']}", bh, (long long)k->gates,
           (long long)k->gates);
        b = arena_printf(x->a, ",'b':'@%s[%lld*H]'", bi, (long long)k->gates), rb = ",'b':'b'";
    } else if (t->bias) {
        st(ops, "{'out':'b','map':'@%s[%lld*H] + @%s[%lld*H]'}", bi, (long long)k->gates, bh,
           (long long)k->gates);
        b = ",'b':'b'";
    }
    st(ops, "{'out':'gates','op':'linear','x':'%s','w':'@%s[%lld*H, %s]'%s}", in, ih, (long long)k->gates,
       width, b);
    st(ops, "{'out':'gates','op':'reshape','x':'gates','shape':[%lld,'H']}", (long long)k->gates);
    st(ops, "{'out':'w','op':'reshape','x':'@%s[%lld*H, P]','shape':[1,%lld,'H','P']}", hh,
       (long long)k->gates, (long long)k->gates);
    if (t->projected)
        proj = arena_printf(x->a, ",'proj':'@%s[P, H]'", tensor(x, t, "weight_hr", layer, backwards));
    st(ops,
       "{'out':'%s','op':'scan.cell','x':'gates','w':'w'%s%s,'gates':'%s','keeps':'%s','cell':'%s','state':[%"
       "s]}",
       backwards ? "u" : out, rb, proj, k->names, k->keeps, k->cell, k->states);
    if (backwards) st(ops, "{'out':'%s','op':'reverse','x':'u'}", out);
    st_layers(x->model, 1, arena_printf(x->a, "['%s']", name), "");
}

static cJSON *import(ImportCtx *x) {
    Rnn t = {0};
    read(x, &t);
    int64_t width = cfg_size(&x->cfg, "input_size", tensor_dim(x, tensor(x, &t, "weight_ih", 0, false), 1));
    if (import_failed(x)) return NULL;
    cJSON *m = model_new(x, "features");
    model_dim(m, "D", width), model_dim(m, "H", t.hidden);
    model_dim(m, "P", t.projected ? t.projected : t.hidden);
    model_comment(
        m,
        arena_printf(
            x->a, "%s of PyTorch. D: width of what comes in; H: width of a layer; P: of what comes out of it",
            t.kind->name));
    if (t.both) {
        model_set(m, "context", "%d", WHOLE_CONTEXT);
        model_comment(
            m, "context: the longest sequence, which is computed at once, as it is read in both directions");
    }
    st(model_ops(m), "{'out':'x','map':'input'}");
    for (int64_t i = 0; i < t.layers; i++) {
        const char *from = i == 0 ? "D" : t.both ? "2*P" : "P";
        write_direction(x, &t, i, false, from);
        if (!t.both) continue;
        write_direction(x, &t, i, true, from);
        st(model_ops(m), "{'out':'x','op':'concat','in':['forwards','backwards']}");
    }
    st(model_ops(m), "{'out':'y','map':'x'}");
    return m;
}

static bool recognise(const ImportCtx *x) {
    return has_tensor(x, "weight_hh_l0") || has_tensor(x, "weight_hh");
}

const Importer importer_rnn = {
    .name = "rnn",
    .doc = "LSTM, GRU and RNN of PyTorch: projections, one or both directions",
    .accepts = "lstm gru rnn lstm_cell gru_cell rnn_cell",
    .recurrence = "nonlinear cell with a recurrent matrix",
    .cases = "gru lstm lstm-proj lstm-bidirectional",
    .recognise = recognise,
    .import = import,
};
