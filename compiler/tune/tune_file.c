#include "tune/tune_file.h"

#include <string.h>

#include "base/file.h"
#include "desc/json.h"

enum { FORMAT = 1, MAX_LANES = 4096 };

/* ---- where it lies ---- */

static bool is_file_type(const char *name, const char *ending) {
    size_t n = strlen(name), k = strlen(ending);
    return n > k && !strcmp(name + n - k, ending);
}

const char *tune_file_beside(Arena *a, const char *model) {
    static const char *const endings[] = {".json", ".safetensors", ".pth", ".pt", ".ckpt", ".bin"};
    size_t n = strlen(model);
    if (file_is_folder(model)) {
        while (n > 1 && model[n - 1] == '/') n--;
        return arena_printf(a, "%.*s%sbtc.tune.json", (int)n, model, model[n - 1] == '/' ? "" : "/");
    }
    for (size_t i = 0; i < sizeof endings / sizeof *endings; i++)
        if (is_file_type(model, endings[i]))
            return arena_printf(a, "%.*s.tune.json", (int)(n - strlen(endings[i])), model);
    return arena_printf(a, "%s.tune.json", model);
}

/* ---- the table ---- */

const char *tune_table(Arena *a) {
    uint32_t h = 2166136261u; /* FNV-1a */
    for (int i = 0; i < TUNING_COUNT; i++) {
        const TuningField *f = &TUNING_FIELDS[i];
        const char *row = arena_printf(a, "%s %d %d %d %s;", f->name, f->least, f->most, f->effect, f->doc);
        for (; *row; row++) h = (h ^ (unsigned char)*row) * 16777619u;
    }
    return arena_printf(a, "%08x", h);
}

const char *tune_changes(Arena *a, const Tuning *t, const Tuning *other) {
    Text out = text_new(a);
    Tuning x = *t, y = *other;
    text_add(&out, "%s", "");
    for (int i = 0; i < TUNING_COUNT; i++)
        if (*tuning_at(&x, i) != *tuning_at(&y, i))
            text_add(&out, "%s%s %d", out.n ? ", " : "", TUNING_FIELDS[i].name, *tuning_at(&x, i));
    return out.s;
}

/* ---- reading ---- */

typedef struct Machine {
    const char *target, *cpu;
    int64_t lanes;
} Machine;

static const cJSON *need(const Json *j, const cJSON *object, const char *path, const char *key) {
    const cJSON *n = json_get(object, key);
    if (!n) json_error(j, object, *path ? path : NULL, "the key \"%s\" is missing", key);
    return n;
}

static bool read_name(const Json *j, const cJSON *object, const char *path, const char *key,
                      const char **out) {
    const cJSON *n = need(j, object, path, key);
    if (!n) return false;
    if (!cJSON_IsString(n))
        return json_error(j, n, arena_printf(j->arena, "%s.%s", path, key), "must be a string, got %s",
                          json_what(j->arena, n));
    *out = n->valuestring;
    return true;
}

static const cJSON *read_object(const Json *j, const char *key) {
    const cJSON *n = need(j, j->root, "", key);
    if (!n || cJSON_IsObject(n)) return n;
    json_error(j, n, key, "must be an object, got %s", json_what(j->arena, n));
    return NULL;
}

static bool read_machine(const Json *j, Machine *m) {
    static const char *const keys[] = {"target", "cpu", "lanes", "processor", NULL};
    const cJSON *o = read_object(j, "machine"), *lanes;
    if (!o || !json_check_keys(j, o, "machine", keys)) return false;
    if (!read_name(j, o, "machine", "target", &m->target) || !read_name(j, o, "machine", "cpu", &m->cpu) ||
        !(lanes = need(j, o, "machine", "lanes")))
        return false;
    return json_int(j, lanes, "machine.lanes", 1, MAX_LANES, &m->lanes);
}

