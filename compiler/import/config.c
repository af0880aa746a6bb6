/* Reads config.json. Every key that is read is recorded; a key that no importer has read is an error, because a key
 * that changes results must not be ignored silently. */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "import/import.h"
#include "ir/op.h"

/* Keys that do not change what a trained model computes. Rules for new rows: initialisation, training,
 * sampling, the tokenizer, bookkeeping; never anything that the forward pass of any importer's model reads.
 */
static const char *const HARMLESS[] = {
    /* bookkeeping */
    "architectures",
    "model_type",
    "transformers_version",
    "_name_or_path",
    "_name_",
    "torch_dtype",
    "dtype",
    "auto_map",
    "_commit_hash",
    "is_decoder",
    "is_encoder_decoder",
    "id2label",
    "label2id",
    "task_specific_params",
    "problem_type",
    "is_llama_config",
    "transformers.js_config",
    "unsloth_version",
    "unsloth_fixed",
    "finetuning_task",
    "architecture",
    "torchscript",
    "use_bfloat16",
    "tf_legacy_loss",
    "max_sequence_length",
    /* initialisation */
    "initializer_range",
    "rescale_prenorm_residual",
    "time_step_min",
    "time_step_max",
    "time_step_floor",
    "time_step_scale",
    "time_step_init_scheme",
    "dt_init",
    "dt_init_floor",
    "dt_max",
    "dt_min",
    "dt_scale",
    "w_init_variance_scale",
    "final_w_init_variance_scale",
    "initializer_cfg",
    /* training: dropout is off when a model runs */
    "attention_dropout",
    "resid_dropout",
    "resid_pdrop",
    "embed_dropout",
    "embd_pdrop",
    "dropout",
    "filter_dropout",
    "hidden_dropout",
    "hidden_dropout_prob",
    "classifier_dropout",
    "router_aux_loss_coef",
    "router_jitter_noise",
    "output_router_logits",
    "lr",
    "wd",
    "lr_pos_emb",
    "pretraining_tp",
    "checkpoint_mlp",
    "checkpoint_mixer",
    "use_return_dict",
    "return_dict",
    "output_hidden_states",
    "output_attentions",
    "gradient_checkpointing",
    /* how to run, not what */
    "use_cache",
    "cache_implementation",
    "chunk_size",
    "use_mambapy",
    "use_associative_scan",
    "fused_add_norm",
    "fused_mlp",
    "fused_bias_fc",
    "fused_dropout_add_ln",
    "fused_fft_conv",
    "jit_filter",
    "residual_in_fp32",
    "fp32_residual_connection",
    "attention_softmax_in_fp32",
    "attn_implementation",
    "_attn_implementation",
    "_attn_implementation_autoset",
    "_flash_attn_2_enabled",
    "use_falcon_mambapy",
    "chunk_size_feed_forward",
    "use_fast_path",
    "use_mamba_kernels",
    "use_mem_eff_path",
    "num_logits_to_keep",
    "mamba_chunk_size",
    "mamba_ssm_cache_dtype",
    "use_triton",
    /* tokenizer and sampling */
    "pad_token_id",
    "sep_token_id",
    "decoder_start_token_id",
    "unk_token_id",
    "max_length",
    "do_sample",
    "temperature",
    "top_k",
    "top_p",
    "min_length",
    "num_beams",
    "num_beam_groups",
    "num_return_sequences",
    "early_stopping",
    "typical_p",
    "diversity_penalty",
    "repetition_penalty",
    "length_penalty",
    "no_repeat_ngram_size",
    "encoder_no_repeat_ngram_size",
    "remove_invalid_values",
    "output_scores",
    "return_dict_in_generate",
    "tokenizer_class",
    "suppress_tokens",
    "begin_suppress_tokens",
    "forced_bos_token_id",
    "forced_eos_token_id",
    "bad_words_ids",
    "exponential_decay_length_penalty",
    "prefix",
};

/* Words in keys of what is off when a trained model runs, whatever its value. */
static const char *const TRAINING[] = {"dropout", "pdrop", "layerdrop"};

/* Words in keys of what every model has in some way: "false" takes it away, or chooses another way. Behind
 * one of the words EXTRA it is a further one, which need not be there. */
