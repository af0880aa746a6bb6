/* Independent items of work, shared by threads. The compiler uses threads only through this. */
#ifndef BTC_BASE_WORK_H
#define BTC_BASE_WORK_H

#include <stdint.h>

/* Does item i. It may touch nothing that another item writes; messages are filed afterwards, by the caller.
 */
typedef void WorkItem(void *user, int64_t i);

/* Calls item(user, i) for every i < n, each once, in the calling thread and in as many others as there are
 * further CPUs for this process; the order is open. Returns when all are done. With one CPU, or where no
 * thread can be made, the calling thread does everything. */
void work_share(int64_t n, WorkItem *item, void *user);

#endif
