#include <errno.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/temp.h"
#include "link.h"

extern char **environ;

static void read_all(int fd, Text *t) {
    char buffer[4096];
    for (;;) {
        ssize_t n = read(fd, buffer, sizeof buffer);
        if (n > 0)
            text_add_n(t, buffer, (size_t)n);
        else if (n == 0 || errno != EINTR)
            return;
    }
}

typedef struct Child {
    const char *const *argv;
    int out; /* becomes its standard output and standard error */
    int other;
    const char *folder; /* in which it starts, or NULL */
    int error;
} Child;

static pid_t start(void *user) {
    Child *c = user;
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, c->out, 1);
    posix_spawn_file_actions_adddup2(&actions, c->out, 2);
    posix_spawn_file_actions_addclose(&actions, c->other);
    posix_spawn_file_actions_addclose(&actions, c->out);
    if (c->folder) posix_spawn_file_actions_addchdir_np(&actions, c->folder);
    posix_spawnattr_t attributes; /* signals that are not for our threads are for the child */
    sigset_t none;
    sigemptyset(&none);
    posix_spawnattr_init(&attributes);
    posix_spawnattr_setsigmask(&attributes, &none);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK);
    pid_t pid;
    /* posix_spawnp does not change the texts; its type is older than const */
    c->error =
        posix_spawnp(&pid, c->argv[0], &actions, &attributes, (char *const *)(uintptr_t)c->argv, environ);
    posix_spawn_file_actions_destroy(&actions);
    posix_spawnattr_destroy(&attributes);
    return c->error ? -1 : pid;
}

int spawn_and_wait(Arena *a, const char *folder, const char *const *argv, char **output) {
    int ends[2];
    *output = arena_strdup(a, "");
    if (pipe(ends) != 0) return -1;
    Child c = {.argv = argv, .folder = folder, .out = ends[1], .other = ends[0]};
    pid_t pid = temp_child(start, &c);
    close(ends[1]);
    if (pid < 0) {
        close(ends[0]);
        errno = c.error;
        return -1;
    }
    Text t = text_new(a);
    read_all(ends[0], &t);
    close(ends[0]);
    if (t.n) *output = t.s;
    int status;
    if (!temp_child_wait(&status)) return -1;
    return WIFEXITED(status) ? WEXITSTATUS(status) : -2;
}
