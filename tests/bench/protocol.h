/* How the measured programs are controlled: one request per line on stdin, one answer per line on stdout, so that a
 * script can let several of them work in turn. Both engines know the same requests (a state is a number from 0
 * on; an answer that begins with "error" is the end):
 *     reset K          state K is the start of a sequence                   -> 0
 *     advance T K N    N tokens of prompt on T threads                      -> seconds
 *     steps T K B N    N steps of the B states from K on                    -> seconds
 *     logits FILE      the output of the last request, as f32               -> how many
 *     memory           resident bytes now, and the most so far              -> bytes bytes
 * Every engine is given the same tokens. */
#ifndef BENCH_PROTOCOL_H
#define BENCH_PROTOCOL_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static inline double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* The token at position i; any do, as nothing looks at what they say. */
static inline int32_t token_at(int64_t i, int64_t vocab) {
    return (int32_t)((i * 7919 + 13) % vocab);
}

static inline void answer_error(const char *text) {
    printf("error %s\n", text);
    fflush(stdout);
    exit(1);
}

static inline void answer(double value) {
    printf("%.9g\n", value);
    fflush(stdout);
}

static inline void answer_logits(const char *file, const float *logits, int64_t n) {
    FILE *f = fopen(file, "wb");
    if (!f || fwrite(logits, 4, (size_t)n, f) != (size_t)n || fclose(f) != 0)
        answer_error("cannot write logits");
    answer((double)n);
}

static inline void answer_memory(void) {
    char line[256];
    long long now_kb = 0, most_kb = 0;
    FILE *f = fopen("/proc/self/status", "r");
    if (!f) answer_error("no /proc/self/status");
    while (fgets(line, sizeof line, f)) {
        sscanf(line, "VmRSS: %lld", &now_kb);
        sscanf(line, "VmHWM: %lld", &most_kb);
    }
    fclose(f);
    printf("%lld %lld\n", now_kb * 1024, most_kb * 1024);
    fflush(stdout);
}

#endif
