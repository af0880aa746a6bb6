/* Progress of long commands. After a second, a command shows what it is doing in one line on the terminal (stderr).
 * The line is overwritten, and removed at the end. If stderr is not a terminal, a line is written after half a
 * minute, and then at ever doubled times; a short command writes nothing.
 *
 * A thread of its own writes the line, so that one long step is visible, too. Phases nest:
 * "tuning [###.......] 3 of 9, 40 s left: packing weights 12 of 80". */
#ifndef BTC_BASE_PROGRESS_H
#define BTC_BASE_PROGRESS_H

#include <stdbool.h>
#include <stdint.h>

typedef struct Progress Progress;

/* NULL if nothing is to be shown; all functions accept NULL and do nothing. */
Progress *progress_new(bool quiet);
/* Clears the line, for good. */
void progress_free(Progress *p);

/* A phase begins, inside of those that have. all: steps that it will take; 0: not known. */
void progress_phase(Progress *p, const char *what, int64_t all);
/* A step of the innermost phase is done. Any thread. */
void progress_step(Progress *p);
/* The innermost phase is over. */
void progress_done(Progress *p);
/* Words for what the innermost phase does now. */
void progress_note(Progress *p, const char *note);

/* Between these two calls the line is not on the terminal, and others may print. */
void progress_pause(Progress *p);
void progress_resume(Progress *p);

#endif
