/* btc_parallel without threads, for artefacts compiled with --threads=none. */
#include "parallel.h"

bool btc_parallel(int threads, void (*f)(void *ctx, int id, int n), void *ctx) {
    (void)threads;
    f(ctx, 0, 1);
    return true;
}

int btc_processors(void) {
    return 1;
}
