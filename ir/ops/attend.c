/* Softmax attention over the past. The state holds keys and values by position; with a window it is a ring,
 * slot = position mod context, and the query sees itself and the window-1 tokens before it. */
#include "attend.h"
#include "formats/arithmetic.h"

#include "../perturb.h"
#include "common.h"

bool attend_in_bf16(const Op *op) {
    return attr_arithmetic(op, "math")->input == DT_BF16;
}

double attend_scale(const Op *op) {
    double scale = attr_float(op, "scale", 0);
    return scale != 0 ? scale : 1 / sqrt((double)op->in[0]->type.dim[1]);
}

/* The cache is of what is multiplied. */
static DType state_dt(const Op *op, DType asked) {
    return attend_in_bf16(op) ? DT_BF16 : asked;
}

static bool infer_attend(Diag *d, Func *f, Op *op) {
    int64_t g = op->in[1]->type.dim[0], h = op->in[0]->type.dim[0];
    int64_t window = attr_int(op, "window", 0), context = attr_int(op, "context", 0);
    if (g < 1 || h % g)
        return diag_error(d, op->loc, "attend: %lld heads of q do not share %lld heads of k evenly",
                          (long long)h, (long long)g);
    if (context < window)
        return diag_error(d, op->loc, "attend: context (%lld) must hold the window (%lld)",
                          (long long)context, (long long)window);
    /* What compiled code multiplies by; weights are powers of two. */
    double softcap = attr_float(op, "softcap", 0), scale = attend_scale(op);
    const char *wrong = number_wrong(f->module->arena, softcap > 0 ? scale / softcap : scale * M_LOG2E, NULL);
    if (wrong)
        return diag_error(d, op->loc, "attend: scale%s: %s", softcap > 0 ? " / softcap" : " * log2(e)",
                          wrong);
    return true;
}

typedef struct Attend {
    int64_t h, g, d, p, window, context;
    double scale, softcap;
    bool bf16;                    /* what is multiplied is rounded to bf16 */
    const double *sinks, *slopes; /* [h], or NULL */
    const double *recent;         /* [h,e], or NULL */
    int64_t e;
    double *keys, *values; /* [context,g,d] [context,g,p] */
    double *score;         /* [context] */
    Perturb *perturb;      /* or NULL */
} Attend;

static double as_multiplied(const Attend *a, double x) {
    return a->bf16 ? dtype_round(DT_BF16, x) : x;
}

static double score_of(const Attend *a, const double *q, const double *k) {
    double s = 0;
    for (int64_t i = 0; i < a->d; i++) s += as_multiplied(a, q[i]) * as_multiplied(a, k[i]);
    s *= a->scale;
    return a->softcap > 0 ? a->softcap * tanh(s / a->softcap) : s;
}

/* One head of the query at position `now`, whose key and value are in the state already. Weights are relative
 * to a power of two, so that how they are rounded does not depend on the largest score. */
static void attend_one(const Attend *a, const double *q, double *y, int64_t now, int64_t h) {
    int64_t head = h / (a->h / a->g);
    int64_t first = a->window > 0 && now >= a->window ? now - a->window + 1 : 0;
    double max = a->sinks ? a->sinks[h] : -INFINITY, sum = 0;
    for (int64_t j = first; j <= now; j++) {
        double s = score_of(a, q, a->keys + (j % a->context * a->g + head) * a->d);
        if (a->slopes) s -= a->slopes[h] * (double)(now - j);
        if (a->recent && now - j < a->e) s += a->recent[h * a->e + a->e - 1 - (now - j)];
        a->score[j - first] = s;
        if (s > max) max = s;
    }
    for (int64_t i = 0; i < a->p; i++) y[i] = 0;
    if (a->sinks) sum = exp2(a->sinks[h] * M_LOG2E - nearbyint(max * M_LOG2E));
    for (int64_t j = first; j <= now; j++) {
        const double *v = a->values + (j % a->context * a->g + head) * a->p;
        double w = exp2(a->score[j - first] * M_LOG2E - nearbyint(max * M_LOG2E));
        if (a->bf16 && a->perturb) w = perturb_absolute(a->perturb, w, w * PERTURB_INSIDE);
        w = as_multiplied(a, w);
        sum += w;
        for (int64_t i = 0; i < a->p; i++) y[i] += w * as_multiplied(a, v[i]);
    }
    for (int64_t i = 0; i < a->p; i++) y[i] /= sum;
}

