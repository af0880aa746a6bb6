/* A launcher that knows nothing of btc but docs/schedule.md: it reads --emit=schedule, calls the stage
 * functions of --emit=object, and takes the weights of a side file. Workers run one after the other, each
 * stage after the one before it, which every correct schedule allows. */
#ifndef BTC_TESTS_LAUNCHER_H
#define BTC_TESTS_LAUNCHER_H

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cjson/cJSON.h>

enum { LAUNCH_ARGUMENTS = 12 };

/* What launch_table makes of a stage function: its arguments as an array. tile: 0 where it takes none. */
typedef void LaunchFunction(const void *block, const void *weights, int64_t state, int64_t worker,
                            int64_t workers, void *const *arguments, int64_t tile);

typedef struct Launcher {
    const cJSON *schedule;
    LaunchFunction *(*function)(const char *name); /* a stage's, by its symbol */
    const char *weights;
    char *work;
    int64_t workers;
    char block[256]; /* the argument block */
} Launcher;

static inline const cJSON *launch_get(const cJSON *o, const char *key) {
    const cJSON *v = cJSON_GetObjectItemCaseSensitive(o, key);
    if (!v) fprintf(stderr, "the schedule has no \"%s\"\n", key), exit(1);
    return v;
}

static inline int64_t launch_int(const cJSON *o, const char *key) {
    return (int64_t)launch_get(o, key)->valuedouble;
}

static inline bool launch_is(const cJSON *o, const char *key, const char *text) {
    return !strcmp(launch_get(o, key)->valuestring, text);
}

static inline bool launch_true(const cJSON *o, const char *key) {
    return cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(o, key));
}

/* By the name of its function. */
static inline const cJSON *launch_find(const Launcher *l, const char *name) {
    const cJSON *plan;
    cJSON_ArrayForEach(plan, launch_get(l->schedule, "plans")) if (launch_is(plan, "plan", name)) return plan;
    fprintf(stderr, "no plan %s\n", name);
    exit(1);
}

static inline int64_t launch_memory(const Launcher *l, const char *key) {
    return launch_int(launch_get(l->schedule, "memory"), key);
}

static inline void launch_set(Launcher *l, const char *field, const void *word) {
    memcpy(l->block + launch_int(launch_get(l->schedule, "argument_block"), field), word, 8);
}

static inline int64_t launch_loaded(const Launcher *l, const char *field) {
    int64_t v;
    memcpy(&v, l->block + launch_int(launch_get(l->schedule, "argument_block"), field), 8);
    return v;
}

/* The start of a sequence. */
static inline void launch_clear(const Launcher *l, char *state) {
    const cJSON *call, *plan, *slot;
    memset(state, 0, (size_t)launch_memory(l, "state"));
    cJSON_ArrayForEach(call, launch_get(l->schedule, "calls"))
        cJSON_ArrayForEach(plan, launch_get(l->schedule, "plans")) {
        if (!launch_is(plan, "block", launch_get(call, "block")->valuestring)) continue;
        cJSON_ArrayForEach(slot, launch_get(plan, "states")) {
            float start = (float)launch_get(slot, "start")->valuedouble;
            int64_t at = launch_memory(l, "state_header") + launch_int(call, "state");
            if (!launch_is(slot, "dtype", "f32")) fprintf(stderr, "a state that is not f32\n"), exit(1);
            for (int64_t i = 0; i < launch_int(slot, "elements"); i++)
                memcpy(state + at + launch_int(slot, "offset") + 4 * i, &start, 4);
        }
    }
}

/* How many shares or rows of a stage a worker has. */
static inline int64_t launch_share(const Launcher *l, const cJSON *stage, int64_t worker) {
    int64_t n = launch_loaded(l, "rows");
    if (launch_is(stage, "sharing", "one")) n = 1;
    if (launch_is(stage, "sharing", "units")) n = launch_int(stage, "shares");
    if (launch_is(stage, "sharing", "rows") && launch_true(stage, "output_rows_only"))
        n -= launch_loaded(l, "out_begin");
    if (launch_is(stage, "sharing", "rows") && launch_true(stage, "first_row_only")) n = 1;
    return n * (worker + 1) / l->workers - n * worker / l->workers;
}

/* Where a call has its weights, its state and its arguments. */
typedef struct LaunchBase {
    const char *weights;
    int64_t state;
    void *argument[LAUNCH_ARGUMENTS];
} LaunchBase;

static inline void launch_stage(const Launcher *l, const cJSON *stage, const LaunchBase *b, int64_t worker,
                                int64_t tile) {
    LaunchFunction *f = l->function(launch_get(stage, "function")->valuestring);
    f(l->block, b->weights, b->state, worker, l->workers, b->argument, tile);
}

/* `count` stages from `stage` on, tile by tile. */
static inline void launch_tiles(const Launcher *l, const cJSON *stage, int64_t count, const LaunchBase *b,
                                int64_t worker) {
    int64_t size = launch_int(stage, "tile"), tiles = (launch_share(l, stage, worker) + size - 1) / size;
    for (int64_t tile = 0; tile < tiles; tile++) {
        const cJSON *s = stage;
        for (int64_t k = 0; k < count; k++, s = s->next) launch_stage(l, s, b, worker, tile);
    }
}

