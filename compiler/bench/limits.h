/* Measures the limits of this machine: memory bandwidth and peak arithmetic, the two lines of a roofline. Needs only
 * the C library and threads, so that benchmarks outside of the compiler can use it, too. */
#ifndef BTC_BENCH_LIMITS_H
#define BTC_BENCH_LIMITS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Memory to read from, far larger than any cache that a core has to itself, and how it may be computed. */
typedef struct Limits {
    char *data; /* [bytes], aligned to 4096 */
    size_t bytes;
    const void *kernels; /* the widest that the CPU runs */
} Limits;

/* bytes: a power of two from 1 MiB on; 0: 512 MiB. false: no memory. */
bool limits_open(Limits *l, size_t bytes);
void limits_close(Limits *l);

/* Bytes/s that the threads read together, each from a part of its own: the best of several patterns (1, 4 and
 * 8 streams, with and without prefetching), because a single stream does not reach the limit everywhere. */
double limits_bandwidth(const Limits *l, int threads);
/* f32 operations/s of all threads together, a fused multiply-add counted as two: independent chains in
 * registers, in the CPU's widest vectors. (CPUs without FMA: a multiplication and an addition.) */
double limits_peak(const Limits *l, int threads);
/* "512-bit vectors with FMA" */
const char *limits_vectors(const Limits *l);

/* Seconds of a clock that only goes forward. */
double limits_now(void);

#endif
