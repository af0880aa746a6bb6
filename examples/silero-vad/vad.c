/* Finds speech in a stream of sound: f32 samples at 16 kHz on standard input, a line with the time and the probability of
 * speech for every 32 ms on standard output. The model is a library that btc made of silero-vad.json:
 *     btc examples/silero-vad/silero-vad.json -o vad.so
 *     gcc -I runtime examples/silero-vad/vad.c -ldl -o vad && ./vad ./vad.so <sound.f32 */
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>

#include "btc.h"

enum { FRAME = 512, RATE = 16000 };

static int fail(const char *what, const char *why) {
    fprintf(stderr, "vad: %s: %s\n", what, why);
    return 1;
}

int main(int argc, char **argv) {
    void *library = argc == 2 ? dlopen(argv[1], RTLD_NOW) : NULL;
    if (!library) return fail("usage: vad ./MODEL.so <SOUND", argc == 2 ? dlerror() : "which library?");
    btc_query_fn *query;
    *(void **)&query = dlsym(library, "btc_query");
    const btc_api *api = query ? query(BTC_ABI_VERSION) : NULL;
    if (!api || api->info->input_width != FRAME || api->info->output_width != 1)
        return fail(argv[1], "is no library of this model");
    btc_model model;
    btc_status s = api->open(&model, NULL, 0);
    if (s != BTC_OK) return fail("open", api->status_text(s));
    size_t bytes = api->work_bytes(1);
    void *state = aligned_alloc(64, (size_t)api->info->state_bytes),
         *work = aligned_alloc(64, (bytes + 63) / 64 * 64);
    if (!state || !work) return fail("memory", "there is none");
    api->work_init(&model, work, bytes);
    api->init(&model, state);
    float x[FRAME], speech;
    for (long n = 0; fread(x, sizeof x, 1, stdin) == 1; n++) {
        s = api->step(&model, &state, 1, work, 1, x, &speech);
        if (s != BTC_OK) return fail("step", api->status_text(s));
        printf("%8.3f %.6f\n", (double)(n * FRAME) / RATE, (double)speech);
    }
    api->close(&model);
    return 0;
}
