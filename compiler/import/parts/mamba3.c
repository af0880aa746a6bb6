/* With alpha = exp(dt A), lambda = sigmoid(trap), beta = (1 - lambda) dt alpha and gamma = lambda dt, token by token
 *     S = alpha S + beta x_old B_old^T + gamma x B^T,   y = S C + D x
 * One rank writes once: what a token adds at last waits until the next one has come,
 *     V = alpha (V + (gamma_old + (1 - lambda) dt) x_old B_old^T),   y = V C + gamma (B . C) x + D x
 * Several ranks write twice each. */
#include "import/parts/mamba3.h"

#include "import/parts/mamba.h"

const Mamba3Keys MAMBA3_KEYS_AUTHORS = {"d_state", "headdim", "ngroups"};
const Mamba3Keys MAMBA3_KEYS_FLA = {"state_size", "head_dim", "n_groups"};

void cfg_mamba3(Cfg *c, const Mamba3Keys *k, int64_t D, Mamba3 *t) {
    ImportCtx *x = c->ctx;
    t->N = cfg_size(c, k->state, 128);
    t->P = cfg_size(c, k->head, 64);
    t->G = cfg_size(c, k->groups, 1);
    t->E = cfg_expand(c, "expand", 2, D);
    t->H = t->E / t->P;
    t->mimo = cfg_bool(c, "is_mimo", false);
    t->R = cfg_size(c, "mimo_rank", 4);
    if (!t->mimo) t->R = 1;
    double rotary = cfg_float(c, "rope_fraction", 0.5, ">0 <=1");
    t->S = (int64_t)((double)t->N * rotary) / 2;
    t->floor = cfg_float(c, "A_floor", 1e-4, ">=0");
    t->out_norm = cfg_bool(c, "is_outproj_norm", false);
    if (import_failed(x)) return;
    if (t->H * t->P != t->E)
        cfg_error(c, k->head, "does not divide the inner width %lld", (long long)t->E);
    else if (t->H % t->G)
        cfg_error(c, k->groups, "%lld heads do not share %lld groups evenly", (long long)t->H,
                  (long long)t->G);
    else if (t->N % 2 || t->S < 1)
        cfg_error(c, k->state, "must be even, and at least 2 of its components must turn");
}

#define ST(...) st_part(b, t->module, NULL, __VA_ARGS__)

static void write_dims(ImportCtx *x, const Mamba3 *t) {
    cJSON *m = x->model;
    model_dim(m, "ME", t->E), model_dim(m, "MH", t->H), model_dim(m, "MP", t->P), model_dim(m, "MG", t->G);
    model_dim(m, "MN", t->N), model_dim(m, "MS", t->S), model_dim(m, "MR", t->R);
}

/* "['NAME0','NAME1',..]" */
static const char *numbered(Arena *a, const char *name, int64_t n) {
    Text t = text_new(a);
    for (int64_t i = 0; i < n; i++) text_add(&t, "%s'%s%lld'", i ? "," : "[", name, (long long)i);
    return arena_printf(a, "%s]", t.s);
}

/* B or C: an RMS norm of each row of each rank and group, then a bias of each head, whose group's row it is:
 * [MH, MR*MN]. */
static void st_key(ImportCtx *x, cJSON *b, const Mamba3 *t, const char *k) {
    ST("{'out':'%s','op':'reshape','x':'%s','shape':['MR','MG','MN']}", k, k);
    ST("{'out':'%s','op':'norm.rms','x':'%s','w':'@~%s_norm.weight[MN]','eps':%.17g}", k, k, k, t->eps);
    if (t->G == 1 || (t->G == t->H && t->R == 1)) {
        ST("{'out':'%s','op':'reshape','x':'%s','shape':['MG', 'MR*MN']}", k, k);
        ST("{'out':'bias','op':'reshape','x':'@~%s_bias[MH, MR, MN]','shape':['MH', 'MR*MN']}", k);
        ST("{'out':'%s','map':'%s + bias'}", k, k);
        return;
    }
    for (int64_t g = 0; g < t->G; g++) {
        const char *part = arena_printf(x->a, "%s%lld", k, (long long)g);
        ST("{'out':'%s','op':'slice','x':'%s','axis':1,'start':%lld,'size':1}", part, k, (long long)g);
        ST("{'out':'%s','op':'reshape','x':'%s','shape':['MR*MN']}", part, part);
        ST("{'out':'bias','op':'slice','x':'@~%s_bias[MH, MR, MN]','axis':0,'start':'%lld*MH/MG',"
           "'size':'MH/MG'}",
           k, (long long)g);
        ST("{'out':'bias','op':'reshape','x':'bias','shape':['MH/MG', 'MR*MN']}");
        ST("{'out':'%s','map':'%s + bias'}", part, part);
    }
    ST("{'out':'%s','op':'concat','in':%s,'axis':0}", k, numbered(x->a, k, t->G));
}

