#include "work.h"

#include <pthread.h>
#include <stdatomic.h>

#include "processors.h"

enum { MOST_THREADS = 64 };

typedef struct Work {
    int64_t n;
    WorkItem *item;
    void *user;
    _Atomic int64_t next;
} Work;

static void *take_pieces(void *user) {
    Work *w = user;
    for (int64_t i; (i = atomic_fetch_add(&w->next, 1)) < w->n;) w->item(w->user, i);
    return NULL;
}

void work_share(int64_t n, WorkItem *item, void *user) {
    Work w = {.n = n, .item = item, .user = user};
    pthread_t threads[MOST_THREADS];
    int most = n > 1 ? usable_processors() : 1;
    if (most > MOST_THREADS) most = MOST_THREADS;
    int made = 0;
    while (made + 1 < most && made + 1 < n && !pthread_create(&threads[made], NULL, take_pieces, &w)) made++;
    take_pieces(&w);
    for (int i = 0; i < made; i++) pthread_join(threads[i], NULL);
}
