/* A host as a user writes it, compiled with the header that btc made (--name=thing): ids on the command line,
 * the likeliest ids that follow on stdout. With BY_DLOPEN the first argument is a .so; with a second model
 * (OTHER) its facts are printed too. */
#include <stdio.h>
#include <stdlib.h>

#include "thing.h"
#ifdef OTHER
#include "other.h"
#endif
#ifdef BY_DLOPEN
#include <dlfcn.h>
#endif

static int generate(const btc_api *api, int32_t *prompt, int n, int tokens) {
    static float out[THING_OUTPUT_WIDTH];
    btc_model model;
    btc_status s = api->open(&model, NULL, 0);
    if (s != BTC_OK) return printf("%s\n", api->status_text(s)), 1;
    if (api->info->state_bytes != THING_STATE_BYTES || api->info->vocab != THING_VOCAB) return 1;
    if (api->info->fingerprint != THING_FINGERPRINT) return 1;
    void *state = aligned_alloc(64, THING_STATE_BYTES), *work = aligned_alloc(64, api->work_bytes(2));
    api->init(&model, state);
    s = api->prefill(&model, state, work, 2, prompt, n, out);
    for (int t = 0; t < tokens && s == BTC_OK; t++) {
        int32_t best = 0;
        for (int32_t i = 1; i < THING_OUTPUT_WIDTH; i++)
            if (out[i] > out[best]) best = i;
        printf(t ? ",%d" : "%d", best);
        s = api->step(&model, &state, 1, work, 2, &best, out);
    }
    puts("");
    api->close(&model);
    free(state);
    free(work);
    return s;
}

int main(int argc, char **argv) {
    int32_t prompt[256];
    int n = 0, first = 1;
#ifdef BY_DLOPEN
    void *so = argc > 1 ? dlopen(argv[1], RTLD_NOW | RTLD_LOCAL) : NULL;
    if (!so) return printf("%s\n", dlerror()), 1;
    btc_query_fn *query = (btc_query_fn *)(uintptr_t)dlsym(so, "btc_query");
    const btc_api *api = query ? query(BTC_ABI_VERSION) : NULL;
    first = 2;
#else
    const btc_api *api = thing_btc_query(BTC_ABI_VERSION);
#endif
    if (!api || argc <= first) return puts("usage: host [MODEL.so] TOKENS ID..."), 2;
    for (int i = first + 1; i < argc && n < 256; i++) prompt[n++] = atoi(argv[i]);
#ifdef OTHER
    printf("%s ", other_btc_query(BTC_ABI_VERSION)->info->name);
#endif
    return generate(api, prompt, n, atoi(argv[first]));
}