static inline void launch_plan(const Launcher *l, const cJSON *plan, const LaunchBase *b);

static inline void launch_call(const Launcher *l, const cJSON *plan, const cJSON *stage) {
    const cJSON *call = cJSON_GetArrayItem(launch_get(l->schedule, "calls"), (int)launch_int(stage, "call"));
    LaunchBase b = {.weights = l->weights + launch_int(call, "weights"), .state = launch_int(call, "state")};
    const cJSON *number;
    int n = 0;
    cJSON_ArrayForEach(number, launch_get(stage, "arguments")) {
        const cJSON *v = cJSON_GetArrayItem(launch_get(plan, "values"), (int)number->valuedouble);
        b.argument[n++] = l->work + launch_int(v, "offset");
    }
    launch_plan(l, launch_find(l, launch_get(stage, "plan")->valuestring), &b);
}

static inline void launch_plan(const Launcher *l, const cJSON *plan, const LaunchBase *b) {
    const cJSON *stage = launch_get(plan, "stages")->child;
    while (stage) {
        const cJSON *loop = cJSON_GetObjectItemCaseSensitive(stage, "tile_loop_stages");
        int64_t stages = loop ? (int64_t)loop->valuedouble : 1;
        if (cJSON_HasObjectItem(stage, "call"))
            launch_call(l, plan, stage);
        else
            for (int64_t w = 0; w < l->workers; w++)
                if (loop)
                    launch_tiles(l, stage, stages, b, w);
                else
                    launch_stage(l, stage, b, w, 0);
        while (stages--) stage = stage->next;
    }
}

/* ---- calls ---- */

/* work for so many workers. */
static inline size_t launch_work(const cJSON *schedule, int64_t workers) {
    const cJSON *memory = launch_get(schedule, "memory");
    return (size_t)(launch_int(memory, "shared") + workers * launch_int(memory, "worker"));
}

/* `rows` rows of input in a form: of as many sequences (step), or of one. out_begin: the first row that gives
 * an output. */
static inline void launch(Launcher *l, const char *form, void *const *states, const void *input, int64_t rows,
                          int64_t out_begin, float *output) {
    int64_t shared = launch_memory(l, "shared"), worker = launch_memory(l, "worker");
    const void *const none = NULL;
    launch_set(l, "weights", &l->weights), launch_set(l, "states", &states);
    launch_set(l, "work", &l->work), launch_set(l, "input", &input), launch_set(l, "output", &output);
    launch_set(l, "rows", &rows), launch_set(l, "out_begin", &out_begin);
    launch_set(l, "barrier", &none), launch_set(l, "probes", &none);
    launch_set(l, "shared_bytes", &shared), launch_set(l, "worker_bytes", &worker);
    const cJSON *plan, *main = NULL;
    cJSON_ArrayForEach(plan, launch_get(l->schedule, "plans")) if (launch_is(plan, "block", "main") &&
                                                                   launch_is(plan, "form", form)) main = plan;
    launch_plan(l, main, &(LaunchBase){.weights = l->weights});
    bool step = !strcmp(form, "step");
    for (int64_t s = 0; s < (step ? rows : 1); s++) { /* tokens that the sequence has seen */
        int64_t *position = (int64_t *)(void *)((char *)states[s] + launch_memory(l, "state_position"));
        *position += step ? 1 : rows;
    }
}

/* C code with a LaunchFunction for each stage, and launch_function, which finds them by name. */
static inline void launch_table(const cJSON *schedule, FILE *out) {
    const cJSON *plan, *stage;
    fputs("#include <stdint.h>\n#include <string.h>\n", out);
    for (int pass = 0; pass < 2; pass++) {
        if (pass) fputs("void *launch_function(const char *name) {\n", out);
        cJSON_ArrayForEach(plan, launch_get(schedule, "plans")) {
            cJSON_ArrayForEach(stage, launch_get(plan, "stages")) {
                if (cJSON_HasObjectItem(stage, "call")) continue;
                const char *name = launch_get(stage, "function")->valuestring;
                int64_t n = launch_int(plan, "arguments");
                bool tile = cJSON_HasObjectItem(stage, "tile");
                if (pass) {
                    fprintf(out, "if (!strcmp(name, \"%s\")) return (void *)run_%s;\n", name, name);
                    continue;
                }
                fprintf(out, "void %s(const void *, const void *, int64_t, int64_t, int64_t", name);
                for (int64_t i = 0; i < n; i++) fputs(", void *", out);
                fprintf(out,
                        "%s);\nstatic void run_%s(const void *c, const void *w, int64_t s, int64_t k, "
                        "int64_t n, void *const *a, int64_t t) {\n(void)a, (void)t;\n%s(c, w, s, k, n",
                        tile ? ", int64_t" : "", name, name);
                for (int64_t i = 0; i < n; i++) fprintf(out, ", a[%d]", (int)i);
                fprintf(out, "%s);\n}\n", tile ? ", t" : "");
            }
        }
    }
    fputs("return 0;\n}\n", out);
}

#endif