/* Steps, decays, and what a token weighs: at once (own), and as soon as the next one has come (late). */
static void st_steps(ImportCtx *x, cJSON *b, const Mamba3 *t) {
    ST("{'out':'dt','map':'softplus(dt + @~dt_bias[MH])'}");
    ST("{'out':'A','map':'maximum(%s, %s)'}",
       t->softplus ? "softplus(a)" : "where(a >= 0, 1 + a, 1 / (1 - a))", json_number(x->a, t->floor));
    ST("{'out':'decay','map':'-dt * A'}");
    ST("{'out':'own','map':'sigmoid(trap) * dt'}");
    ST("{'out':'late','map':'dt - own'}");
    if (!t->mimo) {
        ST("{'out':'own_old','op':'shift','x':'own','state':'weight'}");
        ST("{'out':'late','map':'own_old + late'}");
    }
    ST("{'out':'late','map':'late * exp(decay)'}");
    for (int i = 0; i < 4; i++) {
        static const char *const names[] = {"dt", "decay", "own", "late"};
        ST("{'out':'%s','op':'reshape','x':'%s','shape':['MH', 1]}", names[i], names[i]);
    }
    ST("{'out':'turn','map':'dt * (0.5 * tanh(angle))'}");
}

/* B or C, turned by the sum of all turns so far: [MH*MR, MN]. Each has the sum in a state of its own, which is less than
 * bringing both together. */
static void st_turned(cJSON *b, const Mamba3 *t, const char *k) {
    ST("{'out':'%s','op':'reshape','x':'%s','shape':['MH*MR','MN']}", k, k);
    ST("{'out':'%s','op':'scan.rotate','x':'%s','turn':'turn','layout':'%s','state':'angle_%s'}", k, k,
       t->mimo ? "half" : "pairs", k);
}

/* B_old and v_old: those of the token before. */
static void st_old(cJSON *b, const Mamba3 *t) {
    ST("{'out':'B_old','op':'reshape','x':'B','shape':['MH*MR*MN']}");
    ST("{'out':'B_old','op':'shift','x':'B_old','state':'k'}");
    ST("{'out':'v_old','op':'shift','x':'v','state':'v'}");
    ST("{'out':'v_old','op':'reshape','x':'v_old','shape':['MH','MP']}");
    ST("{'out':'v','op':'reshape','x':'v','shape':['MH','MP']}");
}

/* Norm and gate of y, which becomes flat. */
static void st_gate(cJSON *b, const Mamba3 *t, const char *y, const char *gate) {
    ST("{'out':'%s','op':'reshape','x':'%s','shape':['ME']}", y, y);
    if (t->out_norm)
        ST("{'out':'%s','op':'norm.rms','x':'%s','w':'@~norm.weight[ME]','groups':'MH','eps':%.17g}", y, y,
           t->eps);
    ST("{'out':'%s','map':'%s * silu(%s)'}", y, y, gate);
}

static void st_single(cJSON *b, const Mamba3 *t) {
    ST("{'out':'B_old','op':'reshape','x':'B_old','shape':['MH','MN']}");
    ST("{'out':'BC','map':'B * C'}");
    ST("{'out':'BC','op':'reduce','x':'BC','kind':'sum'}");
    ST("{'out':'w','map':'late * v_old'}");
    ST("{'out':'y','op':'scan.matrix','q':'C','k':'B_old','v':'w','decay':'decay','state':'S'}");
    ST("{'out':'y','map':'y + (own * BC + @~D[MH, 1]) * v'}");
    st_gate(b, t, "y", "z");
}

