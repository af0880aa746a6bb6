/* See limits.h. The kernels are compiled for every vector width (limits_kernels.h), because btc itself is compiled
 * for the oldest CPU; the CPU decides which of them runs. */
#include "limits.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/arena.h"

enum { LINE = 64, AHEAD = 1024, PATTERNS = 7, VECTORS_TEXT = 64 };

typedef struct Kernels {
    float (*read[PATTERNS])(const char *p, size_t n);
    float (*chains)(long turns);
    int bytes, count; /* of a vector; chains */
    bool fused;
} Kernels;

#if defined(__x86_64__)
#include <immintrin.h>
#define ID avx512
#define ATTRIBUTE __attribute__((target("avx512f,avx2,fma")))
#define BYTES 64
#define CHAINS 16
#define FMA(a, x, y) ((vec_avx512)_mm512_fmadd_ps((__m512)(a), (__m512)(x), (__m512)(y)))
#define FUSED true
#include "limits_kernels.h"

#define ID avx2
#define ATTRIBUTE __attribute__((target("avx2,fma")))
#define BYTES 32
#define CHAINS 12
#define FMA(a, x, y) ((vec_avx2)_mm256_fmadd_ps((__m256)(a), (__m256)(x), (__m256)(y)))
#define FUSED true
#include "limits_kernels.h"
#elif defined(__aarch64__)
#include <arm_neon.h>
#define ID neon
#define ATTRIBUTE
#define BYTES 16
#define CHAINS 16
#define FMA(a, x, y) ((vec_neon)vfmaq_f32((float32x4_t)(y), (float32x4_t)(a), (float32x4_t)(x)))
#define FUSED true
#include "limits_kernels.h"
#endif

#define ID plain
#define ATTRIBUTE
#define BYTES 16
#define CHAINS 8
#define FMA(a, x, y) ((a) * (x) + (y))
#define FUSED false
#include "limits_kernels.h"

static const Kernels *choose_kernels(void) {
#if defined(__x86_64__)
    __builtin_cpu_init();
    if (__builtin_cpu_supports("avx512f")) return &kernels_avx512;
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) return &kernels_avx2;
#elif defined(__aarch64__)
    return &kernels_neon;
#endif
    return &kernels_plain;
}

const char *limits_vectors(const Limits *l) {
    const Kernels *k = l->kernels;
    return k->bytes == 64   ? "512-bit vectors with FMA"
           : k->bytes == 32 ? "256-bit vectors with FMA"
           : k->fused       ? "128-bit vectors with FMA"
                            : "128-bit vectors without FMA";
}

double limits_now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* ---- work on several threads ---- */

/* All begin together, behind a line whose length is known when the last has been made. */
typedef struct Start {
    pthread_mutex_t gate;
    pthread_barrier_t line;
} Start;

typedef struct Worker {
    Start *start;                           /* NULL: at once */
    float (*read)(const char *p, size_t n); /* NULL: chains */
    float (*chains)(long turns);
    const char *p;
    size_t n;
    long turns;
    double begin, end;
    volatile float sink;
} Worker;

static void *work(void *user) {
    Worker *w = user;
    if (w->start) {
        pthread_mutex_lock(&w->start->gate);
        pthread_mutex_unlock(&w->start->gate);
        pthread_barrier_wait(&w->start->line);
    }
    w->begin = limits_now();
    w->sink = w->read ? w->read(w->p, w->n) : w->chains(w->turns);
    w->end = limits_now();
    return NULL;
}

/* Seconds from the first thread's start to the last one's end. The caller is the first of them; when the
 * system has no further threads, it does their work, too, and the figure is what it then deserves. */
static double run_workers(Worker *w, int threads) {
    pthread_t *t = xmalloc((size_t)threads * sizeof *t);
    Start start = {.gate = PTHREAD_MUTEX_INITIALIZER};
    int made = 1;
    pthread_mutex_lock(&start.gate);
    for (int i = 0; i < threads; i++) w[i].start = &start;
    while (made < threads && pthread_create(&t[made], NULL, work, &w[made]) == 0) made++;
    pthread_barrier_init(&start.line, NULL, (unsigned)made);
    pthread_mutex_unlock(&start.gate);
    work(&w[0]);
    for (int i = 1; i < made; i++) pthread_join(t[i], NULL);
    pthread_barrier_destroy(&start.line);
    pthread_mutex_destroy(&start.gate);
    for (int i = made; i < threads; i++) w[i].start = NULL, work(&w[i]);
    free(t);
    double begin = w[0].begin, end = w[0].end;
    for (int i = 1; i < threads; i++) {
        if (w[i].begin < begin) begin = w[i].begin;
        if (w[i].end > end) end = w[i].end;
    }
    return end - begin;
}

static double best_rate(const Worker *model, int threads, size_t part, double all) {
    enum { ROUNDS = 3 };
    double best = 0;
    Worker *w = xmalloc((size_t)threads * sizeof *w);
    for (int r = 0; r < ROUNDS; r++) {
        for (int i = 0; i < threads; i++) w[i] = *model, w[i].p = model->p + (size_t)i * part;
        double rate = all / run_workers(w, threads);
        if (rate > best) best = rate;
    }
    free(w);
    return best;
}

double limits_bandwidth(const Limits *l, int threads) {
    const Kernels *k = l->kernels;
    size_t whole = 16 * LINE; /* of every pattern */
    size_t part = l->bytes / (size_t)threads / whole * whole;
    double best = 0;
    for (int i = 0; i < PATTERNS; i++) {
        Worker w = {.read = k->read[i], .p = l->data, .n = part};
        double rate = best_rate(&w, threads, part, (double)part * threads);
        if (rate > best) best = rate;
    }
    return best;
}

double limits_peak(const Limits *l, int threads) {
    enum { TURNS = 2000000 };
    const Kernels *k = l->kernels;
    Worker w = {.chains = k->chains, .turns = TURNS};
    return best_rate(&w, threads, 0, 2.0 * TURNS * k->count * k->bytes / 4 * threads);
}

bool limits_open(Limits *l, size_t bytes) {
    *l = (Limits){.bytes = bytes ? bytes : (size_t)512 << 20, .kernels = choose_kernels()};
    l->data = aligned_alloc(4096, l->bytes);
    if (l->data) memset(l->data, 0, l->bytes);
    return l->data != NULL;
}

void limits_close(Limits *l) {
    free(l->data);
    *l = (Limits){0};
}