static void eval_attend(EvalCtx *c) {
    const Tensor *q = &c->in[0], *k = &c->in[1], *v = &c->in[2];
    Attend a = {.h = q->type.dim[0],
                .g = k->type.dim[0],
                .d = q->type.dim[1],
                .p = v->type.dim[1],
                .window = attr_int(c->op, "window", 0),
                .context = attr_int(c->op, "context", 0),
                .scale = attend_scale(c->op),
                .softcap = attr_float(c->op, "softcap", 0),
                .bf16 = attend_in_bf16(c->op),
                .e = c->in[5].data ? c->in[5].type.dim[1] : 0,
                .slopes = c->in[4].data,
                .perturb = c->env ? c->env->perturb : NULL,
                .keys = state_begin(&c->in[6], &c->out[1]),
                .values = state_begin(&c->in[7], &c->out[2])};
    if (a.window == 0 && c->pos + c->rows > a.context) {
        c->error = arena_printf(c->scratch, "the sequence outgrows the context: %lld tokens, at most %lld",
                                (long long)(c->pos + c->rows), (long long)a.context);
        return;
    }
    a.score = ARENA_ARRAY(c->scratch, double, a.context);
    for (int64_t t = 0; t < c->rows; t++) {
        int64_t now = c->pos + t, slot = now % a.context;
        for (int64_t i = 0; i < a.g * a.d; i++) a.keys[slot * a.g * a.d + i] = tensor_row(k, t)[i];
        for (int64_t i = 0; i < a.g * a.p; i++) a.values[slot * a.g * a.p + i] = tensor_row(v, t)[i];
        a.sinks = tensor_row(&c->in[3], t), a.recent = tensor_row(&c->in[5], t);
        for (int64_t h = 0; h < a.h; h++)
            attend_one(&a, tensor_row(q, t) + h * a.d, c->out[0].data + (t * a.h + h) * a.p, now, h);
    }
}

/* A full context is assumed, halved for a sequence that grows from nothing. */
static Cost cost_attend(const Op *op, int64_t rows) {
    int64_t window = attr_int(op, "window", 0);
    double past = window ? (double)window : 0.5 * (double)attr_int(op, "context", 0);
    double h = (double)op->in[0]->type.dim[0];
    double per_key = 2 * (double)op->in[0]->type.dim[1] + 2 * (double)op->in[2]->type.dim[1] + 12;
    Cost c = op_cost(op, rows, h * past * per_key);
    /* Of the slots only the past is read, and only the new rows are written. */
    double slot = 4 * (in_count(op, 1) + in_count(op, 2)), slots = (double)attr_int(op, "context", 0);
    c.act_bytes += slot * (past + (double)rows - 2 * slots);
    c.past = past, c.past_most = window ? past : slots;
    c.past_flops = h * per_key * (double)rows, c.past_bytes = slot;
    return c;
}

static const AttrDef attrs[] = {
    {"scale", AT_FLOAT, false, 0, NULL, "factor on the scores; 0: d^-1/2"},
    {"window", AT_INT, false, 0, ">=0", "how many tokens a query sees, itself included; 0: all"},
    {"softcap", AT_FLOAT, false, 0, ">=0 <=1e30", "c: scores become c tanh(s/c); 0: none"},
    {"context", AT_INT, true, 0, ">=1", "slots of the state: the longest sequence, or the window"},
    {"math", AT_ARITHMETIC, false, 0, "f32|bf16",
     "how queries, keys, values and weights are rounded before they are multiplied: not at all, or to bf16; "
     "set by the pass choose-math"},
    {0},
};

const OpDef op_attend = {
    .name = "attend",
    .pattern = PAT_ATTEND,
    .doc = "Causal softmax attention; groups of heads share keys and values.",
    .formula = "y_t = sum_(j<=t) softmax_j(scale q_t k_j - slope (t-j) + recent_t,(e-1-(t-j))) v_j; a sink "
               "is one more "
               "score, without a value",
    .source = "Vaswani et al. 2017, arXiv:1706.03762, eq. 1; Ainslie et al. 2023, arXiv:2305.13245 (groups); "
              "Beltagy et al. 2020, arXiv:2004.05150 (window); Press et al. 2021, arXiv:2108.12409 (slopes)",
    .sig = "q[t,h,d] k[t,g,d] v[t,g,p] sinks?[t?,h] slopes?[h] recent?[t,h,e] -> y[t,h,p]",
    .state = "k[context,g,d] = 0; v[context,g,p] = 0",
    .attrs = attrs,
    .infer = infer_attend,
    .eval = eval_attend,
    .cost = cost_attend,
    .state_dt = state_dt,
};
