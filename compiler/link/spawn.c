#include <errno.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

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

int spawn_and_wait(Arena *a, const char *const *argv, char **output) {
    int ends[2];
    *output = arena_strdup(a, "");
    if (pipe(ends) != 0) return -1;
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, ends[1], 1);
    posix_spawn_file_actions_adddup2(&actions, ends[1], 2);
    posix_spawn_file_actions_addclose(&actions, ends[0]);
    posix_spawn_file_actions_addclose(&actions, ends[1]);
    pid_t pid;
    /* posix_spawnp does not change the texts; its type is older than const */
    int err = posix_spawnp(&pid, argv[0], &actions, NULL, (char *const *)(uintptr_t)argv, environ);
    posix_spawn_file_actions_destroy(&actions);
    close(ends[1]);
    if (err) {
        close(ends[0]);
        errno = err;
        return -1;
    }
    Text t = text_new(a);
    read_all(ends[0], &t);
    close(ends[0]);
    if (t.n) *output = t.s;
    int status;
    while (waitpid(pid, &status, 0) < 0)
        if (errno != EINTR) return -1;
    return WIFEXITED(status) ? WEXITSTATUS(status) : -2;
}
