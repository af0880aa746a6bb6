/* Making the inside of a model visible: taps are further results of main. */
#ifndef BTC_VERIFY_MODEL_H
#define BTC_VERIFY_MODEL_H

#include "op.h"

/* hidden.0: what the first call gets; hidden.i: what call i gives. */
void taps_add_hidden(Module *m);
/* Every value inside block `block` in the call number `call` (from 0), in order; returns how many. */
int taps_add_values(Module *m, const char *block, int call);

#endif
