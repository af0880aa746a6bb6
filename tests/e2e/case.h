/* A conformance case opened for the end-to-end tests: what goes in, what should come out, how far off it may
 * be; see tests/conformance/README.md. */
#ifndef BTC_TESTS_CASE_H
#define BTC_TESTS_CASE_H

#include <dirent.h>
#include <math.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>

#include <cjson/cJSON.h>

#include "check.h"
#include "run/session.h"
#include "tools/described.h"

typedef struct Case {
    Arena *arena;
    Diag diag;
    const char *name;   /* of the folder */
    const char *folder; /* its path */
    const char *model;  /* what is compiled: the folder, or the description that the case is run through */
    const char *same;   /* the same weights in another file, where the checkpoint is imported; else NULL */
    WeightSet expect;
    const RawTensor *input, *prompt, *ids; /* prompt, ids: NULL where there is nothing to decode */
    cJSON *json;
} Case;

/* The names of all cases in `root`, sorted; ends with NULL. Every one of them has to pass. With BTC_CASE=NAME
 * in the environment that one alone. */
static inline const char **case_list(Arena *a, const char *root) {
    struct dirent **all;
    const char *only = getenv("BTC_CASE");
    int n = scandir(root, &all, NULL, alphasort), count = 0;
    const char **names = ARENA_ARRAY(a, const char *, n > 0 ? n + 1 : 1);
    for (int i = 0; i < n; i++) {
        const char *name = arena_strdup(a, all[i]->d_name);
        free(all[i]);
        bool is_case = file_exists(arena_printf(a, "%s/%s/case.json", root, name));
        if (is_case && (!only || !strcmp(only, name))) names[count++] = name;
    }
    if (n >= 0) free(all);
    if (!CHECK(count > 0))
        fprintf(stderr, "    no case%s%s in %s\n", only ? " " : "", only ? only : "", root);
    return names;
}

static inline bool case_open(Case *c, const char *root, const char *name) {
    *c = (Case){.arena = arena_new(), .name = name};
    c->diag = diag_new(c->arena, stderr);
    c->folder = arena_printf(c->arena, "%s/%s", root, name);
    const char *description = described(c->arena, name);
    c->model = description ? description : c->folder;
    const char *file = arena_printf(c->arena, "%s/case.json", c->folder);
    const char *text = file_read_text(&c->diag, c->arena, file, NULL);
    c->json = text ? cJSON_Parse(text) : NULL;
    const char *expected = arena_printf(c->arena, "%s/expected.safetensors", c->folder);
    if (!CHECK(c->json != NULL) || !CHECK(weights_open(&c->diag, c->arena, expected, &c->expect)))
        return false;
    const cJSON *same = cJSON_GetArrayItem(cJSON_GetObjectItemCaseSensitive(c->json, "same_weights"), 0);
    if (cJSON_IsString(same) && !description)
        c->same = arena_printf(c->arena, "%s/%s", c->folder, same->valuestring);
    c->input = weights_find(&c->expect, "input_ids");
    if (!c->input) c->input = weights_find(&c->expect, "input");
    c->prompt = weights_find(&c->expect, "greedy.prompt");
    c->ids = weights_find(&c->expect, "greedy.ids");
    return CHECK(c->input != NULL);
}

static inline void case_close(Case *c) {
    weights_close(&c->expect);
    cJSON_Delete(c->json);
    arena_free(c->arena);
}

/* Whether the model can be run token by token. */
static inline bool case_has_steps(const Session *s) {
    return !whole_reader(s->model.module);
}

/* Whether the expectation itself was computed in f32, and has its rounding. */
static inline bool case_is_rounded(const Case *c) {
    const cJSON *source = cJSON_GetObjectItemCaseSensitive(c->json, "source");
    return cJSON_IsString(source) && strstr(source->valuestring, "fp32");
}

/* Whether the tolerance says how far the forms of the original are from each other: then nothing can be nearer. */
static inline bool case_forms_differ(const Case *c) {
    const cJSON *notes = cJSON_GetObjectItemCaseSensitive(c->json, "notes");
    for (const cJSON *n = cJSON_IsArray(notes) ? notes->child : NULL; n; n = n->next)
        if (cJSON_IsString(n) &&
            strstr(n->valuestring, "Tolerances include what the original's own forms differ by"))
            return true;
    return false;
}

static inline bool case_is_input(const char *name) {
    return !strcmp(name, "input_ids") || !strcmp(name, "input") || !strncmp(name, "greedy.", 7);
}

/* Not a constant that the description exposes. */
static inline bool case_has_rows(const char *name) {
    return !strncmp(name, "hidden.", 7) || !strncmp(name, "state.", 6) || !strcmp(name, "logits") ||
           !strcmp(name, "output");
}

/* Every expected tensor (without probes: but hidden.*) against what a run gave; each counts as a check, error
 * <= share * tolerance. Returns the largest error, as a share of its tolerance. */
static inline double case_compare(const Case *c, const char *how, const TensorList *got, double share,
                                  SessionProbes probes) {
    const cJSON *tolerances = cJSON_GetObjectItemCaseSensitive(c->json, "tolerance");
    double worst = 0;
    int compared = 0;
    for (int i = 0; i < c->expect.n; i++) {
        const RawTensor *want = &c->expect.tensors[i], *g = tensor_find_all(c->arena, got, want->name);
        const cJSON *tolerance = cJSON_GetObjectItemCaseSensitive(tolerances, want->name);
        if (case_is_input(want->name)) continue;
        if (probes == PROBES_NONE && !strncmp(want->name, "hidden.", 7)) continue;
        if (!CHECK(cJSON_IsNumber(tolerance) && g)) {
            fprintf(stderr, "    %s, %s: no %s\n", c->name, how, want->name);
            continue;
        }
        if (!case_has_rows(want->name)) g = tensor_cut(c->arena, g, want);
        Difference e = tensor_difference(g, want);
        double ratio = e.max_error / tolerance->valuedouble;
        if (!CHECK(ratio <= share))
            fprintf(stderr, "    %s, %s, %s: error %.3g, tolerance %.3g\n", c->name, how, want->name,
                    e.max_error, tolerance->valuedouble);
        worst = fmax(worst, ratio), compared++;
    }
    if (!CHECK(compared > 0)) fprintf(stderr, "    %s, %s: nothing was compared\n", c->name, how);
    return worst;
}

/* Greedy decoding by the session; one check. */
static inline void case_greedy(const Case *c, Session *s, const char *form, int threads) {
    if (!c->prompt || !c->ids) return;
    int64_t n = raw_tensor_count(c->ids), *ids = ARENA_ARRAY(c->arena, int64_t, n);
    bool ok = session_greedy(s, form, threads, c->prompt, n, ids);
    for (int64_t i = 0; i < n; i++) ok = ok && (double)ids[i] == dtype_load(c->ids->dt, c->ids->data, i);
    if (!CHECK(ok)) fprintf(stderr, "    %s, %s: greedy.ids differ\n", c->name, form);
}

static inline double case_seconds(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

#endif
