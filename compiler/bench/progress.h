/* A bar on the terminal for what takes long. Nothing is written when stderr is no terminal. */
#ifndef BTC_BENCH_PROGRESS_H
#define BTC_BENCH_PROGRESS_H

#include <stdbool.h>

typedef struct Progress {
    const char *what;
    int done, all;
    double start; /* seconds */
    bool shown;
} Progress;

Progress progress_new(const char *what, int all);
void progress_step(Progress *p);
/* Words for what is done now, at the end of the line until the next step. */
void progress_note(Progress *p, const char *note);
/* A line on stdout, where the bar stands. */
void progress_line(const Progress *p, const char *line);
void progress_end(Progress *p); /* clears the line */

#endif