static const char *const ESSENTIAL[] = {
    "causal",  "autoregressive", "rope",       "rotary",  "position",      "positions",
    "norm",    "norms",          "layernorm",  "rmsnorm", "normalization", "positional",
    "prenorm", "normalize",      "normalized", "rms",     "residual",      "residuals",
    "weights", "softmax",        "before",     "pre",     "gated",         "glu",
};
static const char *const EXTRA[] = {"qk",       "q",   "k",     "post",     "sandwich", "extra",
                                    "parallel", "tie", "cross", "absolute", "relative", "learned"};

/* Words in keys of what there may be none of: 0 says so. */
static const char *const COUNTS[] = {"num",     "n",           "number",  "count",  "bias", "window",
                                     "layers",  "heads",       "experts", "tokens", "cap",  "softcap",
                                     "capping", "softcapping", "coef",    "loss",   "rank", "lora",
                                     "shared",  "clip",        "noise"};

static bool is_listed(const char *key, const char *const *list, size_t n) {
    for (size_t i = 0; i < n; i++)
        if (strcmp(list[i], key) == 0) return true;
    return false;
}

/* Whether one of the words of a key, between underscores, is listed. */
static bool has_word(const char *key, const char *const *list, size_t n) {
    for (const char *p = key; *p; p += *p == '_') {
        size_t length = strcspn(p, "_");
        for (size_t i = 0; i < n; i++)
            if (strlen(list[i]) == length && !strncasecmp(list[i], p, length)) return true;
        p += length;
    }
    return false;
}

#define LISTED(key, list) is_listed(key, list, sizeof list / sizeof *list)
#define HAS_WORD(key, list) has_word(key, list, sizeof list / sizeof *list)

/* Whether the value of a key that nobody reads says that there is nothing to read: then the model is the same
 * with and without it. */
static bool is_off(const cJSON *n) {
    if (cJSON_IsNull(n)) return true; /* how the tools write "not set" */
    if (cJSON_IsObject(n) || cJSON_IsArray(n)) return !n->child;
    if (cJSON_IsString(n)) return !*n->valuestring || !strcmp(n->valuestring, "default");
    if (cJSON_IsFalse(n)) return !HAS_WORD(n->string, ESSENTIAL) || HAS_WORD(n->string, EXTRA);
    return cJSON_IsNumber(n) && n->valuedouble == 0 && HAS_WORD(n->string, COUNTS);
}

/* Whether a key may stand there although no importer reads it. */
static bool is_harmless(const cJSON *n) {
    return is_off(n) || LISTED(n->string, HARMLESS) || HAS_WORD(n->string, TRAINING);
}

static const cJSON *look(Cfg *c, const char *key) {
    ARENA_PUSH(c->ctx->a, c->seen, c->nseen, c->seen_cap, key);
    const cJSON *n = c->node ? json_get(c->node, key) : NULL;
    return n && !cJSON_IsNull(n) ? n : NULL;
}

static const char *key_path(const Cfg *c, const char *key) {
    return *c->path ? arena_printf(c->ctx->a, "%s.%s", c->path, key) : key;
}

bool cfg_error(Cfg *c, const char *key, const char *fmt, ...) {
    va_list ap;
    va_start(ap, fmt);
    const char *msg = arena_vprintf(c->ctx->a, fmt, ap);
    va_end(ap);
    const cJSON *n = c->node ? json_get(c->node, key) : NULL;
    return json_error(&c->ctx->json, n ? n : c->node, key_path(c, key), "%s", msg);
}

/* Names the nearest key of the file that nothing else reads: it may be a typo of this one. */
static void missing(Cfg *c, const char *key) {
    const char **keys = NULL;
    int n = 0, cap = 0;
    if (c->node && json_get(c->node, key)) {
        cfg_error(c, key, "must be a whole number, got null");
        return;
    }
    for (const cJSON *e = c->node ? c->node->child : NULL; e; e = e->next)
        if (!is_harmless(e) && !is_listed(e->string, c->seen, (size_t)c->nseen))
            ARENA_PUSH(c->ctx->a, keys, n, cap, e->string);
    const char *near = diag_nearest(key, keys, n);
    cfg_error(c, key, "the key is missing%s",
              near ? arena_printf(c->ctx->a, " (the file has \"%s\")", near) : "");
}

