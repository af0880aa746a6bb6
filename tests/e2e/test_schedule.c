/* A schedule is complete: a launcher that reads --emit=schedule and calls the stage functions of --emit=object
 * gives the outputs of the model's own entry points, bit for bit, on one worker and on several. */
#include <dlfcn.h>
#include <math.h>
#include <unistd.h>

#include "btc.h"
#include "check.h"
#include "launcher.h"

enum { PROMPT = 21, STEPS = 4, TOKENS = PROMPT + STEPS, CHUNK = 8, FOLDER = 64, COMMAND = 1024 };

static const char *btc, *cases;
static char folder[FOLDER];

/* name in the folder of this run */
static const char *in(const char *name) {
    static char paths[8][2 * FOLDER];
    static int next;
    char *path = paths[next++ % 8];
    snprintf(path, sizeof paths[0], "%s/%s", folder, name);
    return path;
}

static bool run(const char *command) {
    bool ok = !system(command);
    if (!ok) fprintf(stderr, "    %s\n", command);
    return CHECK(ok);
}

static bool compile(const char *model, const char *options, const char *output) {
    char command[COMMAND];
    snprintf(command, sizeof command, "%s %s/%s --chunk=%d --tuning=none --quiet %s -o %s", btc, cases, model,
             CHUNK, options, output);
    return run(command);
}

static char *read_file(const char *path) {
    FILE *f = fopen(path, "rb");
    if (!f) return NULL;
    fseek(f, 0, SEEK_END);
    long n = ftell(f);
    rewind(f);
    char *text = aligned_alloc(64, ((size_t)n + 64) / 64 * 64);
    size_t got = fread(text, 1, (size_t)n, f);
    text[got] = 0;
    fclose(f);
    return text;
}

/* ---- the model's own entry points ---- */

typedef struct Own {
    void *library;
    const btc_api *api;
    btc_model model;
    char *state, *work;
} Own;

static bool own_open(Own *o) {
    o->library = dlopen(in("model.so"), RTLD_NOW | RTLD_LOCAL);
    btc_query_fn *query = o->library ? (btc_query_fn *)dlsym(o->library, "btc_query") : NULL;
    if (!CHECK(query) || !CHECK((o->api = query(BTC_ABI_VERSION)))) return false;
    o->state = aligned_alloc(64, (size_t)o->api->info->state_bytes);
    o->work = aligned_alloc(64, (o->api->work_bytes(1) + 63) / 64 * 64);
    return CHECK(o->api->open(&o->model, NULL, 0) == BTC_OK) &&
           CHECK(o->api->work_init(&o->model, o->work, o->api->work_bytes(1)) == BTC_OK);
}

/* Outputs of the prompt and of the steps behind it. */
static void own_outputs(Own *o, const int32_t *ids, float *out) {
    int64_t width = o->api->info->output_width;
    CHECK(o->api->init(&o->model, o->state) == BTC_OK);
    CHECK(o->api->prefill_all(&o->model, o->state, o->work, 1, ids, PROMPT, out) == BTC_OK);
    for (int i = PROMPT; i < TOKENS; i++)
        CHECK(o->api->step(&o->model, (void *[]){o->state}, 1, o->work, 1, ids + i, out + i * width) ==
              BTC_OK);
}

static void own_close(Own *o) {
    o->api->close(&o->model);
    free(o->state), free(o->work);
    dlclose(o->library);
}

/* ---- the launcher ---- */

static bool build_stages(const cJSON *schedule) {
    char command[COMMAND];
    FILE *table = fopen(in("table.c"), "w");
    if (!CHECK(table)) return false;
    launch_table(schedule, table);
    fclose(table);
    snprintf(command, sizeof command, "gcc -std=c11 -shared -fPIC %s %s -o %s", in("table.c"), in("stages.o"),
             in("stages.so"));
    return run(command);
}

