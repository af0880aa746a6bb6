#include "diag.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/distance.h"
#include "temp.h"

enum { MAX_PRINTED = 20 };

Diag diag_new(Arena *a, FILE *out) {
    return (Diag){.arena = a, .out = out, .log = text_new(a)};
}

static void show(const Diag *d, const char *text) {
    if (!d->out) return;
    progress_pause(d->progress);
    fputs(text, d->out);
    progress_resume(d->progress);
}

/* What files of strangers hold reaches no terminal as it is: a message is one line of plain characters. */
static void add_plain(Text *t, char *s) {
    for (char *p = s; *p; p++)
        if (iscntrl((unsigned char)*p)) *p = '?';
    text_add(t, "%s", s);
}

static Text worded(Diag *d, Loc loc, const char *kind, const char *fmt, va_list ap) {
    char *msg = arena_vprintf(d->arena, fmt, ap);
    Text t = text_new(d->arena);
    if (loc.file) text_add(&t, "%s:", loc.file);
    if (loc.line) text_add(&t, "%d:", loc.line);
    if (loc.line && loc.col) text_add(&t, "%d:", loc.col);
    if (!loc.file) text_add(&t, "btc:");
    text_add(&t, " %s: ", kind);
    if (loc.path && *loc.path) add_plain(&t, arena_printf(d->arena, "%s: ", loc.path));
    add_plain(&t, msg);
    text_add(&t, "\n");
    return t;
}

static void print(Diag *d, Text t) {
    text_add_n(&d->log, t.s, t.n);
    show(d, t.s);
}

static void say(Diag *d, Loc loc, const char *kind, const char *fmt, va_list ap) {
    print(d, worded(d, loc, kind, fmt, ap));
}

static void file_error(Diag *d, Loc loc, const char *fmt, va_list ap) {
    if (++d->errors > MAX_PRINTED) return;
    say(d, loc, "error", fmt, ap);
    if (d->errors == MAX_PRINTED) {
        text_add(&d->log, "btc: error: too many errors, the rest is not shown\n");
        show(d, "btc: error: too many errors, the rest is not shown\n");
    }
}

bool diag_error(Diag *d, Loc loc, const char *fmt, ...) {
    va_list ap;
    va_start(ap, fmt);
    file_error(d, loc, fmt, ap);
    va_end(ap);
    return false;
}

bool diag_usage(Diag *d, Loc loc, const char *fmt, ...) {
    va_list ap;
    va_start(ap, fmt);
    file_error(d, loc, fmt, ap);
    va_end(ap);
    d->usage = true;
    return false;
}

int diag_status(const Diag *d, bool ok) {
    return ok ? 0 : d->usage ? 2 : 1;
}

void diag_warning(Diag *d, Loc loc, const char *fmt, ...) {
    va_list ap;
    va_start(ap, fmt);
    Text t = worded(d, loc, "warning", fmt, ap);
    va_end(ap);
    if (d->log.s && strstr(d->log.s, t.s)) return;
    d->warnings++;
    print(d, t);
}

void diag_note(Diag *d, Loc loc, const char *fmt, ...) {
    if (d->errors > MAX_PRINTED) return;
    va_list ap;
    va_start(ap, fmt);
    say(d, loc, "note", fmt, ap);
    va_end(ap);
}

/* Whether two short words are of the same letters, swapped or doubled: with another letter it is another
 * word. */
static bool same_letters(const char *a, const char *b) {
    bool in[2][256] = {{false}};
    for (; *a; a++) in[0][tolower((unsigned char)*a)] = true;
    for (; *b; b++) in[1][tolower((unsigned char)*b)] = true;
    return memcmp(in[0], in[1], sizeof in[0]) == 0;
}

const char *diag_nearest(const char *name, const char *const *candidates, int n) {
    const char *best = NULL;
    int length = (int)strlen(name), best_d = 1 + (length < 4   ? 1
                                                  : length < 6 ? 1
                                                  : length < 9 ? 2
                                                               : length / 4);
    for (int i = 0; i < n; i++) {
        if (!candidates[i]) continue;
        int d = word_distance(name, candidates[i]);
        if (d < best_d && (length > 3 || same_letters(name, candidates[i]))) best_d = d, best = candidates[i];
    }
    return best;
}

const char *diag_did_you_mean(Arena *a, const char *name, const char *const *candidates, int n) {
    const char *best = diag_nearest(name, candidates, n);
    return best ? arena_printf(a, " (did you mean \"%s\"?)", best) : "";
}

void diag_bug(const char *file, int line, const char *fmt, ...) {
    va_list ap;
    va_start(ap, fmt);
    fprintf(stderr, "btc: internal error at %s:%d: ", file, line);
    vfprintf(stderr, fmt, ap);
    fputs("\nbtc: this is a bug in btc, not in your model; please report it with the command line\n", stderr);
    va_end(ap);
    temp_remove_all();
    abort();
}
