/* A library that is closed is gone: unmapped, also after calls on several threads and when the last of them
 * was another thread's, so that one compiled anew under its name is the new one; and as often as one likes,
 * without memory that grows. OpenMP's own threads outlive it. */
#include <dlfcn.h>
#include <pthread.h>

#include "kit.h"

enum { ROWS = 19, ROUNDS = 50 };

typedef struct Host {
    const char *so;
    int threads, rounds;
    const char *name; /* that the model should have */
    float want, got;  /* output 3 after the last row */
    bool ok;
} Host;

static bool run_model(Host *h, const btc_api *api) {
    btc_model model;
    if (api->open(&model, NULL, 0) != BTC_OK || strcmp(api->info->name, h->name) != 0) return false;
    void *state = aligned_alloc(64, (size_t)api->info->state_bytes);
    void *work = aligned_alloc(64, (api->work_bytes(h->threads) + 63) / 64 * 64);
    int32_t ids[ROWS];
    float out[FAKE_WIDTH];
    for (int i = 0; i < ROWS; i++) ids[i] = i * 7 % FAKE_WIDTH;
    bool ok = api->init(&model, state) == BTC_OK &&
              api->prefill(&model, state, work, h->threads, ids, ROWS, out) == BTC_OK;
    h->got = out[3];
    api->close(&model);
    free(state);
    free(work);
    return ok;
}

static bool is_mapped(const char *so) {
    char line[8192];
    bool found = false;
    FILE *f = fopen("/proc/self/maps", "r");
    while (f && fgets(line, sizeof line, f)) found |= strstr(line, so) != NULL;
    if (f) fclose(f);
    return found;
}

/* Opens, runs and closes it, again and again. */
static void *rounds(void *user) {
    Host *h = user;
    h->ok = true;
    for (int i = 0; i < h->rounds && h->ok; i++) {
        void *library = dlopen(h->so, RTLD_NOW | RTLD_LOCAL);
        btc_query_fn *query = library ? (btc_query_fn *)(uintptr_t)dlsym(library, "btc_query") : NULL;
        h->ok = query && run_model(h, query(BTC_ABI_VERSION)) && is_mapped(h->so);
        if (!library) fprintf(stderr, "    %s\n", dlerror());
        h->ok = library && dlclose(library) == 0 && h->ok && !is_mapped(h->so);
    }
    return NULL;
}

static float one_round(const char *so, int threads, const char *name) {
    Host h = {.so = so, .threads = threads, .rounds = 1, .name = name};
    rounds(&h);
    CHECK(h.ok);
    return h.got;
}

static long resident_kib(void) {
    long pages = 0, all;
    FILE *f = fopen("/proc/self/statm", "r");
    if (!f || fscanf(f, "%ld %ld", &all, &pages) != 2) pages = 0;
    if (f) fclose(f);
    return pages * (sysconf(_SC_PAGESIZE) / 1024);
}

static void check_again_and_again(const char *so, float want) {
    Host h = {.so = so, .threads = 3, .rounds = ROUNDS, .name = "first"};
    rounds(&h);
    CHECK(h.ok && h.got == want);
    long before = resident_kib();
    rounds(&h);
    CHECK(h.ok && h.got == want);
    long grown = resident_kib() - before;
    if (!CHECK(grown < 1024)) fprintf(stderr, "    %ld KiB more\n", grown);
}

/* Each thread has OpenMP workers of its own; they end with it, after the library. */
static void check_from_other_threads(const char *so, float want) {
    for (int i = 0; i < 8; i++) {
        pthread_t thread;
        Host h = {.so = so, .threads = 2, .rounds = 2, .name = "first"};
        if (!CHECK(pthread_create(&thread, NULL, rounds, &h) == 0)) return;
        pthread_join(thread, NULL);
        CHECK(h.ok && h.got == want);
    }
}

static void check_reload(const char *const *object, bool threads) {
    ArtifactSpec first = tiny_spec("first"), second = tiny_spec("second");
    char *so = path(threads ? "reload.so" : "reload-serial.so");
    LinkJob job = {.output = so, .kind = LINK_SHARED, .target = machine("x86_64"), .objects = object};
    job.object_count = 1, job.spec = &first, job.threads = threads;
    if (!CHECK(link_artifact(&diag, &job))) return;
    float want = one_round(so, 1, "first");
    if (threads) {
        CHECK(one_round(so, 2, "first") == want);
        check_again_and_again(so, want);
        check_from_other_threads(so, want);
    }
    job.spec = &second;
    if (CHECK(link_artifact(&diag, &job))) CHECK(one_round(so, threads ? 2 : 1, "second") == want);
    unlink(so);
}

int main(void) {
    if (!kit_open()) return 1;
    const char *object[] = {fake_object("gcc")};
    check_reload(object, true);
    check_reload(object, false);
    CHECK(diag.errors == 0);
    kit_close();
    return check_report("reload");
}
