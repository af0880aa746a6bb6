#include "progress.h"

#include <stdio.h>
#include <unistd.h>

#include "limits.h"

enum { BAR = 30 };

static void show(const Progress *p, const char *note) {
    if (!p->shown) return;
    int full = p->all ? BAR * p->done / p->all : BAR;
    double spent = limits_now() - p->start;
    fprintf(stderr, "\r\033[K%s [", p->what);
    for (int i = 0; i < BAR; i++) fputc(i < full ? '#' : '.', stderr);
    fprintf(stderr, "] %d of %d", p->done, p->all);
    if (p->done && p->done < p->all) fprintf(stderr, ", %.0f s left", spent / p->done * (p->all - p->done));
    if (note) fprintf(stderr, "  %s", note);
    fflush(stderr);
}

Progress progress_new(const char *what, int all) {
    Progress p = {.what = what, .all = all, .start = limits_now(), .shown = isatty(STDERR_FILENO)};
    show(&p, NULL);
    return p;
}

void progress_step(Progress *p) {
    p->done++;
    show(p, NULL);
}

void progress_note(Progress *p, const char *note) {
    show(p, note);
}

void progress_line(const Progress *p, const char *line) {
    if (p->shown) fputs("\r\033[K", stderr);
    puts(line);
    fflush(stdout);
    show(p, NULL);
}

void progress_end(Progress *p) {
    if (p->shown) fputs("\r\033[K", stderr);
    p->shown = false;
}
