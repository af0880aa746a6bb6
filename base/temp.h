/* Temporary files and folders, and the child process that works in them. All are listed here from the moment they
 * exist, so that neither a signal (Ctrl-C) nor an error leaves anything behind. */
#ifndef BTC_BASE_TEMP_H
#define BTC_BASE_TEMP_H

#include <stdbool.h>
#include <sys/types.h>
/* mkstemp and mkdtemp: `pattern` ends in XXXXXX and becomes the name. -1, NULL: errno. */
int temp_file(char *pattern);
char *temp_folder(char *pattern);
/* The file is gone, or has its final name. */
void temp_forget(const char *name);
/* Removes a folder made here with the files in it; no folder is ever put into one. */
void temp_folder_remove(const char *name);

/* Runs `start`, which gives the id of a child process, or -1; the child ends when everything is removed. */
pid_t temp_child(pid_t (*start)(void *user), void *user);
/* Waits for its end. false: errno. */
bool temp_child_wait(int *status);

/* Ends the child and removes everything; nothing can be made any more. For the last moments of the process.
 */
void temp_remove_all(void);
/* From now on SIGINT, SIGTERM and SIGHUP remove everything before they end the process. Called once, by main,
 * before there is another thread: those threads inherit that the signals are not for them. */
void temp_clean_on_signals(void);

#endif
