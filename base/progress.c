#include "progress.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#include "arena.h"

enum { DEEPEST = 6, WORDS = 96, LINE = 512, BAR = 20 };
static const double FIRST = 1, AGAIN = 0.25,
                    FIRST_LINE = 30; /* seconds; the last where there is no terminal */

typedef struct Phase {
    char what[WORDS], note[WORDS];
    int64_t all;
    _Atomic int64_t done;
    double start;
} Phase;

struct Progress {
    pthread_t thread;
    pthread_mutex_t lock; /* of all but the steps done */
    pthread_cond_t end;
    Phase phases[DEEPEST];
    int n, beyond; /* beyond: phases deeper than that, which are not shown */
    _Atomic(Phase *) inner;
    double start, next; /* when something is to be written */
    bool terminal, ended, drawn;
};

static double clock_now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

typedef struct Words {
    char s[LINE];
    size_t n;
} Words;

static void add(Words *w, const char *text) {
    size_t n = strlen(text), room = sizeof w->s - 1 - w->n;
    if (n > room) n = room;
    memcpy(w->s + w->n, text, n);
    w->s[w->n += n] = 0;
}

/* The outermost phase whose steps are known has the bar and the time left. */
static void describe(Progress *p, Words *w) {
    bool timed = false;
    char text[WORDS];
    double now = clock_now();
    for (int i = 0; i < p->n; i++) {
        const Phase *x = &p->phases[i];
        int64_t done = atomic_load(&x->done), all = x->all;
        if (done > all && all) done = all;
        add(w, i ? ": " : "");
        add(w, x->what);
        if (all && !timed && p->terminal) {
            int full = (int)((double)BAR * (double)done / (double)all);
            snprintf(text, sizeof text, " [%.*s%.*s]", full, "####################", BAR - full,
                     "....................");
            add(w, text);
        }
        if (all) snprintf(text, sizeof text, " %lld of %lld", (long long)done, (long long)all), add(w, text);
        if (all && !timed && done && done < all) {
            snprintf(text, sizeof text, ", %.0f s left",
                     (now - x->start) / (double)done * (double)(all - done));
            add(w, text);
        }
        timed |= all > 0;
        if (*x->note) add(w, "  "), add(w, x->note);
    }
    if (!timed || !p->terminal) snprintf(text, sizeof text, ", %.0f s", now - p->start), add(w, text);
}

static int columns(void) {
    struct winsize size;
    return ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 8 ? size.ws_col : 80;
}

static void clear(Progress *p) {
    if (p->drawn) fputs("\r\033[K", stderr), fflush(stderr);
    p->drawn = false;
}

static void show(Progress *p) {
    if (!p->n) return;
    Words w = {.n = 0};
    w.s[0] = 0;
    describe(p, &w);
    if (p->terminal) {
        fprintf(stderr, "\r\033[K%.*s", columns() - 1, w.s);
        fflush(stderr);
        p->drawn = true;
    } else {
        fprintf(stderr, "btc: %s\n", w.s);
    }
}

static void *keep_showing(void *user) {
    Progress *p = user;
    pthread_mutex_lock(&p->lock);
    while (!p->ended) {
        double left = p->next - clock_now();
        if (left <= 0) {
            show(p);
            double now = clock_now();
            p->next = p->terminal ? now + AGAIN : p->start + 2 * (now - p->start);
            continue;
        }
        struct timespec at;
        clock_gettime(CLOCK_MONOTONIC, &at);
        double until = (double)at.tv_nsec * 1e-9 + left;
        at.tv_sec += (time_t)until, at.tv_nsec = (long)(1e9 * (until - (double)(time_t)until));
        pthread_cond_timedwait(&p->end, &p->lock, &at);
    }
    pthread_mutex_unlock(&p->lock);
    return NULL;
}

Progress *progress_new(bool quiet) {
    if (quiet) return NULL;
    Progress *p = xmalloc(sizeof *p);
    *p = (Progress){.start = clock_now(), .terminal = isatty(STDERR_FILENO)};
    p->next = p->start + (p->terminal ? FIRST : FIRST_LINE);
    pthread_condattr_t attr;
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_mutex_init(&p->lock, NULL);
    pthread_cond_init(&p->end, &attr);
    pthread_condattr_destroy(&attr);
    if (pthread_create(&p->thread, NULL, keep_showing, p) == 0) return p;
    free(p); /* no thread is to be had: the work goes on unseen */
    return NULL;
}

void progress_free(Progress *p) {
    if (!p) return;
    pthread_mutex_lock(&p->lock);
    p->ended = true;
    clear(p);
    pthread_cond_signal(&p->end);
    pthread_mutex_unlock(&p->lock);
    pthread_join(p->thread, NULL);
    pthread_cond_destroy(&p->end);
    pthread_mutex_destroy(&p->lock);
    free(p);
}

void progress_phase(Progress *p, const char *what, int64_t all) {
    if (!p) return;
    pthread_mutex_lock(&p->lock);
    if (p->n == DEEPEST) {
        p->beyond++;
        atomic_store(&p->inner, NULL);
    } else {
        Phase *x = &p->phases[p->n++];
        *x = (Phase){.all = all, .start = clock_now()};
        snprintf(x->what, sizeof x->what, "%s", what);
        atomic_store(&p->inner, x);
    }
    pthread_mutex_unlock(&p->lock);
}

void progress_step(Progress *p) {
    Phase *x = p ? atomic_load(&p->inner) : NULL;
    if (x) atomic_fetch_add(&x->done, 1);
}

void progress_done(Progress *p) {
    if (!p) return;
    pthread_mutex_lock(&p->lock);
    if (p->beyond) {
        p->beyond--;
    } else if (p->n) {
        p->n--;
    }
    atomic_store(&p->inner, p->n && !p->beyond ? &p->phases[p->n - 1] : NULL);
    pthread_mutex_unlock(&p->lock);
}

void progress_note(Progress *p, const char *note) {
    if (!p) return;
    pthread_mutex_lock(&p->lock);
    Phase *x = atomic_load(&p->inner);
    if (x) snprintf(x->note, sizeof x->note, "%s", note);
    pthread_mutex_unlock(&p->lock);
}

void progress_pause(Progress *p) {
    if (!p) return;
    pthread_mutex_lock(&p->lock);
    clear(p);
}

void progress_resume(Progress *p) {
    if (p) pthread_mutex_unlock(&p->lock);
}
