/* A host that brings a model into the situations of real processes, one for each word of its command line:
 *     process_host MODEL.so WORD...
 *     N           a prompt and a step with N threads
 *     fork        goes on as a child does; the parent goes on behind the child's end, with the rest, too
 *     thread-fork the same, but another thread than the one that has run forks
 *     busy-fork   the same, while another thread is in calls
 *     raw-fork    as fork, by the system call alone: OpenMP does not hear of it
 *     region-fork a parallel region of the host, inside of which a thread forks; the child goes on inside
 *     shell       another program is run
 *     daemon      goes on as a grandchild without a terminal
 *     region      two threads of the host's own OpenMP run the model, each with two threads
 *     own         a parallel region of the host, without the model
 *     processes=N, memory=KIB    limits from here on
 *     stack=KIB   the same, from a thread with so little stack, with one thread and with two
 *     close       dlclose and dlopen; unload: dlclose alone
 * Prints a line per run: the status and a sum over all bits of the outputs, and at the end "end". */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <omp.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "thing.h"

enum { TOKENS = 40 };

static const char *path;
static void *library;
static const btc_api *api;
static btc_model model;

static int open_model(void) {
#ifdef LINKED
    api = thing_btc_query(BTC_ABI_VERSION);
#else
    library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (!library) return puts(dlerror()), 0;
    btc_query_fn *query = (btc_query_fn *)(uintptr_t)dlsym(library, "btc_query");
    api = query(BTC_ABI_VERSION);
#endif
    return api->open(&model, NULL, 0) == BTC_OK;
}

static void *block(size_t n) {
    return aligned_alloc(64, (n + 63) / 64 * 64);
}

static btc_status run(int threads, uint64_t *sum) {
    float out[THING_OUTPUT_WIDTH] = {0};
    int32_t ids[TOKENS];
    for (int i = 0; i < TOKENS; i++) ids[i] = (7 * i + 3) % THING_VOCAB;
    size_t bytes = api->work_bytes(threads);
    void *state = block(THING_STATE_BYTES), *work = block(bytes);
    if (!state || !work) return -1;
    api->init(&model, state);
    api->work_init(&model, work, bytes);
    btc_status s = api->prefill(&model, state, work, threads, ids, TOKENS, out);
    if (s == BTC_E_THREADS && api->position(&model, state) != 0) s = -2;
    if (s == BTC_OK) s = api->step(&model, &state, 1, work, threads, ids, out);
    *sum = 0;
    for (int i = 0; i < THING_OUTPUT_WIDTH; i++) {
        uint32_t bits;
        memcpy(&bits, &out[i], 4);
        *sum = *sum * 31 + bits;
    }
    free(state);
    free(work);
    return s;
}

static void report(int threads) {
    uint64_t sum = 0;
    btc_status s = run(threads, &sum);
    if (s == BTC_OK)
        printf("%016llx\n", (unsigned long long)sum);
    else
        printf("status %d\n", (int)s);
    fflush(stdout);
}

/* Whether we are the parent, whose child has ended well. */
static int after_fork(pid_t child) {
    int status = 0;
    if (child == 0) return 0;
    if (child < 0 || waitpid(child, &status, 0) != child || status != 0)
        printf("child: %s %d\n", WIFSIGNALED(status) ? "signal" : "status",
               WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
    return 1;
}

static int words(int n, char **word);

static void *fork_and_go_on(void *rest) {
    if (!after_fork(fork())) {
        char **word = rest;
        int n = 0;
        while (word[n]) n++;
        exit(words(n, word));
    }
    return NULL;
}

static _Atomic int stop;

static void *stay_busy(void *unused) {
    uint64_t sum;
    while (!stop) run(2, &sum);
    return unused;
}

static void fork_from_thread(char **rest, int busy) {
    pthread_t forker, worker;
    stop = 0;
    if (busy && pthread_create(&worker, NULL, stay_busy, NULL)) abort();
    if (busy) usleep(20000);
    if (pthread_create(&forker, NULL, fork_and_go_on, rest)) abort();
    pthread_join(forker, NULL);
    stop = 1;
    if (busy) pthread_join(worker, NULL);
}

static void limit(int what, const char *value, rlim_t unit) {
    rlim_t n = strtoull(value, NULL, 10) * unit;
    if (setrlimit(what, &(struct rlimit){n, RLIM_INFINITY}) && setrlimit(what, &(struct rlimit){n, n}))
        abort();
}

static void *run_both(void *unused) {
    report(1);
    report(2);
    return unused;
}

static void run_with_stack(const char *kib) {
    pthread_t t;
    pthread_attr_t a;
    pthread_attr_init(&a);
    if (pthread_attr_setstacksize(&a, strtoull(kib, NULL, 10) * 1024) ||
        pthread_create(&t, &a, run_both, NULL))
        abort();
    pthread_join(t, NULL);
}

static int words(int n, char **word) {
    for (int i = 0; i < n; i++) {
        if (!strcmp(word[i], "fork")) {
            after_fork(fork());
        } else if (!strcmp(word[i], "raw-fork")) {
            after_fork((pid_t)syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0));
        } else if (!strcmp(word[i], "region-fork")) {
#pragma omp parallel num_threads(2)
#pragma omp single
            if (!after_fork(fork())) _exit(words(n - i - 1, word + i + 1));
        } else if (!strcmp(word[i], "shell")) {
            if (system("true")) abort();
        } else if (!strcmp(word[i], "thread-fork") || !strcmp(word[i], "busy-fork")) {
            fork_from_thread(word + i + 1, *word[i] == 'b');
        } else if (!strcmp(word[i], "daemon")) {
            if (after_fork(fork())) return 0;
            setsid();
            if (after_fork(fork())) return 0;
        } else if (!strcmp(word[i], "own")) {
            int ran = 0;
#pragma omp parallel num_threads(3) reduction(+ : ran)
            ran++;
            if (ran == 0) abort();
        } else if (!strcmp(word[i], "region")) {
            uint64_t sum[2] = {0};
#pragma omp parallel num_threads(2)
            if (run(2, &sum[omp_get_thread_num()]) != BTC_OK) sum[0] = 1;
            printf("%016llx\n", (unsigned long long)(sum[1] && sum[0] != sum[1] ? 0 : sum[0]));
        } else if (!strncmp(word[i], "processes=", 10)) {
            limit(RLIMIT_NPROC, word[i] + 10, 1);
        } else if (!strncmp(word[i], "memory=", 7)) {
            limit(RLIMIT_AS, word[i] + 7, 1024);
        } else if (!strncmp(word[i], "stack=", 6)) {
            run_with_stack(word[i] + 6);
        } else if (!strcmp(word[i], "close") || !strcmp(word[i], "unload")) {
            api->close(&model);
            if (library) dlclose(library);
            if (*word[i] == 'c' && !open_model()) return 4;
        } else {
            report(atoi(word[i]));
        }
        fflush(stdout);
    }
    puts("end");
    fflush(stdout);
    return 0;
}

int main(int argc, char **argv) {
    if (argc < 2) return 2;
    path = argv[1];
    return open_model() ? words(argc - 2, argv + 2) : 3;
}