int64_t cfg_int(Cfg *c, const char *key, int64_t otherwise) {
    const cJSON *n = look(c, key);
    if (!n && otherwise == REQUIRED) return missing(c, key), 1;
    if (!n) return otherwise;
    int64_t v = 1;
    json_int(&c->ctx->json, n, key_path(c, key), 0, INT32_MAX, &v);
    return v;
}

int64_t cfg_size(Cfg *c, const char *key, int64_t otherwise) {
    int64_t v = cfg_int(c, key, otherwise);
    return v < 1 ? cfg_error(c, key, "must be at least 1"), 1 : v;
}

int64_t cfg_layers(Cfg *c, const char *key, int64_t otherwise, const char *prefix) {
    return cfg_first_layers(c, key, otherwise, prefix, 0);
}

int64_t cfg_first_layers(Cfg *c, const char *key, int64_t otherwise, const char *prefix, int64_t more) {
    int64_t v = cfg_size(c, key, otherwise), held = count_layers(c->ctx, prefix);
    if (v > MAX_LAYERS) return cfg_error(c, key, "must be at most %d", MAX_LAYERS), 1;
    if (held && v != held && v + more != held && !import_failed(c->ctx))
        cfg_error(c, key, "is %lld, but the checkpoint holds %lld layers, up to %s%lld", (long long)v,
                  (long long)held, prefix, (long long)held - 1);
    return v;
}

/* A number, or an infinity as Python and its exporters write it: bare (see JSON_PYTHON), as a string, or as
 * {"__float__": "Infinity"}. */
static double read_float(Cfg *c, const char *key, const cJSON *n) {
    const cJSON *boxed = cJSON_IsObject(n) ? json_get(n, "__float__") : NULL;
    if (boxed) n = boxed;
    if (cJSON_IsNumber(n)) return n->valuedouble;
    const char *s = cJSON_IsString(n) ? n->valuestring : "";
    const char *sign = *s == '+' || *s == '-' ? s + 1 : s;
    if (!strcasecmp(sign, "inf") || !strcasecmp(sign, "infinity")) return *s == '-' ? -INFINITY : INFINITY;
    if (!strcasecmp(s, "nan") || !strcmp(s, JSON_NAN)) return NAN;
    return cfg_error(c, key, "must be a number, got %s", json_what(c->ctx->a, n)), 2;
}

double cfg_float(Cfg *c, const char *key, double otherwise, const char *range) {
    const cJSON *n = look(c, key);
    double v = n ? read_float(c, key, n) : otherwise;
    const char *wrong = number_wrong(c->ctx->a, v, range);
    return wrong ? cfg_error(c, key, "%s", wrong), 2 : v;
}

double cfg_item(Cfg *c, const char *key, const cJSON *list, int index) {
    const cJSON *n = cJSON_GetArrayItem(list, index);
    if (!n) return cfg_error(c, key, "has no element %d", index), 1;
    return read_float(c, key, n);
}

bool cfg_bool(Cfg *c, const char *key, bool otherwise) {
    const cJSON *n = look(c, key);
    if (n && !cJSON_IsBool(n)) cfg_error(c, key, "must be true or false, got %s", json_what(c->ctx->a, n));
    return n && cJSON_IsBool(n) ? cJSON_IsTrue(n) : otherwise;
}

const char *cfg_str(Cfg *c, const char *key, const char *otherwise) {
    const cJSON *n = look(c, key);
    if (n && !cJSON_IsString(n)) cfg_error(c, key, "must be a string, got %s", json_what(c->ctx->a, n));
    return n && cJSON_IsString(n) ? n->valuestring : otherwise;
}

const cJSON *cfg_list(Cfg *c, const char *key) {
    const cJSON *n = look(c, key);
    if (n && !cJSON_IsArray(n))
        return cfg_error(c, key, "must be a list, got %s", json_what(c->ctx->a, n)), NULL;
    return n;
}

const double *cfg_floats(Cfg *c, const char *key, int n, double otherwise) {
    const cJSON *list = cfg_list(c, key);
    double *v = ARENA_ARRAY(c->ctx->a, double, n);
    if (list && cJSON_GetArraySize(list) != n)
        cfg_error(c, key, "must be a list of %d numbers, has %d", n, cJSON_GetArraySize(list));
    for (int i = 0; i < n; i++) {
        v[i] = list && i < cJSON_GetArraySize(list) ? cfg_item(c, key, list, i) : otherwise;
        const char *wrong = number_wrong(c->ctx->a, v[i], NULL);
        if (wrong) cfg_error(c, key, "number %d: %s", i, wrong), v[i] = 1;
    }
    return v;
}

