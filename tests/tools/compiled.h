/* A compiled model in this process: the real way from IR to machine code, linked, loaded and opened. */
#ifndef BTC_TESTS_COMPILED_H
#define BTC_TESTS_COMPILED_H

#include <dlfcn.h>
#include <stdlib.h>

#include "btc.h"
#include "compile.h"
#include "link/link.h"

typedef struct Loaded {
    Compiled compiled;
    LinkFolder folder;
    bool has_folder;
    void *library;
    const btc_api *api;
    btc_model handle;
} Loaded;

/* Compiles m (whose module is changed by it) as o says, up to o.output, and opens it. false: messages are
 * filed. */
static inline bool loaded_open(Diag *d, Arena *a, Model *m, CompileOptions o, Loaded *l) {
    *l = (Loaded){0};
    const char *base = getenv("TMPDIR") ? getenv("TMPDIR") : "/tmp";
    if (!link_folder_open(d, a, arena_printf(a, "%s/btc-test.so", base), &l->folder)) return false;
    l->has_folder = true;
    o.output = arena_printf(a, "%s/model.so", l->folder.path);
    o.emit = NULL, o.quiet = true, o.threads = true;
    if (!compile_artifact(d, m, &o, &l->compiled)) return false;
    l->library = dlopen(o.output, RTLD_NOW | RTLD_LOCAL);
    if (!l->library) return diag_error(d, (Loc){0}, "%s", dlerror());
    btc_query_fn *query;
    *(void **)&query = dlsym(l->library, "btc_query");
    l->api = query ? query(BTC_ABI_VERSION) : NULL;
    return (l->api && l->api->open(&l->handle, NULL, 0) == BTC_OK) ||
           diag_error(d, (Loc){0}, "the compiled model cannot be opened");
}

static inline void loaded_close(Loaded *l) {
    if (l->api) l->api->close(&l->handle);
    if (l->library) dlclose(l->library);
    if (l->has_folder) link_folder_remove(&l->folder);
}

/* Memory that the ABI asks for: `n` bytes in the arena, aligned to 64. */
static inline void *aligned_block(Arena *a, size_t n) {
    char *p = arena_alloc(a, n + 64);
    return p + (64 - (uintptr_t)p % 64) % 64;
}

static inline void *new_work(Arena *a, const Loaded *l, int threads) {
    size_t bytes = l->api->work_bytes(threads);
    void *work = aligned_block(a, bytes);
    return l->api->work_init(&l->handle, work, bytes) == BTC_OK ? work : NULL;
}

/* In memory where every number that nobody has written is a NaN. */
static inline void *new_state(Arena *a, const Loaded *l) {
    void *s = aligned_block(a, (size_t)l->api->info->state_bytes);
    memset(s, 0xff, (size_t)l->api->info->state_bytes);
    return l->api->init(&l->handle, s) == BTC_OK ? s : NULL;
}

/* The logical numbers of slot k of an instance in a state block. */
static inline double *read_slot(Arena *a, const Loaded *l, const BlockCall *call, int k, const void *block) {
    double *out = ARENA_ARRAY(a, double, type_count(call->plan->f->states[k].type));
    state_slot_read(a, call, k, &l->compiled.lower, block, out);
    return out;
}

#endif
