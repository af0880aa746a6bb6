/* Su et al. 2021, arXiv:2104.09864. The scalings follow transformers, src/transformers/modeling_rope_utils.py. */
#include "import/parts/rope.h"

#include <math.h>
#include <string.h>

#include "ir/op.h"

enum { MAX_FREQS = 4096 };

/* freq[i] = theta^(-2i/dims), i < n. An odd number of components is one too few: the last plane is whole, but
 * its frequency is by that number. */
static void plain_freqs(double *freq, int n, int64_t dims, double theta) {
    for (int i = 0; i < n; i++) freq[i] = pow(theta, -2.0 * i / (double)dims);
}

static double positive(Cfg *c, const char *key) {
    if (!cfg_has(c, key)) return cfg_error(c, key, "the key is missing"), 1;
    return cfg_float(c, key, 1, ">0");
}

/* Long waves are slowed by `factor`, short ones stay, those between are blended. */
static void scale_llama3(Cfg *c, double *freq, int n, double context) {
    double factor = positive(c, "factor"), low = positive(c, "low_freq_factor"),
           high = positive(c, "high_freq_factor");
    if (!(high > low) && !import_failed(c->ctx))
        cfg_error(c, "high_freq_factor", "must be above low_freq_factor");
    for (int i = 0; i < n; i++) {
        double wave = 2 * M_PI / freq[i], blend = (context / wave - low) / (high - low);
        if (wave > context / low)
            freq[i] /= factor;
        else if (wave >= context / high)
            freq[i] = (1 - blend) * freq[i] / factor + blend * freq[i];
    }
}

/* 0.1 m ln(s) + 1: how much longer contexts sharpen the scores. */
static double yarn_mscale(double s, double m) {
    return s <= 1 ? 1 : 0.1 * m * log(s) + 1;
}

/* Peng et al. 2023, YaRN: a ramp over the components between "as it was" and "slowed by factor". */
static void scale_yarn(Cfg *c, Rope *r, double *freq, int n, int64_t dims, double context, double positions) {
    double fast = cfg_float(c, "beta_fast", 32, ">0"), slow = cfg_float(c, "beta_slow", 1, ">0");
    double mscale = cfg_float(c, "mscale", 0, NULL), all = cfg_float(c, "mscale_all_dim", 0, NULL);
    double factor = cfg_float(c, "factor", positions / context, ">0");
    double half = (double)dims / 2, low = half * log(context / (2 * M_PI * fast)) / log(r->theta),
           high = half * log(context / (2 * M_PI * slow)) / log(r->theta);
    if (cfg_bool(c, "truncate", true)) low = floor(low), high = ceil(high);
    if (low < 0) low = 0;
    if (high > (double)dims - 1) high = (double)dims - 1;
    if (low == high) high += 0.001;
    for (int i = 0; i < n; i++) {
        double ramp = fmin(fmax((i - low) / (high - low), 0), 1);
        freq[i] = ramp * freq[i] / factor + (1 - ramp) * freq[i];
    }
    if (all != 0) r->mscale = yarn_mscale(factor, all);
    r->scale = mscale != 0 && all != 0 ? yarn_mscale(factor, mscale) / yarn_mscale(factor, all)
                                       : yarn_mscale(factor, 1);
    r->scale = cfg_float(c, "attention_factor", r->scale, ">0");
}

/* Ding et al. 2024, LongRoPE: one factor per component, a set for short sequences and one for long. Which set
 * holds depends on the length, so the model is limited to short ones. */
static void scale_longrope(Cfg *c, Rope *r, double *freq, int n, double context, double positions) {
    const cJSON *factors = cfg_list(c, "short_factor");
    cfg_skip(c, "long_factor");
    double longer = cfg_float(c, "factor", positions / context, ">0");
    r->scale = longer <= 1 ? 1 : sqrt(1 + log(longer) / log(context));
    r->scale = cfg_float(c, "attention_factor", r->scale, ">0");
    r->limit = (int64_t)context;
    if (!factors || cJSON_GetArraySize(factors) != n) {
        cfg_error(c, "short_factor", "must be a list of %d numbers", n);
        return;
    }
    for (int i = 0; i < n; i++) {
        double f = cfg_item(c, "short_factor", factors, i);
        const char *wrong = number_wrong(c->ctx->a, f, ">0");
        if (wrong) cfg_error(c, "short_factor", "number %d: %s", i, wrong);
        freq[i] /= f;
    }
}

