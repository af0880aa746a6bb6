/* Speed of one compiled model against this machine's own limits, all measured in this run:
 *     read bandwidth   the best of three patterns over 512 MB (one stream, 4 streams, 8 streams)
 *     FMA peak         independent chains of vector FMAs in registers
 *     decode           tokens/s of single steps, and the share of the bandwidth that weights + 2 states make
 *     prefill          tokens/s of `prefill`, and the share of the FMA peak
 * Usage: bench MODEL.so THREADS PROMPT STEP_BYTES PREFILL_FLOPS; the last two are per token, as `btc report
 * --json` counts them (weights once, the state twice; the head for the last token only). tests/bench/run.sh
 * does it all. */
#include <dlfcn.h>
#include <omp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "btc.h"

typedef float vec __attribute__((vector_size(64)));
enum { REPEATS = 5 };
static const size_t BYTES = 512u << 20;

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static int by_value(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median(double *x, int n) {
    qsort(x, (size_t)n, sizeof *x, by_value);
    return x[n / 2];
}

/* Sums n vectors as `streams` streams; the result keeps the loads alive. */
static float read_streams(const vec *p, size_t n, int streams) {
    vec acc[8] = {{0}};
    size_t each = n / (size_t)streams;
    switch (streams) {
#define PATTERN(S)                                                                                           \
    case S:                                                                                                  \
        for (size_t i = 0; i + 2 <= each; i += 2)                                                            \
            for (int s = 0; s < S; s++) {                                                                    \
                __builtin_prefetch(p + (size_t)s * each + i + 16);                                           \
                acc[s] += p[(size_t)s * each + i] + p[(size_t)s * each + i + 1];                             \
            }                                                                                                \
        break;
        PATTERN(1)
        PATTERN(4)
        PATTERN(8)
    }
    for (int s = 1; s < 8; s++) acc[0] += acc[s];
    return acc[0][0];
}

static double bandwidth(int threads, const vec *data) {
    static const int patterns[] = {1, 4, 8};
    double best = 0;
    volatile float sink = 0;
    for (int k = 0; k < 3; k++)
        for (int r = 0; r < 3; r++) {
            double start = now();
#pragma omp parallel num_threads(threads)
            {
                int id = omp_get_thread_num();
                size_t n = BYTES / sizeof(vec) / (size_t)threads;
                sink += read_streams(data + (size_t)id * n, n, patterns[k]);
            }
            double rate = (double)BYTES / (now() - start);
            if (rate > best) best = rate;
        }
    return best;
}

static double fma_peak(int threads) {
    double best = 0;
    volatile float sink = 0;
    enum { N = 4000000, CHAINS = 12 };
    for (int r = 0; r < 5; r++) {
        double start = now();
#pragma omp parallel num_threads(threads)
        {
            vec a[CHAINS], x, y;
            for (int i = 0; i < 16; i++) x[i] = 0.999f, y[i] = 0.001f;
            for (int c = 0; c < CHAINS; c++) a[c] = x;
            for (long i = 0; i < N; i++)
                for (int c = 0; c < CHAINS; c++) a[c] = a[c] * x + y;
            float s = 0;
            for (int c = 0; c < CHAINS; c++) s += a[c][0];
            sink += s;
        }
        double rate = 2.0 * 16 * CHAINS * N * threads / (now() - start);
        if (rate > best) best = rate;
    }
    return best;
}

static void *blocks(size_t n) {
    void *p = aligned_alloc(64, (n + 63) / 64 * 64);
    memset(p, 0, n);
    return p;
}

int main(int argc, char **argv) {
    if (argc != 6)
        return fprintf(stderr, "usage: bench MODEL.so THREADS PROMPT STEP_BYTES PREFILL_FLOPS\n"), 2;
    int threads = atoi(argv[2]);
    int64_t prompt = atoll(argv[3]);
    double bytes = atof(argv[4]), flops = atof(argv[5]);
    void *lib = dlopen(argv[1], RTLD_NOW);
    if (!lib) return fprintf(stderr, "%s\n", dlerror()), 1;
    btc_query_fn *query;
    *(void **)&query = dlsym(lib, "btc_query");
    const btc_api *api = query(BTC_ABI_VERSION);
    const btc_info *info = api->info;
    btc_model m;
    if (api->open(&m, NULL, BTC_OPEN_POPULATE) != BTC_OK) return 1;
    vec *data = blocks(BYTES);
    memset(data, 0, BYTES);
    void *state = blocks((size_t)info->state_bytes), *work = blocks(api->work_bytes(threads));
    float *out = blocks((size_t)info->output_width * 4);
    int32_t *ids = blocks((size_t)prompt * 4);
    for (int64_t i = 0; i < prompt; i++) ids[i] = (int32_t)((i * 7919 + 13) % info->vocab);
    double bw[REPEATS], peak[REPEATS], decode[REPEATS], prefill[REPEATS], share[REPEATS], arith[REPEATS];
    for (int r = 0; r < REPEATS; r++) {
        bw[r] = bandwidth(threads, data), peak[r] = fma_peak(threads);
        api->init(&m, state);
        double start = now();
        if (api->prefill(&m, state, work, threads, ids, prompt, out) != BTC_OK) return 1;
        prefill[r] = (double)prompt / (now() - start);
        int n = 0;
        start = now();
        while (now() - start < 1.5) {
            if (api->step(&m, &state, 1, work, threads, &ids[n % prompt], out) != BTC_OK) break;
            n++;
        }
        decode[r] = n / (now() - start);
        share[r] = decode[r] * bytes / bw[r], arith[r] = prefill[r] * flops / peak[r];
    }
    printf("%s: %lld parameters, %d thread(s), prompt %lld\n", info->name, (long long)info->parameters,
           threads, (long long)prompt);
    printf("  read bandwidth %6.1f GB/s   FMA peak %7.1f GFLOP/s\n", median(bw, REPEATS) * 1e-9,
           median(peak, REPEATS) * 1e-9);
    printf("  decode  %8.1f tokens/s = %.2f of bandwidth\n", median(decode, REPEATS), median(share, REPEATS));
    printf("  prefill %8.1f tokens/s = %.2f of FMA peak\n", median(prefill, REPEATS), median(arith, REPEATS));
    return 0;
}
