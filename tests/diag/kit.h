/* Bad input through the btc binary, as a user gives it: what it prints is held against a golden text, and it
 * must end with an error, say it in the promised number of lines, and leave nothing behind. For one-file
 * programs, which work in a new folder:
 *     m/      a copy of a checkpoint, changed in one way (edit.h)
 *     out/    where outputs go; empty after every refusal
 * BTC_BLESS=1 writes the golden texts anew: read the difference before it is committed. */
#ifndef BTC_TESTS_DIAG_KIT_H
#define BTC_TESTS_DIAG_KIT_H

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/file.h"
#include "tools/check.h"

static Arena *arena;
static const char *btc, *cases; /* the program and its models, absolute */
static char *work;              /* the folder of this run */
static const char *golden_folder, *golden_file;
static const char *golden; /* the text as it should be; NULL: it is written anew */
static Text said;          /* as it is */

/* ---- files ---- */

typedef struct Bytes {
    char *s; /* a NUL follows */
    size_t n;
} Bytes;

static inline Bytes read_bytes(const char *path) {
    FILE *f = fopen(path, "rb");
    Text t = text_new(arena);
    char buffer[1 << 14];
    for (size_t n; f && (n = fread(buffer, 1, sizeof buffer, f)) > 0;) text_add_n(&t, buffer, n);
    if (f) fclose(f);
    return (Bytes){t.s ? t.s : arena_strdup(arena, ""), t.n};
}

static inline void write_bytes(const char *path, const void *data, size_t n) {
    FILE *f = fopen(path, "wb");
    if (!CHECK(f != NULL)) return;
    CHECK(fwrite(data, 1, n, f) == n);
    CHECK(fclose(f) == 0);
}

/* Everything in a folder, and the folder. */
static inline void remove_folder(const char *path) {
    DIR *d = opendir(path);
    for (struct dirent *e; d && (e = readdir(d));) {
        if (!strcmp(e->d_name, ".") || !strcmp(e->d_name, "..")) continue;
        const char *name = arena_printf(arena, "%s/%s", path, e->d_name);
        if (file_is_folder(name))
            remove_folder(name);
        else
            unlink(name);
    }
    if (d) closedir(d);
    rmdir(path);
}

/* The names in a folder, "" when it is empty. */
static inline const char *list(const char *path) {
    DIR *d = opendir(path);
    Text t = text_new(arena);
    text_add(&t, "%s", "");
    for (struct dirent *e; d && (e = readdir(d));)
        if (strcmp(e->d_name, ".") && strcmp(e->d_name, "..")) text_add(&t, "%s ", e->d_name);
    if (d) closedir(d);
    return t.s;
}

/* ---- running ---- */

typedef struct Ran {
    int status; /* -signal when one ended it */
    const char *out, *err;
} Ran;

static inline const char *read_pipe(int fd) {
    Text t = text_new(arena);
    char buffer[4096];
    text_add(&t, "%s", "");
    for (ssize_t n; (n = read(fd, buffer, sizeof buffer)) > 0;) text_add_n(&t, buffer, (size_t)n);
    close(fd);
    return t.s;
}

/* A command line of the shell, in the folder of this run; limit: of the size of files, 0: none. */
static inline Ran run_limited(long limit, const char *command) {
    int err[2];
    fflush(NULL);
    if (!CHECK(pipe(err) == 0)) return (Ran){-1, "", ""};
    pid_t pid = fork();
    if (pid == 0) {
        struct rlimit r = {(rlim_t)limit, (rlim_t)limit};
        int null = open("/dev/null", O_RDONLY), out = open("stdout", O_WRONLY | O_CREAT | O_TRUNC, 0600);
        if (limit) setrlimit(RLIMIT_FSIZE, &r);
        dup2(null, 0), dup2(out, 1), dup2(err[1], 2);
        close(err[0]), close(err[1]);
        execl("/bin/sh", "sh", "-c", command, (char *)NULL);
        _exit(127);
    }
    close(err[1]);
    const char *said_there = read_pipe(err[0]);
    int status = 0;
    if (!CHECK(pid > 0 && waitpid(pid, &status, 0) == pid)) return (Ran){-1, "", ""};
    return (Ran){WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status), read_bytes("stdout").s,
                 said_there};
}

static inline Ran run_btc(const char *args) {
    return run_limited(0, arena_printf(arena, "exec '%s' %s", btc, args));
}

/* ---- golden texts ---- */