static const char *number_list(Arena *a, const double *v, int n) {
    Text t = text_new(a);
    for (int i = 0; i < n; i++) text_add(&t, "%s%.17g", i ? ", " : "[", v[i]);
    text_add(&t, "]");
    return t.s;
}

/* A number that may stand in several places: in all, it has to be the same. */
static double in_any(const RopeKeys *k, Cfg *p, Cfg *c, const char *key, const char *other, double otherwise,
                     const char *range) {
    double top = other ? cfg_float(c, other, otherwise, range) : otherwise;
    bool said = other && cfg_has(c, other);
    if (!k->only_other) {
        double usual = cfg_float(c, key, top, range);
        if (said && usual != top) cfg_error(c, key, "is %g, but %s is %g", usual, other, top);
        said |= cfg_has(c, key), top = usual;
    }
    double v = cfg_float(p, key, top, range);
    if (said && v != top) cfg_error(c, key, "is %g, but %g in %s", top, v, p->path);
    return v;
}

/* What rope_scaling says besides rope_parameters has to be said there too: versions of transformers differ in
 * which of them they take. */
static void check_copy(Cfg *c, const Cfg *p) {
    const cJSON *old = json_get(c->node, "rope_scaling");
    cfg_skip(c, "rope_scaling");
    for (const cJSON *e = cJSON_IsObject(old) ? old->child : NULL; e; e = e->next) {
        const cJSON *same = json_get(p->node, strcmp(e->string, "type") ? e->string : "rope_type");
        if (!cJSON_Compare(e, same, true))
            cfg_error(c, "rope_scaling", "its \"%s\" is not that of rope_parameters", e->string);
    }
}

/* Whether rope_parameters holds nothing but an object for each kind of layer (null: that of the class); published files
 * may have a rope_type beside them, which nobody reads. */
static bool is_by_kind(const Cfg *p) {
    const cJSON *e = p->node ? p->node->child : NULL;
    int kinds = 0;
    for (; e; e = e->next) {
        if (!strcmp(e->string, "rope_type")) continue;
        if (!cJSON_IsObject(e) && !cJSON_IsNull(e)) return false;
        kinds++;
    }
    return kinds > 0;
}

static Cfg find_parameters(Cfg *c, const RopeKeys *k) {
    if (!cfg_has(c, "rope_parameters"))
        return k->only_other ? (Cfg){.ctx = c->ctx, .path = "rope_scaling"} : cfg_sub(c, "rope_scaling");
    Cfg p = cfg_sub(c, "rope_parameters");
    if (k->kind && is_by_kind(&p)) p = cfg_sub(&p, k->kind);
    if (!k->only_other) check_copy(c, &p);
    return p;
}

static void scale_linear(Cfg *p, double *freq, int n) {
    double factor = positive(p, "factor");
    for (int i = 0; i < n; i++) freq[i] /= factor;
}

/* The frequencies are those of the whole head, but only the first components, `dims` of them, turn: how many
 * planes. */
static int scale_proportional(Cfg *p, double *freq, int n, double dims) {
    double factor = cfg_float(p, "factor", 1, ">0");
    int rotary = (int)(dims / 2);
    for (int i = 0; i < n; i++) freq[i] = i < rotary ? freq[i] / factor : 0;
    return rotary;
}

/* The base grows with the sequence once that is longer than max_position_embeddings: up to there nothing changes.
 */
static void scale_dynamic(Cfg *p, Rope *r, int64_t positions) {
    positive(p, "factor");
    r->limit = positions;
}

/* original_max_position_embeddings: some classes have it at the top level, where it goes first. */
static double read_original(Cfg *p, Cfg *c, int64_t positions) {
    static const char *const key = "original_max_position_embeddings";
    int64_t top = cfg_size(c, key, positions), n = cfg_size(p, key, top);
    if (cfg_has(c, key) && n != top)
        cfg_error(c, key, "is %lld, but %lld in %s", (long long)top, (long long)n, p->path);
    return (double)n;
}

