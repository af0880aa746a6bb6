/* Where the threads of a call meet (runtime/barrier.h): they really run, they wait for one another, and who
 * comes too late for the start has no part. */
#include <sched.h>
#include <stdlib.h>

#include "runtime/barrier.h"
#include "runtime/parallel.h"
#include "tools/check.h"

static void *block(size_t bytes) {
    return aligned_alloc(64, (bytes + 63) / 64 * 64);
}

typedef struct Meeting {
    int ran[4], n;
    btc_barrier *barrier;
    int64_t count;
    bool wrong;
} Meeting;

static void meet(void *ctx, int id, int n) {
    Meeting *m = ctx;
    m->ran[id] = 1;
    if (id == 0) m->n = n;
    for (int i = 0; i < 2000; i++) {
        if (id == i % n) m->count++; /* one writer per round; the barrier makes it visible */
        btc_barrier_wait(m->barrier, n);
        if (m->count != i + 1) m->wrong = true;
        btc_barrier_wait(m->barrier, n);
    }
}

static void check_two_threads_really_run(void) {
    btc_barrier *b = block(BTC_BARRIER_BYTES);
    for (int threads = 1; threads <= 3; threads++) {
        btc_barrier_init(b, threads == 3);
        Meeting m = {.barrier = b};
        CHECK(btc_parallel(threads, meet, &m));
        CHECK(m.n == threads);
        for (int i = 0; i < threads; i++) CHECK(m.ran[i]);
        CHECK(!m.wrong && m.count == 2000);
    }
    free(b);
}

typedef struct Gathering {
    btc_barrier *barrier;
    int64_t members[4], ids[4];
    bool late;           /* thread 2 comes when the others have given it up */
    _Atomic bool closed; /* they have */
} Gathering;

static void gather(void *ctx, int id, int n) {
    Gathering *g = ctx;
    while (g->late && id == 2 && !g->closed) sched_yield();
    int64_t mine = id, members = btc_barrier_gather(g->barrier, n, &mine);
    g->members[id] = members, g->ids[id] = mine;
    if (id == 0) g->closed = true;
    if (members) btc_barrier_wait(g->barrier, members);
}

/* Who comes in time takes part, numbered from 0 on; all of these know how many they are. */
static void check_gathering(void) {
    btc_barrier *b = block(BTC_BARRIER_BYTES);
    for (int round = 0; round < 40; round++) {
        int threads = 1 + round % 4, here = 0, sum = 0;
        Gathering g = {.barrier = b, .late = round % 8 >= 6};
        btc_barrier_init(b, round % 3 == 0);
        CHECK(btc_parallel(threads, gather, &g));
        CHECK(g.members[0] >= 1 && g.members[0] <= threads);
        for (int i = 0; i < threads; i++) {
            if (!g.members[i]) continue; /* late */
            CHECK(g.members[i] == g.members[0] && g.ids[i] >= 0 && g.ids[i] < g.members[0]);
            here++, sum += (int)g.ids[i];
        }
        CHECK(here == g.members[0] && sum == here * (here - 1) / 2);
        if (threads == 3 && g.late) CHECK(!g.members[2] && here < 3);
    }
    free(b);
}

int main(void) {
    check_two_threads_really_run();
    check_gathering();
    return check_report("barrier");
}