bool cfg_has(const Cfg *c, const char *key) {
    const cJSON *n = c->node ? json_get(c->node, key) : NULL;
    return n && !cJSON_IsNull(n);
}

const cJSON *cfg_any(Cfg *c, const char *key) {
    return look(c, key);
}

void cfg_skip(Cfg *c, const char *key) {
    look(c, key);
}

static bool skip_word(void *cfg, const char *key) {
    cfg_skip(cfg, key);
    return false;
}

void cfg_skip_all(Cfg *c, const char *keys) {
    import_find_word(c->ctx->a, keys, skip_word, c);
}

Cfg cfg_sub(Cfg *c, const char *key) {
    const cJSON *n = look(c, key);
    if (n && !cJSON_IsObject(n)) cfg_error(c, key, "must be an object, got %s", json_what(c->ctx->a, n));
    return (Cfg){.ctx = c->ctx, .node = n && cJSON_IsObject(n) ? n : NULL, .path = key_path(c, key)};
}

void cfg_only_int(Cfg *c, const char *key, int64_t value, int64_t otherwise) {
    int64_t v = cfg_int(c, key, otherwise);
    if (v != value)
        cfg_error(c, key, "only %lld is supported, the checkpoint has %lld", (long long)value, (long long)v);
}

void cfg_only_float(Cfg *c, const char *key, double value, double otherwise) {
    double v = cfg_float(c, key, otherwise, NULL);
    if (v != value) cfg_error(c, key, "only %g is supported, the checkpoint has %g", value, v);
}

void cfg_only_bool(Cfg *c, const char *key, bool value, bool otherwise) {
    if (cfg_bool(c, key, otherwise) != value)
        cfg_error(c, key, "only %s is supported", value ? "true" : "false");
}

const char *cfg_act(Cfg *c, const char *key, const char *otherwise) {
    static const char *const names[][2] = {
        {"silu", "silu"},
        {"swish", "silu"},
        {"gelu", "gelu"},
        {"gelu_pytorch_tanh", "gelu_tanh"},
        {"gelu_new", "gelu_tanh"},
        {"relu", "relu"},
        {"tanh", "tanh"},
        {"sigmoid", "sigmoid"},
        {"gelu_fast", "gelu_tanh"},
        {"gelu_python", "gelu"},
        {"gelu_python_tanh", "gelu_tanh"},
        {"gelu_accurate", "gelu_tanh"},
        {"quick_gelu", "quick_gelu"},
        {"relu2", "relu2"},
        {"sqrelu", "relu2"},
        {"relu6", "relu6"},
        {"leaky_relu", "leaky_relu"},
        {"mish", "mish"},
        {"hardswish", "hardswish"},
    };
    enum { N = sizeof names / sizeof *names };
    const char *name = cfg_str(c, key, otherwise), *all[N];
    for (int i = 0; i < N; i++) {
        if (strcmp(names[i][0], name) == 0) return names[i][1];
        all[i] = names[i][0];
    }
    cfg_error(c, key, "unknown activation \"%s\"%s", name, diag_did_you_mean(c->ctx->a, name, all, N));
    return "silu";
}

/* The key that this one is a slip of the pen for: one that was looked for and is not there. */
static const char *meant(const Cfg *c, const char *key) {
    const char **absent = ARENA_ARRAY(c->ctx->a, const char *, c->nseen + 1);
    int n = 0;
    for (int i = 0; i < c->nseen; i++)
        if (!json_get(c->node, c->seen[i])) absent[n++] = c->seen[i];
    return diag_nearest(key, absent, n);
}

void cfg_done(Cfg *c) {
    for (const cJSON *n = c->node ? c->node->child : NULL; n; n = n->next) {
        if (LISTED(n->string, HARMLESS) || is_listed(n->string, c->seen, (size_t)c->nseen)) continue;
        const char *near = meant(c, n->string);
        if (near || !is_harmless(n)) /* a misspelt key that is off may be on where it is absent */
            cfg_error(c, n->string, "this key is not known, and it might change the model's numbers%s",
                      near ? arena_printf(c->ctx->a, " (did you mean \"%s\"?)", near) : "");
    }
}