Rope cfg_rope_keys(Cfg *c, const RopeKeys *k) {
    Cfg p = find_parameters(c, k);
    Rope r = {.scale = 1, .mscale = 1};
    r.theta = in_any(k, &p, c, "rope_theta", k->other_theta, k->theta, ">1");
    double partial = in_any(k, &p, c, "partial_rotary_factor", k->other_partial,
                            k->partial != 0 ? k->partial : 1, ">0 <=1");
    const char *type = cfg_str(&p, "rope_type", cfg_str(&p, "type", k->type ? k->type : "default"));
    bool proportional = strcmp(type, "proportional") == 0;
    cfg_skip(&p, "type");
    if (import_failed(c->ctx)) return r; /* what follows from a wrong number needs no message of its own */
    if (k->partial == 0 && partial != 1 && !proportional) {
        cfg_error(cfg_has(c, "partial_rotary_factor") ? c : &p, "partial_rotary_factor",
                  "heads of this architecture turn as a whole: it must be 1, is %g", partial);
        return r;
    }
    int64_t dims = proportional ? k->width : (int64_t)((double)k->width * partial), even = dims + dims % 2;
    if (even != k->width) r.dims = even;
    if (dims < 1 || even > k->width || even / 2 > MAX_FREQS) {
        cfg_error(c, "head_dim",
                  "no rotation of %lld of %lld components is possible: it takes an even number, at most %d",
                  (long long)dims, (long long)k->width, 2 * MAX_FREQS);
        return r;
    }
    int n = (int)(even / 2), rotary = n;
    double freq[MAX_FREQS];
    plain_freqs(freq, n, dims, r.theta);
    double positions = (double)k->positions, original = positions;
    bool as_it_is = strcmp(type, "default") == 0 || strcmp(type, "dynamic") == 0;
    if (as_it_is)
        cfg_skip(c, "original_max_position_embeddings");
    else if (strcmp(type, "linear") != 0 && !proportional)
        original = read_original(&p, c, k->original ? k->original : k->positions);
    if (strcmp(type, "linear") == 0) {
        scale_linear(&p, freq, n);
    } else if (strcmp(type, "llama3") == 0) {
        scale_llama3(&p, freq, n, original);
    } else if (strcmp(type, "yarn") == 0) {
        scale_yarn(&p, &r, freq, n, dims, original, positions);
    } else if (strcmp(type, "longrope") == 0 || strcmp(type, "su") == 0) {
        scale_longrope(&p, &r, freq, n, original, positions);
    } else if (strcmp(type, "dynamic") == 0) {
        scale_dynamic(&p, &r, k->positions);
    } else if (proportional) {
        rotary = scale_proportional(&p, freq, n, (double)k->width * partial);
    } else if (strcmp(type, "default") != 0) {
        static const char *const types[] = {"default", "linear",   "dynamic",     "llama3",
                                            "yarn",    "longrope", "proportional"};
        cfg_error(&p, "rope_type", "unknown kind \"%s\"%s", type,
                  diag_did_you_mean(c->ctx->a, type, types, 7));
    }
    const char *wrong = NULL;
    for (int i = 0; i < rotary && !wrong; i++)
        if ((wrong = number_wrong(c->ctx->a, freq[i], ">0")))
            cfg_error(&p, "factor", "frequency %d that it makes: %s", i, wrong);
    if (!as_it_is || even != dims) r.freqs = number_list(c->ctx->a, freq, n);
    cfg_skip(&p, "mrope_section"),
        cfg_skip(&p, "mrope_interleaved"); /* text has one position for all sections */
    cfg_done(&p);
    return r;
}

Rope cfg_rope(Cfg *c, int64_t head_dim, double theta, double partial, int64_t max_positions) {
    return cfg_rope_keys(
        c, &(RopeKeys){.width = head_dim, .theta = theta, .partial = partial, .positions = max_positions});
}

void st_positions(cJSON *ops, int64_t head_dim, const Rope *r) {
    st(ops, "{'out':'pos','op':'position'}");
    int64_t dims = r->dims ? r->dims : head_dim;
    if (r->freqs)
        st(ops, "{'out':'freqs','op':'constant','values':%s,'shape':[%lld]}", r->freqs, (long long)dims / 2);
}

void st_rope(cJSON *ops, const char *value, const Rope *r) {
    const char *freqs = r->freqs ? ",'freqs':'freqs'" : "", *layout = r->pairs ? ",'layout':'pairs'" : "";
    st(ops, "{'out':'%s','op':'rope','x':'%s','pos':'pos'%s%s}", value, value, freqs, layout);
    cJSON *n = cJSON_GetArrayItem(ops, cJSON_GetArraySize(ops) - 1);
    if (!r->freqs) cJSON_AddNumberToObject(n, "theta", r->theta);
    if (r->dims) cJSON_AddNumberToObject(n, "dims", (double)r->dims);
    if (r->scale != 1) cJSON_AddNumberToObject(n, "scale", r->scale);
}
