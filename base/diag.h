/* Diagnostics: every message to the user goes through here, in one form:
 *     model.json:41:17: error: layers[3].mixer.d_state: must be a positive integer, got "16"
 * Up to 20 errors are printed; the caller stops at the end of its phase. Library code never exits. */
#ifndef BTC_BASE_DIAG_H
#define BTC_BASE_DIAG_H

#include <stdbool.h>
#include <stdio.h>

#include "arena.h"
#include "progress.h"

/* A place in the user's input. Any part may be missing (NULL, 0). */
typedef struct Loc {
    const char *file; /* as the user wrote it */
    const char *path; /* place inside: a JSON path such as $.blocks.mamba[3].w, or a tensor name */
    int line, col;    /* 1-based; 0: unknown (JSON places are looked up when a message is printed) */
} Loc;

typedef struct Diag {
    Arena *arena;
    FILE *out;          /* where messages go; NULL: only collected */
    int errors;         /* all errors, also those beyond the printed 20 */
    int warnings;       /* */
    bool usage;         /* one of the errors was about the command line */
    Text log;           /* all printed messages, for tests and for hosts */
    Progress *progress; /* of the command, or NULL; messages are printed above its line */
} Diag;

Diag diag_new(Arena *a, FILE *out);

/* Files an error; always returns false, so that callers can `return diag_error(...)`. */
bool diag_error(Diag *d, Loc loc, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
/* The same for a mistake in the command line. */
bool diag_usage(Diag *d, Loc loc, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
/* The exit status of a program: 0, 1 for an error, 2 for a wrong command line. */
int diag_status(const Diag *d, bool ok);
/* Says it once, however often a command opens its model. */
void diag_warning(Diag *d, Loc loc, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
/* Adds to the last error what would be right. */
void diag_note(Diag *d, Loc loc, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

/* The candidate that is spelt nearly as `name` is (one edit in four letters), or NULL. candidates: n strings.
 */
const char *diag_nearest(const char *name, const char *const *candidates, int n);
/* " (did you mean \"x\"?)" or "" — for the end of a message. */
const char *diag_did_you_mean(Arena *a, const char *name, const char *const *candidates, int n);

/* Our own bug: says what and where, and aborts. */
#define BTC_BUG(...) diag_bug(__FILE__, __LINE__, __VA_ARGS__)
_Noreturn void diag_bug(const char *file, int line, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

#endif