/* Lists that grow with the compiler, and names that differ from run to run, are cut. */
static inline const char *stable(const char *text) {
    static const char *const lists[] = {"; there are: ", "note: targets are "};
    Text t = text_new(arena);
    text_add(&t, "%s", "");
    while (*text) {
        if (!strncmp(text, work, strlen(work))) {
            text += strlen(work);
            text_add(&t, "WORK");
            continue;
        }
        bool cut = false;
        for (size_t i = 0; i < sizeof lists / sizeof *lists; i++) {
            size_t n = strlen(lists[i]);
            if (strncmp(text, lists[i], n)) continue;
            text_add(&t, "%s...", lists[i]);
            text += strcspn(text, "\n");
            cut = true;
        }
        if (!cut) text_add_n(&t, text++, 1);
    }
    return t.s;
}

/* An entry: the title, the command line, what it said. It must be in the golden text word for word. */
static inline void golden_check(const char *title, const char *args, const char *err) {
    const char *entry = arena_printf(arena, "## %s\n$ btc %s\n%s\n", title, args, stable(err));
    text_add(&said, "%s", entry);
    if (!golden || CHECK(strstr(golden, entry) != NULL)) return;
    const char *old = strstr(golden, arena_printf(arena, "## %s\n", title));
    const char *end = old ? strstr(old + 1, "\n## ") : NULL;
    fprintf(stderr, "    expected:\n%.*s\n    got:\n%s\n",
            !old  ? 0
            : end ? (int)(end - old)
                  : (int)strlen(old),
            old ? old : "", entry);
}

/* Entries from here on belong to golden/<name>.txt. */
static inline void golden_begin(const char *name) {
    golden_file = arena_printf(arena, "%s/%s.txt", golden_folder, name);
    golden = getenv("BTC_BLESS") ? NULL : read_bytes(golden_file).s;
    said = text_new(arena);
}

static inline void golden_end(void) {
    if (!golden) write_bytes(golden_file, said.s, said.n);
}

static inline int count_lines(const char *text, const char *with) {
    int n = 0;
    for (const char *p = text; *p;) {
        size_t len = strcspn(p, "\n");
        n += memmem(p, len, with, strlen(with)) != NULL;
        p += len + (p[len] == '\n');
    }
    return n;
}

/* It was refused in `errors` messages, of which the text `where` is the beginning and `what` a part; every
 * line is a message; nothing was made. */
static inline void check_refused(const char *title, const char *args, Ran r, int errors, const char *where,
                                 const char *what) {
    bool ok = CHECK(r.status > 0 && r.status < 126);
    ok &= CHECK(count_lines(r.err, "error: ") == errors);
    ok &= CHECK(count_lines(r.err, "error: ") + count_lines(r.err, "note: ") +
                    count_lines(r.err, "warning: ") ==
                count_lines(r.err, ""));
    ok &= CHECK(!where || !strncmp(r.err, where, strlen(where)));
    ok &= CHECK(!what || strstr(r.err, what));
    ok &= CHECK(!*list("out"));
    if (!ok)
        fprintf(stderr, "    in: %s\n    $ btc %s\n    status %d, expected %s...%s\n    out/: %s\n%s\n",
                title, args, r.status, where ? where : "", what ? what : "", list("out"), r.err);
    golden_check(title, args, r.err);
    remove_folder("out");
    CHECK(mkdir("out", 0777) == 0);
}

/* ---- the frame ---- */

/* argv: the conformance cases and btc, in any order. false: there is nothing to test with. */
static inline bool kit_begin(int argc, char **argv) {
    static char real_btc[PATH_MAX], real_cases[PATH_MAX], source[PATH_MAX];
    const char *a = argc > 1 ? argv[1] : "build/btc", *b = argc > 2 ? argv[2] : "tests/conformance";
    if (file_is_folder(a)) {
        const char *swap = a;
        a = argc > 2 ? b : "build/btc", b = swap;
    }
    arena = arena_new();
    if (!realpath(a, real_btc) || !realpath(b, real_cases) || !realpath(__FILE__, source))
        return fprintf(stderr, "usage: test [BTC [CONFORMANCE]]\n"), false;
    btc = real_btc, cases = real_cases;
    *strrchr(source, '/') = 0;
    golden_folder = arena_printf(arena, "%s/golden", source);
    const char *tmp = getenv("TMPDIR");
    work = arena_printf(arena, "%s/btc-diag-XXXXXX", tmp ? tmp : "/tmp");
    if (!mkdtemp(work) || chdir(work) || mkdir("out", 0777)) return perror(work), false;
    return true;
}

static inline int kit_end(const char *suite) {
    if (chdir("/")) perror("/");
    remove_folder(work);
    int status = check_report(suite);
    arena_free(arena);
    return status;
}

#endif
