/* The kernels of limits.c for one width of vectors; included once for each, with
 *     ID      a word for names            ATTRIBUTE  the target attribute of functions, or nothing
 *     BYTES   of a vector                 CHAINS     accumulators that fit the registers beside two operands
 *     FMA(a, x, y)  a*x + y on vectors */
#define JOIN_(a, b) a##_##b
#define JOIN(a, b) JOIN_(a, b)
#define NAME(x) JOIN(x, ID)

typedef float NAME(vec) __attribute__((vector_size(BYTES), aligned(BYTES), may_alias));

/* One cache line as one sum. */
ATTRIBUTE static inline NAME(vec) NAME(line)(const char *p) {
    NAME(vec) sum = {0};
    for (int i = 0; i < LINE; i += BYTES) sum += *(const NAME(vec) *)(const void *)(p + i);
    return sum;
}

/* Sums n bytes as equal streams, two lines of each in turn. The sum keeps the loads alive. */
#define READ(streams, prefetch)                                                                              \
    ATTRIBUTE static float NAME(JOIN(read##streams, prefetch))(const char *p, size_t n) {                    \
        NAME(vec) acc[streams] = {{0}};                                                                      \
        size_t each = n / (streams);                                                                         \
        for (size_t i = 0; i < each; i += 2 * LINE)                                                          \
            for (int s = 0; s < (streams); s++) {                                                            \
                const char *at = p + (size_t)s * each + i;                                                   \
                if (prefetch) {                                                                              \
                    __builtin_prefetch(at + AHEAD);                                                          \
                    __builtin_prefetch(at + AHEAD + LINE);                                                   \
                }                                                                                            \
                acc[s] += NAME(line)(at) + NAME(line)(at + LINE);                                            \
            }                                                                                                \
        for (int s = 1; s < (streams); s++) acc[0] += acc[s];                                                \
        return acc[0][0];                                                                                    \
    }
READ(1, 0)
READ(1, 1)
READ(2, 0)
READ(4, 0)
READ(4, 1)
READ(8, 0)
READ(8, 1)

ATTRIBUTE static float NAME(chains)(long turns) {
    NAME(vec) a[CHAINS], x, y;
    for (int i = 0; i < BYTES / 4; i++) x[i] = 0.999f, y[i] = 0.001f;
    for (int c = 0; c < CHAINS; c++) a[c] = x * (float)c;
    for (long t = 0; t < turns; t++)
#pragma GCC unroll 16
        for (int c = 0; c < CHAINS; c++) a[c] = FMA(a[c], x, y);
    for (int c = 1; c < CHAINS; c++) a[0] += a[c];
    return a[0][0];
}

static const Kernels NAME(kernels) = {
    {NAME(read1_0), NAME(read1_1), NAME(read2_0), NAME(read4_0), NAME(read4_1), NAME(read8_0), NAME(read8_1)},
    NAME(chains),
    BYTES,
    CHAINS,
    FUSED};

#undef READ
#undef NAME
#undef JOIN
#undef JOIN_
#undef ID
#undef ATTRIBUTE
#undef BYTES
#undef CHAINS
#undef FMA
#undef FUSED
