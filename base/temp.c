/* A thread waits for the signals, because a signal handler may do hardly anything. The lock is held while a file is
 * made, so the list is always complete. */
#include "temp.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

typedef struct Temp {
    struct Temp *next;
    bool folder;
    char name[];
} Temp;

/* Knows who holds it: out of memory may end the process in the middle of a change. */
static pthread_mutex_t lock = PTHREAD_ERRORCHECK_MUTEX_INITIALIZER_NP;
static Temp *all;
static pid_t child = -1;

/* ---- the list ---- */

/* Room for an entry; NULL: errno. Not taken from the arena, whose last resort is to remove all of these. */
static Temp *entry_new(const char *pattern, bool folder) {
    Temp *t = malloc(sizeof *t + strlen(pattern) + 1);
    if (t) t->folder = folder;
    return t;
}

static void add(Temp *t, const char *name) {
    t->next = all;
    strcpy(t->name, name);
    all = t;
}

int temp_file(char *pattern) {
    pthread_mutex_lock(&lock);
    Temp *t = entry_new(pattern, false);
    int fd = t ? mkstemp(pattern) : -1;
    if (fd >= 0)
        add(t, pattern);
    else
        free(t);
    pthread_mutex_unlock(&lock);
    return fd;
}

char *temp_folder(char *pattern) {
    pthread_mutex_lock(&lock);
    Temp *t = entry_new(pattern, true);
    char *name = t ? mkdtemp(pattern) : NULL;
    if (name)
        add(t, name);
    else
        free(t);
    pthread_mutex_unlock(&lock);
    return name;
}

void temp_forget(const char *name) {
    pthread_mutex_lock(&lock);
    for (Temp **p = &all; *p; p = &(*p)->next) {
        if (strcmp((*p)->name, name) != 0) continue;
        Temp *gone = *p;
        *p = gone->next;
        free(gone);
        break;
    }
    pthread_mutex_unlock(&lock);
}

static void remove_folder(const char *name) {
    DIR *dir = opendir(name);
    for (struct dirent *e; dir && (e = readdir(dir));)
        if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0) unlinkat(dirfd(dir), e->d_name, 0);
    if (dir) closedir(dir);
    rmdir(name);
}

void temp_folder_remove(const char *name) {
    remove_folder(name);
    temp_forget(name);
}

/* ---- the child ---- */

pid_t temp_child(pid_t (*start)(void *user), void *user) {
    pthread_mutex_lock(&lock);
    child = start(user);
    pid_t id = child;
    pthread_mutex_unlock(&lock);
    return id;
}

bool temp_child_wait(int *status) {
    pid_t id = child;
    siginfo_t info;
    /* It stays a zombie until the lock is held, so that its number means no other process. */
    while (waitid(P_PID, (id_t)id, &info, WEXITED | WNOWAIT) != 0)
        if (errno != EINTR) return false;
    pthread_mutex_lock(&lock);
    bool ok = waitpid(id, status, 0) == id;
    child = -1;
    pthread_mutex_unlock(&lock);
    return ok;
}

/* ---- the end ---- */

void temp_remove_all(void) {
    pthread_mutex_lock(&lock); /* for good: what another thread would make now is not made */
    if (child > 0) kill(child, SIGKILL), waitpid(child, NULL, 0);
    for (const Temp *t = all; t; t = t->next)
        if (!t->folder) unlink(t->name);
    for (const Temp *t = all; t; t = t->next)
        if (t->folder) remove_folder(t->name);
}

static sigset_t waited;

static void *wait_for_signals(void *unused) {
    (void)unused;
    int number = 0;
    if (sigwait(&waited, &number) != 0) return NULL;
    temp_remove_all();
    signal(number, SIG_DFL);
    sigset_t one;
    sigemptyset(&one);
    sigaddset(&one, number);
    pthread_sigmask(SIG_UNBLOCK, &one, NULL);
    kill(getpid(), number);
    return NULL;
}

void temp_clean_on_signals(void) {
    static const int ends[] = {SIGINT, SIGTERM, SIGHUP};
    bool any = false;
    sigemptyset(&waited);
    for (size_t i = 0; i < sizeof ends / sizeof *ends; i++) {
        struct sigaction now;
        if (sigaction(ends[i], NULL, &now) != 0 || now.sa_handler == SIG_IGN) continue; /* nohup */
        sigaddset(&waited, ends[i]);
        any = true;
    }
    pthread_t thread;
    sigset_t before;
    if (!any || pthread_sigmask(SIG_BLOCK, &waited, &before) != 0) return;
    if (pthread_create(&thread, NULL, wait_for_signals, NULL) == 0)
        pthread_detach(thread);
    else
        pthread_sigmask(SIG_SETMASK, &before, NULL);
}