/* Row r of each head of a tensor [MH, MR, MP] as a value. */
static void st_row(cJSON *b, const Mamba3 *t, const char *out, const char *tensor, int r, const char *shape) {
    ST("{'out':'%s','op':'slice','x':'@~%s[MH, MR, MP]','axis':1,'start':%d,'size':1}", out, tensor, r);
    ST("{'out':'%s','op':'reshape','x':'%s','shape':%s}", out, out, shape);
}

static void st_ranks(ImportCtx *x, cJSON *b, const Mamba3 *t) {
    int n = (int)t->R;
    ST("{'out':'late_v','map':'late * v_old'}");
    ST("{'out':'own_v','map':'own * v'}");
    for (int r = 0; r < n; r++) {
        st_row(b, t, "mix", "mimo_x", r, "['MH','MP']");
        ST("{'out':'v%d','map':'late_v * mix'}", r);
        ST("{'out':'v%d','map':'own_v * mix'}", n + r);
    }
    ST("{'out':'w','op':'concat','in':%s,'axis':1}", numbered(x->a, "v", 2 * n));
    ST("{'out':'w','op':'reshape','x':'w','shape':['MH*2*MR','MP']}");
    ST("{'out':'B_old','op':'reshape','x':'B_old','shape':['MH','MR*MN']}");
    ST("{'out':'B','op':'reshape','x':'B','shape':['MH','MR*MN']}");
    ST("{'out':'k','op':'concat','in':['B_old','B'],'axis':1}");
    ST("{'out':'k','op':'reshape','x':'k','shape':['MH*2*MR','MN']}");
    ST("{'out':'y','op':'scan.matrix','q':'C','k':'k','v':'w','decay':'decay','writes':'2*MR','reads':'MR',"
       "'state':'S'}");
    ST("{'out':'y','op':'reshape','x':'y','shape':['MH','MR*MP']}");
    Text sizes = text_new(x->a);
    for (int r = 0; r < n; r++) text_add(&sizes, "%s'MP'", r ? "," : "");
    ST("{'out':%s,'split':'y','sizes':[%s]}", numbered(x->a, "y", n), sizes.s);
    for (int r = 0; r < n; r++) {
        const char *y = arena_printf(x->a, "y%d", r);
        st_row(b, t, "mix", "mimo_x", r, "['MH','MP']");
        ST("{'out':'%s','map':'%s + @~D[MH, 1] * (mix * v)'}", y, y);
        st_row(b, t, "mix", "mimo_z", r, "['ME']");
        ST("{'out':'gate','map':'z * mix'}");
        st_gate(b, t, y, "gate");
        st_row(b, t, "mix", "mimo_o", r, "['ME']");
        ST("{'out':'y','map':'%s%s * mix'}", r ? "y + " : "", y);
    }
}

void st_mamba3(ImportCtx *x, cJSON *b, const char *out, const char *in, const Mamba3 *t) {
    static const char *const rows = "2*ME + 2*MR*MG*MN + 3*MH + MS";
    write_dims(x, t);
    ST("{'out':'p','op':'linear','x':'%s','w':'@~in_proj.weight[%s, D]'%s}", in, rows,
       t->bias ? arena_printf(x->a, ",'b':'@~in_proj.bias[%s]'", rows) : "");
    ST("{'out':['z','v','B','C','dt','a','trap','angle'],'split':'p','sizes':['ME','ME','MR*MG*MN',"
       "'MR*MG*MN','MH','MH','MH','MS']}");
    st_steps(x, b, t);
    st_key(x, b, t, "B"), st_key(x, b, t, "C");
    st_turned(b, t, "B"), st_turned(b, t, "C");
    st_old(b, t);
    if (t->mimo)
        st_ranks(x, b, t);
    else
        st_single(b, t);
    ST("{'out':'%s','op':'linear','x':'y','w':'@~out_proj.weight[D, ME]'%s}", out,
       t->bias ? ",'b':'@~out_proj.bias[D]'" : "");
}
