/* Tuning files written by tests, and the machine that they are for. For one-file programs, behind kit.h. */
#ifndef BTC_TESTS_CLI_TUNING_H
#define BTC_TESTS_CLI_TUNING_H

#include <cjson/cJSON.h>

#include "kit.h"
#include "lower/tuning.h"

static inline const cJSON *get(const cJSON *o, const char *key) {
    return cJSON_GetObjectItemCaseSensitive(o, key);
}

static inline bool same_files(const char *a, const char *b) {
    return system(arena_printf(arena, "cmp -s '%s' '%s'", a, b)) == 0;
}

static inline const char *tuning_file(const char *name, const char *cpu, int lanes, const Tuning *t,
                                      int only) {
    Text text = text_new(arena);
    Tuning x = *t;
    text_add(&text,
             "{\"btc_tuning\": 1, \"machine\": {\"target\": \"x86_64-linux-gnu\", \"cpu\": \"%s\", "
             "\"lanes\": %d}, \"numbers\": {\"comment\": \"by hand\"",
             cpu, lanes);
    for (int i = 0; i < TUNING_COUNT; i++)
        if (only < 0 || only == i) text_add(&text, ", \"%s\": %d", TUNING_FIELDS[i].name, *tuning_at(&x, i));
    text_add(&text, "}}\n");
    write_file(at(name), text.s);
    return at(name);
}

/* The machine's name and the cost model's numbers, as btc itself tells them. */
static inline bool this_machine(const char *m, const char **cpu, int *lanes, Tuning *t) {
    cJSON *report = cJSON_Parse(run("report '%s' --json --tuning=none", m).out);
    const cJSON *target = get(report, "target"), *name = get(report, "cpu");
    bool ok = cJSON_IsString(target) && !strcmp(target->valuestring, "x86_64-linux-gnu");
    if (ok) {
        *cpu = arena_strdup(arena, name->valuestring), *lanes = get(report, "lanes")->valueint;
        for (int i = 0; i < TUNING_COUNT; i++)
            *tuning_at(t, i) = get(get(get(report, "tuning"), "numbers"), TUNING_FIELDS[i].name)->valueint;
    }
    cJSON_Delete(report);
    return ok;
}

#endif
