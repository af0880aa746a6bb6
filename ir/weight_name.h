/* Names of weights: the full name of a weight op in a call, and the tensors for which it stands. */
#ifndef BTC_WEIGHT_NAME_H
#define BTC_WEIGHT_NAME_H

#include "ir.h"

/* The `name` attribute of a weight op in a call with this prefix, as the checkpoint spells it ("{0..8}"
 * stays). */
const char *weight_name(Arena *a, const char *prefix, const char *name);
/* "x.{0..8}.w" stands for 8 tensors: how many, and the k-th. A name without braces: 1, itself. */
int64_t weight_count(const char *name);
const char *weight_part(Arena *a, const char *name, int64_t k);

#endif
