/* The interpreter as reference for compiled code: the expected results for the given inputs, and how far rounding alone
 * may move them (perturb.h says how that is known).
 *
 * The interpreter can follow compiled code: wherever compiled code exposes a value (a probe), the interpreter records
 * its own value and continues with the exposed one. So each op, or each segment of ops between two probes, is judged
 * by what it makes of compiled code's own inputs, and errors do not accumulate: a segment of one op may be off by the
 * rounding of that op. When it does not follow, its results are those of the whole model. */
#ifndef BTC_JUDGE_H
#define BTC_JUDGE_H

#include "session.h"

typedef struct JudgeOptions {
    Arena *arena;            /* of the lists that come out */
    const ProbeList *probes; /* what compiled code shows: results of main from the second on */
    const TensorList
        *shown;  /* what it showed, or NULL: not led; the interpreter's own values of the probes are
                                noted all the same */
    int first;   /* where in `shown` the probes begin */
    int64_t cut; /* as Session.cut */
    bool step;
    bool one_by_one; /* every op's operands are shown: what it rounds inside is known to the last bit */
    int pairs;       /* of runs that are off; 0: one */
    bool exactly;    /* only what should come out, not how far it may be off */
} JudgeOptions;

/* Both lists have a tensor for each probe (named as in names, one for each), main's first result, and every
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
/* One pair is a small sample, and what is off by a few times what it explains may be right: then this many
 * pairs tell. */
#define AGREE_DOUBT 16
#define AGREE_PAIRS 6
/* How much farther than the pair of runs compiled code may be: they are one sample of what roundings do.
 * Where numbers are rounded to few bits on the way, and it is not known to the last bit to which, that is a
 * sample of a few large steps. */
#define AGREE_ROUNDINGS 4
#define AGREE_STEPS 12
/* got against exact, as far as `off` allows. stored: how the numbers lie in memory. */
Agreement agreement_of(const RawTensor *got, const RawTensor *exact, const RawTensor *off, DType stored,
                       double factor);

#endif
