/* See beside.h. The loader knows a library by the name that dlopen got, a program by its argv[0], the kernel
 * by the path of execve: all may be relative, to a folder that is no longer the current one, or be links. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* dladdr */
#endif
#include "beside.h"

#include <dlfcn.h>
#include <fcntl.h>
#include <string.h>
#include <sys/auxv.h>
#include <unistd.h>

enum { PATH_LIMIT = 4096, MOST_LINKS = 40 };

typedef struct Places {
    const btc_artifact *artifact;
    bool (*found)(void *user, const char *path);
    void *user;
} Places;

/* Writes a+b into out [PATH_LIMIT], where a counts na bytes. */
static bool join(char *out, const char *a, size_t na, const char *b) {
    size_t nb = strlen(b);
    if (na + nb + 1 > PATH_LIMIT) return false;
    memcpy(out, a, na);
    memcpy(out + na, b, nb + 1);
    return true;
}

static size_t folder_of(const char *path) {
    const char *slash = strrchr(path, '/');
    return slash ? (size_t)(slash + 1 - path) : 0;
}

static bool look_beside(const Places *p, const char *self) {
    char path[PATH_LIMIT];
    if (join(path, self, strlen(self), ".weights") && p->found(p->user, path)) return true;
    const char *name = p->artifact->weights_file;
    return name && join(path, self, folder_of(self), name) && p->found(p->user, path);
}

/* Beside `name`, and beside what it is a link to, and so on. */
static bool look_along(const Places *p, const char *name) {
    char self[PATH_LIMIT], target[PATH_LIMIT], next[PATH_LIMIT];
    if (!strchr(name, '/')) return false; /* a bare name says nothing about the folder */
    if (!join(self, name, strlen(name), "")) return false;
    for (int links = 0; links <= MOST_LINKS; links++) {
        if (look_beside(p, self)) return true;
        ssize_t n = readlink(self, target, sizeof target - 1);
        if (n <= 0) return false;
        target[n] = 0;
        if (!join(next, self, target[0] == '/' ? 0 : folder_of(self), target)) return false;
        memcpy(self, next, strlen(next) + 1);
    }
    return false;
}

/* ---- the file that is mapped at an address: a line of /proc/self/maps ---- */

static uintptr_t hex(const char **at) {
    uintptr_t x = 0;
    for (;; (*at)++) {
        char c = **at;
        int digit = c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
        if (digit < 0) return x;
        x = x * 16 + (uintptr_t)digit;
    }
}

/* "7f00-7f80 r-xp 00000000 08:01 1234   /path": its path if the address is in the range. */
static const char *path_of(const char *line, uintptr_t address) {
    uintptr_t begin = hex(&line);
    if (*line++ != '-' || address < begin || address >= hex(&line)) return NULL;
    return strchr(line, '/');
}

/* Copies the next line, cut to PATH_LIMIT, from *at (of n bytes in buffer, which is filled again from fd). */
static bool next_line(int fd, char *buffer, ssize_t *n, ssize_t *at, char *line) {
    for (size_t length = 0;;) {
        if (*at == *n) {
            *n = read(fd, buffer, PATH_LIMIT), *at = 0;
            if (*n <= 0) return false;
        }
        char c = buffer[(*at)++];
        if (c == '\n') return line[length] = 0, true;
        if (length < PATH_LIMIT - 1) line[length++] = c;
    }
}

static bool look_at_mapping(const Places *p) {
    char buffer[PATH_LIMIT], line[PATH_LIMIT];
    int fd = open("/proc/self/maps", O_RDONLY | O_CLOEXEC);
    ssize_t n = 0, at = 0;
    const char *path = NULL;
    while (fd >= 0 && !path && next_line(fd, buffer, &n, &at, line))
        path = path_of(line, (uintptr_t)p->artifact);
    if (fd >= 0) close(fd);
    return path && look_beside(p, path);
}

bool btc_beside(const btc_artifact *a, bool (*found)(void *user, const char *path), void *user) {
    Places p = {a, found, user};
    Dl_info info;
    if (dladdr((const void *)a, &info) && info.dli_fname && look_along(&p, info.dli_fname)) return true;
    const char *program = (const char *)getauxval(AT_EXECFN);
    return (program && look_along(&p, program)) || look_at_mapping(&p);
}
