/* Runs a model that btc compiled, as protocol.h says, or measures this machine:
 *     worker MODEL.so    answers with a line of facts first
 *     worker limits      bandwidth T -> bytes/s, peak T -> flop/s */
#include <dlfcn.h>
#include <stdbool.h>

#include "btc.h"
#include "limits.h"
#include "protocol.h"

enum {
    MAX_STATES = 64,
    MAX_THREADS = 1025,
    PIECE = 4096
}; /* PIECE: tokens of a prompt at once; prompts that are timed are shorter */

typedef struct Engine {
    const btc_api *api;
    btc_model model;
    void *states[MAX_STATES];
    int64_t positions[MAX_STATES];
    void *works[MAX_THREADS], *work; /* by their number of threads; the one in use */
    float *output;
} Engine;

static void *memory(size_t bytes) {
    void *p = aligned_alloc(64, (bytes + 63) / 64 * 64);
    if (!p) answer_error("out of memory");
    return p;
}

static void check(const Engine *e, btc_status s) {
    if (s != BTC_OK) answer_error(e->api->status_text(s));
}

static void open_model(Engine *e, const char *path) {
    void *lib = dlopen(path, RTLD_NOW);
    if (!lib) answer_error(dlerror());
    btc_query_fn *query;
    *(void **)&query = dlsym(lib, "btc_query");
    *e = (Engine){.api = query ? query(1) : NULL};
    if (!e->api) answer_error("not a library made by btc");
    const btc_info *info = e->api->info;
    if (info->kind != BTC_TOKENS) answer_error("the model takes no tokens");
    check(e, e->api->open(&e->model, NULL, BTC_OPEN_POPULATE));
    e->output = memory((size_t)(info->output_width * info->max_batch) * 4);
    printf("{\"vocab\": %lld, \"parameters\": %lld, \"weights_bytes\": %lld, \"state_bytes\": %lld, "
           "\"chunk\": %lld, \"context\": %lld, \"max_batch\": %lld, \"cpu\": \"%s\"}\n",
           (long long)info->vocab, (long long)info->parameters, (long long)info->weights_bytes,
           (long long)info->state_bytes, (long long)info->chunk, (long long)info->context,
           (long long)info->max_batch, info->cpu);
    fflush(stdout);
}

/* A block for each number of threads, which keeps what calls learn of the machine's pace. */
static void use_threads(Engine *e, int threads) {
    if (threads < 1 || threads >= MAX_THREADS) answer_error("too many threads");
    e->work = e->works[threads];
    if (e->work) return;
    e->work = e->works[threads] = memory(e->api->work_bytes(threads));
    if (e->api->version >= 2) check(e, e->api->work_init(&e->model, e->work, e->api->work_bytes(threads)));
}

static void *state(Engine *e, int k) {
    if (k < 0 || k >= MAX_STATES) answer_error("no such state");
    return e->states[k] ? e->states[k] : (e->states[k] = memory((size_t)e->api->info->state_bytes));
}

/* In pieces: a token's own id needs no memory that grows with the prompt. */
static double advance(Engine *e, int threads, int k, int64_t n) {
    static int32_t ids[PIECE];
    double seconds = 0;
    use_threads(e, threads);
    for (int64_t left = n; left > 0; left -= PIECE) {
        int64_t piece = left < PIECE ? left : PIECE;
        for (int64_t i = 0; i < piece; i++) ids[i] = token_at(e->positions[k] + i, e->api->info->vocab);
        double start = now();
        check(e, e->api->prefill(&e->model, state(e, k), e->work, threads, ids, piece, e->output));
        seconds += now() - start;
        e->positions[k] += piece;
    }
    return seconds;
}

static double steps(Engine *e, int threads, int first, int batch, int64_t n) {
    int32_t ids[MAX_STATES];
    for (int b = 0; b < batch; b++) state(e, first + b);
    use_threads(e, threads);
    double start = now();
    for (int64_t i = 0; i < n; i++) {
        for (int b = 0; b < batch; b++) ids[b] = token_at(e->positions[first + b]++, e->api->info->vocab);
        check(e, e->api->step(&e->model, e->states + first, batch, e->work, threads, ids, e->output));
    }
    return now() - start;
}

static void serve_model(Engine *e) {
    char line[4096], file[4096];
    int t, k, b;
    long long n;
    while (fgets(line, sizeof line, stdin)) {
        if (sscanf(line, "reset %d", &k) == 1) {
            check(e, e->api->init(&e->model, state(e, k)));
            e->positions[k] = 0;
            answer(0);
        } else if (sscanf(line, "advance %d %d %lld", &t, &k, &n) == 3)
            answer(advance(e, t, k, n));
        else if (sscanf(line, "steps %d %d %d %lld", &t, &k, &b, &n) == 4)
            answer(steps(e, t, k, b, n));
        else if (sscanf(line, "logits %4095s", file) == 1)
            answer_logits(file, e->output, e->api->info->output_width);
        else if (!strncmp(line, "memory", 6))
            answer_memory();
        else
            answer_error("unknown request");
    }
}

static void serve_limits(void) {
    Limits l;
    char line[256];
    int t;
    if (!limits_open(&l, 0)) answer_error("out of memory");
    printf("{\"vectors\": \"%s\"}\n", limits_vectors(&l));
    fflush(stdout);
    while (fgets(line, sizeof line, stdin))
        if (sscanf(line, "bandwidth %d", &t) == 1)
            answer(limits_bandwidth(&l, t));
        else if (sscanf(line, "peak %d", &t) == 1)
            answer(limits_peak(&l, t));
        else
            answer_error("unknown request");
    limits_close(&l);
}

int main(int argc, char **argv) {
    if (argc != 2) return fprintf(stderr, "usage: worker MODEL.so | worker limits\n"), 2;
    if (!strcmp(argv[1], "limits")) return serve_limits(), 0;
    Engine e;
    open_model(&e, argv[1]);
    serve_model(&e);
    return 0;
}
