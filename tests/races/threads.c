/* btc_parallel on POSIX threads, for ThreadSanitizer: it sees how these start and end, which it does not of
 * OpenMP's. */
#include "runtime/parallel.h"

#include <pthread.h>
#include <stdlib.h>

enum { MOST = 8 };

typedef struct Member {
    void (*f)(void *ctx, int id, int n);
    void *ctx;
    int id, n;
} Member;

static void *run(void *user) {
    const Member *m = user;
    m->f(m->ctx, m->id, m->n);
    return NULL;
}

bool btc_parallel(int threads, void (*f)(void *ctx, int id, int n), void *ctx) {
    pthread_t handles[MOST];
    Member members[MOST];
    int n = threads < MOST ? threads : MOST;
    for (int i = 0; i < n; i++) {
        members[i] = (Member){f, ctx, i, n};
        if (i && pthread_create(&handles[i], NULL, run, &members[i])) abort();
    }
    f(ctx, 0, n);
    for (int i = 1; i < n; i++) pthread_join(handles[i], NULL);
    return true;
}

int btc_processors(void) {
    return MOST;
}
