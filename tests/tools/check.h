/* The smallest test frame: CHECK counts, failures say where, check_report ends main. For one-file programs.
 *     int main(void) { CHECK(1 + 1 == 2); return check_report("sums"); } */
#ifndef BTC_TESTS_CHECK_H
#define BTC_TESTS_CHECK_H

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
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

/* How many random shapes and combinations a suite goes through. tests/run.sh asks for FEW of the sanitizer build,
 * whose programs are several times slower, and for ALL with --thorough. */
typedef enum CheckAmount { CHECK_FEW, CHECK_USUAL, CHECK_ALL } CheckAmount;
static inline CheckAmount check_amount(void) {
    const char *amount = getenv("BTC_TEST_AMOUNT");
    return !amount ? CHECK_USUAL : !strcmp(amount, "few") ? CHECK_FEW : CHECK_ALL;
}
/* Whether combination `i` of things that meet by pairs is one of this run: one in `usual`, one in `few`. */
static inline bool check_meets(int i, int usual, int few) {
    CheckAmount amount = check_amount();
    return i % (amount == CHECK_ALL ? 1 : amount == CHECK_USUAL ? usual : few) == 0;
}

/* Prints "suite: N passed, N failed"; nonzero if any failed, for main to return. */
static inline int check_report(const char *suite) {
    printf("%s: %d passed, %d failed\n", suite, check_passed, check_failed);
    return check_failed ? 1 : 0;
}

#endif
