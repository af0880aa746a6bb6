/* --emit=schedule: a schedule (plan/schedule.h) as JSON, all that a launcher needs which calls the stage
 * functions of --emit=object. docs/schedule.md tells what the fields mean. */
#ifndef BTC_SCHEDULE_JSON_H
#define BTC_SCHEDULE_JSON_H

#include "compile.h"

/* Of the text: raised when a launcher would have to read it differently. */
enum { SCHEDULE_VERSION = 1 };

char *schedule_json(Arena *a, const Module *model, const Compiled *c);

#endif
