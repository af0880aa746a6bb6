/* Which matrices of bf16 are packed in 12 bits a number (formats/compressed.h): those that take fewer bytes so, in
 * every call of their block. */
#ifndef BTC_PACK_COMPRESS_H
#define BTC_PACK_COMPRESS_H

#include "kernels/lower.h"
#include "model.h"

/* Looks at all numbers of the matrices of m, whose passes have run, that are stored in bf16; those that can be
 * compressed get the format bf16_12. */
bool compress_weights(Diag *d, Model *m, const LowerTarget *t);

#endif
