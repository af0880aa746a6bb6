/* How many threads a call uses (runtime/pace.h), on made-up machines: time is what they say, so nothing here
 * depends on the machine that runs the test. */
#include "runtime/pace.h"

#include <stdlib.h>
#include <string.h>

#include "../tools/check.h"

enum { MODEL = 77, MOST = 16 };
#define MICRO ((int64_t)1000)
#define MILLI ((int64_t)1000000)

/* A machine: rows take `work` on one thread and work/n on n, and `lost` more when they are more than `good`.
 */
typedef struct Machine {
    int64_t work, lost, now;
    int good;
} Machine;

static int processors = MOST;
static int asked;

static int count_processors(void) {
    asked++;
    return processors;
}

typedef struct Run {
    int64_t time;     /* of the machine */
    int64_t rows;     /* that it has done */
    int64_t wide;     /* time with more threads than `good` */
    int64_t most;     /* calls with all threads */
    int least, calls; /* the fewest threads; calls in all */
    bool outside;     /* a number of threads that was not offered */
} Run;

static Run run_for(btc_pace *p, Machine *m, int threads, int64_t time) {
    Run r = {.least = MOST};
    int64_t start = m->now;
    while (m->now - start < time) {
        int n = btc_pace_begin(p, MODEL, threads, m->now, count_processors).threads;
        int64_t lost = n > m->good ? m->lost : 0, took = m->work / (n > 0 ? n : 1) + lost;
        m->now += took;
        btc_outcome o = {1, lost * (n - 1), lost > 0};
        btc_pace_end(p, &o, m->now, count_processors);
        r.rows++, r.calls++, r.most += n == threads;
        if (n > m->good) r.wide += took;
        if (n < r.least) r.least = n;
        r.outside |= n < 1 || n > threads;
    }
    r.time = m->now - start;
    return r;
}

static btc_pace *new_pace(int byte) {
    void *p = aligned_alloc(64, BTC_PACE_BYTES);
    memset(p, byte, BTC_PACE_BYTES);
    return p;
}

/* Where nobody waits nothing is tried and nothing asked. */
static void check_quiet(void) {
    static const int fill[] = {0, 0xff, 0x01, 0x5a};
    for (int threads = 2; threads <= MOST; threads *= 2) {
        btc_pace *p = new_pace(fill[threads % 4]);
        Machine m = {.work = 300 * MICRO, .good = MOST, .now = 5};
        asked = 0;
        Run r = run_for(p, &m, threads, 2000 * MILLI);
        CHECK(r.least == threads && !r.outside && asked == 0);
        free(p);
    }
}

/* Work of 0.05 to 50 ms where each call of two threads loses a slice, or seconds: never below 0.8 of one. */
static void check_busy(void) {
    static const int64_t works[] = {50 * MICRO, 1 * MILLI, 50 * MILLI}, losses[] = {1, 4, 100, 3000};
    for (int w = 0; w < 3; w++)
        for (int l = 0; l < 4; l++) {
            btc_pace *p = new_pace(0);
            Machine m = {.work = works[w], .lost = losses[l] * MILLI + works[w], .good = 1};
            int64_t horizon = 40 * (m.lost + 20 * MILLI);
            run_for(p, &m, 2, horizon); /* the first calls know nothing */
            Run r = run_for(p, &m, 2, horizon);
            double one = (double)r.time / (double)m.work;
            if (!CHECK((double)r.rows >= 0.8 * one))
                fprintf(stderr, "    work %lld lost %lld: %.3f\n", (long long)m.work, (long long)m.lost,
                        (double)r.rows / one);
            m.good = 2; /* quiet again: wide most of the time, soon */
            run_for(p, &m, 2, 200 * (m.lost + 20 * MILLI));
            r = run_for(p, &m, 2, 1000 * MILLI);
            CHECK(r.most == r.calls);
            free(p);
        }
}

/* A stall now and then is no reason, when all threads are faster in spite of it. */
static void check_rare_stalls(void) {
    btc_pace *p = new_pace(0);
    Machine m = {.work = 4 * MILLI, .good = 1};
    int64_t calls = 0, wide = 0;
    for (int i = 0; i < 200; i++) {
        m.lost = i % 20 == 7 ? 2 * MILLI : 0;
        Run r = run_for(p, &m, 2, 1);
        calls += r.calls, wide += r.most;
    }
    CHECK(wide * 10 >= calls * 8);
    free(p);
}

/* Many threads: as many as serve, found by doubling; never more than there are processors. */
static void check_width(void) {
    for (int good = 1; good <= 8; good *= 2) {
        btc_pace *p = new_pace(0);
        Machine m = {.work = 4 * MILLI, .lost = 30 * MILLI, .good = good};
        run_for(p, &m, MOST, 3000 * MILLI);
        Run r = run_for(p, &m, MOST, 10000 * MILLI);
        CHECK(r.least == good && r.wide * 5 < r.time && !r.outside);
        free(p);
    }
    for (int n = 0; n <= 4; n++) {
        btc_pace *p = new_pace(0);
        Machine m = {.work = 1 * MILLI, .lost = 30 * MILLI, .good = n > 0 ? n : 1};
        processors = n;
        run_for(p, &m, 8, 100 * MILLI);
        Run r = run_for(p, &m, 8, 5000 * MILLI);
        CHECK(r.wide == 0 && !r.outside);
        processors = MOST; /* more are allowed later */
        m.good = 8;
        run_for(p, &m, 8, 5000 * MILLI);
        r = run_for(p, &m, 8, 1000 * MILLI);
        CHECK(r.least == 8);
        free(p);
    }
}

/* What is known belongs to a model, a number of threads and a place; a copy of a block knows nothing. */
static void check_owner(void) {
    btc_pace *p = new_pace(0), *q = new_pace(0);
    Machine m = {.work = 1 * MILLI, .lost = 30 * MILLI, .good = 1};
    run_for(p, &m, 4, 1000 * MILLI);
    for (int i = 0; i < 100 && btc_pace_begin(p, MODEL, 4, m.now, count_processors).threads != 1; i++)
        run_for(p, &m, 4, 1);
    memcpy(q, p, BTC_PACE_BYTES);
    CHECK(btc_pace_begin(q, MODEL, 4, m.now, count_processors).threads == 4);
    CHECK(btc_pace_begin(p, MODEL, 4, m.now, count_processors).threads == 1);
    CHECK(btc_pace_begin(p, MODEL, 8, m.now, count_processors).threads == 8);
    CHECK(btc_pace_begin(p, MODEL + 1, 8, m.now, count_processors).threads == 8);
    free(p);
    free(q);
}

/* A block with anything in it gives numbers of threads that were offered. */
static void check_garbage(void) {
    unsigned seed = 1;
    btc_pace *p = new_pace(0);
    for (int round = 0; round < 2000; round++) {
        Machine m = {.work = 1 * MILLI, .lost = 9 * MILLI, .good = 1 + round % 3};
        run_for(p, &m, 3, 1);
        unsigned char *bytes = (void *)p;
        for (int i = 0; i < 3; i++) {
            seed = seed * 1664525u + 1013904223u;
            bytes[8 + (seed >> 8) % (BTC_PACE_BYTES - 8)] = (unsigned char)(seed >> 24);
        }
        Run r = run_for(p, &m, 3, 1);
        CHECK(!r.outside);
    }
    free(p);
}

int main(void) {
    check_quiet();
    check_busy();
    check_rare_stalls();
    check_width();
    check_owner();
    check_garbage();
    return check_report("pace");
}
