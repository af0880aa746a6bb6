/* A host for models that take bytes: goes on from a text, with the likeliest byte each time.
 *     gcc -std=c11 -I runtime examples/host.c -ldl -o host && ./host ./model.so "In the beginning" 200 */
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "btc.h"

int main(int argc, char **argv) {
    void *library = argc == 4 ? dlopen(argv[1], RTLD_NOW) : NULL;
    btc_query_fn *query = library ? (btc_query_fn *)(size_t)dlsym(library, "btc_query") : NULL;
    const btc_api *btc = query ? query(BTC_ABI_VERSION) : NULL;
    if (!btc || btc->info->text != BTC_TEXT_BYTES) return puts("usage: host MODEL.so TEXT COUNT"), 2;

    btc_model model;
    btc_status s = btc->open(&model, NULL, 0);
    if (s != BTC_OK) return puts(btc->status_text(s)), 1;
    void *state = aligned_alloc(64, (size_t)btc->info->state_bytes);
    size_t work_bytes = btc->work_bytes(1);
    void *work = aligned_alloc(64, (work_bytes + 63) / 64 * 64);
    float *logits = malloc(sizeof(float) * (size_t)btc->info->output_width);
    int32_t *ids = malloc(sizeof(int32_t) * (strlen(argv[2]) + 1)), n = 0;
    if (btc->info->bos >= 0) ids[n++] = (int32_t)btc->info->bos;
    for (const char *c = argv[2]; *c; c++) ids[n++] = (unsigned char)*c;

    btc->init(&model, state);
    btc->work_init(&model, work, work_bytes);
    s = btc->prefill(&model, state, work, 1, ids, n, logits);
    for (int left = atoi(argv[3]); s == BTC_OK && left > 0; left--) {
        int32_t best = 0;
        for (int32_t i = 1; i < btc->info->output_width; i++)
            if (logits[i] > logits[best]) best = i;
        putchar(best);
        s = btc->step(&model, &state, 1, work, 1, &best, logits);
    }
    puts(s == BTC_OK ? "" : btc->status_text(s));
    btc->close(&model);
    return s != BTC_OK;
}
