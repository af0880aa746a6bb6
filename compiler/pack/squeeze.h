/* Which matrices of bf16 are packed in 12 bits a number (formats/squeeze.h): those that take fewer bytes so, in
 * every call of their block. */
#ifndef BTC_SQUEEZE_WEIGHTS_H
#define BTC_SQUEEZE_WEIGHTS_H

#include "kernels/module.h"
#include "model.h"

/* Looks at all numbers of the matrices that `l`, the lowered module of m, packs in panels of bf16. *changed:
 * how many were given the storage "bf12"; then the module is to be lowered again. */
bool squeeze_weights(Diag *d, Model *m, const LowerTarget *t, const Schedule *l, int *changed);

#endif