/* Parameters that code no longer has. The files of older versions name them all, and stay in use. */
static bool is_former(const char *name) {
    static const char *const former[] = {"barrier_kib"};
    for (size_t i = 0; i < sizeof former / sizeof *former; i++)
        if (!strcmp(name, former[i])) return true;
    return false;
}

static bool read_number(const Json *j, const cJSON *n, const char *const *names, Tuning *t, bool *given) {
    const char *path = arena_printf(j->arena, "numbers.%s", n->string);
    int i = tuning_find(n->string);
    if (is_former(n->string)) {
        diag_warning(j->diag, json_loc(j, n, path), "this parameter no longer exists, and has no effect");
        return true;
    }
    if (i < 0)
        return json_error(j, n, path, "there is no such parameter%s",
                          diag_did_you_mean(j->arena, n->string, names, TUNING_COUNT));
    int64_t v;
    if (!json_int(j, n, path, TUNING_FIELDS[i].least, TUNING_FIELDS[i].most, &v)) return false;
    *tuning_at(t, i) = (int)v;
    return given[i] = true;
}

static bool read_numbers(const Json *j, Tuning *t, bool *given) {
    const cJSON *o = read_object(j, "numbers");
    const char **names = ARENA_ARRAY(j->arena, const char *, TUNING_COUNT);
    for (int i = 0; i < TUNING_COUNT; i++) names[i] = TUNING_FIELDS[i].name;
    bool ok = o != NULL;
    for (const cJSON *n = o ? o->child : NULL; n; n = n->next)
        if (strcmp(n->string, "comment")) ok &= read_number(j, n, names, t, given);
    return ok;
}

static bool read_all(const Json *j, Machine *m, Tuning *t, bool *given) {
    static const char *const keys[] = {"btc_tuning", "machine",  "model", "table",
                                       "numbers",    "measured", NULL};
    int64_t format;
    if (!cJSON_IsObject(j->root))
        return json_error(j, j->root, NULL, "must be an object, got %s", json_what(j->arena, j->root));
    const cJSON *version = need(j, j->root, "", "btc_tuning");
    if (!version || !json_int(j, version, "btc_tuning", 1, 1 << 20, &format)) return false;
    if (format != FORMAT)
        return json_error(j, version, "btc_tuning", "this btc reads tuning files of version %d, got %d",
                          FORMAT, (int)format);
    return json_check_keys(j, j->root, NULL, keys) && read_machine(j, m) && read_numbers(j, t, given);
}

/* ---- using ---- */

static const char *shape_text(Arena *a, uint64_t shape) {
    return arena_printf(a, "%016llx", (unsigned long long)shape);
}

/* What is fast for one model need not be for another. A file that was written by hand tells none. */
static bool check_model(const Json *j, const TuneModel *model) {
    static const char *const keys[] = {"name", "shape", NULL};
    const cJSON *o = json_get(j->root, "model");
    const char *name, *shape;
    if (!o) return true;
    if (!read_object(j, "model") || !json_check_keys(j, o, "model", keys) ||
        !read_name(j, o, "model", "name", &name) || !read_name(j, o, "model", "shape", &shape))
        return false;
    if (strcmp(shape, shape_text(j->arena, model->shape)))
        diag_warning(j->diag, (Loc){.file = j->file},
                     "was measured with another model (\"%s\", of other sizes, or stored otherwise): its "
                     "parameters are right for this one, too, but perhaps not the fastest; tune again",
                     name);
    return true;
}

