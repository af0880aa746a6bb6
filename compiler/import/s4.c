/* S4 (Gu et al. 2022, arXiv:2111.00396) and S4D (arXiv:2206.11893) in checkpoints of state-spaces/s4: the layers
 * of models/s4/s4.py and of version 3, and the standalone s4d.py. Each channel is a state space model of its own,
 * followed by a skip connection, an activation and a gated projection. */
#include <string.h>

#include "import/parts/ssm.h"

enum { TAPS = 1024, MOST_TAPS = 16384, WHOLE_CONTEXT = 4096 };

typedef struct S4 {
    Ssm ssm;
    int64_t D, channels, l_max; /* outputs of a channel; 0: not said */
    bool both;                  /* bidirectional */
    const char *skip;           /* tensor */
    const char *act, *final;    /* final NULL: a gate */
} S4;

/* Options that only say how parameters began or were trained, or how the original computes. */
static const char *const BEGINNINGS[] = {
    "init",        "measure",     "dt_min",  "dt_max",        "dt_tie",        "dt_fast",    "lr",
    "wd",          "verbose",     "backend", "deterministic", "d_state",       "transposed", "initializer",
    "weight_norm", "tie_dropout", "hurwitz", "trainable",     "swap_channels", "real_type",  "postact",
};

/* What a file's number becomes: "-exp(#)". */
static const char *transform(ImportCtx *x, const char *key, const char *otherwise, const char *sign) {
    static const char *const known[] = {"exp", "softplus", "sigmoid", "relu"};
    const char *how = cfg_str(&x->cfg, key, otherwise);
    if (!strcmp(how, "none")) return arena_printf(x->a, "%s#", sign);
    for (int i = 0; i < 4; i++)
        if (!strcmp(how, known[i])) return arena_printf(x->a, "%s%s(#)", sign, known[i]);
    cfg_error(&x->cfg, key, "must be none, exp, softplus, sigmoid or relu, got \"%s\"", how);
    return "#";
}

static int64_t number_in(ImportCtx *x, const char *name) {
    const RawTensor *t = weights_find(x->w, name);
    if (!t || raw_tensor_count(t) != 1) return import_error(x, "%s must be one number", name), 0;
    double v;
    raw_tensor_doubles(t, 0, 1, &v);
    return v >= 0 && v < (1 << 24) ? (int64_t)v
                                   : (import_error(x, "%s: %g is no number of taps", name, v), 0);
}

static const char *activation(Cfg *c, const char *key, const char *otherwise) {
    const char *word = cfg_str(c, key, otherwise);
    bool none =
        !strcmp(word, "id") || !strcmp(word, "identity") || !strcmp(word, "linear") || !strcmp(word, "none");
    return none ? NULL : cfg_act(c, key, otherwise);
}

/* The parameters of a block, of this release or of release 3 (`old`). */
static void read_block(ImportCtx *x, S4 *t, bool old) {
    Cfg *c = &x->cfg;
    SsmNames *n = ARENA_NEW(x->a, SsmNames);
    const char *module = old ? "kernel.kernel" : "layer.kernel";
    const char *low = arena_printf(x->a, "%s.P", module),
               *length = arena_printf(x->a, "%s.%s", module, old ? "L" : "l_kernel");
    bool dplr = has_tensor(x, low);
    *n = (SsmNames){.B = "B", .C = "C", .P = dplr ? "P" : NULL};
    if (old && dplr) {
        bool log = has_tensor(x, "kernel.kernel.log_w_real");
        n->re = log ? "log_w_real" : "inv_w_real", n->im = "w_imag", n->dt = "log_dt";
        n->re_map = "-exp(#)", n->im_map = "#", n->dt_map = "exp(#)";
    } else if (old) {
        n->re = "inv_A_real", n->im = "A_imag", n->dt = "log_dt";
        n->re_map = transform(x, "real_type", "exp", "-"), n->im_map = "#", n->dt_map = "exp(#)";
    } else {
        n->re = "A_real", n->im = "A_imag", n->dt = "inv_dt";
        n->re_map = transform(x, "real_transform", "exp", "-"),
        n->im_map = transform(x, "imag_transform", "none", "-");
        n->dt_map = transform(x, "dt_transform", "exp", "");
    }
    t->ssm = (Ssm){.names = n, .module = module};
    ssm_sizes(x, "", &t->ssm);
    if (dplr && has_tensor(x, length)) t->ssm.length = number_in(x, length);
    const char *rule = cfg_str(c, "disc", dplr || old ? "bilinear" : "zoh");
    t->ssm.hold = !strcmp(rule, "zoh");
    if (!t->ssm.hold && strcmp(rule, "bilinear"))
        cfg_error(c, "disc", "must be zoh or bilinear, got \"%s\"", rule);
    if (t->ssm.hold && dplr) t->ssm.hold = false; /* not read by that mode */
    const char *mode = cfg_str(c, "mode", dplr ? "dplr" : "diag");
    if (strcmp(mode, "nplr") && strcmp(mode, "dplr") && strcmp(mode, "diag") && strcmp(mode, "s4d"))
        cfg_error(c, "mode", "must be dplr, nplr, diag or s4d, got \"%s\"", mode);
    t->both = cfg_bool(c, "bidirectional", false);
    t->channels = cfg_size(c, "channels", 1);
    t->skip = old ? "D" : "layer.D";
    t->act = activation(c, "activation", "gelu");
    const char *key = old ? "postact" : "final_act", *final = cfg_str(c, key, "glu");
    t->final = !strcmp(final, "glu") ? NULL : activation(c, key, "glu");
    if (strcmp(final, "glu") && !t->final) t->final = "";
    cfg_int(c, "rank", t->ssm.rank), cfg_int(c, "n_ssm", t->ssm.systems);
    cfg_only_bool(c, "is_real", false, false), cfg_only_bool(c, "linear", false, false);
    cfg_only_int(c, "shift", 0, 0);
    if (t->ssm.outputs != t->channels * (t->both ? 2 : 1) && !import_failed(x))
        cfg_error(c, "channels", "is %lld, but the checkpoint has %lld", (long long)t->channels,
                  (long long)t->ssm.outputs / (t->both ? 2 : 1));
}

