/* How many threads of this process can run at once: for programs, and for the compiler's own work. */
#ifndef BTC_PROCESSORS_H
#define BTC_PROCESSORS_H

/* The processors that it may use (affinity), or what its control groups leave of them if that is less; at
 * least 1. */
int usable_processors(void);
/* The least quota of the control groups that hold the process, in processors; 0: none. root: the folder that
 * proc/ and all mounts are looked for in; "" is the system's own. */
double group_quota(const char *root);
/* A quota in whole threads: the nearest number, at least 1. Two threads on 1.5 processors do more than one
 * does, on 1.25 they do not. */
int quota_threads(double quota);

#endif
