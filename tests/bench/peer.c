/* Runs a GGUF file with llama.cpp, as protocol.h says (one state, number 0), or makes a quantised one:
 *     peer run MODEL.gguf CONTEXT
 *     peer quantize IN.gguf OUT.gguf q8_0|q4_0
 * Two more requests:
 *     ubatch N    a new context that computes N tokens of a prompt at once (n_batch = n_ubatch)
 *     exact       a new context with keys and values in f32
 * Everything else is as llama.cpp has it by default. */
#include <stdbool.h>

#include "llama.h"
#include "protocol.h"

typedef struct Engine {
    struct llama_model *model;
    struct llama_context *context;
    int tokens; /* longest sequence */
    int ubatch;
    int64_t position, vocab;
} Engine;

static void quiet_log(enum ggml_log_level level, const char *text, void *user) {
    (void)user;
    if (level == GGML_LOG_LEVEL_ERROR) fputs(text, stderr);
}

static void new_context(Engine *e, int ubatch, bool exact) {
    struct llama_context_params p = llama_context_default_params();
    p.n_ctx = (uint32_t)e->tokens;
    p.n_batch = p.n_ubatch = (uint32_t)ubatch;
    p.n_seq_max = 1;
    if (exact) {
        p.type_k = p.type_v = GGML_TYPE_F32;
        p.flash_attn_type = LLAMA_FLASH_ATTN_TYPE_DISABLED;
    }
    if (e->context) llama_free(e->context);
    e->context = llama_init_from_model(e->model, p);
    if (!e->context) answer_error("llama.cpp gives no context");
    e->ubatch = ubatch;
    e->position = 0;
}

static void open_model(Engine *e, const char *path, int tokens) {
    *e = (Engine){.tokens = tokens};
    e->model = llama_model_load_from_file(path, llama_model_default_params());
    if (!e->model) answer_error("llama.cpp does not load the file");
    e->vocab = llama_vocab_n_tokens(llama_model_get_vocab(e->model));
    new_context(e, 512, false);
    printf("{\"vocab\": %lld, \"parameters\": %lld, \"weights_bytes\": %lld}\n", (long long)e->vocab,
           (long long)llama_model_n_params(e->model), (long long)llama_model_size(e->model));
    fflush(stdout);
}

/* n tokens in batches of at most `batch`; the output of the last token of each. */
static double run(Engine *e, int threads, int64_t n, int batch) {
    llama_token *ids = malloc((size_t)n * sizeof *ids);
    if (!ids) answer_error("out of memory");
    for (int64_t i = 0; i < n; i++) ids[i] = token_at(e->position + i, e->vocab);
    llama_set_n_threads(e->context, threads, threads);
    double start = now();
    for (int64_t at = 0; at < n; at += batch) {
        int32_t part = (int32_t)(n - at < batch ? n - at : batch);
        if (llama_decode(e->context, llama_batch_get_one(ids + at, part)) != 0)
            answer_error("llama_decode failed");
    }
    llama_synchronize(e->context);
    double seconds = now() - start;
    e->position += n;
    free(ids);
    return seconds;
}

static void serve(Engine *e) {
    char line[4096], file[4096];
    int t, k, b;
    long long n;
    while (fgets(line, sizeof line, stdin))
        if (sscanf(line, "reset %d", &k) == 1) {
            llama_memory_clear(llama_get_memory(e->context), true);
            e->position = 0;
            answer(0);
        } else if (sscanf(line, "ubatch %lld", &n) == 1) {
            new_context(e, (int)n, false);
            answer(0);
        } else if (!strncmp(line, "exact", 5)) {
            new_context(e, e->ubatch, true);
            answer(0);
        } else if (sscanf(line, "advance %d %d %lld", &t, &k, &n) == 3)
            answer(run(e, t, n, e->ubatch));
        else if (sscanf(line, "steps %d %d %d %lld", &t, &k, &b, &n) == 4 && b == 1)
            answer(run(e, t, n, 1));
        else if (sscanf(line, "logits %4095s", file) == 1)
            answer_logits(file, llama_get_logits_ith(e->context, -1), e->vocab);
        else if (!strncmp(line, "memory", 6))
            answer_memory();
        else
            answer_error("unknown request");
}

static int quantize(const char *in, const char *out, const char *type) {
    struct llama_model_quantize_params p = llama_model_quantize_default_params();
    p.ftype = strcmp(type, "q8_0") == 0 ? LLAMA_FTYPE_MOSTLY_Q8_0 : LLAMA_FTYPE_MOSTLY_Q4_0;
    p.pure = true; /* every matrix in this type: the same bits as the other engine */
    p.nthread = 2;
    return llama_model_quantize(in, out, &p) == 0 ? 0 : 1;
}

int main(int argc, char **argv) {
    llama_log_set(quiet_log, NULL);
    llama_backend_init();
    if (argc == 5 && !strcmp(argv[1], "quantize")) return quantize(argv[2], argv[3], argv[4]);
    if (argc != 4 || strcmp(argv[1], "run") != 0)
        return fprintf(stderr, "usage: peer run MODEL.gguf CONTEXT | peer quantize IN OUT q8_0|q4_0\n"), 2;
    Engine e;
    open_model(&e, argv[2], atoi(argv[3]));
    serve(&e);
    llama_free(e.context);
    llama_model_free(e.model);
    return 0;
}