static void read_small(ImportCtx *x, S4 *t) {
    static const SsmNames names = {.re = "log_A_real",
                                   .im = "A_imag",
                                   .dt = "log_dt",
                                   .C = "C",
                                   .re_map = "-exp(#)",
                                   .im_map = "#",
                                   .dt_map = "exp(#)"};
    t->ssm = (Ssm){.names = &names, .module = "kernel", .hold = true};
    ssm_sizes(x, "", &t->ssm);
    t->channels = 1, t->skip = "D", t->act = "gelu";
}

static cJSON *import(ImportCtx *x) {
    Cfg *c = &x->cfg;
    S4 t = {0};
    if (has_tensor(x, "kernel.log_A_real"))
        read_small(x, &t);
    else
        read_block(x, &t, has_tensor(x, "kernel.kernel.C"));
    t.D = cfg_size(c, "d_model", t.ssm.channels), t.l_max = cfg_int(c, "l_max", 0);
    for (size_t i = 0; i < sizeof BEGINNINGS / sizeof *BEGINNINGS; i++) cfg_skip(c, BEGINNINGS[i]);
    if (t.D != t.ssm.channels && !import_failed(x))
        cfg_error(c, "d_model", "is %lld, but the checkpoint has %lld channels", (long long)t.D,
                  (long long)t.ssm.channels);
    if (import_failed(x)) return NULL;

    cJSON *m = model_new(x, "features"), *ops = model_ops(m);
    int64_t n = t.channels, taps = t.l_max > TAPS ? t.l_max < MOST_TAPS ? t.l_max : MOST_TAPS : TAPS;
    model_dim(m, "D", t.D);
    st_modes(x, ops, &t.ssm, 0, n, false, "");
    st(ops, "{'out':'skip','map':'@%s[%lld, D]'}", t.skip, (long long)n);
    st(ops, "{'out':'skip','op':'reshape','x':'skip','shape':['%lld*D']}", (long long)n);
    st_ssm(x, ops, "y", "input", &t.ssm, n, "skip", "", "s");
    st_filter(ops, "kernel", &t.ssm, n, taps, false, "");
    if (t.both) {
        model_set(m, "context", "%lld", (long long)(t.l_max > WHOLE_CONTEXT ? t.l_max : WHOLE_CONTEXT));
        st_modes(x, ops, &t.ssm, n, n, true, "b");
        st(ops, "{'out':'u','op':'reverse','x':'input'}");
        st_ssm(x, ops, "z", "u", &t.ssm, n, NULL, "b", "b");
        st(ops, "{'out':'z','op':'reverse','x':'z'}");
        st(ops, "{'out':'y','map':'y + z'}");
        st_filter(ops, "behind", &t.ssm, n, taps, true, "b");
        st(ops, "{'out':'kernel','op':'concat','in':['kernel','behind'],'axis':0}");
    }
    if (!t.both && n == 1)
        st(ops, "{'out':'kernel','op':'reshape','x':'kernel','shape':['D',%lld]}", (long long)taps);
    model_set(m, "expose", "{'kernel':'kernel'}");
    if (t.act) st(ops, "{'out':'y','map':'%s(y)'}", t.act);
    st_linear(ops, "y", "y", "output_linear.0", t.final ? "D" : "2*D",
              arena_printf(x->a, "%lld*D", (long long)n), true);
    if (!t.final) {
        st(ops, "{'out':['y','gate'],'split':'y','sizes':['D','D']}");
        st(ops, "{'out':'y','map':'y * sigmoid(gate)'}");
    } else if (*t.final) {
        st(ops, "{'out':'y','map':'%s(y)'}", t.final);
    }
    if (t.ssm.names->P)
        model_ignore(m, has_tensor(x, "layer.kernel.l_kernel") ? "layer.kernel.l_kernel" : "kernel.kernel.L");
    return m;
}

static bool recognise(const ImportCtx *x) {
    return has_tensor(x, "layer.kernel.A_real") || has_tensor(x, "kernel.kernel.C") ||
           has_tensor(x, "kernel.log_A_real");
}

const Importer importer_s4 = {
    .name = "s4",
    .doc = "S4 and S4D: layers of state-spaces/s4, current and version 3, and its standalone S4D",
    .accepts = "s4d s4block",
    .recurrence = "complex diagonal, or diagonal plus low rank (DPLR)",
    .cases = "s4 s4-raw-rank2 s4-v3 s4-bidirectional s4d s4d-full-zoh s4d-full-bilinear",
    .recognise = recognise,
    .import = import,
};
