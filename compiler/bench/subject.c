#include "subject.h"

#include <dlfcn.h>
#include <string.h>

static bool is_library(const char *path) {
    size_t n = strlen(path);
    return n > 3 && !strcmp(path + n - 3, ".so");
}

static Loc here(const Subject *s) {
    return (Loc){.file = s->path};
}

static bool open_library(Subject *s) {
    /* dlopen looks for a bare name elsewhere */
    const char *file = strchr(s->path, '/') ? s->path : arena_printf(s->a, "./%s", s->path);
    if (!file_exists(s->path)) return diag_error(s->d, here(s), "no such file");
    s->library = dlopen(file, RTLD_NOW | RTLD_LOCAL);
    if (!s->library) return diag_error(s->d, here(s), "cannot be loaded: %s", dlerror());
    btc_query_fn *query;
    *(void **)&query = dlsym(s->library, "btc_query");
    if (!query) return diag_error(s->d, here(s), "is not a library made by btc: it has no btc_query");
    const btc_api *api = query(BTC_ABI_VERSION);
    if (!api) return diag_error(s->d, here(s), "was made by an older btc; compile it again");
    btc_status status = api->open(&s->handle, NULL, BTC_OPEN_POPULATE);
    if (status != BTC_OK) return diag_error(s->d, here(s), "cannot be opened: %s", api->status_text(status));
    bool knows = api->info->size > (int64_t)offsetof(btc_info, whole);
    if (knows && api->info->whole)
        return diag_error(s->d, here(s), "reads whole sequences: there are no steps to be measured");
    s->api = api, s->model = &s->handle;
    return true;
}

bool subject_takes(const Subject *s, int64_t context, int64_t tokens) {
    return !context || tokens <= context ||
           diag_error(s->d, here(s), "takes %lld tokens at most, and %lld were asked for", (long long)context,
                      (long long)tokens);
}

static bool open_model(Subject *s, const CompileOptions *compile, const ModelOptions *model, int64_t tokens) {
    TargetInfo t;
    if (!compile_target(s->d, compile, &t)) return false;
    if (t.target != target_host())
        return diag_usage(s->d, (Loc){0}, "--target=%s: only this machine can be measured", t.target->name);
    VerifyOptions o = {.form = "chunk", .threads = 1, .compile = *compile, .model = *model};
    s->compiled_here = true;
    if (!session_open(&s->session, s->d, s->a, s->path, &o, PROBES_NONE)) return false;
    const Op *whole = whole_reader(s->session.model.module);
    if (whole)
        return diag_error(s->d, whole->loc, "%s needs whole sequences: there are no steps to be measured",
                          whole->def->name);
    if (!subject_takes(s, model_longest(&s->session.model), tokens)) return false;
    if (!session_compile(&s->session)) return false;
    s->api = s->session.api, s->model = &s->session.handle, s->compiled = &s->session.compiled;
    return true;
}

bool subject_open(Subject *s, Diag *d, Arena *a, const char *path, const CompileOptions *compile,
                  const ModelOptions *model, int64_t tokens) {
    *s = (Subject){.d = d, .a = a, .path = path};
    if (!(is_library(path) ? open_library(s) : open_model(s, compile, model, tokens))) return false;
    if (s->api->info->probe_count)
        return diag_error(d, here(s), "exposes values (\"expose\"): it can be checked, but not measured");
    return true;
}

void subject_close(Subject *s) {
    if (s->compiled_here) session_close(&s->session);
    if (s->api && !s->compiled_here) s->api->close(&s->handle);
    if (s->library) dlclose(s->library);
}
