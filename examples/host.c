/* A host program for any model that takes bytes: goes on from a text, the likeliest byte each time.
 *     gcc -std=c11 -I runtime examples/host.c -ldl -o host && ./host ./model.so "In the beginning" 200 */
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "btc.h"

int main(int argc, char **argv) {
    void *library = argc == 4 ? dlopen(argv[1], RTLD_NOW) : NULL;
    if (!library)
        return fprintf(stderr, "usage: host MODEL.so TEXT COUNT\n%s\n", argc == 4 ? dlerror() : ""), 2;
    btc_query_fn *query = (btc_query_fn *)(size_t)dlsym(library, "btc_query");
    const btc_api *api = query ? query(BTC_ABI_VERSION) : NULL;
    if (!api || api->info->text != BTC_TEXT_BYTES) return fputs("host: not a model of bytes\n", stderr), 1;

    btc_model model;
    btc_status s = api->open(&model, NULL, 0);
    void *state = aligned_alloc(64, (size_t)api->info->state_bytes);
    void *work = aligned_alloc(64, (api->work_bytes(1) + 63) / 64 * 64);
    int32_t *ids = calloc(strlen(argv[2]) + 1, sizeof *ids), n = 0;
    float *logits = calloc((size_t)api->info->output_width, sizeof *logits);
    if (api->info->bos >= 0) ids[n++] = (int32_t)api->info->bos;
    for (const char *c = argv[2]; *c; c++) ids[n++] = (unsigned char)*c;

    if (s == BTC_OK) s = api->init(&model, state);
    if (s == BTC_OK) s = api->prefill(&model, state, work, 1, ids, n, logits);
    for (int left = atoi(argv[3]); s == BTC_OK && left > 0; left--) {
        int32_t best = 0;
        for (int32_t i = 1; i < api->info->output_width; i++)
            if (logits[i] > logits[best]) best = i;
        putchar(best);
        s = api->step(&model, &state, 1, work, 1, &best, logits);
    }
    puts("");
    if (s != BTC_OK) fprintf(stderr, "host: %s\n", api->status_text(s));
    api->close(&model);
    free(state), free(work), free(ids), free(logits);
    return s != BTC_OK;
}
