/* The smallest test frame: CHECK counts, failures say where, check_report ends main. For one-file programs.
 *     int main(void) { CHECK(1 + 1 == 2); return check_report("sums"); } */
#ifndef BTC_TESTS_CHECK_H
#define BTC_TESTS_CHECK_H

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

static int check_passed, check_failed;

static inline bool check_count(bool ok, const char *file, int line, const char *what) {
    if (ok)
        check_passed++;
    else
        check_failed++;
    if (!ok) fprintf(stderr, "%s:%d: failed: %s\n", file, line, what);
    return ok;
}

static inline bool check_contains(const char *hay, const char *needle, const char *file, int line,
                                  const char *what) {
    bool ok = check_count(hay && needle && strstr(hay, needle), file, line, what);
    if (!ok)
        fprintf(stderr, "    expected to find: %s\n    in: %s\n", needle ? needle : "(null)",
                hay ? hay : "(null)");
    return ok;
}

/* Each counts one, and is an expression: whether it held. */
#define CHECK(cond) check_count((cond) ? true : false, __FILE__, __LINE__, #cond)
#define CHECK_STR_CONTAINS(hay, needle)                                                                      \
    check_contains((hay), (needle), __FILE__, __LINE__, #hay " contains " #needle)

/* Prints "suite: N passed, N failed"; nonzero if any failed, for main to return. */
static inline int check_report(const char *suite) {
    printf("%s: %d passed, %d failed\n", suite, check_passed, check_failed);
    return check_failed ? 1 : 0;
}

#endif
