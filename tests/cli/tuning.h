/* Tuning files written by tests, and the machine that they are for. For one-file programs, behind kit.h. */
#ifndef BTC_TESTS_CLI_TUNING_H
#define BTC_TESTS_CLI_TUNING_H

#include <cjson/cJSON.h>

#include "kit.h"
#include "plan/tuning.h"

static inline const cJSON *get(const cJSON *o, const char *key) {
    return cJSON_GetObjectItemCaseSensitive(o, key);
}

static inline bool same_files(const char *a, const char *b) {
    return system(arena_printf(arena, "cmp -s '%s' '%s'", a, b)) == 0;
}

/* What a model is compiled for, and the cost model's numbers for that, as btc itself tells them. */
typedef struct Machine {
    const char *target, *cpu;
    int lanes;
    Tuning usual;
} Machine;

static inline bool machine_of(const char *m, const char *options, Machine *out) {
    cJSON *report = cJSON_Parse(run("report '%s' --json --tuning=none %s", m, options).out);
    const cJSON *target = get(report, "target"), *name = get(report, "cpu");
    bool ok = cJSON_IsString(target) && cJSON_IsString(name);
    if (ok) {
        out->target = arena_strdup(arena, target->valuestring),
        out->cpu = arena_strdup(arena, name->valuestring);
        out->lanes = get(report, "lanes")->valueint;
        for (int i = 0; i < TUNING_COUNT; i++)
            *tuning_at(&out->usual, i) =
                get(get(get(report, "tuning"), "numbers"), TUNING_FIELDS[i].name)->valueint;
    }
    cJSON_Delete(report);
    return ok;
}

/* A file for it with these numbers, or with one of them only. */
static inline const char *tuning_file_for(const char *name, const Machine *m, const Tuning *t, int only) {
    Text text = text_new(arena);
    Tuning x = *t;
    text_add(&text,
             "{\"btc_tuning\": 1, \"machine\": {\"target\": \"%s\", \"cpu\": \"%s\", "
             "\"lanes\": %d}, \"numbers\": {\"comment\": \"by hand\"",
             m->target, m->cpu, m->lanes);
    for (int i = 0; i < TUNING_COUNT; i++)
        if (only < 0 || only == i) text_add(&text, ", \"%s\": %d", TUNING_FIELDS[i].name, *tuning_at(&x, i));
    text_add(&text, "}}\n");
    write_file(at(name), text.s);
    return at(name);
}

static inline const char *tuning_file(const char *name, const char *cpu, int lanes, const Tuning *t,
                                      int only) {
    Machine m = {.target = "x86_64-linux-gnu", .cpu = cpu, .lanes = lanes};
    return tuning_file_for(name, &m, t, only);
}

/* This one, where it is of the kind that most tests are for. */
static inline bool this_machine(const char *m, const char **cpu, int *lanes, Tuning *t) {
    Machine here = {0};
    if (!machine_of(m, "", &here) || strcmp(here.target, "x86_64-linux-gnu")) return false;
    *cpu = here.cpu, *lanes = here.lanes, *t = here.usual;
    return true;
}

#endif