/* Numbers of an older table are right for the rows that both have. */
static void warn_of_gaps(const Json *j, const Tuning *t, const bool *given) {
    Text gaps = text_new(j->arena);
    Tuning x = *t;
    for (int i = 0; i < TUNING_COUNT; i++)
        if (!given[i])
            text_add(&gaps, "%s%s %d", gaps.n ? ", " : "", TUNING_FIELDS[i].name, *tuning_at(&x, i));
    const cJSON *table = json_get(j->root, "table");
    bool old = cJSON_IsString(table) && strcmp(table->valuestring, tune_table(j->arena));
    Loc loc = {.file = j->file};
    if (gaps.n)
        diag_warning(j->diag, loc, "%s these parameters, which stay the cost model's: %s",
                     old ? "was written by another version of btc, without" : "does not hold", gaps.s);
    else if (old)
        diag_warning(j->diag, loc,
                     "was written by another version of btc, which may mean other things by "
                     "its parameters; tune again");
}

static bool fits(const Machine *m, const TargetInfo *t) {
    return !strcmp(m->target, t->target->name) && !strcmp(m->cpu, t->cpu) && m->lanes == t->lanes;
}

static const char *mismatch(Arena *a, const Machine *m, const TargetInfo *t) {
    return arena_printf(a, "is for %s, %s with vectors of %lld, not for %s, %s with vectors of %d", m->target,
                        m->cpu, (long long)m->lanes, t->target->name, t->cpu, t->lanes);
}

static bool use_file(Diag *d, const TuneModel *model, const char *file, bool asked_for,
                     const TargetInfo *target, Tuning *t, const char **from) {
    size_t size;
    Json j;
    Machine m = {0};
    Tuning numbers = *t;
    bool *given = ARENA_ARRAY(d->arena, bool, TUNING_COUNT);
    char *text = file_read_text(d, d->arena, file, &size);
    if (!text) return false;
    bool ok = json_parse(d, d->arena, file, text, size, 0, &j) && read_all(&j, &m, &numbers, given);
    if (ok && fits(&m, target)) {
        ok = check_model(&j, model);
        if (ok) warn_of_gaps(&j, &numbers, given);
        if (ok) *t = numbers, *from = file;
    } else if (ok && asked_for) {
        ok = diag_error(d, (Loc){.file = file}, "%s", mismatch(d->arena, &m, target));
    } else if (ok) {
        diag_warning(d, (Loc){.file = file}, "%s: it is left out", mismatch(d->arena, &m, target));
    }
    json_free(&j);
    return ok;
}

bool tune_file_choose(Diag *d, const TuneModel *model, const char *option, const TargetInfo *target,
                      Tuning *t, const char **from) {
    *from = NULL;
    if (option && !strcmp(option, "none")) return true;
    if (option) return use_file(d, model, option, true, target, t, from);
    const char *beside = tune_file_beside(d->arena, model->path);
    return !file_exists(beside) || use_file(d, model, beside, false, target, t, from);
}

/* ---- writing ---- */

char *tune_file_text(Arena *a, const TuneModel *model, const TargetInfo *target, const char *processor,
                     const Tuning *t, cJSON *measured) {
    cJSON *root = cJSON_CreateObject();
    Tuning x = *t;
    cJSON_AddNumberToObject(root, "btc_tuning", FORMAT);
    cJSON *m = cJSON_AddObjectToObject(root, "machine");
    cJSON_AddStringToObject(m, "target", target->target->name);
    cJSON_AddStringToObject(m, "cpu", target->cpu);
    cJSON_AddNumberToObject(m, "lanes", target->lanes);
    cJSON_AddStringToObject(m, "processor", processor);
    cJSON *of = cJSON_AddObjectToObject(root, "model");
    cJSON_AddStringToObject(of, "name", model->name);
    cJSON_AddStringToObject(of, "shape", shape_text(a, model->shape));
    cJSON_AddStringToObject(root, "table", tune_table(a));
    cJSON *numbers = cJSON_AddObjectToObject(root, "numbers");
    for (int i = 0; i < TUNING_COUNT; i++)
        cJSON_AddNumberToObject(numbers, TUNING_FIELDS[i].name, *tuning_at(&x, i));
    if (measured) cJSON_AddItemToObject(root, "measured", measured);
    char *text = json_print(a, root);
    cJSON_Delete(root);
    return text;
}
