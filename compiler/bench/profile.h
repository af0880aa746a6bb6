/* Where the time of a run goes: the times that the stages of an instrumented model have recorded
 * (kernels/profile.h), in seconds, and the work of each stage. */
#ifndef BTC_BENCH_PROFILE_H
#define BTC_BENCH_PROFILE_H

#include "subject.h"

/* One stage of one block, all calls of the run together. Times are means over the threads. */
typedef struct ProfileStage {
    const char *block, *value, *ops, *form;
    int64_t calls;  /* of the block in one call of the model: layers */
    double work;    /* seconds */
    double longest; /* of the busiest thread */
    double wait;    /* at the barrier in front of it */
    Work load;
} ProfileStage;

typedef struct Profile {
    ProfileStage *stages; /* by time, the longest first */
    int n, cap;
    double wall, work, wait; /* sums; the rest of wall is outside of the stages */
    int64_t notes;           /* times that a thread read the clock */
} Profile;

/* What is summed up over the runs of one kind. */
typedef struct ProfileSum {
    int64_t *ticks; /* [threads][records], grown in the arena */
    int64_t records;
    double wall; /* seconds */
    int64_t runs;
} ProfileSum;

/* Forgets what the stages noted in this work block, made for `threads`. */
void profile_clear(const Subject *s, void *work, int threads);
/* Adds what they noted since, in `runs` runs of `wall` seconds together. */
void profile_add(const Subject *s, const void *work, int threads, int64_t runs, double wall, ProfileSum *sum);
/* The mean run. calls[ncalls]: the calls of the model that it consists of. */
Profile profile_make(const Subject *s, Form form, int threads, const ProfileSum *sum, double ticks_per_second,
                     const CallShape *calls, int ncalls);

/* This machine's clock as compiled code reads it, and how fast it ticks since an earlier reading. */
typedef struct Ticks {
    int64_t ticks;
    double seconds;
} Ticks;
Ticks ticks_now(void);
double ticks_rate(Ticks since);
double ticks_cost(void); /* seconds that reading it takes */

#endif
