/* Running btc as a user does: a command line, its exit status, what it printed. For one-file programs. */
#ifndef BTC_TESTS_CLI_KIT_H
#define BTC_TESTS_CLI_KIT_H

#include <dirent.h>
#include <limits.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/arena.h"
#include "check.h"

static Arena *arena;
static const char *btc, *cases, *folder; /* btc, its models, and where the tests write */

/* ---- running ---- */

typedef struct Run {
    int status;
    const char *out, *err;
} Run;

static inline const char *read_text(const char *path) {
    FILE *f = fopen(path, "rb");
    Text t = text_new(arena);
    char buffer[4096];
    if (!f) return NULL;
    for (size_t n; (n = fread(buffer, 1, sizeof buffer, f)) > 0;) text_add_n(&t, buffer, n);
    fclose(f);
    return t.s ? t.s : "";
}

static inline void write_file(const char *path, const char *text) {
    FILE *f = fopen(path, "wb");
    if (!CHECK(f != NULL)) return;
    fputs(text, f);
    fclose(f);
}

/* A path in the folder of this run. */
static inline const char *at(const char *name) {
    return arena_printf(arena, "%s/%s", folder, name);
}

static inline const char *model(const char *name) {
    return arena_printf(arena, "%s/%s", cases, name);
}

/* Without lines of progress ("btc: .., 31 s"): where stderr is no terminal, a command that takes half a minute
 * prints one, on a busy machine any command may. */
static inline const char *without_progress(const char *err) {
    Text t = text_new(arena);
    for (const char *line = err, *next; line && *line; line = next) {
        const char *end = strchr(line, '\n');
        next = end ? end + 1 : line + strlen(line);
        const char *p = end ? end - 2 : line;
        bool progress = !strncmp(line, "btc: ", 5) && p > line && !strncmp(p, " s", 2);
        while (progress && p > line && p[-1] >= '0' && p[-1] <= '9') p--;
        progress = progress && p - line > 2 && p[0] != ' ' && !strncmp(p - 2, ", ", 2);
        if (!progress) text_add_n(&t, line, (size_t)(next - line));
    }
    return t.s ? t.s : "";
}

/* btc with the arguments of a shell's command line. */
static inline Run run(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
static inline Run run(const char *fmt, ...) {
    va_list ap;
    va_start(ap, fmt);
    const char *args = arena_vprintf(arena, fmt, ap);
    va_end(ap);
    const char *to = strchr(args, '>') ? "" : arena_printf(arena, ">'%s'", at(".out"));
    remove(at(".out"));
    int s = system(arena_printf(arena, "'%s' %s %s 2>'%s'", btc, args, to, at(".err")));
    Run r = {WIFEXITED(s) ? WEXITSTATUS(s) : -1, read_text(at(".out")),
             without_progress(read_text(at(".err")))};
    if (!r.out) r.out = "";
    return r;
}

/* It failed with this status, said this, and printed nothing. */
#define CHECK_FAILS(r, code, message)                                                                        \
    do {                                                                                                     \
        Run fails_ = (r);                                                                                    \
        CHECK(fails_.status == (code));                                                                      \
        CHECK_STR_CONTAINS(fails_.err, message);                                                             \
        CHECK(!*fails_.out);                                                                                 \
    } while (0)
/* It went well, silently but for its output. */
#define CHECK_PRINTS(r, text)                                                                                \
    do {                                                                                                     \
        Run prints_ = (r);                                                                                   \
        CHECK(prints_.status == 0);                                                                          \
        CHECK_STR_CONTAINS(prints_.out, text);                                                               \
        CHECK(!*prints_.err);                                                                                \
    } while (0)

/* Files (not hidden) in a folder. */
static inline int count_files(const char *path) {
    DIR *d = opendir(path);
    int n = 0;
    for (struct dirent *e; d && (e = readdir(d));) n += e->d_name[0] != '.';
    if (d) closedir(d);
    return n;
}

static inline const char *new_folder(const char *name) {
    CHECK(mkdir(at(name), 0777) == 0);
    return at(name);
}

static inline bool have(const char *name) {
    bool yes = access(model(name), F_OK) == 0;
    if (!yes) printf("cli: skipped what needs %s\n", name);
    return yes;
}

static inline int longest_line(const char *text) {
    int longest = 0;
    for (const char *p = text; *p;) {
        int n = (int)strcspn(p, "\n");
        if (n > longest) longest = n;
        p += n + (p[n] == '\n');
    }
    return longest;
}

/* ---- a program of tests: NAME [BTC [CONFORMANCE]] ---- */

static inline bool begin(int argc, char **argv) {
    char real_btc[PATH_MAX], real_cases[PATH_MAX];
    const char *tmp = getenv("TMPDIR");
    arena = arena_new();
    if (!realpath(argc > 1 ? argv[1] : "build/btc", real_btc) ||
        !realpath(argc > 2 ? argv[2] : "tests/conformance", real_cases))
        return fprintf(stderr, "usage: %s [BTC [CONFORMANCE]]\n", argv[0]), false;
    char *made = arena_printf(arena, "%s/btc-cli-XXXXXX", tmp ? tmp : "/tmp");
    if (!mkdtemp(made)) return perror(made), false;
    btc = arena_strdup(arena, real_btc), cases = arena_strdup(arena, real_cases), folder = made;
    return true;
}

static inline int finish(const char *suite) {
    if (system(arena_printf(arena, "rm -rf '%s'", folder)) != 0) perror(folder);
    int status = check_report(suite);
    arena_free(arena);
    return status;
}

#endif
