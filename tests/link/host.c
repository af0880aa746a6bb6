/* A host as a user writes it, compiled with the generated headers: runs a prompt through each model that is
 * linked in (or through a .so given as the argument) and prints the sum of the last outputs. */
#include <stdio.h>
#include <stdlib.h>

#include "tiny.h"
#ifdef TWO_MODELS
#include "other.h"
#endif
#ifdef BY_DLOPEN
#include <dlfcn.h>
#include <string.h>
#include <unistd.h>
#endif

static int run(const btc_api *api, uint32_t flags) {
    btc_model model;
#ifndef TWO_MODELS
    if (!tiny_fits(api)) return puts("not the header's model"), 1;
#endif
    btc_status s = api->open(&model, NULL, flags);
    if (s != BTC_OK) return printf("%s: %s\n", api->info->name, api->status_text(s)), 1;
    void *state = aligned_alloc(64, TINY_STATE_BYTES), *work = aligned_alloc(64, api->work_bytes(2));
    static float out[TINY_OUTPUT_WIDTH];
    int32_t prompt[20];
    for (int i = 0; i < 20; i++) prompt[i] = i * 7 % TINY_VOCAB;
    api->init(&model, state);
    s = api->prefill(&model, state, work, 2, prompt, 19, out);
    if (s == BTC_OK) s = api->step(&model, &state, 1, work, 2, prompt + 19, out);
    double sum = 0;
    for (int i = 0; i < TINY_OUTPUT_WIDTH; i++) sum += out[i];
    printf("%s %.9g\n", api->info->name, s == BTC_OK ? sum : -1.0);
    api->close(&model);
    free(state);
    free(work);
    return s;
}

int main(int argc, char **argv) {
#ifdef BY_DLOPEN
    void *so = argc > 1 ? dlopen(argv[1], RTLD_NOW | RTLD_LOCAL) : NULL;
    if (!so) return printf("%s\n", dlerror()), 1;
    btc_query_fn *query = (btc_query_fn *)(uintptr_t)dlsym(so, "btc_query");
    if (argc > 2 && !strcmp(argv[2], "chdir") && chdir("/") != 0) return 1;
    return run(query(BTC_ABI_VERSION), argc > 2 && !strcmp(argv[2], "populate") ? BTC_OPEN_POPULATE : 0);
#else
    (void)argc, (void)argv;
    int s = run(tiny_btc_query(BTC_ABI_VERSION), 0);
#ifdef TWO_MODELS
    s |= run(other_btc_query(BTC_ABI_VERSION), 0);
#endif
    return s;
#endif
}