static void launched_outputs(Launcher *l, const int32_t *ids, int64_t width, float *out) {
    char *state = aligned_alloc(64, (size_t)launch_memory(l, "state"));
    launch_clear(l, state);
    for (int at = 0; at < PROMPT; at += CHUNK)
        launch(l, "chunk", (void *[]){state}, ids + at, PROMPT - at < CHUNK ? PROMPT - at : CHUNK, 0,
               out + at * width);
    for (int i = PROMPT; i < TOKENS; i++)
        launch(l, "step", (void *[]){state}, ids + i, 1, 0, out + i * width);
    free(state);
}

static bool same(const float *x, const float *y, int64_t n, const char *what) {
    bool ok = !memcmp(x, y, sizeof *x * (size_t)n);
    for (int64_t i = 0; i < n && !ok; i++)
        if (memcmp(&x[i], &y[i], sizeof *x)) {
            fprintf(stderr, "    %s: number %lld is %g instead of %g\n", what, (long long)i, (double)y[i],
                    (double)x[i]);
            break;
        }
    return ok;
}

static void compare(const char *model, const cJSON *schedule, const char *weights, void *stages) {
    Own own = {0};
    Launcher l = {.schedule = schedule, .weights = weights};
    l.function = (LaunchFunction * (*)(const char *)) dlsym(stages, "launch_function");
    if (!CHECK(l.function) || !own_open(&own)) return;
    int64_t width = own.api->info->output_width;
    float *want = calloc((size_t)(TOKENS * width), sizeof *want), *got = calloc((size_t)(TOKENS * width), 4);
    int32_t ids[TOKENS];
    for (int i = 0; i < TOKENS; i++) ids[i] = (int32_t)((i * 7 + 3) % own.api->info->vocab);
    own_outputs(&own, ids, want);
    for (l.workers = 1; l.workers <= 3; l.workers += 2) {
        l.work = aligned_alloc(64, (launch_work(schedule, l.workers) + 63) / 64 * 64);
        memset(l.work, 0xff, launch_work(schedule, l.workers)); /* NaN */
        launched_outputs(&l, ids, width, got);
        CHECK(same(want, got, TOKENS * width, model));
        free(l.work);
    }
    free(want), free(got), own_close(&own);
}

static void check_model(const char *model) {
    if (!compile(model, "--weights=file", in("model.so")) ||
        !compile(model, "--emit=object", in("stages.o")) ||
        !compile(model, "--emit=schedule", in("schedule.json")))
        return;
    char *text = read_file(in("schedule.json")), *file = read_file(in("model.so.weights"));
    cJSON *schedule = text ? cJSON_Parse(text) : NULL;
    if (CHECK(schedule && file) && build_stages(schedule)) {
        const cJSON *memory = launch_get(schedule, "memory");
        void *stages = dlopen(in("stages.so"), RTLD_NOW | RTLD_LOCAL);
        if (CHECK(stages)) {
            compare(model, schedule, file + launch_int(memory, "weights_header"), stages);
            dlclose(stages);
        }
    }
    cJSON_Delete(schedule);
    free(text), free(file);
}

int main(int argc, char **argv) {
    /* replicated norms and a scan; deferred state stores; experts and two kinds of layers */
    static const char *const models[] = {"hf-mamba", "hf-mixtral", "hf-recurrent-gemma"};
    const char *only = getenv("BTC_CASE");
    cases = argc > 1 ? argv[1] : "tests/conformance", btc = argc > 2 ? argv[2] : "build/btc";
    strcpy(folder, "/tmp/test_schedule.XXXXXX");
    if (!mkdtemp(folder)) return 2;
    for (size_t i = 0; i < sizeof models / sizeof *models; i++)
        if (!only || !strcmp(only, models[i])) check_model(models[i]);
    char command[COMMAND];
    snprintf(command, sizeof command, "rm -r %s", folder);
    run(command);
    return check_report("schedule");
}
