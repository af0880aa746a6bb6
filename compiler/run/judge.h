/* The interpreter as the judge of compiled code: what should have come out, and how far from it rounding
 * alone may lead, on these very inputs (perturb.h says how that is known).
 *
 * It can be led: wherever compiled code shows a value, the interpreter takes note of its own and goes on with
 * the shown one. So each op, or each stretch of ops between two shown values, is judged by what it makes of
 * the numbers that compiled code itself gave it, and errors do not add up on the way: in a stretch of one op
 * what may be off is the rounding of that op. Not led, it says what may come out in the end. */
#ifndef BTC_JUDGE_H
#define BTC_JUDGE_H

#include "session.h"

typedef struct JudgeOptions {
    Arena *arena;            /* of the lists that come out */
    const TapList *taps;     /* what compiled code shows: results of main from the second on */
    const TensorList *shown; /* what it showed, or NULL: not led; the interpreter's own values of the taps are
                                noted all the same */
    int first;               /* where in `shown` the taps begin */
    int64_t cut;             /* as Session.cut */
    bool step;
    bool one_by_one; /* every op's operands are shown: what it rounds inside is known to the last bit */
    bool exactly;    /* only what should come out, not how far it may be off */
} JudgeOptions;

/* Both lists have a tensor for each tap (named as in names, one for each), main's first result, and every
 * state. s: a session that interprets. off: may be NULL with `exactly`. */
bool judge_run(Session *s, const JudgeOptions *o, const char *const *names, const RawTensor *input,
               TensorList *exact, TensorList *off);

/* How a tensor agrees. */
typedef struct Agreement {
    double error, allowed, largest; /* at the number that is worst: for what is allowed there */
    double ratio;      /* error / allowed, INFINITY where nothing may be off; > 1: does not agree */
    double most;       /* the largest error of all, wherever */
    int64_t at, count; /* the number; how many were compared */
    bool other_shape;
} Agreement;
/* How much farther than the pair of runs compiled code may be: they are one sample of what roundings do.
 * Where numbers are rounded to few bits on the way, and it is not known to the last bit to which, that is a
 * sample of a few large steps. */
#define AGREE_ROUNDINGS 4
#define AGREE_STEPS 12
/* got against exact, as far as `off` allows. stored: how the numbers lie in memory. */
Agreement agreement_of(const RawTensor *got, const RawTensor *exact, const RawTensor *off, DType stored,
                       double factor);

#endif
