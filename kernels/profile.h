/* Time noted inside of the code, for `btc bench --profile` (LowerTarget.profile; ordinary artefacts have
 * nothing of it). Every stage of every plan has a record in each thread's private part of the work block, in
 * ticks of the loop op `clock`, summed over all calls:
 *     int64_t record[PROFILE_FIELDS]: at work, and waiting at the barrier in front of the stage
 * The records of a plan begin at FuncPlan.profile_offset in the private part; stages follow in order. Nothing
 * clears them but the host. The stage that calls a block has none of the block's time: its stages have it. */
#ifndef BTC_PROFILE_H
#define BTC_PROFILE_H

#include "lower.h"
#include "plan/schedule.h"

/* The time of a function's body while its calls are written. */
typedef struct ProfileClock {
    Lower *l;
    Value *records; /* of this thread and plan */
    Value *last;    /* a variable: when the last note was taken; NULL: there is no profile */
} ProfileClock;
/* l->call, l->worker, l->work are loaded; without LowerTarget.profile nothing is ever emitted. */
ProfileClock profile_begin(Lower *l);
/* The time since the last note belongs to this field of this stage. */
void profile_note(ProfileClock *c, int stage, int field);
/* The time since the last note is not of this function. */
void profile_skip(ProfileClock *c);

#endif
