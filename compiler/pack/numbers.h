/* One pass over all bytes of the tensors that a model uses, shared by all CPUs: hashes for the fingerprint, and
 * magnitudes, by which storage.c decides which formats can hold a tensor. */
#ifndef BTC_NUMBERS_H
#define BTC_NUMBERS_H

#include "formats/format.h"
#include "model.h"

/* Fills in RawTensor.numbers of the tensors that are used, or (unused) of the others. */
void numbers_read(const WeightSet *w, bool unused);
/* An error for each used tensor that holds NaN or infinities. */
bool numbers_finite(Diag *d, const Model *m);

/* Numbers that a format would lose. */
typedef struct Misfit {
    enum { TOO_SMALL, TOO_LARGE, NOT_FINITE } kind;
    int64_t at;   /* the first of them */
    double value; /* it; of a block or a row that is too small, the largest of it */
} Misfit;
/* Whether f holds the numbers of t, which has been read, and which the model sees under the shape `type`, to
 * the precision that f has. A format of blocks must hold every block, one of single numbers every row: by its
 * largest. across: blocks lie along the last axis but one. */
bool numbers_fit(const RawTensor *t, Type type, const NumberFormat *f, bool across, Misfit *out);
/* "[3,128]" */
const char *numbers_place(Arena *a, const RawTensor *t, int64_t at);

#endif
